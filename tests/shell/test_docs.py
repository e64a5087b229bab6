"""The page of the document: complete, all its links lead somewhere, and it loads nothing."""

from html.parser import HTMLParser

import pytest

from gateway.core.losses import LEAVES
from gateway.core.problem_index import PROBLEMS
from gateway.shell.catalog import dialects
from gateway.shell.docs import POLICY, published
from tests.support.published import document

VOID = {"meta", "br"}


class Page(HTMLParser):
    """What is in a page: tags, ids, links, texts; and that every tag is closed where it should be."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.text = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """A tag begins."""
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        """A tag ends: the last that began."""
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        """Text."""
        self.text += data


@pytest.fixture(scope="module")
def page() -> Page:
    """The page, read."""
    found = Page()
    found.feed(published()[1])
    found.close()
    assert found.open == []
    return found


def test_every_link_leads_somewhere(page: Page) -> None:
    """To an anchor of the page, to the page of a problem, or to the document."""
    ids = [attributes["id"] for _, attributes in page.tags if "id" in attributes]
    assert len(ids) == len(set(ids))
    links = {attributes["href"] for tag, attributes in page.tags if tag == "a"}
    known = {f"#{each}" for each in ids} | {f"/problems/{slug}" for slug in PROBLEMS} | {"/openapi.json"}
    assert links <= known
    assert {f"/problems/{slug}" for slug in PROBLEMS} <= links


def test_every_endpoint_and_schema_has_its_place(page: Page) -> None:
    """And an example of how to call it."""
    ids = {attributes.get("id") for _, attributes in page.tags}
    operations = [operation for methods in document()["paths"].values() for operation in methods.values()]
    assert {f"op-{operation['operationId']}" for operation in operations} <= ids
    assert {f"schema-{name}" for name in document()["components"]["schemas"]} <= ids
    assert page.text.count("curl -s") == len(operations)
    for name in document()["components"]["parameters"]:
        assert name in page.text


def test_the_page_says_what_becomes_of_each_field_in_each_dialect(page: Page) -> None:
    """A row for each canonical field, and in it a word for each dialect."""
    fates = [
        attributes for tag, attributes in page.tags if tag == "span" and (attributes["class"] or "").startswith("fate")
    ]
    assert len(fates) == len(LEAVES) * len(dialects())
    for leaf in LEAVES:
        assert leaf in page.text


def test_the_page_loads_nothing_and_runs_nothing(page: Page) -> None:
    """No script, no picture, no style from elsewhere: it is whole under the policy it is served with."""
    assert POLICY == "default-src 'none'; style-src 'unsafe-inline'"
    names = {tag for tag, _ in page.tags}
    assert not names & {"script", "link", "img", "iframe", "object", "embed", "form", "base", "svg", "video", "audio"}
    attributes = {name for _, each in page.tags for name in each}
    assert not {name for name in attributes if name.startswith("on")} | (
        attributes & {"src", "srcset", "action", "style"}
    )
    style = published()[1].partition("<style>")[2].partition("</style>")[0]
    assert "url(" not in style
    assert "@import" not in style
