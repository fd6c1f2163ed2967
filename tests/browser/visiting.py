"""What tests of all tabs do on the page: watch it, find their way, ask whether everybody can read it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager

from axe_playwright_python.sync_playwright import Axe  # type: ignore[import-untyped]
from playwright.sync_api import BrowserContext, Page, ViewportSize, expect

from tests.scenarios.page_problems import PageProblems
from ui.scripts import import_expression
from ui.words import Words

TABS = ("preview", "blend", "stream_test", "voices", "status")
WIDE: ViewportSize = {"width": 1280, "height": 720}
PHONE: ViewportSize = {"width": 390, "height": 844}
PATIENCE = 30_000
"""Milliseconds for a page that is being made, or a machine that has much else to do."""
_AXE: str = Axe().axe_script
_OF_COLOURS = ("color-contrast", "link-in-text-block")
_SERIOUS = frozenset({"serious", "critical"})
expect.set_options(timeout=PATIENCE)
_DRAWN = "new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))"
_SETTLED = "document.getAnimations().every((each) => !(each instanceof CSSTransition))"


def complaints_of(page: Page) -> PageProblems:
    """What was wrong so far with a page that `watched` gave: a test that provokes it takes it out."""
    return page.complaints  # type: ignore[attr-defined,no-any-return]


@contextmanager
def watched(context: BrowserContext) -> Iterator[Page]:
    """A new page that has to be without fault to the end."""
    page = context.new_page()
    page.set_default_timeout(PATIENCE)
    page.complaints = PageProblems(page)  # type: ignore[attr-defined]
    yield page
    page.close()
    assert complaints_of(page).found == []


def visit(page: Page, url: str) -> Page:
    """Go to the product's page and wait until it is there, with all that it fills itself with."""
    page.goto(url)
    expect(page.locator("#tab-preview[role=tabpanel]")).to_be_visible(timeout=PATIENCE)
    expect(page.locator("#preview-speak")).to_be_enabled(timeout=PATIENCE)
    name_player(page)
    return page


def name_player(page: Page) -> None:
    """Let tests ask the player by a global name, `ttsPlayer`: the scripts themselves have none."""
    page.evaluate(f"{import_expression('player')}.then(({{ player }}) => {{ window.ttsPlayer = player; }})")


def open_tab(page: Page, name: str, language: str = "en") -> None:
    """Choose a tab as a person does, from the menu where there is no room for it."""
    label = Words().text(f"page.{name}", language)
    tab = page.get_by_role("tab", name=label, exact=True).filter(visible=True)
    menu = page.locator(".overflow-menu > button").filter(visible=True)
    expect(tab.or_(menu).first).to_be_visible()
    if not tab.count():
        menu.click()
        page.locator(".overflow-dropdown button").filter(has_text=re.compile(f"^{label}$")).click()
    else:
        tab.first.click()
    expect(page.locator(f"#tab-{name}[role=tabpanel]")).to_be_visible()


def resize(page: Page, size: ViewportSize) -> None:
    """Have the screen be of another size, and the tabs where they belong on it."""
    page.set_viewport_size(size)
    page.evaluate(_DRAWN)


def brightness(page: Page) -> float:
    """How bright the page's ground is, from 0 to 255."""
    colour = page.evaluate("getComputedStyle(document.body).backgroundColor")
    return sum(map(int, re.findall(r"\d+", colour)[:3])) / 3


def turn(page: Page, scheme: str) -> None:
    """Have the screen be light or dark from now on."""
    page.emulate_media(color_scheme="dark" if scheme == "dark" else "light")
    page.wait_for_function(_SETTLED)


def serious_faults(page: Page, within: str = "html", *, of_colours: bool = False) -> list[str]:
    """What axe-core finds that keeps people out; `of_colours` alone where the rest was looked at."""
    if not page.evaluate("'axe' in window"):
        page.evaluate(_AXE)
    page.wait_for_function(_SETTLED)
    options: dict[str, object] = {"resultTypes": ["violations"]}
    if of_colours:
        options["runOnly"] = _OF_COLOURS
    found = page.evaluate(
        "([within, options]) => axe.run(within, options).then((told) => told.violations)", [within, options]
    )
    return [
        f"{each['id']}: {[node['html'] for node in each['nodes']]}"
        for each in found
        if each["impact"] in _SERIOUS
    ]
