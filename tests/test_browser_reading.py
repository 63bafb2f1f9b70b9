"""What a reader does: choose a framework, search, move by keyboard, print, read without scripts."""

import pytest
from browser import (
    CHAPTERS,
    DESKTOP,
    PHONE,
    UNFOLD,
    needs_chromium,
    visit,
)

pytestmark = needs_chromium
OPENED_FROM = "file"
PAGE, OTHER = "chapters/02_cells.html", "chapters/08_lstm.html"
SHOWN = """() => [...document.querySelectorAll('.framework-tabs > .sd-tab-content')]
  .map(box => [box.previousElementSibling.textContent.trim(), box.checkVisibility()])"""


from_both = pytest.mark.parametrize("base", ["file", "server"], indirect=True)


@pytest.fixture
def open_page(browser, base):
    """Opens a page of the book in a browser that was never used; closes them all afterwards.

    Without motion: what a key does is done when the next line looks.
    """
    opened = []

    def open_page(page=PAGE, **options):
        opened.append(visit(browser, base, page, **{"reduced_motion": "reduce", **options}))
        return opened[-1].__enter__().tab

    yield open_page
    for one in opened:
        one.__exit__(None, None, None)


def frameworks(tab):
    """The frameworks that a page shows, and how many tab sets show them."""
    shown = [name for name, visible in tab.evaluate(SHOWN) if visible]
    return set(shown), len(shown)


def tab_sets(tab):
    return tab.locator(".framework-tabs").count()


def comes_to_show(tab, framework):
    """What the page before has stored may reach this one a moment late."""
    hidden = f"""() => ({SHOWN})().some(([name, shown]) => shown !== (name === '{framework}'))"""
    tab.wait_for_function(f"!({hidden})()")
    assert frameworks(tab) == ({framework}, tab_sets(tab))


def focused(tab):
    return tab.evaluate("(document.activeElement.textContent || document.activeElement.ariaLabel"
                        " || document.activeElement.id).trim()")  # fmt: skip


def press(tab, *keys):
    for key in keys:
        tab.keyboard.press(key)


# --- the framework -----------------------------------------------------------------------------


@from_both
def test_one_click_switches_all_tabs_and_is_remembered(open_page, base):
    tab = open_page()
    assert frameworks(tab) == ({"PyTorch"}, tab_sets(tab))
    assert tab_sets(tab) > 1
    tab.get_by_text("TensorFlow", exact=True).and_(tab.locator("label")).nth(1).click()
    assert frameworks(tab) == ({"TensorFlow"}, tab_sets(tab))
    tab.reload()
    comes_to_show(tab, "TensorFlow")
    tab.goto(base + OTHER)
    comes_to_show(tab, "TensorFlow")
    tab.locator(".framework-tabs label").first.click()
    tab.goto(base + "index.html")
    comes_to_show(tab, "PyTorch")


@from_both
def test_a_page_in_another_window_follows(open_page, base):
    tab = open_page()
    other = tab.context.new_page()
    other.goto(base + OTHER)
    tab.locator(".framework-tabs label", has_text="TensorFlow").first.click()
    comes_to_show(other, "TensorFlow")


def test_the_choice_is_announced(open_page):
    tab = open_page()
    status = tab.get_by_role("status")
    assert status.inner_text() == ""  # it must be there before what it says
    tab.locator(".framework-tabs label", has_text="TensorFlow").first.click()
    assert status.inner_text() == "All examples are in TensorFlow now."
    assert tab.get_by_role("group", name="Framework").count() == tab_sets(tab)
    radio = tab.get_by_role("radio", name="TensorFlow").first
    assert radio.is_checked()


@from_both
@pytest.mark.parametrize("shown", ["PyTorch", "TensorFlow"])
def test_a_link_chooses_the_framework(open_page, base, shown):
    tab = open_page(f"{PAGE}?framework={shown.lower()}")
    assert frameworks(tab) == ({shown}, tab_sets(tab))
    tab.wait_for_function("document.querySelector('[role=status]').textContent !== ''")
    assert tab.get_by_role("status").inner_text() == f"All examples are in {shown} now."
    tab.goto(base + OTHER)
    comes_to_show(tab, shown)


def test_a_link_to_no_framework_changes_nothing(open_page):
    tab = open_page(f"{PAGE}?framework=theano")
    assert frameworks(tab) == ({"PyTorch"}, tab_sets(tab))


@pytest.mark.parametrize("shown", ["PyTorch", "TensorFlow"])
def test_the_framework_is_there_before_the_tabs_script(open_page, base, shown):
    """Else the page would jump when the script comes, which here waits until it is let in."""
    tab = open_page(f"index.html?framework={shown.lower()}")
    waiting = []
    tab.route("**/design-tabs.js*", lambda route: waiting.append(route))
    tab.goto(base + PAGE, wait_until="commit")
    tab.wait_for_selector("footer", state="attached")  # the page's last line was read
    comes_to_show(tab, shown)
    (script,) = waiting
    script.continue_()
    tab.wait_for_load_state()
    comes_to_show(tab, shown)
    chosen = tab.locator(".framework-tabs > input:checked + label").first
    assert chosen.text_content().strip() == shown


