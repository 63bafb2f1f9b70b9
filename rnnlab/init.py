"""Initial weights, drawn by NumPy's generator: why the three notations start from the same numbers.

The functions for cells return a dict of arrays under the names that all cells share: ``W_x``
(I, G*H), ``W_h`` (H, G*H), ``b`` (G*H,), with G blocks side by side, one for each gate. Weights are
drawn in float64 and rounded to ``dtype`` last, so a float32 layer and a float64 layer of one seed
hold the same numbers up to that rounding.

A seed is an int of at least 0, or a tuple of such as :func:`children` makes them; a dtype is
"float32" or "float64".
"""

import numpy as np

from rnnlab import checks

__all__ = [
    "children",
    "dense",
    "dropout_mask",
    "glorot_uniform",
    "gru_cell",
    "lstm_cell",
    "orthogonal",
    "rnn_cell",
]


def children(seed, count):
    """Seeds for the parts of a whole: distinct, and a function of ``seed`` alone.

    seed: an int or a tuple of ints.
    count: how many seeds are wanted.

    >>> children(7, 2)
    [(7, 0), (7, 1)]
    """
    whole = _seed(seed)
    return [(*whole, k) for k in range(checks.size("count", count, minimum=0))]


# What random numbers are drawn for. Each use has a stream of its own, so that a cell, a read-out
# and a dropout mask of one seed have nothing in common. (No stack has so many levels.)
USES = {"cell": (), "read-out": (2**31,), "dropout": (2**31 + 1,), "sample": (2**31 + 2,)}


def generator(seed, use="cell"):
    """NumPy's generator for a seed: an int >= 0 or a tuple of them; TypeError or ValueError.

    use: a name in ``USES``. (As a spawn key and not as entropy, for there 7 and (7, 0) are one.)
    """
    whole, *path = _seed(seed)
    return np.random.default_rng(np.random.SeedSequence(whole, spawn_key=(*path, *USES[use])))


def _seed(seed):
    """The ints that a seed is made of; TypeError or ValueError if it is none."""
    if isinstance(seed, tuple) and not seed:
        raise ValueError("seed must be an int of at least 0 or a tuple of such, got ()")
    parts = seed if isinstance(seed, tuple) else (seed,)
    return tuple(checks.size("seed", part, minimum=0, maximum=None) for part in parts)


def glorot_uniform(rng, rows, columns):
    """A matrix (rows, columns), uniform within ±sqrt(6 / (rows + columns)).

    The variance of what goes in and, on the way back, of the gradients is kept about the same
    (Glorot & Bengio 2010, eq. 16).

    rng: NumPy's generator.

    >>> glorot_uniform(np.random.default_rng(0), 4, 2).round(2).tolist()
    [[0.27, -0.46], [-0.92, -0.97], [0.63, 0.83], [0.21, 0.46]]
    """
    rows, columns = checks.size("rows", rows), checks.size("columns", columns)
    limit = np.sqrt(6.0 / (rows + columns))
    return checks.rng(rng).uniform(-limit, limit, (rows, columns))


def orthogonal(rng, n):
    """A random matrix (n, n) with orthonormal rows: it turns a state and never stretches it.

    (Saxe et al. 2014.)

    rng: NumPy's generator.

    >>> q = orthogonal(np.random.default_rng(0), 3)
    >>> np.allclose(q @ q.T, np.eye(3))
    True
    """
    n = checks.size("n", n)
    q, r = np.linalg.qr(checks.rng(rng).standard_normal((n, n)))
    return q * np.sign(np.diag(r))  # these signs make the factors unique: no library's choice


def dense(input_size, output_size, *, seed=0, dtype="float32"):
    """Weights of a linear read-out: ``W_y`` (I, O) Glorot uniform, ``b_y`` (O,) zero.

    input_size, output_size: I and O.
    Raises ValueError or TypeError if the seed or the dtype is not as the module says.

    >>> {name: w.shape for name, w in dense(4, 2).items()}
    {'W_y': (4, 2), 'b_y': (2,)}
    """
    input_size = checks.size("input_size", input_size)
    output_size = checks.size("output_size", output_size)
    W_y = glorot_uniform(generator(seed, "read-out"), input_size, output_size)
    return _rounded({"W_y": W_y, "b_y": np.zeros(output_size)}, dtype)


