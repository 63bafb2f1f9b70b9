"""The state of an LSTM, one definition for the three notations."""

from typing import Any, NamedTuple

__all__ = ["LSTMState"]


class LSTMState(NamedTuple):
    """What an LSTM carries from step to step: ``h`` (B, H), shown, and ``c`` (B, H), kept."""

    h: Any
    c: Any
