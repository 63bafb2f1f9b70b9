"""Text in: vocabularies, one-hot vectors, batches; and text out: drawing the next character.

NumPy only; the three notations share it. What serves numbers as well as text (``Batch``,
``batches``, ``endless``, ``pad``, ``unpad``) is defined in rnnlab.batching.
Shapes: B rows, T steps, V symbols in the vocabulary.
"""

import numpy as np

from rnnlab import checks
from rnnlab.batching import Batch, batches, endless, pad, unpad

__all__ = [
    "Batch",
    "NGram",
    "Streams",
    "Vocabulary",
    "batches",
    "draw",
    "endless",
    "one_hot",
    "pad",
    "split",
    "streams",
    "unpad",
    "windows",
]


class Vocabulary:
    """The symbols a model knows, each with its number (token id), 0 to V - 1, in the given order.

    symbols: distinct characters, as a string or a list.
    unknown: ``None``, and a character outside the vocabulary is a ValueError; or one more
        character that is not among the symbols: it gets the last id and stands for all others.
        Decoding cannot bring back what it stood for. (It may be given as the last symbol too, so
        that ``Vocabulary(v.symbols, v.unknown)`` is ``v`` again.)
    Raises ValueError if there is no symbol, a symbol stands twice or is not one character.

    >>> vocabulary = Vocabulary("helo")
    >>> vocabulary.encode("hello")
    array([0, 1, 2, 2, 3])
    >>> vocabulary.decode([0, 1, 2, 2, 3])
    'hello'
    >>> Vocabulary("helo", unknown="?").encode("help")
    array([0, 1, 2, 4])
    """

    def __init__(self, symbols, unknown=None):
        if not isinstance(symbols, (str, list, tuple)):
            raise TypeError(
                f"symbols must be a string or a list of characters, got {type(symbols).__name__}"
            )
        if len(symbols) == 0:
            raise ValueError("symbols of a vocabulary must be at least one character, got none")
        if unknown is not None and (not isinstance(unknown, str) or len(unknown) != 1):
            raise ValueError(f"unknown must be None or one character, got {unknown!r}")
        for symbol in symbols:
            if not isinstance(symbol, str) or len(symbol) != 1:
                raise ValueError(f"each of the symbols must be one character, got {symbol!r}")
        if unknown is not None and symbols[-1] != unknown:  # as ``symbols`` of another one ends
            symbols = [*symbols, unknown]
        self.symbols = "".join(symbols)
        self.unknown = unknown
        self._ids = {symbol: k for k, symbol in enumerate(self.symbols)}
        if len(self._ids) < len(self.symbols):
            twice = next(s for s in self.symbols if self.symbols.count(s) > 1)
            times = self.symbols.count(twice)
            raise ValueError(
                f"each of a vocabulary's symbols must stand once, {twice!r} stands {times} times; "
                "Vocabulary.from_text() takes any text"
            )

    @classmethod
    def from_text(cls, text, unknown=None):
        """The vocabulary of a text: its distinct characters, sorted.

        >>> Vocabulary.from_text("hello").symbols
        'ehlo'
        """
        if not isinstance(text, str):
            raise TypeError(f"text must be a string, got {type(text).__name__}")
        if not text:
            raise ValueError("text must not be empty: it has no characters to make symbols of")
        if isinstance(unknown, str) and unknown and unknown in text:
            raise ValueError(
                f"unknown must be a character that the text does not hold, got {unknown!r}; "
                "else it would stand both for itself and for all others"
            )
        return cls(sorted(set(text)), unknown)

    def __len__(self):
        return len(self.symbols)

    def __contains__(self, symbol):
        return symbol in self._ids

    def __eq__(self, other):
        same = isinstance(other, Vocabulary)
        return same and (self.symbols, self.unknown) == (other.symbols, other.unknown)

    def __hash__(self):
        return hash((self.symbols, self.unknown))

    def __repr__(self):
        unknown = "" if self.unknown is None else f", unknown={self.unknown!r}"
        return f"Vocabulary({self.symbols.removesuffix(self.unknown or '')!r}{unknown})"

    def encode(self, text):
        """Text -> token ids (T,), int64. ValueError at a character that has no id."""
        if not isinstance(text, str):
            raise TypeError(f"text must be a string, got {type(text).__name__}")
        if self.unknown is not None:
            other = self._ids[self.unknown]
            return np.array([self._ids.get(symbol, other) for symbol in text], np.int64)
        try:
            return np.array([self._ids[symbol] for symbol in text], np.int64)
        except KeyError as error:
            symbol = error.args[0]
            raise ValueError(
                f"text holds {symbol!r} at position {text.index(symbol)}, which is not in the "
                f"vocabulary of {len(self)} symbols; leave it out, or build the vocabulary from "
                "this text too, or with unknown='?' or some other unused character"
            ) from None

    def decode(self, ids):
        """Token ids (T,) -> text. ValueError at an id outside 0 to V - 1."""
        ids = checks.token_ids("ids", ids, len(self))
        if ids.ndim != 1:
            raise ValueError(
                f"ids must have one axis (T,), got shape {ids.shape}; decode row by row"
            )
        return "".join(self.symbols[k] for k in ids)