def dropout_mask(rng, batch_size, size, rate, dtype="float32"):
    """Factors (B, 1, H) for dropout: 0 with probability ``rate``, else 1 / (1 - rate).

    One mask serves all steps of a batch (Gal & Ghahramani 2016). Drawn here, it is the same in the
    three notations.

    rng: NumPy's generator.
    batch_size, size: B and H.
    rate: in [0, 1).

    >>> dropout_mask(np.random.default_rng(0), 1, 4, 0.5)
    array([[[2., 0., 0., 0.]]], dtype=float32)
    """
    batch_size, size = checks.size("batch_size", batch_size, 0), checks.size("size", size)
    rate = checks.number("rate", rate, minimum=0, below=1)
    kept = checks.rng(rng).random((batch_size, 1, size)) >= rate
    return (kept / (1.0 - rate)).astype(checks.float_dtype(dtype))


def rnn_cell(input_size, hidden_size, *, seed=0, dtype="float32"):
    """Weights of a vanilla cell, G = 1: ``W_x`` Glorot uniform, ``W_h`` orthogonal, ``b`` zero.

    input_size, hidden_size: I and H.
    Raises ValueError or TypeError if a size is not a whole number of at least 1, or the seed or the
    dtype is not as the module says.

    >>> {name: w.shape for name, w in rnn_cell(3, 2).items()}
    {'W_x': (3, 2), 'W_h': (2, 2), 'b': (2,)}
    """
    return _rounded(_gates(input_size, hidden_size, 1, seed), dtype)


def lstm_cell(input_size, hidden_size, *, seed=0, dtype="float32"):
    """Weights of an LSTM cell, G = 4 (i f g o): as :func:`rnn_cell`, gate by gate.

    The forget bias starts at 1, so that the cell keeps what it holds (Gers et al. 2000).

    input_size, hidden_size, seed, dtype: as there, and so are the errors.

    >>> lstm_cell(3, 2)["b"]
    array([0., 0., 1., 1., 0., 0., 0., 0.], dtype=float32)
    """
    weights = _gates(input_size, hidden_size, 4, seed)
    weights["b"][hidden_size : 2 * hidden_size] = 1.0
    return _rounded(weights, dtype)


def gru_cell(input_size, hidden_size, *, reset_after=True, seed=0, dtype="float32"):
    """Weights of a GRU cell, G = 3 (r z n): as :func:`rnn_cell`, gate by gate.

    input_size, hidden_size, seed, dtype: as there, and so are the errors.
    reset_after: whether there is a ``b_hn`` (H,), zero, too.

    >>> {name: w.shape for name, w in gru_cell(3, 2).items()}
    {'W_x': (3, 6), 'W_h': (2, 6), 'b': (6,), 'b_hn': (2,)}
    """
    reset_after = checks.flag("reset_after", reset_after)
    weights = _gates(input_size, hidden_size, 3, seed)
    if reset_after:
        weights["b_hn"] = np.zeros(hidden_size)
    return _rounded(weights, dtype)


def _gates(input_size, hidden_size, gates, seed):
    """Each gate gets a block of its own, drawn as if it stood alone."""
    input_size = checks.size("input_size", input_size)
    hidden_size = checks.size("hidden_size", hidden_size)
    rng = generator(seed)
    return {
        "W_x": np.concatenate(
            [glorot_uniform(rng, input_size, hidden_size) for _ in range(gates)], axis=1
        ),
        "W_h": np.concatenate([orthogonal(rng, hidden_size) for _ in range(gates)], axis=1),
        "b": np.zeros(gates * hidden_size),
    }


def _rounded(weights, dtype):
    dtype = checks.float_dtype(dtype)
    return {name: array.astype(dtype) for name, array in weights.items()}
