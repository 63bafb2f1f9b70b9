"""The tests notice: a defect in a copy of the package fails every test that guards against it.

Each defect is an edit of the source, as small as the slip that would make it. The tests named
beside it pass on the package and fail on the mutant, by an assertion and not by a crash: in each of
the three notations, with the loops of fused.py, compiled or not, and with the cell's own step. All
tests but ``agreement`` would notice, too, if the three notations had the defect in common.
"""

import functools
from itertools import combinations
from pathlib import Path
from typing import NamedTuple

import pytest
import support
import test_agreement
import test_gradients
import test_init
import test_laws
import test_native
import test_tf1
from mutants import mutant
from support import CELLS, lab

import rnnlab

# TensorFlow's calls of the compiled loops are those of the two others.
WAYS = [way for way in support.WAYS if way != "tensorflow in training"]
COMPILED_NUMPY, NUMPY_BY_HAND, NUMPY, COMPILED, BY_HAND, AUTOGRAD, TF_BY_HAND, TENSORFLOW = WAYS


# The tests, each on one small case. A check is a function of way, kind and architecture.


def agreement(way, kind, architecture):
    lengths = test_agreement.LENGTHS["ragged"]
    test_agreement.test_values_states_and_gradients_agree(kind, architecture, 1, lengths)


def torch_nn(way, kind, architecture):
    test_native.test_torch_nn_gives_the_same(way, kind, architecture, 1, (5, 1, 3, 4))


def keras(way, kind, architecture):
    test_native.test_keras_gives_the_same(way, kind, architecture, 1, (5, 1, 3, 0))


def tensorflow_1(way, kind, architecture):
    case = "hello, length 0 too, state given"
    test_tf1.test_tensorflow_1_gives_the_same(way, kind, architecture, case)


def finite_differences(way, kind, architecture):
    test_gradients.test_layers_backward(kind, architecture, [4, 0, 2])


def initial_biases(way, kind, architecture):
    test_init.test_biases_start_at_0_and_the_forget_gates_at_1(way, kind)


def law(name):
    """A law, on a case that hypothesis did not choose."""
    test = getattr(test_laws, f"test_{name}").hypothesis.inner_test

    def check(way, kind, architecture):
        case = {"depth": 1, "sizes": (3, 2), "shape": (3, 5, 3), "lengths": [5, 0, 3], "seed": 1}
        test(way, kind, case | {"architecture": architecture})

    check.__name__ = name
    return check


padding = law("padding_changes_nothing")
one_by_one = law("a_batch_is_its_rows_one_by_one_without_their_padding")
length_0 = law("length_0_keeps_the_state")
from_the_end = law("the_backward_layer_reads_the_valid_part_from_its_end")
reversing_twice = law("reversing_twice_is_the_identity")
closed_forms = law("all_zero_weights_have_closed_forms")

NATIVE = (torch_nn, keras, tensorflow_1)
ALL = (agreement, *NATIVE)


class Edit(NamedTuple):
    """In one way's package, a piece of source that stands in a file once, and what replaces it."""

    way: str
    file: str
    old: str
    new: str


def readable(file, old, new, *, xp=("np.", "torch.", "tf."), ways=(NUMPY, AUTOGRAD, TENSORFLOW)):
    """Edits that are the same in the three notations but for the library's name, written ``xp``."""
    names = dict(zip((NUMPY, AUTOGRAD, TENSORFLOW), xp, strict=True))
    return [
        Edit(w, f"{w.split()[0]}.{file}", *(s.replace("xp.", names[w]) for s in (old, new)))
        for w in ways
    ]


def fused(torch=(), tensorflow=(), numpy=()):
    """Edits of the loops by hand: pairs (old, new)."""
    pairs = {BY_HAND: torch, TF_BY_HAND: tensorflow, NUMPY_BY_HAND: numpy}
    return [Edit(way, f"{way.split()[0]}.fused", *pair) for way, pair in pairs.items() if pair]


def kernels(*pairs, file="kernels", ways=None):
    """Edits of the compiled loops, which NumPy and PyTorch share: pairs (old, new)."""
    return [Edit(way, file, *pair) for pair in pairs for way in ways or (COMPILED,)]


