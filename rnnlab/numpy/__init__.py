"""The book's networks in NumPy, to be read as the equations. They train, too."""

from rnnlab.numpy.cells import GRUCell, LSTMCell, LSTMState, RNNCell
from rnnlab.numpy.layers import (
    GRU,
    LSTM,
    RNN,
    Bidirectional,
    SimpleRNN,
    Stack,
    get_weights,
    set_weights,
)
from rnnlab.numpy.models import CharLM, sample
from rnnlab.numpy.training import Adam, clip_by_global_norm, evaluate, fit

__all__ = [
    "GRU",
    "LSTM",
    "RNN",
    "Adam",
    "Bidirectional",
    "CharLM",
    "GRUCell",
    "LSTMCell",
    "LSTMState",
    "RNNCell",
    "SimpleRNN",
    "Stack",
    "clip_by_global_norm",
    "evaluate",
    "fit",
    "get_weights",
    "sample",
    "set_weights",
]
