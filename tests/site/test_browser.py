"""Pages of the built documentation in headless Chromium, at the width of a desk and of a phone."""

import shutil
from urllib.parse import quote

import pytest

PAGES = (
    "index.html",
    "user_guide.html",
    "guide/first_fit.html",
    "guide/troubleshooting.html",
    "methods.html",
    "installation.html",
    "api.html",
    "api/generated/skda.adaptation.DANNClassifier.html",
    "gallery/index.html",
    "gallery/plot_quickstart.html",
    "your_own_method.html",
)
DESK, PHONE = 1440, 390
# What a newcomer would type, and a page that should be among the first results.
SEARCHES = {
    "save": "skda.save",
    "csv": "plot_own_table",
    "slow": "guide/troubleshooting",
    "nan": "guide/troubleshooting",
    "which method": "guide/which_method",
}
N_FIRST = 5
# What holds the title and scrolls sideways: wide tables and code scroll by themselves, the page and
# its parts do not.
SCROLLING = """
    [...document.querySelectorAll('html, body, body *')]
    .filter(part => part.querySelector('h1') && part.scrollWidth > part.clientWidth + 1)
    .map(part => `${part.tagName}.${part.className}: ${part.scrollWidth}`)
"""


@pytest.fixture(scope="module")
def browser(site):
    """A headless Chromium, that of the system."""
    playwright = pytest.importorskip("playwright.sync_api", reason="needs playwright")
    path = shutil.which("chromium") or shutil.which("chromium-browser")
    if path is None:
        pytest.skip("needs Chromium")
    with playwright.sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=path, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture
def open_page(browser, address):
    """Open a page in a width; return it with what went wrong."""
    opened = []

    def opening(page_name, width=DESK):
        page = browser.new_page(viewport={"width": width, "height": 900})
        opened.append(page)
        faults = []
        page.on("console", lambda said: said.type == "error" and faults.append(said.text))
        page.on("pageerror", lambda error: faults.append(str(error)))
        page.on("request", lambda request: is_foreign(request.url) and faults.append(request.url))
        page.goto(f"{address}/{page_name}", wait_until="load")
        page.wait_for_timeout(300)
        return page, faults

    def is_foreign(url):
        return not url.startswith((address, "data:", "blob:"))

    yield opening
    for page in opened:
        page.close()


@pytest.mark.parametrize("width", [DESK, PHONE])
@pytest.mark.parametrize("name", PAGES)
def test_page(name, width, open_page):
    page, faults = open_page(name, width)
    assert faults == []
    assert page.evaluate(SCROLLING) == []


def test_what_is_too_wide_is_found(open_page):
    page, _ = open_page("guide/first_fit.html", PHONE)
    page.evaluate("document.querySelector('h1').innerHTML += '<hr style=\"width: 600px\">'")
    assert page.evaluate(SCROLLING)


@pytest.mark.parametrize(("words", "expected"), SEARCHES.items())
def test_search(words, expected, open_page):
    page, _ = open_page(f"search.html?q={quote(words)}")
    page.wait_for_selector("#search-results li a", timeout=10_000)
    page.wait_for_timeout(1000)
    results = page.eval_on_selector_all(
        "#search-results li > a", "links => links.map(link => link.getAttribute('href'))"
    )
    assert any(expected in result for result in results[:N_FIRST]), results[:N_FIRST]