# Where in fused.py a cell's loop stands: an edit of what is there in several loops is made in one.
LOOPS = {
    NUMPY_BY_HAND: ["def vanilla(", "def lstm(", "def gru(", "def gru("],
    BY_HAND: ["class RNNLoop", "class LSTMLoop", "class GRULoop", "class ResetBeforeLoop"],
    COMPILED: [f"@compiled\ndef {name}_back(" for name in ("rnn", "lstm", "gru")],
    TF_BY_HAND: ["def vanilla(", "def lstm(", "def gru_after(", "def gru_before("],
}


def pinned(edit, kind):
    """(old, new) of an edit; the whole of a loop's source where the piece is not the only one."""
    source = (Path(rnnlab.__file__).parent / f"{edit.file.replace('.', '/')}.py").read_text("utf-8")
    if source.count(edit.old) < 2:
        return edit.old, edit.new
    head = LOOPS[edit.way][CELLS.index(kind)]
    (loop,) = (part for part in source.split("\n\n\n") if part.startswith(head))
    assert loop.count(edit.old) == 1, f"{head}: {loop.count(edit.old)} times: {edit.old}"
    return loop, loop.replace(edit.old, edit.new)


def everywhere(file, old, new):
    """Edits that are the same in the three notations; PyTorch's are for both ways."""
    return [Edit(way, f"{way.split()[0]}.{file}", old, new) for way in WAYS]


def layers(**pairs):
    """Edits of layers.py by notation, numpy=(old, new) and so on; PyTorch's are for both ways."""
    found = [(way, pairs.get(way.split()[0])) for way in WAYS]
    return [Edit(way, f"{way.split()[0]}.layers", *pair) for way, pair in found if pair]


def numpy_only(file, old, new):
    return [Edit(NUMPY, f"numpy.{file}", old, new)]


def exchanged(names, one, other):
    """Names, as in "i, f, g, o", with two of them exchanged."""
    turn = {one: other, other: one}
    return ", ".join(turn.get(name, name) for name in names.split(", "))


class Defect(NamedTuple):
    name: str
    kinds: list
    checks: tuple
    edits: list
    architecture: str = "one"


DEFECTS = []
LSTM, GRU, BEFORE, GRUS = (
    ["LSTMCell"],
    ["GRUCell"],
    ["GRUCell before"],
    ["GRUCell", "GRUCell before"],
)

# --- gates exchanged, where all of them are cut apart
CUT = "i, f, g, o = split(a + h @ self.W_h, 4)  #"
PLACES = "I, F, G, O = 0, 1, 2, 3"
for one, other in combinations("ifgo", 2):
    gates = exchanged("i, f, g, o", one, other)
    # NumPy's loop knows by its place which gate's function is tanh.
    functions = str([gate != "g" for gate in gates.split(", ")])
    named_apart = fused(numpy=("[True, True, False, True]", functions))
    DEFECTS.append(
        Defect(
            f"gates {one} and {other} exchanged",
            LSTM,
            ALL,
            readable("cells", CUT, CUT.replace("i, f, g, o", gates))
            + fused(
                ("(u, i, f, g, o), h_t", f"(u, {gates}), h_t"),
                (
                    "i, f, g, o = split(gates, 4)\n        c_new",
                    f"{gates} = split(gates, 4)\n        c_new",
                ),
                ("i, f, g, o = (u[", f"{gates} = (u["),
            )
            + (named_apart if "g" in (one, other) else [])
            + kernels((PLACES, PLACES.replace("I, F, G, O", gates.upper()))),
        )
    )
for one, other in combinations("rzn", 2):
    gates = exchanged("a_r, a_z, a_n", f"a_{one}", f"a_{other}")
    order = ["rzn".index(gate) for gate in exchanged("r, z, n", one, other).split(", ")]
    DEFECTS.append(
        Defect(
            f"gates {one} and {other} exchanged",
            GRUS,
            ALL,
            readable("cells", "a_r, a_z, a_n = split", f"{gates} = split")
            + fused(
                (
                    "apart(xs, W_x, b), ",
                    f"apart(xs, *(torch.cat([v.chunk(3, -1)[k] for k in {order}], -1) "
                    "for v in (W_x, b))), ",
                ),
                (
                    "    a_rz, a_n = by_step(a[",
                    f"    a = tf.concat([split(a, 3)[k] for k in {order}], 2)\n"
                    "    a_rz, a_n = by_step(a[",
                ),
                (
                    "    u, n, reset = (",
                    f"    a = np.concatenate([np.split(a, 3, 2)[k] for k in {order}], 2)\n"
                    "    u, n, reset = (",
                ),
            ),
        )
    )