@pytest.mark.parametrize("page", ["index.html", *CHAPTERS[1:3]])
def test_paper_shows_both(open_page, page):
    tab = open_page(page)
    tab.emulate_media(media="print")
    assert frameworks(tab) == ({"PyTorch", "TensorFlow"}, 2 * tab_sets(tab))
    # each under its own label
    heights = tab.evaluate("""() => [...document.querySelector('.framework-tabs').children]
        .filter(e => !e.matches('input')).map(e => e.getBoundingClientRect().top)""")
    assert heights == sorted(heights)


@pytest.mark.parametrize("page", ["index.html", *CHAPTERS[1:3]])
def test_without_scripts_both_are_shown(open_page, browser, base, page):
    window = {"width": 1280, "height": 30_000}  # all of the page is on the screen, so laid out
    with visit(browser, base, page, java_script_enabled=False, viewport=window) as seen:
        contents = seen.tab.locator(".framework-tabs > .sd-tab-content")
        assert contents.count() > 1
        assert all(content.is_visible() for content in contents.all())
        labels = [
            label.bounding_box()["y"] for label in seen.tab.locator(".framework-tabs > label").all()
        ]
        boxes = [content.bounding_box()["y"] for content in contents.all()]
        assert all(a < b for a, b in zip(labels, boxes, strict=True))
        assert boxes == sorted(boxes)
        assert seen.tab.locator("mjx-math").first.is_visible()
        assert all(p.is_visible() for p in seen.tab.locator(".admonition.solution p").all())


# --- search --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("forget gate", "8. The LSTM, one gate at a time"),
        ("reset gate", "9. The GRU: two gates, one vector"),
        ("candidate", "Symbols and shapes"),
        ("W_h", "Symbols and shapes"),
        ("b_hn", "9. The GRU: two gates, one vector"),
        ("LSTMCell", "rnnlab.torch.LSTMCell"),
        ("to_native", "rnnlab.tensorflow.to_native"),
        ("CharLM", "rnnlab.numpy.CharLM"),
    ],
)
def test_search_finds(open_page, query, found):
    tab = open_page()
    tab.keyboard.press("Control+k")
    tab.keyboard.type(query)
    tab.keyboard.press("Enter")
    tab.wait_for_url("**/search.html?q=*")
    tab.wait_for_selector("#search-results .search-summary:has-text('found')")
    results = tab.locator("#search-results li > a")
    assert found in results.all_inner_texts()
    results.filter(has_text=found).first.click()
    tab.wait_for_load_state()
    assert "search.html" not in tab.url


@from_both
def test_search_complains_of_nothing(browser, base):
    with visit(browser, base, "search.html?q=forget+gate") as seen:
        seen.tab.wait_for_selector("#search-results .search-summary:has-text('found')")
        seen.tab.wait_for_timeout(500)
        assert seen.complaints == []
        assert seen.outside == []


@pytest.mark.parametrize("base", ["server"], indirect=True)
def test_search_quotes_the_text_and_not_the_outline(browser, base):
    with visit(browser, base, "search.html?q=forget+gate") as seen:
        seen.tab.wait_for_selector("#search-results .search-summary:has-text('found')")
        of_chapter = seen.tab.locator("#search-results li", has_text="8. The LSTM").locator(
            ".context"
        )
        of_chapter.wait_for()
        assert "Contents" not in of_chapter.inner_text()
        of_term = seen.tab.locator("#search-results li", has_text="Glossary").first
        assert "how much of the cell state is kept" in of_term.locator(".context").inner_text()


# --- the keyboard --------------------------------------------------------------------------------


def test_the_first_tab_stop_skips_to_the_text(open_page):
    tab = open_page()
    press(tab, "Tab")
    assert focused(tab) == "Skip to main content"
    assert tab.get_by_text("Skip to main content").bounding_box()["y"] >= 0
    press(tab, "Enter", "Tab")
    assert tab.evaluate("document.querySelector('main').contains(document.activeElement)")


@pytest.mark.parametrize(("wish", "moves"), [("reduce", False), ("no-preference", True)])
def test_who_asks_for_less_motion_gets_none(open_page, wish, moves):
    tab = open_page(reduced_motion=wish)
    assert moves == tab.evaluate("""[...document.querySelectorAll('*')].some(
        e => getComputedStyle(e).transitionDuration.split(', ').some(time => time !== '0s'))""")


