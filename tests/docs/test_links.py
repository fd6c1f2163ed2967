"""Links and pictures lead somewhere."""

from __future__ import annotations

import re
import tomllib
from urllib.parse import unquote

import pytest

from tests.docs.pages import ROOT, Page, pages

REPOSITORY = "https://github.com/wyoming-tts/wyoming-tts"
_PUBLISHED = f"{REPOSITORY}/blob/main/"
_ON_GITHUB = re.compile(r"github\.com/[\w-]+/[\w-]+")
_ELSEWHERE = ("http://", "https://", "mailto:")


@pytest.mark.parametrize("page", pages(), ids=str)
def test_what_a_page_links_to_is_there(page: Page) -> None:
    """In the repository; a link to its published form is as good as one to the file."""
    links = [link.replace(_PUBLISHED, f"{ROOT}/") for link in page.links()]
    missing = [link for link in links if not link.startswith(_ELSEWHERE) and not _is_there(page, link)]
    assert missing == []


@pytest.mark.parametrize("page", pages(), ids=str)
def test_links_to_elsewhere_are_encrypted_or_to_this_machine(page: Page) -> None:
    plain = [link for link in page.links() if link.startswith("http://")]
    assert [link for link in plain if not link.startswith("http://localhost")] == []


def test_every_picture_is_shown_and_described() -> None:
    text = "".join(page.text for page in pages())
    pictures = sorted(path.name for path in (ROOT / "docs" / "images").iterdir())
    assert [name for name in pictures if f"images/{name})" not in text] == []
    assert "![](" not in text


def test_every_page_is_linked_from_another() -> None:
    linked = {
        (page.path.parent / link.partition("#")[0]).resolve()
        for page in pages()
        for link in page.links()
        if not link.startswith(_ELSEWHERE)
    }
    docs = [page for page in pages() if page.path.parent == ROOT / "docs"]
    assert [str(page) for page in docs if page.path not in linked] == []


def test_the_repository_has_one_address() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    assert project["urls"]["Repository"] == REPOSITORY
    told = {address for page in pages() for address in _ON_GITHUB.findall(page.text)}
    assert {address for address in told if "wyoming-tts" in address} == {REPOSITORY.removeprefix("https://")}


def _is_there(page: Page, link: str) -> bool:
    path, _, anchor = unquote(link).partition("#")
    target = (page.path.parent / path).resolve() if path else page.path
    if not target.exists() or ROOT not in (target, *target.parents):
        return False
    return not anchor or anchor in Page(target).anchors()