# --- the equations
CUT_STATE = f"h, c = state\n        {CUT}"
DEFECTS += [
    Defect(
        "r and z exchanged, the state's share too",
        GRUS,
        ALL,
        readable("cells", "r, z = ", "z, r = ")
        + fused(
            ("(u, r, z), n, ", "(u, z, r), n, "),
            ("r, z = split(rz, 2)\n", "z, r = split(rz, 2)\n"),
            ("r, z = u[", "z, r = u["),
        )
        + kernels(("R, Z, N = 0, 1, 2", "Z, R, N = 0, 1, 2")),
    ),
    Defect(
        "the update gate inverted",
        GRUS,
        ALL,
        readable("cells", "(1 - z) * n + z * state", "z * n + (1 - z) * state", ways=[NUMPY])
        + readable(
            "cells", "(1 - z) * n + z * h\n", "z * n + (1 - z) * h\n", ways=[AUTOGRAD, TENSORFLOW]
        )
        + fused(
            ("torch.lerp(n, h, z, ", "torch.lerp(h, n, z, "),
            ("n + z * (h - n)", "h + z * (n - h)"),
            ("y *= z", "y *= 1 - z"),
        )
        + kernels(
            ("n + u[t, k, Z, j] * (h - n)", "h + u[t, k, Z, j] * (n - h)"),
            ways=(COMPILED, COMPILED_NUMPY),
        ),
    ),
    Defect(
        "the recurrent bias dropped",
        GRU,
        ALL,
        readable("cells", "2 * H :] + self.b_hn", "2 * H :]", ways=[NUMPY])
        + readable("cells", "(u_n + self.b_hn)", "u_n", ways=[AUTOGRAD, TENSORFLOW])
        + fused(
            ("add_n(inside, h, ", "add_n(0 * inside, h, "),
            ("u[:, 2 * H :] + b_hn", "u[:, 2 * H :]"),
            ("n += cell.b_hn", "pass"),
        )
        + kernels(("s[k, N, j] + b_hn[j]", "s[k, N, j]")),
    ),
    Defect(
        "the recurrent bias out of the reset gate's reach",
        GRU,
        ALL,
        readable(
            "cells", "a_n + r * u_n)", "a_n + r * (u_n - self.b_hn) + self.b_hn)", ways=[NUMPY]
        )
        + readable(
            "cells", "r * (u_n + self.b_hn)", "r * u_n + self.b_hn", ways=[AUTOGRAD, TENSORFLOW]
        )
        + fused(
            ("n.addcmul_(r, through_n)", "n.add_(r * (through_n - b_hn) + b_hn)"),
            ("a_n[t] + r * through)", "a_n[t] + r * (through - b_hn) + b_hn)"),
            ("n += cell.b_hn\n            n *= r", "n *= r\n            n += cell.b_hn"),
        )
        + kernels(
            (
                "s[k, N, j] = u[t, k, R, j] * through[t, k, j]",
                "s[k, N, j] = u[t, k, R, j] * (through[t, k, j] - b_hn[j]) + b_hn[j]",
            )
        ),
    ),
    Defect(
        "the bias dropped",
        ["RNNCell"],
        ALL,
        readable("cells", "xs @ self.W_x + self.b", "xs @ self.W_x", ways=[NUMPY, AUTOGRAD])
        + fused(torch=("W_x).add_(b).view", "W_x).view"), numpy=("a += b\n", "pass\n"))
        + kernels(
            ("activate(u, s, bias, t + 1", "activate(u, s, 0 * bias, t + 1"),
            ways=(COMPILED, COMPILED_NUMPY),
        )
        + [
            Edit(way, "tensorflow.cells", "self.W_x, 1) + self.b", "self.W_x, 1)")
            for way in (TF_BY_HAND, TENSORFLOW)
        ],
    ),
    Defect(
        "the recurrent weights transposed",
        ["RNNCell"],
        ALL,
        readable("cells", "state @ self.W_h)", "state @ self.W_h.T)", ways=[NUMPY, AUTOGRAD])
        + readable(
            "cells", "state @ self.W_h)", "state @ tf.transpose(self.W_h))", ways=[TENSORFLOW]
        )
        + fused(
            ("adding(W_h, len(h0)", "adding(W_h.T, len(h0)"),
            ("product(h, W_h)), h)", "product(h, tf.transpose(W_h))), h)"),
            ("np.matmul(h, cell.W_h, ", "np.matmul(h, cell.W_h.T, "),
        )
        + kernels(("blas(address, 0, W_turned", "blas(address, 0, 1 - W_turned")),
    ),
    Defect(
        "reset before for after",
        GRU,
        ALL,
        readable(
            "cells",
            "a_n + r * u_n)",
            "a_n + (r * h) @ self.W_h[:, 2 * H :] + r * self.b_hn)",
            ways=[NUMPY],
        )
        + readable(
            "cells",
            "r * (u_n + self.b_hn)",
            "(r * h) @ self.W_h[:, 2 * H :] + r * self.b_hn",
            ways=[AUTOGRAD, TENSORFLOW],
        )
        + fused(
            ("n.addcmul_(r, through_n)", "n.add_((r * h) @ W_h[:, 2 * H :] + r * b_hn)"),
            ("a_n[t] + r * through)", "a_n[t] + (r * h) @ W_h[:, 2 * H :] + r * b_hn)"),
            (
                "np.matmul(h, W_n, out=n)\n            n += cell.b_hn\n            n *= r",
                "n[...] = (r * h) @ W_n + r * cell.b_hn",
            ),
        ),
    ),
    Defect(
        "reset after for before",
        BEFORE,
        (agreement, keras, tensorflow_1),
        readable("cells", "(r * h) @ self.W_h[:, 2 * H :])", "r * (h @ self.W_h[:, 2 * H :]))")
        + fused(
            ("add_n(n, torch.mul(r, h, out=reset), out=n)", "n.add_(r * (h @ W_h[:, 2 * H :]))"),
            ("product(r * h, W_n)", "r * product(h, W_n)"),
            ("np.matmul(np.multiply(r, h, out=reset), W_n, out=n)", "n[...] = r * (h @ W_n)"),
        ),
    ),
    Defect(
        "(c, h) given for (h, c)",
        LSTM,
        (*ALL, closed_forms),
        readable("cells", "return h, LSTMState(h, c)", "return h, LSTMState(c, h)")
        + fused(
            ("LSTMState(h[-1], c)", "LSTMState(c, h[-1])"),
            ("(hs, h, c), back", "(hs, c, h), back"),
            ("LSTMState(h.copy(), c)", "LSTMState(c, h.copy())"),
        ),
    ),
    Defect(
        "(c, h) taken for (h, c)",
        LSTM,
        (*ALL, closed_forms),
        readable("cells", CUT_STATE, CUT_STATE.replace("h, c", "c, h"))
        + fused(
            ("state.h, state.c, ", "state.c, state.h, "),
            ("now, a, h0, c0,", "now, a, c0, h0,"),
            ("state.h, state.c.copy()", "state.c, state.h.copy()"),
        ),
    ),
    Defect(
        "(c, h) taken for (h, c) and given for it",
        LSTM,
        (*ALL, closed_forms),
        readable("cells", CUT_STATE, CUT_STATE.replace("h, c", "c, h"))
        + readable("cells", "return h, LSTMState(h, c)", "return h, LSTMState(c, h)")
        + fused(
            ("state.h, state.c, ", "state.c, state.h, "),
            ("now, a, h0, c0,", "now, a, c0, h0,"),
            ("state.h, state.c.copy()", "state.c, state.h.copy()"),
        )
        + fused(
            ("LSTMState(h[-1], c)", "LSTMState(c, h[-1])"),
            ("(hs, h, c), back", "(hs, c, h), back"),
            ("LSTMState(h.copy(), c)", "LSTMState(c, h.copy())"),
        ),
    ),
    Defect(
        "(c, h) taken for (h, c) from the caller",
        LSTM,
        (*ALL, closed_forms, length_0),
        everywhere("cells", "h, c = checks", "c, h = checks"),
    ),
    Defect(
        "a forget bias of 0",
        LSTM,
        (initial_biases,),
        [Edit(w, "init", "2 * hidden_size] = 1.0", "2 * hidden_size] = 0.0") for w in WAYS],
    ),
    Defect(
        "a forget bias at the input gate",
        LSTM,
        (initial_biases,),
        [Edit(w, "init", "[hidden_size : 2 * hidden_size]", "[:hidden_size]") for w in WAYS],
    ),
]

