"""Measures what pictures cost while speech plays: `python -m bench.page_pictures [--before CHECKOUT]`.

It plays in Chromium with the spectrogram unfolded and counts gaps in playback, and tasks of the main thread
of more than 50 ms (the browser's Long Tasks API). `--before` adds those of a checkout of before the Listen
tab (its last commit is 92b1ecc), whose Preview tab drew the pictures on the main thread.
"""

from __future__ import annotations

import argparse
import statistics
import sys
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

from playwright.sync_api import Page

from bench.page_servers import HERE, chromium, server

_WATCH = """
window.longTasks = [];
new PerformanceObserver((list) => {
  for (const { startTime, duration } of list.getEntries()) window.longTasks.push([startTime, duration]);
}).observe({ type: "longtask", buffered: false });
"""
_NAME_PLAYER = """async () => {
  const { href } = document.querySelector('link[rel=modulepreload][href$="/first.js"]');
  window.ttsPlayer = (await import(new URL("player.js", href))).player;
}"""
"""The scripts themselves define no globals."""
_SENTENCES = "Play number {}: the kettle is on, and the sun is about to rise. We leave at twenty past eight."
_PLAYS_BEFORE = 6
_TIMEOUT = 120_000
"""Milliseconds."""


def main(argv: Sequence[str] | None = None) -> int:
    """Play and print; 1 if there was a gap."""
    parser = argparse.ArgumentParser(prog="python -m bench.page_pictures", description=__doc__)
    parser.add_argument("--before", type=Path, metavar="CHECKOUT")
    parser.add_argument("--voices", type=Path, metavar="DIRECTORY", help="real voices, to be copied")
    parser.add_argument("--plays", type=int, default=20)
    arguments = parser.parse_args(argv)
    with ExitStack() as stack:
        browser = stack.enter_context(chromium())
        if arguments.before:
            url = stack.enter_context(server(arguments.before, arguments.voices))
            _measure_before(_open(browser.new_page(), url), min(arguments.plays, _PLAYS_BEFORE))
        url = stack.enter_context(server(HERE, arguments.voices))
        return int(_measure(_open(browser.new_page(), url), arguments.plays) > 0)


def _open(page: Page, url: str) -> Page:
    page.set_default_timeout(_TIMEOUT)
    page.add_init_script(_WATCH)
    page.goto(url)
    page.locator(".card-chosen, #preview-speak:not([disabled])").first.wait_for()
    return page


def _measure_before(page: Page, plays: int) -> None:
    longest = []
    for i in range(plays):
        page.locator("#preview-text textarea").fill(_SENTENCES.format(i))
        page.evaluate("window.longTasks.length = 0")
        with page.expect_response("**/v1/audio/speech"):
            page.locator("#preview-speak").click()
        page.locator("[data-state=done]").first.wait_for()
        page.wait_for_timeout(500)
        longest.append(_longest_task(page))
    _report("before", longest)


def _measure(page: Page, plays: int) -> int:
    page.evaluate(_NAME_PLAYER)
    longest, gaps = [], 0
    for i in range(plays):
        page.locator("#audition-text").fill(_SENTENCES.format(i))
        page.evaluate("window.longTasks.length = 0")
        with page.expect_response("**/v1/audio/speech"):
            page.locator("#audition-text").press("Control+Enter")
        if i == 0:
            page.locator("#player-bar [data-part=unfold]").click()
        page.locator("#player-bar [data-state=done]").wait_for()
        page.locator("#player-bar [data-drawable]").wait_for()
        page.wait_for_timeout(500)
        longest.append(_longest_task(page))
        gaps += page.evaluate("ttsPlayer.stats.underruns")
    _report("now", longest)
    print(f"gaps heard in {plays} plays with the spectrogram unfolded: {gaps}")
    return gaps


def _longest_task(page: Page) -> float:
    return float(page.evaluate("Math.max(0, ...window.longTasks.map(([, duration]) => duration))"))


def _report(when: str, longest: Sequence[float]) -> None:
    print(
        f"{when}: longest task of the main thread in a play, in milliseconds: "
        f"median {statistics.median(longest):.0f}, from {min(longest):.0f} to {max(longest):.0f}",
        flush=True,
    )


if __name__ == "__main__":
    sys.exit(main())