def one_hot(tokens, vocabulary, *, dtype="float32"):
    """Tokens -> vectors with a single 1: the one at the token's id.

    tokens: a string -> (T, V); a list of strings of one length -> (B, T, V); an array of token
        ids of any shape -> that shape + (V,).
    vocabulary: a Vocabulary, a string of its symbols, or V itself.
    Raises ValueError for a character outside the vocabulary, an id outside 0 to V - 1, or
    strings of different lengths.

    >>> one_hot("he", vocabulary="helo")
    array([[1., 0., 0., 0.],
           [0., 1., 0., 0.]], dtype=float32)
    >>> one_hot(["hello", "eolll"], vocabulary="helo").shape
    (2, 5, 4)
    >>> one_hot([[2, 0]], vocabulary=3).tolist()
    [[[0.0, 0.0, 1.0], [1.0, 0.0, 0.0]]]
    """
    dtype = checks.float_dtype(dtype)
    if isinstance(vocabulary, str):
        vocabulary = Vocabulary(vocabulary)
    if isinstance(vocabulary, Vocabulary):
        size = len(vocabulary)
        tokens = _encoded(tokens, vocabulary)
    else:
        size = checks.size("vocabulary", vocabulary)
    ids = checks.token_ids("tokens", tokens, size)
    return np.eye(size, dtype=dtype)[ids]


def _encoded(tokens, vocabulary):
    """Strings to ids; ids stay as they are."""
    if isinstance(tokens, str):
        return vocabulary.encode(tokens)
    if isinstance(tokens, (list, tuple)) and tokens and all(isinstance(t, str) for t in tokens):
        rows = [vocabulary.encode(row) for row in tokens]
        if len({len(row) for row in rows}) > 1:
            raise ValueError(
                f"the strings in tokens must have one length, got {[len(row) for row in rows]}; "
                "encode them one by one and pad() them"
            )
        return np.stack(rows)
    return tokens


def split(ids, fraction=0.9):
    """Cut a sequence in two by position: the first part to train on, the rest to validate on.

    Never at random: neighbours overlap in meaning, and a model that has seen both sides of a
    passage is not tested by it.

    ids: token ids (N,), or anything that can be cut.
    fraction: of the first part, between 0 and 1; int(N * fraction) tokens.
    Raises ValueError if fraction is not between 0 and 1.

    >>> [part.tolist() for part in split(np.arange(5), 0.6)]
    [[0, 1, 2], [3, 4]]
    """
    fraction = checks.number("fraction", fraction, above=0, below=1)
    try:
        cut = int(len(ids) * fraction)
        return ids[:cut], ids[cut:]
    except Exception:  # whatever it is that has no length, or cannot be cut
        raise TypeError(
            f"ids must be a sequence that can be cut, got {type(ids).__name__}"
        ) from None