# --- lengths, padding, directions
KINDS = ["RNNCell", "LSTMCell"]  # a state of one part, and of two


def loops(new, **old):
    """Edits of the readable loops alone, numpy=old and so on."""
    return [
        Edit(way, f"{way.split()[0]}.layers", old[way.split()[0]], new)
        for way in (NUMPY, AUTOGRAD, TENSORFLOW)
    ]


SHOW_0 = {  # past a row's length
    "numpy": "h = np.where(valid[:, t, None], h, h.dtype.type(0))",
    "torch": "h = torch.where(valid[:, t, None], h, 0.0)",
    "tensorflow": "h = tf.where(valid_t[:, None], h, tf.zeros_like(h))",
}
DEFECTS += [
    Defect(
        "a length too long by one (<= for <)",
        KINDS,
        (*ALL, one_by_one, length_0),
        layers(
            numpy=("np.arange(steps) < ", "np.arange(steps) <= "),
            torch=("device=device) < ", "device=device) <= "),
            tensorflow=("sequence_mask(lengths, ", "sequence_mask(lengths + 1, "),
        ),
    ),
    Defect(
        "a length too short by one",
        KINDS,
        (*ALL, one_by_one),
        layers(
            numpy=("np.asarray(lengths)[:, None]", "np.asarray(lengths)[:, None] - 1"),
            torch=("< lengths[:, None]", "< lengths[:, None] - 1"),
            tensorflow=("sequence_mask(lengths, ", "sequence_mask(lengths - 1, "),
        ),
    ),
    Defect(
        "outputs past the length as they come",
        KINDS,
        (*ALL, padding, length_0),
        loops("pass", **SHOW_0),
    ),
    Defect(
        "the last output held past the length",
        KINDS,
        (*ALL, padding, length_0),
        loops("h = new[0] if isinstance(new, tuple) else new", **SHOW_0)
        + fused(
            ("ys = h if now is None else h * now", "ys = h"),
            ("ys = hs if now is None else hs * now", "ys = hs"),
            ("ys *= now", "pass"),
        ),
    ),
    Defect(
        "the state not held past the length",
        KINDS,
        (*ALL, one_by_one, length_0),
        loops(
            "pass",
            numpy="new = keep(valid[:, t], new, states[-1])",
            torch="new = keep(valid[:, t], new, state)",
            tensorflow="new = keep(valid_t, new, state)",
        )
        + fused(
            ("return new if now is None else torch.where(now[t], new, old, out=new)", "return new"),
            ("return new if now is None else tf.where(now[t] > 0, new, old)", "return new"),
            ("np.copyto(new, old, where=~now[t])", "pass"),
        )
        + kernels(
            ("states[t + 1, k, j] = states[t, k, j]", "states[t + 1, k, j] = 0"),
            ways=(COMPILED, COMPILED_NUMPY),
        ),
    ),
    Defect(
        "the padding not set to 0 first",  # NumPy's forward pass alone can bear it
        KINDS,
        (padding,),
        layers(
            torch=("xs = torch.where(valid[:, :, None], xs, 0.0)", "pass"),
            tensorflow=("xs = tf.where(valid[:, :, None], xs, tf.zeros_like(xs))", "pass"),
        ),
    ),
    Defect(
        "the padding reversed with the data",
        KINDS,
        (*ALL, one_by_one, from_the_end, reversing_twice),
        layers(
            numpy=("np.full((B, 1), T) if valid is None", "np.full((B, 1), T) if True"),
            torch=("last = T if valid is None", "last = T if True"),
            tensorflow=("last = T if valid is None", "last = T if True"),
        ),
        "both",
    ),
    Defect(
        "the backward outputs left in reverse",
        KINDS,
        (*ALL, from_the_end),
        everywhere("layers", "[ahead, reverse(back, turned)]", "[ahead, back]"),
        "both",
    ),
    Defect(
        "the directions' outputs exchanged",
        KINDS,
        (*ALL, from_the_end),
        everywhere("layers", "[ahead, reverse(back, turned)]", "[reverse(back, turned), ahead]"),
        "both",
    ),
    Defect(
        "both directions begin with one state",
        KINDS,
        (*ALL, from_the_end),
        everywhere(
            "layers", "run(reverse(xs, turned), state[1]", "run(reverse(xs, turned), state[0]"
        ),
        "both",
    ),
    Defect(
        "both directions begin with one state, in training",
        KINDS,
        (agreement, torch_nn, keras),
        numpy_only(
            "layers", "record(reverse(xs, turned), state[1]", "record(reverse(xs, turned), state[0]"
        ),
        "both",
    ),
]

