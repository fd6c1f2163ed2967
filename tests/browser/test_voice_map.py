"""The map of Kokoro voices: labels that can be read, and a dot that moves by touch."""

from __future__ import annotations

import math
from contextlib import suppress
from itertools import combinations

import pytest
from playwright.sync_api import Page, expect

from tests.browser.page_actions import PHONE, open_tab, problems_of, resize, visit
from tests.support.page_site import Site

pytestmark = pytest.mark.filterwarnings("ignore")  # raised by Gradio's dependencies

_GOLDEN_ANGLE = math.pi * (3 - math.sqrt(5))
_BOXES = """(nodes) => nodes.filter((node) => getComputedStyle(node).opacity !== "0")
    .map((node) => { const { left, top, right, bottom } = node.getBoundingClientRect();
                     return [left, top, right, bottom]; })"""

Box = tuple[float, float, float, float]


def crowd(count: int) -> list[dict[str, object]]:
    """Voices in two crowds, as of women and men, the densest in their middle."""
    return [
        {
            "name": f"a{'fm'[i % 2]}_voice{i}",
            "language": "en_US",
            "x": (-0.7, 0.7)[i % 2] + 0.3 * (i / count) * math.cos(i * _GOLDEN_ANGLE),
            "y": 0.5 * (i / count) * math.sin(i * _GOLDEN_ANGLE),
        }
        for i in range(count)
    ]


def overlap(one: Box, other: Box, *, by: float = 1.0) -> bool:
    """Whether boxes overlap by more than lines of text do that stand right below each other."""
    return all(
        min(one[2 + axis], other[2 + axis]) - max(one[axis], other[axis]) > by + 2 * axis for axis in (0, 1)
    )


def open_map(page: Page, site: Site) -> None:
    open_tab(visit(page, site.url), "blend")
    page.locator("#blend-map > summary").click()
    expect(page.locator(".voice-map-dot")).to_be_visible()


def test_no_labels_overlap_and_none_is_cut_off_on_any_screen(page: Page, site: Site) -> None:
    page.route("**/page/blends/map", lambda route: route.fulfill(json=crowd(54)))
    open_tab(visit(page, site.url), "blend")
    page.locator("#blend-map > summary").click()
    for width, height, least in ((320, 640, 15), (390, 844, 25), (924, 900, 45), (1280, 720, 45)):
        resize(page, {"width": width, "height": height})
        area = page.locator(".voice-map").bounding_box()
        assert area is not None
        assert area["height"] <= 0.6 * height
        boxes: list[Box] = page.locator(".voice-map-voice text").evaluate_all(_BOXES)
        assert len(boxes) >= least, (width, len(boxes))
        for left, top, right, bottom in boxes:
            assert area["x"] <= left < right <= area["x"] + area["width"]
            assert area["y"] - 2 <= top < bottom <= area["y"] + area["height"] + 2
        assert [pair for pair in combinations(boxes, 2) if overlap(*pair)] == []


def test_a_map_that_cannot_be_read_is_told_with_another_try_and_too_few_voices_with_a_way_to_more(
    page: Page, site: Site
) -> None:
    failure = {"error": {"message": "The voices cannot be read: it is gone."}}
    page.route("**/page/blends/map", lambda route: route.fulfill(json=failure, status=503))
    open_tab(visit(page, site.url), "blend")
    told = page.locator("#blend-map-away")
    expect(told).to_contain_text("cannot be shown: The voices cannot be read: it is gone.")
    problems_of(page).found.clear()  # the failure that was made
    page.route("**/page/blends/map", lambda route: route.fulfill(json=crowd(2)))
    told.get_by_role("button", name="Try again").click()
    expect(told).to_contain_text("needs at least 3 Kokoro voices that can speak; here: 2.")
    expect(page.locator("#blend-map")).to_be_hidden()
    told.get_by_role("button", name="Get more voices").click()
    expect(page.locator("#tab-voices[role=tabpanel]")).to_be_visible()


TO_THE_MIDDLE = "(it) => it.scrollIntoView({ block: 'center', behavior: 'instant' })"
SCROLLED = "() => { const was = window.top_before; window.top_before = scrollY; return was === scrollY; }"


def touch(page: Page, *path: tuple[float, float]) -> None:
    """Put a finger down where the path begins, move it along, and lift it."""
    finger = page.context.new_cdp_session(page)
    for i, (x, y) in enumerate(path):
        kind = "touchMove" if i else "touchStart"
        finger.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": [{"x": x, "y": y}]})
    finger.send("Input.dispatchTouchEvent", {"type": "touchEnd", "touchPoints": []})


def tap_until_mixed(page: Page, mix: str) -> None:
    """Tap the map at its end; a tap while the page still moves only stops it, and a person taps again."""
    for _ in range(5):
        page.locator(".voice-map").evaluate(TO_THE_MIDDLE)  # a swipe takes it as far as the finger was quick
        area = page.locator(".voice-map").bounding_box()
        assert area is not None
        touch(page, (area["x"] + area["width"] / 2, area["y"] + area["height"] - 30))
        with suppress(AssertionError):
            expect(page.locator("#blend-recipe")).not_to_have_value(mix, timeout=3000)
            return
    raise AssertionError(f"The mix is still {mix} after five taps.")


def test_a_finger_scrolls_the_page_on_the_map_and_moves_the_dot_by_a_tap_or_to_a_voice(
    page: Page, site: Site
) -> None:
    resize(page, PHONE)
    open_map(page, site)
    page.locator(".voice-map").scroll_into_view_if_needed()
    expect(page.locator("#blend-recipe")).not_to_be_empty()
    mix = page.locator("#blend-recipe").input_value()
    area = page.locator(".voice-map").bounding_box()
    assert area is not None
    at, below = (area["x"] + area["width"] / 2, area["y"] + area["height"] - 30), page.evaluate("scrollY")
    touch(page, *((at[0], at[1] - 20 * i) for i in range(8)))
    page.wait_for_function("(below) => scrollY > below + 50", arg=below)
    page.wait_for_function(SCROLLED, polling=100)  # a finger put down before only stops it
    expect(page.locator("#blend-recipe")).to_have_value(mix)
    tap_until_mixed(page, mix)
    page.keyboard.press("Escape")
    page.locator(".voice-map").scroll_into_view_if_needed()
    start, end = (
        page.locator(place).bounding_box() for place in (".voice-map-dot", "g:has-text('Sky') circle")
    )
    assert start is not None
    assert end is not None
    touch(page, *((box["x"] + box["width"] / 2, box["y"] + box["height"] / 2) for box in (start, end)))
    expect(page.locator("#blend-recipe")).to_have_value("af_sky(100)")
    expect(page.locator(".voice-map-mix")).to_have_text("Sky")
    page.wait_for_function("ttsPlayer.body?.voice.startsWith('af_sky')")
    page.keyboard.press("Escape")
    page.evaluate("localStorage.clear()")
