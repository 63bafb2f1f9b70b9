"""Every page of the built book in Chromium: silent, complete, still, and no wider than a phone."""

import functools

import pytest
from browser import (
    BOOK,
    PAGES,
    PHONE,
    SUBFOLDER,
    UNFOLD,
    ForgeHandler,
    HalfHandler,
    needs_chromium,
    serve,
    visit,
)
from playwright.sync_api import BrowserContext

pytestmark = needs_chromium
STILL = 0.001  # what may move, in the browser's measure: its share of the window times its way

OBSERVE_SHIFTS = """
window.shifts = [];
new PerformanceObserver(list => {
  const name = ({ node }) => node && (node.outerHTML || node.textContent).slice(0, 99);
  for (const { value, sources } of list.getEntries()) shifts.push([value, sources.map(name)]);
}).observe({ type: 'layout-shift', buffered: true });
"""
# Formulas that MathJax did not understand, or that nobody typeset.
BAD_MATH = r"""() => {
  const bad = [...document.querySelectorAll('mjx-merror, [data-mjx-error]')];
  bad.push(...[...document.querySelectorAll('.math')].filter(e => !e.querySelector('mjx-math')));
  const text = document.querySelector('main').cloneNode(true);
  text.querySelectorAll('pre, code, script, mjx-container, .sig').forEach(e => e.remove());
  const raw = text.textContent.match(/\\[([]|\\begin\{|\$[^$\n]+\$/g) || [];
  return bad.map(e => e.outerHTML.slice(0, 200)).concat(raw);
}"""
# What reaches over the right edge of the window and is not in a box of its own that scrolls.
TOO_WIDE = """() => {
  const width = document.documentElement.clientWidth;
  const wide = document.documentElement.scrollWidth > width ? ['the page scrolls sideways'] : [];
  const inside = e =>
    e && (/auto|scroll/.test(getComputedStyle(e).overflowX) || inside(e.parentElement));
  const boxes = '.bd-article :is(mjx-container, pre, table, img, svg, p)';
  for (const box of document.querySelectorAll(boxes)) {
    const { right, height } = box.getBoundingClientRect();
    if (right > width + 1 && height > 1 && !inside(box.parentElement))
      wide.push(box.outerHTML.slice(0, 200));
  }
  return wide;
}"""
# What did not come, and what takes another room than the page has kept for it.
MISSING_PICTURES = """async () => {
  const pictures = [...document.querySelectorAll('main img')], off = [];
  for (const img of pictures) {
    await img.decode().catch(() => {});
    const kept = [img.getAttribute('width'), img.getAttribute('height')];
    const own = [img.naturalWidth, img.naturalHeight];
    if (!img.naturalWidth) off.push(img.src);
    else if (img.closest('.cell_output') && !kept[0]) off.push(`no room kept: ${img.src}`);
    else if (kept[0] && kept.some((size, k) => Math.abs(size - own[k]) > 1))
      off.push(`${kept} is kept, ${own} needed: ${img.src}`);
  }
  return off;
}"""


LATE = """<script>
setTimeout(() => { document.querySelector('article h1').style.height = '300px' }, 200)
</script>"""


def look(browser, base, page, spoil=""):
    """All that is wrong with a page, by the kind of defect. ``spoil`` is added to the page."""

    def before(context):
        context.add_init_script(OBSERVE_SHIFTS)
        if spoil:
            html = (BOOK / page).read_text(encoding="utf-8").replace("<body", spoil + "<body", 1)
            html = html.replace("</article>", f"{spoil}</article>", 1)
            context.route(
                f"**/{page}", lambda route: route.fulfill(body=html, content_type="text/html")
            )

    with visit(browser, base, page, before=before) as seen:
        tab = seen.tab
        tab.wait_for_timeout(450)  # the fonts come after 0.3 s
        shifts = [shift for shift in tab.evaluate("shifts") if shift[0] > STILL / 10]
        found = {
            "moves": shifts if sum(value for value, _ in shifts) > STILL else [],
            "bad math": tab.evaluate(BAD_MATH),
        }
        tab.evaluate(UNFOLD)
        tab.set_viewport_size(PHONE)
        tab.wait_for_timeout(100)
        found["too wide"] = tab.evaluate(TOO_WIDE)
        found["missing pictures"] = tab.evaluate(MISSING_PICTURES)
        found["complaints"] = [c for c in seen.complaints if c not in seen.outside]
        found["outside"] = seen.outside
        return found


@pytest.mark.parametrize("page", PAGES)
def test_from_a_server(browser, base, page):
    assert {kind: what for kind, what in look(browser, base, page).items() if what} == {}


