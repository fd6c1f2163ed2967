"""Actions and checks for the tests of all tabs: navigation, screen sizes, colour schemes, accessibility."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager

from axe_playwright_python.sync_playwright import Axe  # type: ignore[import-untyped]
from playwright.sync_api import Browser, BrowserContext, Locator, Page, ViewportSize, expect

from tests.scenarios.page_problems import PageProblems
from ui.scripts import import_expression
from ui.words import Words

TABS = ("audition", "blend", "stream_test", "voices", "status")
DESKTOP: ViewportSize = {"width": 1280, "height": 720}
PHONE: ViewportSize = {"width": 390, "height": 844}
TIMEOUT_MILLISECONDS = 30_000
"""Generous: the page may still be built, and the machine busy."""
_AXE: str = Axe().axe_script
_OF_COLOURS = ("color-contrast", "link-in-text-block")
_OFF_UNLESS_ASKED = ("target-size",)
"""Rules that axe-core has, but does not apply by itself."""
expect.set_options(timeout=TIMEOUT_MILLISECONDS)
_NEXT_FRAME = "new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))"
_TRANSITIONS_DONE = "document.getAnimations().every((each) => !(each instanceof CSSTransition))"
_RUN_AXE = """async ([within, options]) => {
    const hidden = [...document.querySelectorAll("[role=tabpanel] > *, .card, .voices-list > li")]
        .filter((each) => !each.checkVisibility() && !each.querySelector("dialog[open]"));
    const places = hidden.map((each) => [each, document.createComment("")]);
    for (const [each, place] of places) each.replaceWith(place);
    try {
        return (await axe.run(within, options)).violations;
    } finally {
        for (const [each, place] of places.reverse()) place.replaceWith(each);
    }
}"""
"""Without hidden rows and tabs: axe-core finds nothing in them, but reads their thousands of elements."""
_WEAK_CONTRASTS = """() => {
    const canvas = new OffscreenCanvas(1, 1).getContext("2d", { willReadFrequently: true });
    const paint = (colours) => {
        canvas.clearRect(0, 0, 1, 1);
        for (const colour of colours) { canvas.fillStyle = colour; canvas.fillRect(0, 0, 1, 1); }
        return [...canvas.getImageData(0, 0, 1, 1).data].slice(0, 3);
    };
    const ground = (element) =>
        element ? [...ground(element.parentElement), getComputedStyle(element).backgroundColor] : ["white"];
    const luminance = (colour) => colour
        .map((part) => part / 255)
        .map((part) => (part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4))
        .reduce((sum, part, at) => sum + part * [0.2126, 0.7152, 0.0722][at], 0);
    const contrast = (one, other) => {
        const [low, high] = [luminance(paint(one)), luminance(paint(other))].sort((a, b) => a - b);
        return (high + 0.05) / (low + 0.05);
    };
    const seen = [...document.querySelectorAll(".tts button, .tts input, .tts select, .tts textarea")].filter(
        (each) => !each.disabled && each.checkVisibility({ visibilityProperty: true }));
    const weak = [];
    for (const each of seen) {
        const around = ground(each.parentElement);
        const style = getComputedStyle(each);
        const edges = [[...around, style.borderTopColor], ground(each)];
        const hasBorder = parseFloat(style.borderTopWidth) > 0 && style.appearance !== "auto";
        const isWeak = Math.max(...edges.map((edge) => contrast(edge, around))) < 3;
        const hint = [...ground(each), getComputedStyle(each, "::placeholder").color];
        const isFaint = each.placeholder && contrast(hint, ground(each)) < 4.5;
        if ((hasBorder && isWeak) || isFaint) weak.push(each.outerHTML);
    }
    return weak;
}"""


def problems_of(page: Page) -> PageProblems:
    """The problems found so far on a `checked_page`; a test that provokes one removes it."""
    return page.problems  # type: ignore[attr-defined,no-any-return]


@contextmanager
def checked_page(context: BrowserContext) -> Iterator[Page]:
    """A new page that must have no problems at the end."""
    page = context.new_page()
    page.set_default_timeout(TIMEOUT_MILLISECONDS)
    page.problems = PageProblems(page)  # type: ignore[attr-defined]
    yield page
    page.close()
    assert problems_of(page).found == [], problems_of(page).found


@contextmanager
def page_with_own_clock(browser: Browser, locale: str) -> Iterator[Page]:
    """A page in a context of its own, whose clock is that of all its pages."""
    with browser.new_context(locale=locale) as context, checked_page(context) as page:
        page.clock.install()
        yield page


def visit(page: Page, url: str) -> Page:
    """Open the page and wait until it is filled."""
    page.goto(url)
    open_first_tab(page)
    expect(page.locator("#tab-audition[role=tabpanel]")).to_be_visible(timeout=TIMEOUT_MILLISECONDS)
    expect(page.locator(".card-chosen")).to_be_attached(timeout=TIMEOUT_MILLISECONDS)
    name_player(page)
    return page


def open_first_tab(page: Page) -> None:
    """Leave the tab that the browser kept from another test."""
    expect(page.locator("#page-title h1")).not_to_be_empty()
    page.locator("#tab-audition-button").click()


def name_player(page: Page) -> None:
    """Make the player accessible as the global `ttsPlayer`; the scripts themselves define no globals."""
    page.evaluate(f"{import_expression('player')}.then(({{ player }}) => {{ window.ttsPlayer = player; }})")


def open_tab(page: Page, name: str, language: str = "en") -> None:
    """Choose a tab as a person does."""
    label = Words().text(f"page.{name}", language)
    page.locator("[role=tablist]").get_by_role("tab", name=label, exact=True).filter(visible=True).click()
    expect(page.locator(f"#tab-{name}[role=tabpanel]")).to_be_visible()


def panel(page: Page, tab: str) -> Locator:
    """What a tab shows, where a role or label is found in a small part of the time that the page takes."""
    return page.locator(f"#tab-{tab}")


def open_dialog(page: Page) -> Locator:
    """The dialog that is in front of the page, if any; by its role it would be sought in the whole page."""
    return page.locator("dialog[open]")


def when_shown(element: Locator) -> Locator:
    """Wait until an element can be seen, and return it for what is expected of it.

    With each try of `expect`, Playwright describes the whole page as long as the element is missing or
    hidden, which takes longer than most of what is waited for. So this, or `Locator.wait_for`, goes before
    where an element is not there at once.
    """
    element.wait_for()
    return element


def resize(page: Page, size: ViewportSize) -> None:
    """Change the size of the screen and wait for the layout."""
    page.set_viewport_size(size)
    wait_for_layout(page)


def wait_for_layout(page: Page) -> None:
    """Wait until what has changed is drawn."""
    page.evaluate(_NEXT_FRAME)


def brightness(page: Page) -> float:
    """Brightness of the page's background, from 0 to 255."""
    colour = page.evaluate("getComputedStyle(document.body).backgroundColor")
    return sum(map(int, re.findall(r"\d+", colour)[:3])) / 3


