"""The book's networks in PyTorch."""

from rnnlab.coexist import load_triton

try:
    load_triton()
    import torch as _framework  # noqa: F401  (asked for here, so that its absence has a clear message)
except ModuleNotFoundError as error:
    if error.name != "torch":  # it is there, but something that it needs is not
        raise
    raise ImportError(
        "rnnlab.torch needs PyTorch, which is not installed: pip install "
        '"torch>=2.4", or rnnlab with its extra [torch]'
    ) from error

from rnnlab.torch.cells import GRUCell, LSTMCell, LSTMState, RNNCell
from rnnlab.torch.interop import from_native, state_from_native, state_to_native, to_native
from rnnlab.torch.layers import (
    GRU,
    LSTM,
    RNN,
    Bidirectional,
    SimpleRNN,
    Stack,
    get_weights,
    set_weights,
)
from rnnlab.torch.losses import cross_entropy, mean_squared_error
from rnnlab.torch.models import CharLM, Classifier, Forecaster, forecast, sample
from rnnlab.torch.training import Adam, clip_by_global_norm, evaluate, fit

__all__ = [
    "GRU",
    "LSTM",
    "RNN",
    "Adam",
    "Bidirectional",
    "CharLM",
    "Classifier",
    "Forecaster",
    "GRUCell",
    "LSTMCell",
    "LSTMState",
    "RNNCell",
    "SimpleRNN",
    "Stack",
    "clip_by_global_norm",
    "cross_entropy",
    "evaluate",
    "fit",
    "forecast",
    "from_native",
    "get_weights",
    "mean_squared_error",
    "sample",
    "set_weights",
    "state_from_native",
    "state_to_native",
    "to_native",
]
