"""axe-core finds nothing against WCAG 2.2 AA: every page, wide and light, narrow and dark.

All that a page folds away is unfolded before: solutions, sources, both frameworks.
"""

from pathlib import Path

import axe_playwright_python
import pytest
from browser import PAGES, UNFOLD, needs_chromium, visit

pytestmark = needs_chromium
AXE = Path(axe_playwright_python.__file__).with_name("axe.min.js").read_text(encoding="utf-8")
RUN = """() => axe.run(document, {
  preload: false,  // styles of other hosts, and there are none
  resultTypes: ['violations'],
  runOnly: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa'],
})"""
LOOKS = {
    "light": {"color_scheme": "light", "viewport": {"width": 1280, "height": 800}},
    "dark": {"color_scheme": "dark", "viewport": {"width": 390, "height": 844}},
}


def violations(browser, base, page, look, spoil=""):
    with visit(browser, base, page, **LOOKS[look]) as seen:
        assert seen.tab.evaluate("document.documentElement.dataset.theme") == look
        if spoil:
            seen.tab.evaluate(
                "html => document.querySelector('main').append("
                "document.createRange().createContextualFragment(html))",
                spoil,
            )
        seen.tab.evaluate(UNFOLD)
        seen.tab.wait_for_timeout(250)  # colours fade in
        seen.tab.evaluate(AXE)
        return {
            found["id"]: [node["html"][:200] for node in found["nodes"]]
            for found in seen.tab.evaluate(RUN)["violations"]
        }


@pytest.mark.parametrize("look", LOOKS)
@pytest.mark.parametrize("page", PAGES)
def test_nothing_is_found(browser, base, page, look):
    assert violations(browser, base, page, look) == {}


@pytest.mark.parametrize(
    ("rule", "look", "defect"),
    [
        ("color-contrast", "light", '<p style="color: #999">pale</p>'),
        ("color-contrast", "dark", '<p style="color: #555">pale</p>'),
        ("color-contrast", "light", '<details><p style="color: #999">pale, folded</p></details>'),
        ("image-alt", "light", '<img src="_static/readme.png">'),
        ("button-name", "dark", "<button></button>"),
        ("target-size", "dark", '<button>a</button><button style="font-size: 5px">b</button>'),
    ],
)
def test_a_defect_is_found(browser, base, rule, look, defect):
    assert rule in violations(browser, base, "search.html", look, defect)
