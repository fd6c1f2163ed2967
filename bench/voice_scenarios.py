"""Runs the voice scenarios in a terminal, with real servers and files: `script/show-voices [SCENARIO ...]`.

The scenarios are those of the tests; here each prints its steps and checks, and their durations are checked
too. The exit code is 1 if one fails.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import sys
import time
from collections.abc import Sequence
from functools import partial

from tests.scenarios.environment import make_directory
from tests.scenarios.voices import NEEDS_TMPFS, SCENARIOS, open_environment


async def _show(name: str) -> str:
    """Run one scenario; returns "shown", "skipped", or why it failed."""
    print(f"\n=== {name}: {(SCENARIOS[name].__doc__ or '').splitlines()[0]}")
    started = time.monotonic()
    with make_directory(tmpfs=name in NEEDS_TMPFS) as directory:
        if directory is None:
            print("    skipped: a tmpfs may not be mounted here (it needs root)")
            return "skipped"
        async with open_environment(directory, partial(print, flush=True), check_durations=True) as env:
            try:
                await SCENARIOS[name](env)
            except (AssertionError, TimeoutError) as failure:
                return f"NOT SHOWN: {str(failure) or 'it took too long'}"
    return f"shown ({time.monotonic() - started:.1f} s)"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the scenarios one after the other; 1 if one of them failed."""
    parser = argparse.ArgumentParser(prog="script/show-voices", description=(__doc__ or "").split("\n\n")[1])
    parser.add_argument("scenario", nargs="*", default=list(SCENARIOS), help=", ".join(SCENARIOS))
    names = parser.parse_args(arguments).scenario
    if unknown := set(names) - SCENARIOS.keys():
        parser.error(f"no such scenario: {', '.join(sorted(unknown))}")
    os.environ["NO_PROXY"] = os.environ["no_proxy"] = "127.0.0.1"
    outcomes = {name: asyncio.run(_show(name)) for name in names}
    print("\n=== outcome")
    for name, outcome in outcomes.items():
        print(f"    {name:<14}{outcome}")
    return int(any(outcome.startswith("NOT") for outcome in outcomes.values()))


if __name__ == "__main__":
    sys.exit(main())
