"""The book's networks in TensorFlow."""

from rnnlab.coexist import load_triton

try:
    load_triton()
    import tensorflow as _framework  # noqa: F401  (asked for here, so that its absence has a clear message)
except ModuleNotFoundError as error:
    if error.name != "tensorflow":  # it is there, but something that it needs is not
        raise
    raise ImportError(
        "rnnlab.tensorflow needs TensorFlow, which is not installed: pip install "
        '"tensorflow>=2.18", or rnnlab with its extra [tensorflow]'
    ) from error

from rnnlab.tensorflow.cells import GRUCell, LSTMCell, LSTMState, RNNCell
from rnnlab.tensorflow.interop import from_native, state_from_native, state_to_native, to_native
from rnnlab.tensorflow.layers import (
    GRU,
    LSTM,
    RNN,
    Bidirectional,
    SimpleRNN,
    Stack,
    get_weights,
    set_weights,
)
from rnnlab.tensorflow.losses import cross_entropy, mean_squared_error
from rnnlab.tensorflow.models import CharLM, Classifier, Forecaster, forecast, sample
from rnnlab.tensorflow.training import Adam, clip_by_global_norm, evaluate, fit

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
