"""Formulas are typeset when the book is built, and TeX that is none is refused there."""

import pytest
from docutils import nodes
from typeset_math import tex_of, typeset


@pytest.mark.parametrize("display", [False, True])
def test_a_formula_is_there_for_the_eye_and_for_the_ear(display):
    html = typeset(r"h = \tanh(a + \text{state} \cdot W_h)", display)
    assert "<mjx-math" in html
    assert "<math xmlns" in html
    assert ('display="true"' in html) == display


@pytest.mark.parametrize(
    ("tex", "reason"),
    [
        (r"\frac{a", "Missing close brace"),
        (r"\nosuch{a}", "Undefined control sequence"),
        ("a_b_c", "Double subscripts"),
    ],
)
def test_bad_tex_is_refused_with_the_reason(tex, reason):
    for _ in range(2):  # what is remembered of it is refused, too
        with pytest.raises(ValueError, match=reason):
            typeset(tex, False)


def test_the_styles_name_the_letters_used_and_fonts_beside_them():
    typeset(r"\Xi", False)
    styles = typeset.styles()
    assert "mjx-c39E" in styles
    assert 'url("mathjax/' in styles
    assert "http" not in styles


@pytest.mark.parametrize(
    ("text", "tex"),
    [
        ("a = b", "a = b"),
        (r"a = b \\ c", r"\begin{split}a = b \\ c\end{split}"),
        ("a\n\nb", r"\begin{align}\begin{aligned}a\\b\end{aligned}\end{align}"),
    ],
)
def test_lines_of_a_display_are_parted_as_sphinx_does(text, tex):
    assert tex_of(nodes.math_block(text, text, nowrap=False)) == tex
    assert tex_of(nodes.math_block(text, text, nowrap=True)) == text