@pytest.mark.parametrize("width", [360, 1100, 1280])
@pytest.mark.parametrize("page", ["chapters/04_batching.html", "chapters/api_training.html"])
def test_the_buttons_stay_where_they_are_while_a_page_arrives(browser, page, width):
    prepare = functools.partial(BrowserContext.add_init_script, script=OBSERVE_SHIFTS)
    size = {"width": width, "height": 800}
    with (
        serve(BOOK, handler=HalfHandler) as base,
        visit(browser, base, page, before=prepare, viewport=size) as seen,
    ):
        seen.tab.wait_for_timeout(200)
        assert sum(value for value, _ in seen.tab.evaluate("shifts")) <= STILL / 10
        room = "document.querySelector('.header-article-items__end').getBoundingClientRect().width"
        kept = seen.tab.evaluate(room)
        seen.tab.add_style_tag(content=".header-article-items__end { min-width: 0 !important }")
        assert abs(kept - seen.tab.evaluate(room)) < 0.5  # no more than they need


FIRST_HEIGHTS = """
window.heights = () => [...document.querySelectorAll('article mjx-container')].map(
  formula => formula.getBoundingClientRect().height);
(function look() {
  window.first = heights().slice(0, -1);  // the page may have been read into the middle of the last
  if (!first.length) requestAnimationFrame(look);
})();
"""


def test_no_formula_changes_its_height_when_fonts_arrive(browser, base):
    page = "chapters/08_lstm.html"
    prepare = functools.partial(BrowserContext.add_init_script, script=FIRST_HEIGHTS)
    with visit(browser, base, page, before=prepare) as seen:
        seen.tab.wait_for_function("document.fonts.check('1em MJXTEX')")
        first, last = seen.tab.evaluate("[first, heights().slice(0, first.length)]")
    assert len(first) > 3
    assert first == last


@pytest.mark.parametrize("page", PAGES)
def test_from_a_file(browser, page):
    with visit(browser, f"{BOOK.as_uri()}/", page) as seen:
        seen.tab.wait_for_load_state("load")
        assert seen.complaints == []
        assert seen.outside == []
        assert seen.tab.evaluate("document.fonts.check('900 1em \"Font Awesome 6 Free\"')")


@pytest.mark.parametrize(
    "wrong", ["nowhere", "nowhere/", "chapters/nowhere.html", "chapters/deep/er/nowhere.html?a=b#c"]
)
def test_a_wrong_address_shows_a_page_that_works(browser, wrong):
    """As a forge answers: under the sub-folder where the book is published, at any depth."""
    address = SUBFOLDER[1:] + wrong
    with (
        serve(BOOK, handler=ForgeHandler) as base,
        visit(browser, base, address, viewport=PHONE) as seen,
    ):
        tab = seen.tab
        tab.wait_for_load_state("load")
        # Of this address the browser complains twice, and of nothing that the page asks for.
        asked, told = sorted(seen.complaints)
        assert asked == f"404 {base}{address.partition('#')[0]}"
        assert "status of 404" in told
        assert seen.outside == []
        assert tab.evaluate(TOO_WIDE) == []
        assert tab.evaluate("document.fonts.check('900 1em \"Font Awesome 6 Free\"')")
        assert tab.locator("article h1").inner_text().startswith("Page not found")
        tab.locator("article a", has_text="first page").click()
        tab.wait_for_url(f"**{SUBFOLDER}index.html")
        assert "Three Times" in tab.locator("article h1").inner_text()


@pytest.mark.parametrize(
    ("kind", "defect"),
    [
        ("complaints", "<script>console.error('no')</script>"),
        ("complaints", "<script>nobody()</script>"),
        ("complaints", '<img src="nowhere.svg" alt="a figure">'),
        ("outside", '<img src="http://127.0.0.1:9/a.png" alt="a figure">'),
        ("bad math", "<p>The state \\(h\\).</p>"),
        ("bad math", '<p><span class="math">h</span></p>'),
        ("bad math", "<mjx-merror>Missing }</mjx-merror>"),
        ("too wide", '<p style="width: 400px">wide</p>'),
        ("too wide", '<pre style="overflow: visible; width: 500px">a</pre>'),
        ("missing pictures", '<img src="nowhere.svg" alt="a figure">'),
        ("missing pictures", '<img src="_static/favicon.svg" width="9" height="9" alt="wrong">'),
        ("missing pictures", '<p class="cell_output"><img src="_static/favicon.svg" alt="a"></p>'),
        ("moves", LATE),
    ],
)
def test_a_defect_is_found(browser, base, kind, defect):
    # test_from_a_server has seen that without it nothing is found
    assert look(browser, base, "index.html", defect)[kind] != []