# --- the way back alone: outputs and states stay right, gradients don't
BACK = (agreement, torch_nn, keras, finite_differences)
KEPT = "return factor if now is None else tf.where(now > 0, factor, tf.ones_like(factor))"
THROUGH_TIME = "dh += dhs[t]\n            da = dh * local[t]"
DEFECTS += [
    Defect(
        "backwards: gates i and f exchanged",
        LSTM,
        BACK,
        numpy_only(
            "cells",
            "[di * i * (1 - i), df * f * (1 - f), ",
            "[df * f * (1 - f), di * i * (1 - i), ",
        )
        + fused(
            ("by_i, by_f, by_g, by_o = ", "by_f, by_i, by_g, by_o = "),
            (
                "[g * i * (1 - i), before(c0, cs) * f * (1 - f), ",
                "[before(c0, cs) * f * (1 - f), g * i * (1 - i), ",
            ),
        )
        + kernels(
            ("du[at, k, I, j] = ", "du[at, k, 1, j] = "),
            ("du[at, k, F, j] = ", "du[at, k, 0, j] = "),
        ),
    ),
    Defect(
        "backwards: nothing through c",
        LSTM,
        BACK,
        numpy_only("cells", "dstate.c + dh * o", "dh * o")
        + fused(
            ("dc.mul_(keep_t)", "dc.mul_(0)"),
            ("(passed, dc * keep[t])", "(passed, 0 * dc)"),
        )
        + kernels(("dc[k, j] *= u[t, k, F, j]", "dc[k, j] = 0")),
    ),
    Defect(
        "backwards: nothing through time",
        ["RNNCell"],
        BACK,
        numpy_only("cells", "da = (dh + dstate) * ", "da = dh * ")
        + fused(
            ("tanh_back(dh, h, grad", "tanh_back(dhs[t], h, grad"),
            (THROUGH_TIME, THROUGH_TIME.replace("+=", "=")),
        )
        + kernels(("now[j] = grad[j] * (one", "now[j] = line(dy[at])[j] * (one")),
    ),
    Defect(
        "backwards: the sign of z's gradient",
        GRUS,
        BACK,
        numpy_only("cells", "dh * (state - n)", "dh * (n - state)")
        + fused(
            ("mul_(h - n)", "mul_(n - h)"),
            ("(h_before - n) * z", "(n - h_before) * z"),
        )
        + kernels(("(hs[t, k, j] - n)", "(n - hs[t, k, j])")),
    ),
    Defect(
        "backwards: nothing through the candidate",
        GRUS,
        BACK,
        numpy_only("cells", " + through_n\n", "\n"),
    ),
    Defect(
        "backwards: the recurrent bias out of the reset gate's reach",
        GRU,
        BACK,
        numpy_only("cells", 'grads["b_hn"] = (da_n * r)', 'grads["b_hn"] = da_n')
        + fused(
            ("parts[:, :, 2].sum(dim=(0, 1))", "da_n.sum(dim=(0, 1))"),
            ("tf.reduce_sum(dv[:, :, 2 * H :]", "tf.reduce_sum(da[:, :, 2 * H :]"),
        )
        + kernels(("r, z, hn, n = db", "r, z, n, hn = db"), file="compiled"),
    ),
    Defect(
        "backwards: the candidate's weights see the state before its reset",
        BEFORE,
        BACK,
        numpy_only("cells", "(r * h).T @ da_n", "h.T @ da_n")
        + fused(
            ("rz[:, :, :H] * hs[:-1], ", "hs[:-1], "),
            ("weight_gradient(r * h_before, da_n)", "weight_gradient(h_before, da_n)"),
        ),
    ),
    Defect(
        "backwards: the state of the wrong step",
        KINDS,
        BACK,
        numpy_only("layers", "for state in states[:-1]]", "for state in states[1:]]")
        + fused(
            ("weight_gradient(hs[:-1]", "weight_gradient(hs[1:]"),
            ("tf.concat([h0[None], hs[:-1]], axis=0)", "hs"),
        )
        + kernels(("weight_gradient(hs[start:end]", "weight_gradient(hs[start + 1 : end + 1]")),
    ),
    Defect(
        "backwards: padding swallows the gradient",
        KINDS,
        BACK,
        numpy_only(
            "layers", "dstate = added(before, keep(now, nothing, dstate))", "dstate = before"
        )
        + kernels(
            (
                "clear(dh if valid[t, k] else now, k)",
                "clear(now if not valid[t, k] else dh, k)\n        clear(dh, k)",
            ),
            ("clear(da_n[at], k)", "clear(da_n[at], k)\n                    clear(dh, k)"),
        ),
    ),
    Defect(
        "backwards: padding acts on c's gradient",
        LSTM,
        BACK,
        fused(("keep = torch.where(valid, f, 1.0)", "pass"), (KEPT, "return factor")),
    ),
    Defect(
        "backwards: padding acts on h's gradient",
        GRUS,
        BACK,
        fused(("keep = torch.where(valid, z, 1.0)", "pass"), (KEPT, "return factor")),
    ),
    Defect(
        "backwards: padding counts as a step",
        KINDS,
        BACK,
        numpy_only("layers", "keep(now, dstate, nothing)\n", "dstate\n"),
    ),
    Defect(
        "backwards: the padding's outputs count",
        KINDS,
        BACK,
        numpy_only("layers", "dh = np.where(now[:, None], dh, dh.dtype.type(0))", "pass"),
    ),
    Defect(
        "backwards: the inputs' gradient left in reverse",
        KINDS,
        BACK,
        numpy_only("layers", "dxs + reverse(dxs_back, turned)", "dxs + dxs_back"),
        "both",
    ),
]