def test_arrow_keys_change_the_framework(open_page):
    tab = open_page()
    first = tab.locator(".framework-tabs > input").first
    first.focus()
    press(tab, "ArrowRight")
    assert frameworks(tab) == ({"TensorFlow"}, tab_sets(tab))
    assert tab.get_by_role("status").inner_text() == "All examples are in TensorFlow now."
    label = tab.locator(".framework-tabs > input:focus-visible + label").first
    assert label.evaluate("e => getComputedStyle(e).outlineStyle") != "none"
    press(tab, "ArrowLeft")
    assert frameworks(tab) == ({"PyTorch"}, tab_sets(tab))


@pytest.mark.parametrize(
    "name", ["Launch interactive content", "Source repositories", "Download this page"]
)
def test_menus_open_and_close_by_keyboard(open_page, name):
    tab = open_page()
    button = tab.get_by_role("button", name=name)
    menu = button.locator("xpath=following-sibling::ul")
    button.focus()
    press(tab, "Enter")
    menu.wait_for()
    press(tab, "ArrowDown")
    assert menu.evaluate("e => e.contains(document.activeElement)")
    press(tab, "Escape")
    menu.wait_for(state="hidden")
    assert button.evaluate("e => e === document.activeElement")


def test_the_search_dialog_opens_and_closes_by_keyboard(open_page):
    tab = open_page()
    press(tab, "Control+k")
    tab.locator("#pst-search-dialog").wait_for()
    assert tab.evaluate("document.activeElement.type") == "search"
    press(tab, "Escape")
    tab.locator("#pst-search-dialog").wait_for(state="hidden")


def test_parts_of_the_side_bar_open_by_keyboard(open_page):
    tab = open_page()
    summary = tab.locator("#pst-primary-sidebar summary").first
    inner = tab.locator("#pst-primary-sidebar details li").first
    assert not inner.is_visible()
    summary.focus()
    press(tab, "Enter")
    inner.wait_for()


@pytest.mark.parametrize("which", ["primary", "secondary"])
def test_side_bars_open_and_close_on_a_phone(open_page, which):
    tab = open_page(viewport=PHONE)
    bar = tab.locator(f"#pst-{which}-sidebar-modal")
    assert not bar.is_visible()
    toggle = tab.locator(f"button.{which}-toggle:visible").first
    toggle.focus()
    press(tab, "Enter")
    bar.wait_for()
    assert bar.evaluate("e => e.contains(document.activeElement)")
    press(tab, "Escape")
    bar.wait_for(state="hidden")


def test_solutions_unfold_by_keyboard(open_page):
    tab = open_page()
    button = tab.locator(".admonition.solution button.toggle-button").first
    solution = tab.locator(".admonition.solution p:not(.admonition-title)").first
    assert not solution.is_visible()
    button.focus()
    press(tab, "Enter")
    solution.wait_for()


def test_what_scrolls_has_the_focus(open_page):
    tab = open_page(viewport=PHONE)
    tab.evaluate(UNFOLD)
    tab.wait_for_timeout(250)
    assert (
        tab.evaluate("""() => [...document.querySelectorAll(
        '.bd-article :is(pre, table, div.math, mjx-container)')]
        .filter(e => e.scrollWidth > e.clientWidth && e.tabIndex !== 0).map(e => e.outerHTML)""")
        == []
    )
    assert tab.locator(".bd-article pre[tabindex='0']").count() > 0


# --- the theme -----------------------------------------------------------------------------------


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_page_follows_the_system_and_the_reader(open_page, scheme):
    tab = open_page(color_scheme=scheme, viewport=DESKTOP)
    theme = "document.documentElement.dataset.theme"
    other = {"light": "dark", "dark": "light"}[scheme]
    assert tab.evaluate(theme) == scheme
    button = tab.get_by_role("button", name="Color mode").first
    for _ in range(2):
        if tab.evaluate(theme) == scheme:
            button.click()
    assert tab.evaluate(theme) == other
    tab.reload()
    assert tab.evaluate(theme) == other


@from_both
def test_nothing_is_sent_or_kept_that_identifies_a_reader(open_page):
    tab = open_page()
    assert tab.context.cookies() == []
    kept = set(tab.evaluate("Object.keys(localStorage)"))
    assert kept <= {"mode", "theme", "sphinx-design-tab-id-framework"}


@pytest.mark.parametrize("page", [OTHER, "chapters/api_layers.html"])
def test_a_link_to_an_anchor_ends_there(open_page, base, page):
    """What was not laid out yet must not push the anchor out of sight."""
    tab = open_page(page)
    anchor = tab.locator(".page-toc a").last.get_attribute("href")
    tab.goto("about:blank")
    tab.goto(base + page + anchor)
    tab.wait_for_timeout(500)
    top = tab.evaluate("id => document.getElementById(id).getBoundingClientRect().top", anchor[1:])
    assert 0 <= top < DESKTOP["height"] / 2 or tab.evaluate(
        "Math.ceil(scrollY + innerHeight) >= document.documentElement.scrollHeight"
    )
