"""Counts clicks and measures seconds of a user's tasks: `python -m bench.page_tasks --before CHECKOUT`.

The checkout is one of before the Listen tab (its last commit is 92b1ecc), with a `.venv` of its own. Servers
and rounds alternate, each task starts on a freshly opened page, and every round has a text of its own. The
seconds are the machine's, not a person's: each step is done as soon as the page lets one.

A task that fails is told on the standard error, and the others are measured still; the exit code is 1 then.
Each round is told there too: on a busy machine the whole takes many minutes.
"""

from __future__ import annotations

import argparse
import signal
import statistics
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from types import FrameType, MappingProxyType

from playwright.sync_api import Browser, Error

from bench.page_servers import GERMAN, HERE, chromium, server
from tests.scenarios import page_tasks
from tests.scenarios.page_tasks import Pointer

Task = Callable[[Pointer, int], object]
"""What is done in one round, which has a number."""
_TIMEOUT = 60_000
"""Milliseconds."""


def _text(round_: int) -> str:
    return f"Good evening, this is number {round_}."


def _choose_in_list(hand: Pointer, voice: str) -> None:
    """Choose in the Preview tab's list of voices, which is searched by typing."""
    hand.write("#preview-voice input", voice)
    hand.click(hand.page.locator("#preview-voice").get_by_role("option", name=voice).last)


def _hear_first_sound_before(hand: Pointer, text: str, voice: str) -> None:
    hand.write("#preview-text textarea", text)
    _choose_in_list(hand, voice)
    hand.click("#preview-speak")
    hand.page.locator("[data-state=playing], [data-state=done]").first.wait_for()


def _find_best_before(hand: Pointer, text: str, voices: Sequence[str]) -> None:
    hand.write("#preview-text textarea", text)
    for voice in voices:
        _choose_in_list(hand, voice)
        with hand.hearing():
            hand.click("#preview-speak")
    _make_default_before(hand, voices[-1])


def _make_default_before(hand: Pointer, voice: str) -> None:
    hand.click("#tab-voices-button")
    with hand.page.expect_response("**/default"):
        hand.click(hand.page.get_by_role("button", name=f"Make {voice} the default voice"))


def _keep_blend_before(hand: Pointer, name: str) -> None:
    hand.click("#tab-blend-button")
    pickers = hand.page.locator("#blend-rows select")
    pickers.nth(1).wait_for()
    values = pickers.first.locator("option").evaluate_all("(options) => options.map(({ value }) => value)")
    hand.choose(pickers.nth(0), values[0])
    hand.choose(pickers.nth(1), values[1])
    hand.click("#blend-fade")
    with hand.hearing():
        hand.click("#blend-hear")
    hand.write("#blend-name", name)
    hand.click("#blend-keep")
    hand.page.locator(f"#blend-list [data-name={name}]").wait_for()
    _make_default_before(hand, name)


def _save_with_captions_before(hand: Pointer, text: str) -> None:
    hand.write("#preview-text textarea", text)
    with hand.hearing():
        hand.click("#preview-speak")
    for kind in ("mp3", "srt"):
        with hand.page.expect_download():
            hand.click(f"#preview-{kind}")


TASKS: Mapping[str, tuple[Task, Task]] = MappingProxyType(
    {
        "first sound of an own sentence, by a voice of one's choice": (
            lambda hand, i: _hear_first_sound_before(hand, _text(i), GERMAN[1]),
            lambda hand, i: page_tasks.hear_first_sound(hand, _text(i), GERMAN[1]),
        ),
        "a sentence heard, and saved with captions": (
            lambda hand, i: _save_with_captions_before(hand, _text(i)),
            lambda hand, i: page_tasks.save_with_captions(hand, _text(i), GERMAN[0]),
        ),
        "best of five German voices, made the default": (
            lambda hand, i: _find_best_before(hand, _text(i), _voices_of(i)),
            lambda hand, i: page_tasks.find_best(hand, _text(i), _voices_of(i)),
        ),
        "a blend kept, and made the default for Home Assistant": (
            lambda hand, i: _keep_blend_before(hand, f"of_round_{i}"),
            lambda hand, i: page_tasks.keep_blend(hand, f"of_round_{i}"),
        ),
    }
)
"""Each task on the page before and on that of this checkout; the last two change the default voice."""


def _voices_of(round_: int) -> Sequence[str]:
    """The five voices; another one is the last, and so the best, in each round."""
    at = round_ % len(GERMAN)
    return GERMAN[at:] + GERMAN[:at]


def main(argv: Sequence[str] | None = None) -> int:
    """Run all rounds and print the table."""
    parser = argparse.ArgumentParser(prog="python -m bench.page_tasks", description=__doc__)
    parser.add_argument("--before", type=Path, required=True, metavar="CHECKOUT")
    parser.add_argument("--rounds", type=int, default=3)
    arguments = parser.parse_args(argv)
    signal.signal(signal.SIGTERM, _end)
    has_failed = False
    with ExitStack() as stack:
        urls = [stack.enter_context(server(checkout)) for checkout in (arguments.before, HERE)]
        browser = stack.enter_context(chromium())
        print("| task | clicks before | after | seconds before | after | ratio |")
        print("| --- | ---: | ---: | ---: | ---: | ---: |")
        for name, tasks in TASKS.items():
            try:
                print(_row(name, _measure(browser, urls, tasks, arguments.rounds)), flush=True)
            except (Error, AssertionError) as error:
                has_failed = True
                _tell(f"{name}: {error}")
                print(f"| {name} | failed | | | | |", flush=True)
    return 1 if has_failed else 0


def _end(_number: int, _frame: FrameType | None) -> None:
    """End by an exception, so that the servers end too."""
    raise SystemExit("It was ended before all tasks were measured.")


def _tell(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def _measure(
    browser: Browser, urls: Sequence[str], tasks: tuple[Task, Task], rounds: int
) -> list[list[tuple[int, float]]]:
    """Return clicks and seconds of each round, before and after; the first round only warms up."""
    taken: list[list[tuple[int, float]]] = [[], []]
    for round_ in range(rounds + 1):
        for i in (0, 1) if round_ % 2 else (1, 0):
            outcome = _run(browser, urls[i], tasks[i], round_)
            _tell(f"round {round_}, {('before', 'after')[i]}: {outcome[0]} clicks, {outcome[1]:.2f} s")
            if round_:
                taken[i].append(outcome)
    return taken


def _run(browser: Browser, url: str, task: Task, round_: int) -> tuple[int, float]:
    with browser.new_context(locale="en-GB", accept_downloads=True) as context:
        page = context.new_page()
        page.set_default_timeout(_TIMEOUT)
        page.goto(url)
        page.locator(".card-chosen, #preview-speak:not([disabled])").first.wait_for()
        hand = Pointer(page)
        started = time.perf_counter()
        task(hand, round_)
        return hand.clicks, time.perf_counter() - started


def _row(name: str, taken: Sequence[Sequence[tuple[int, float]]]) -> str:
    clicks = [max(clicks for clicks, _ in each) for each in taken]
    seconds = [statistics.median(seconds for _, seconds in each) for each in taken]
    ratio = seconds[1] / seconds[0]
    return f"| {name} | {clicks[0]} | {clicks[1]} | {seconds[0]:.2f} | {seconds[1]:.2f} | {ratio:.2f} |"


if __name__ == "__main__":
    sys.exit(main())