@functools.cache
def passes(check, way, kind, architecture):
    """Whether a test passes on the package as it is: True, or its assertion stops everything."""
    check(way, kind, architecture)
    return True


def notices(check, way, kind, architecture):
    try:
        check(way, kind, architecture)
    except AssertionError:
        return True
    return False


def applies(check, way, kind):
    """torch.nn has no GRU that resets before; NumPy alone has its way back written out."""
    return (check is not torch_nn or kind not in BEFORE) and (
        check is not finite_differences or way == NUMPY
    )


def compiles(way, kind, defect):
    """The GRU that resets before has no compiled loop to be wrong."""
    return kind not in BEFORE or not any(
        "kernel" in edit.file for edit in defect.edits if edit.way == way
    )


CASES = {
    f"{defect.name}-{kind}-{way}": (defect, kind, way)
    for defect in DEFECTS
    for kind in defect.kinds
    for way in WAYS
    if any(edit.way == way for edit in defect.edits) and compiles(way, kind, defect)
}


@pytest.mark.parametrize(("defect", "kind", "way"), CASES.values(), ids=CASES)
def test_a_defect_is_noticed(defect, kind, way):
    original, case = lab(way), (way, kind, defect.architecture)
    checks = [check for check in defect.checks if applies(check, way, kind)]
    assert all(passes(check, *case) for check in checks)
    edits = [edit for edit in defect.edits if edit.way == way]
    (file,) = {edit.file for edit in edits}
    with mutant(file, [pinned(edit, kind) for edit in edits]):
        assert lab(way) is not original
        asleep = [check.__name__ for check in checks if not notices(check, *case)]
    assert lab(way) is original
    assert asleep == []


@pytest.mark.parametrize("kind", [*KINDS, *GRU])
@pytest.mark.parametrize("way", [COMPILED_NUMPY, COMPILED])
def test_a_mutant_of_the_kernels_that_does_the_same_passes(kind, way):
    """Mutants of kernels.py are Python, not machine code: what the tests notice is not that."""
    cases = {
        (check, defect.architecture)
        for defect, its_kind, its_way in CASES.values()
        if (its_kind, its_way) == (kind, way)
        and any(edit.file == "kernels" for edit in defect.edits if edit.way == way)
        for check in defect.checks
        if applies(check, way, kind)
    }
    assert len(cases) > 3
    assert all(passes(check, way, kind, architecture) for check, architecture in cases)
    with mutant("kernels", [('"""Row k = 0."""', '"""No number is left."""')]):
        for check, architecture in cases:
            check(way, kind, architecture)
