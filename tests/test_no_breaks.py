"""What belongs together stays on one line of a page; code and formulas are left alone."""

import pytest
from accessible import mend
from docutils import nodes
from no_breaks import inside_code, kept


@pytest.mark.parametrize(
    "text",  # here _ is a space that holds, and | a joiner
    [
        "chapter_5", "Exercise_30", "Lecture lab_12-1", "TensorFlow_1's", "step_40",
        "shape (B,_T,_2H) of", "(1,_5,_2)", "(I_+_H,_G·H)", "(layers,_B,_H)", "(h,_c)",
        "(...,_F)", "(−1,_1)", "(0.762,_0.762)", "a 2_×_2 matrix", "4_→_2", "4_of_7",
        "took 27.6_s", "2.3_nats for", "10_GB.", "0.46_·_1 −_0.76_·_0.5 =_0.08",
        "(3,_5,_4) →_(3,_5,_2)", "hihell →_ihello", "0 <=_x", "±1/|√H",
        "7.39_/_17.78", "ids -|>_logits", "a 2-|gram", "the -|grams",
    ],
)  # fmt: skip
def test_these_hold(text):
    plain = text.replace("_", " ").replace("|", "")
    assert kept(plain) == text.replace("_", "\u00a0").replace("|", "\u2060")


@pytest.mark.parametrize(
    "text",
    [
        "in this chapter, five texts", "(one, two, three)", "(a word, and another)", "well-known",
        "one of many", "Keras reads", "a – dash", "and/or", "1/2", "(B,)", "5 steps", "5 sorts",
        "PyTorch / Keras", "a hologram", "pen-grammar",
    ],
)  # fmt: skip
def test_these_may_be_parted(text):
    assert kept(text) == text


def test_nothing_but_spaces_changes():
    text = "In chapter 5 the shape (B, T, I) is 2 × 2; 1/√H → 3 of 4, 27.6 s."
    back = kept(text).replace("\u00a0", " ").replace("\u2060", "")
    assert back == text != kept(text)
    assert kept(kept(text)) == kept(text)


def test_code_and_formulas_are_left_alone():
    for kind in nodes.literal, nodes.literal_block, nodes.math, nodes.math_block, nodes.comment:
        inner = nodes.Text("(B, T, I)")
        nodes.paragraph("", "", kind("", "", inner))
        assert inside_code(inner)
    inner = nodes.Text("(B, T, I)")
    nodes.paragraph("", "", nodes.emphasis("", "", inner))
    assert not inside_code(inner)


@pytest.mark.parametrize(
    ("words", "mark"),
    [
        (["output[:,", "-1]"], " together"),
        (["x.dtype", "==", "W.dtype"], " together"),
        (["a", "&lt;=", "0.00000000000"], " together"),  # 18 letters: an entity is one
        (["a", "&lt;=", "0.000000000000"], " together-if-wide"),
        (["torch.Tensor(1,", "10,", "5)"], " together-if-wide"),
        (["nn.RNN(5,", "8,", "num_layers=3,", "bidirectional=True)"], ""),
    ],
)
def test_short_code_is_marked(words, mark):
    html = " ".join(f'<span class="pre">{word}</span>' for word in words)
    found = mend(f'<p>Take <code class="docutils literal">{html}</code>.</p>')
    assert f'<code class="docutils literal{mark}"><span' in found
    assert mend(found).replace(f"{mark}{mark}", mark) == found


def test_code_in_blocks_is_not_marked():
    block = '<pre><span></span><span class="n">x</span> <span class="o">=</span> 1</pre>'
    assert mend(block) == block
