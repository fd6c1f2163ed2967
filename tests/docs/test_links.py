"""Links and images in the documents have existing targets."""

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
def test_every_link_target_exists(page: Page) -> None:
    """Links to files on GitHub's main branch are checked like links to the local files."""
    links = [link.replace(_PUBLISHED, f"{ROOT}/") for link in page.links()]
    missing = [link for link in links if not link.startswith(_ELSEWHERE) and not _target_exists(page, link)]
    assert missing == []


@pytest.mark.parametrize("page", pages(), ids=str)
def test_external_links_use_https_except_localhost(page: Page) -> None:
    plain = [link for link in page.links() if link.startswith("http://")]
    assert [link for link in plain if not link.startswith("http://localhost")] == []


def test_every_image_is_used_with_alt_text() -> None:
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


def test_the_repository_url_is_the_same_everywhere() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    assert project["urls"]["Repository"] == REPOSITORY
    addresses = {address for page in pages() for address in _ON_GITHUB.findall(page.text)}
    assert {address for address in addresses if "wyoming-tts" in address} == {
        REPOSITORY.removeprefix("https://")
    }


def _target_exists(page: Page, link: str) -> bool:
    path, _, anchor = unquote(link).partition("#")
    target = (page.path.parent / path).resolve() if path else page.path
    if not target.exists() or ROOT not in (target, *target.parents):
        return False
    return not anchor or anchor in Page(target).anchors()