def windows(ids, length):
    """All windows of a sequence: inputs (N, T) and targets (N, T), one character later.

    N = len(ids) - T: every window that has a next character.
    Raises ValueError if the window is longer than the sequence allows.

    >>> inputs, targets = windows([0, 1, 2, 3], length=2)
    >>> inputs.tolist(), targets.tolist()
    ([[0, 1], [1, 2]], [[1, 2], [2, 3]])
    """
    ids, length = _sequence(ids), checks.size("length", length)
    if length >= len(ids):
        raise ValueError(
            f"length must be at most {len(ids) - 1} for a sequence of {len(ids)} tokens (the last "
            f"one is only a target), got {length}"
        )
    rows = np.lib.stride_tricks.sliding_window_view(ids, length + 1)
    return rows[:, :-1], rows[:, 1:]


def _sequence(ids):
    """Token ids as one axis of int64."""
    if isinstance(ids, str):
        raise TypeError("ids must be token ids, got text; encode it with Vocabulary.encode")
    array = checks.token_ids("ids", ids, np.iinfo(np.int64).max)
    if array.ndim != 1:
        raise ValueError(f"ids must have one axis, got shape {array.shape}")
    return array


class Streams:
    """Contiguous batches for carried state: what :func:`streams` returns, with its arguments.

    It can be gone through again and again, and its length is the number of batches.

    >>> len(streams(np.arange(9), batch_size=2, length=3))
    2
    """

    def __init__(self, ids, batch_size, length, restart):
        ids = _sequence(ids)
        batch_size, self.length = (
            checks.size("batch_size", batch_size),
            checks.size("length", length),
        )
        self.restart = None if restart is None else checks.size("restart", restart)
        if len(ids) <= batch_size:
            raise ValueError(
                f"ids must hold more than batch_size = {batch_size} tokens (each track needs an "
                f"input and a target), got {len(ids)}"
            )
        n = (len(ids) - 1) // batch_size
        self.inputs = ids[: batch_size * n].reshape(batch_size, n)
        self.targets = ids[1 : batch_size * n + 1].reshape(batch_size, n)

    def __len__(self):
        return -(-self.inputs.shape[1] // self.length)

    def __iter__(self):
        for k in range(len(self)):
            part = slice(k * self.length, (k + 1) * self.length)
            carry = k > 0 and (self.restart is None or k % self.restart > 0)
            yield Batch(self.inputs[:, part], self.targets[:, part], carry=carry)


def streams(ids, batch_size, length, *, restart=None):
    """Cut a sequence into B parallel tracks and read them side by side, T steps at a time.

    Row b of a batch goes on where row b of the one before ended (``carry`` is True but for the
    first), so the state can be carried: truncated backpropagation through time (Williams & Peng
    1990). Targets are the next characters. Up to B - 1 tokens at the end are left out; the last
    batch may be shorter than T.

    restart: begin with a fresh state every so many batches. A model whose state is never begun
        anew learns nothing about how to start, and may fail when it has to. ``None``: never.
    Raises ValueError if the sequence is too short for B tracks of one step.

    >>> for batch in streams(np.arange(9), batch_size=2, length=3):
    ...     print(batch.inputs.tolist(), batch.carry)
    [[0, 1, 2], [4, 5, 6]] False
    [[3], [7]] True
    """
    return Streams(ids, batch_size, length, restart)


def draw(logits, temperature, rng):
    """Draw one token id from logits (V,); the same draw in the three notations.

    temperature: logits are divided by it first. Below 1 the likely becomes likelier, above 1 the
        odds even out, 0 takes the most likely.
    rng: NumPy's generator.
    Raises ValueError or TypeError if temperature is not a number of at least 0.

    >>> draw([0.0, 2.0, 1.0], temperature=0, rng=np.random.default_rng(0))
    1
    """
    temperature = checks.number("temperature", temperature, minimum=0)
    checks.rng(rng)
    logits = checks.array("logits", logits).astype(np.float64)
    if logits.ndim != 1 or logits.size == 0 or not np.isfinite(logits.max()):
        raise ValueError(
            "logits must be (V,), without NaN and with a largest one that is finite, got shape "
            f"{logits.shape}; {checks.DIVERGED}"
        )
    if temperature == 0:
        return int(np.argmax(logits))
    weights = np.exp((logits - logits.max()) / temperature)
    cumulated = np.cumsum(weights)
    return int(np.searchsorted(cumulated, rng.random() * cumulated[-1], side="right"))


class NGram:
    """A yardstick without training: the next character from the n - 1 before it, by counting.

    Witten-Bell interpolation (1991): with c the counts after a context h, and D(h) the number of
    different characters seen after it,

        p(x | h) = (c(h x) + D(h) p(x | h without its first character)) / (c(h) + D(h))

    and below the 1-gram stands the uniform distribution over the V symbols.

    order: n, at least 0; 0 is uniform. ids: token ids to count.

    >>> model = NGram(2, np.array([0, 1, 0, 1, 0]), size=2)
    >>> round(model.loss(np.array([0, 1, 0])), 3)  # nats for each character
    0.308
    """

    def __init__(self, order, ids, size):
        self.order = checks.size("order", order, minimum=0, maximum=62)
        self.size = checks.size("size", size)
        if self.size**self.order > 2**62:
            raise ValueError(
                f"order and size must make at most 2**62 runs of symbols, got order {order} with "
                f"size {size}; take a smaller order"
            )
        ids = self._checked(ids)
        self._counts = []
        for n in range(1, self.order + 1):
            grams, counts = np.unique(self._codes(ids, n), return_counts=True)
            contexts, first, seen = np.unique(
                grams // self.size, return_index=True, return_counts=True
            )
            totals = np.add.reduceat(counts, first) if len(first) else counts
            self._counts.append((grams, counts, contexts, totals, seen))

    def _checked(self, ids):
        ids = checks.token_ids("ids", ids, self.size)
        if ids.ndim != 1:
            raise ValueError(f"ids must have one axis (T,), got shape {ids.shape}")
        return ids

    def _codes(self, ids, n):
        """Each run of n tokens as one number: (len - n + 1,)."""
        codes = np.zeros(max(len(ids) - n + 1, 0), np.int64)
        for k in range(n):
            codes = codes * self.size + ids[k : k + len(codes)]
        return codes

    def probabilities(self, ids):
        """The probability given to each token of ids (T,), from those before it in ids: (T,)."""
        ids = self._checked(ids)
        p = np.full(len(ids), 1.0 / self.size)
        for n, (grams, counts, contexts, totals, seen) in enumerate(self._counts, start=1):
            codes = self._codes(ids, n)
            hits = _lookup(grams, counts, codes)
            total = _lookup(contexts, totals, codes // self.size)
            different = _lookup(contexts, seen, codes // self.size)
            tail = p[n - 1 :]  # the first n - 1 tokens have no context of this length
            known = total > 0
            tail[known] = ((hits + different * tail) / np.maximum(total + different, 1))[known]
        return p

    def loss(self, ids):
        """Mean of -log p over the tokens of ids, in nats for each character."""
        p = self.probabilities(ids)
        if len(p) == 0:
            raise ValueError("ids must hold at least one token to take the mean over, got none")
        return float(-np.log(p).mean())


def _lookup(keys, values, wanted):
    """The value at each wanted key (keys are sorted), 0 where there is none."""
    if len(keys) == 0:
        return np.zeros(len(wanted), np.int64)
    at = np.minimum(np.searchsorted(keys, wanted), len(keys) - 1)
    return np.where(keys[at] == wanted, values[at], 0)
