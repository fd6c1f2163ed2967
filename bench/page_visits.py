"""Times visits of the page on a machine like this: `python -m bench.page_visits [--before CHECKOUT]`.

Each round starts a server, and a browser with an empty profile for each visit: the first after the start of a
server that never built the page, the first after a restart, a later one, and one by a browser that was here
before. A visit lasts from the address to the first card of a voice, as the page itself sees in each frame:
Playwright's own waiting looks only each half second. `--before` takes turns with another checkout, with a
`.venv` of its own, as other programs may use the machine meanwhile.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from playwright.sync_api import BrowserContext, Page

from bench.page_servers import HERE, Server, chromium, running
from tests.scenarios.process_footprint import footprint_of

_TIMEOUT = 120_000
"""Milliseconds."""
_USABLE = "() => document.querySelector('.card-chosen')?.checkVisibility()"
VISITS = ("first ever", "first after a restart", "later", "again in the same browser")
_MEGABYTE = 1_000_000


def main(argv: Sequence[str] | None = None) -> int:
    """Run all rounds and print the table."""
    parser = argparse.ArgumentParser(prog="python -m bench.page_visits", description=__doc__)
    parser.add_argument("--before", type=Path, metavar="CHECKOUT")
    parser.add_argument("--rounds", type=int, default=5)
    arguments = parser.parse_args(argv)
    checkouts = [*filter(None, [arguments.before]), HERE]
    taken: list[list[Mapping[str, float]]] = [[] for _ in checkouts]
    for _ in range(arguments.rounds):
        for checkout, figures in zip(checkouts, taken, strict=True):
            figures.append(dict(_round(checkout)))
    names = ["before", "now"] if arguments.before else ["now"]
    print(f"| median (least) of {arguments.rounds} | {' | '.join(names)} |")
    print(f"| --- |{' ---: |' * len(names)}")
    for figure in taken[0][0]:
        print(f"| {figure} | {' | '.join(_cell([each[figure] for each in figures]) for figures in taken)} |")
    return 0


def _cell(figures: Sequence[float]) -> str:
    return f"{statistics.median(figures):.2f} ({min(figures):.2f})"


def _round(checkout: Path) -> Iterator[tuple[str, float]]:
    with tempfile.TemporaryDirectory() as state:
        with running(checkout, state=Path(state)) as server:
            idle = _memory(server)
            yield f"{VISITS[0]}, seconds", _visit(server.url)
            yield "memory that the page costs, MB", (_memory(server) - idle) / _MEGABYTE
        with running(checkout, state=Path(state)) as server:
            yield f"{VISITS[1]}, seconds", _visit(server.url)
            yield f"{VISITS[2]}, seconds", _visit(server.url)
            with chromium() as browser, browser.new_context() as context:
                _open(context, server.url)
                sent = _bytes_on_the_wire(context.pages[0])
                yield f"{VISITS[3]}, seconds", _open(context, server.url)
            yield "on the wire for a first visit, kB", sent / 1000


def _visit(url: str) -> float:
    with chromium() as browser, browser.new_context() as context:
        return _open(context, url)


def _open(context: BrowserContext, url: str) -> float:
    page = context.new_page()
    page.set_default_timeout(_TIMEOUT)
    started = time.perf_counter()
    page.goto(url, wait_until="commit")
    page.wait_for_function(_USABLE)
    return time.perf_counter() - started


def _bytes_on_the_wire(page: Page) -> float:
    """Sum up what the page requested, itself included."""
    return float(
        page.evaluate(
            "[...performance.getEntriesByType('navigation'), ...performance.getEntriesByType('resource')]"
            ".reduce((sum, { transferSize }) => sum + transferSize, 0)"
        )
    )


def _memory(server: Server) -> int:
    """Return the memory of the server that is not shared with other programs."""
    return footprint_of(server.pid).private


if __name__ == "__main__":
    sys.exit(main())