def set_color_scheme(page: Page, scheme: str) -> None:
    """Emulate the light or the dark colour scheme."""
    page.emulate_media(color_scheme="dark" if scheme == "dark" else "light")
    page.wait_for_function(_TRANSITIONS_DONE)


def accessibility_violations(page: Page, within: str = "html", *, of_colours: bool = False) -> list[str]:
    """Violations found by axe-core, of whatever impact; with `of_colours` only those of colours."""
    if not page.evaluate("'axe' in window"):
        page.evaluate(_AXE)
    page.wait_for_function(_TRANSITIONS_DONE)
    rules = {rule: {"enabled": True} for rule in _OFF_UNLESS_ASKED}
    options: dict[str, object] = {"resultTypes": ["violations"], "rules": rules, "preload": False}
    if of_colours:
        options = {"resultTypes": ["violations"], "runOnly": _OF_COLOURS, "preload": False}
    found = page.evaluate(_RUN_AXE, [within, options])
    return [f"{each['id']}: {[node['html'] for node in each['nodes']]}" for each in found]


def weak_contrasts(page: Page) -> list[str]:
    """Fields and buttons whose border has less contrast than 3:1, or whose placeholder less than 4.5:1."""
    found: list[str] = page.evaluate(_WEAK_CONTRASTS)
    return found
