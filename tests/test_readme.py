"""The README's example runs as it stands, in each notation, and learns."""

import re
from pathlib import Path

import pytest
from support import FRAMEWORKS

README = (Path(__file__).parents[1] / "README.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("framework", FRAMEWORKS)
def test_the_example(framework, capsys):
    (code,) = re.findall(r"```python\n(.*?)```", README, flags=re.DOTALL)
    assert "from rnnlab.torch import" in code
    names = {}
    exec(code.replace("rnnlab.torch", f"rnnlab.{framework}"), names)
    assert names["losses"][-1] < 0.5 < 2.5 < names["losses"][0]
    assert len(capsys.readouterr().out) == 61
