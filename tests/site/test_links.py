"""No link of the documentation leads nowhere."""

from html.parser import HTMLParser
from urllib.parse import unquote, urlsplit


class Page(HTMLParser):
    """The links of a page, and the places in it that a link can name."""

    def __init__(self, file):
        super().__init__()
        self.links, self.places = set(), {"", "top"}
        self.feed(file.read_text(encoding="utf-8"))

    def handle_starttag(self, tag, attrs):
        for name, value in attrs:
            if name in {"href", "src"} and value:
                self.links.add(value)
            elif name in {"id", "name"}:
                self.places.add(value)


def dead_links(folder):
    """Return the pages of a folder with links to files and places that do not exist."""
    files = [file for file in folder.resolve().rglob("*.html") if "_static" not in file.parts]
    pages = {file: Page(file) for file in sorted(files)}
    dead = []
    for file, page in pages.items():
        for link in sorted(page.links):
            parts = urlsplit(link)
            if parts.scheme or parts.netloc:
                continue
            path = file.parent / unquote(parts.path) if parts.path else file
            path = path.resolve()
            path = path / "index.html" if path.is_dir() else path
            # Sphinx names the places of functions with two names wrongly in its pages of sources.
            has_places = path in pages and "_modules" not in file.parts
            is_dead = has_places and unquote(parts.fragment) not in pages[path].places
            if is_dead or not path.exists():
                dead.append((file.name, link))
    return dead


def test_links_within_the_site(site):
    assert dead_links(site) == []


def test_dead_links_are_found(tmp_path):
    (tmp_path / "b.html").write_text("<h1 id='here'>B</h1>")
    (tmp_path / "a.html").write_text(
        "<a href='b.html#here'>.</a><a href='b.html#there'>.</a><img src='c.png'>"
        "<a href='https://example.org/d'>.</a>"
    )
    assert dead_links(tmp_path) == [("a.html", "b.html#there"), ("a.html", "c.png")]
