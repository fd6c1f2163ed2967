"""Simulates the scenarios under each policy, prints the figures and draws them.

Usage: python -m bench.scheduling_simulator [--scenario alone] [--policy "at once"] [--plot FILE.svg]
"""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path

from bench.scheduling_simulator.figures import figures_of
from bench.scheduling_simulator.report import draw, render_row, render_table
from bench.scheduling_simulator.scenarios import all_scenarios
from bench.scheduling_simulator.simulation import POLICIES, simulate


def main() -> int:
    """Simulate, print, draw."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--scenario", action="append", help="only those whose name has this in it")
    parser.add_argument("--policy", action="append", choices=[policy.name for policy in POLICIES])
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--plot", type=Path, help="draw the figures into this SVG file")
    arguments = parser.parse_args()
    began = time.perf_counter()
    figures = []
    print(render_table([]))
    for scenario in all_scenarios():
        if not any(part in scenario.name for part in arguments.scenario or [""]):
            continue
        for policy in POLICIES:
            if policy.name in (arguments.policy or [policy.name]):
                listenings = simulate(scenario, policy, seed=arguments.seed)
                figures.append(figures_of(scenario, policy, listenings))
                print(render_row(figures[-1]), flush=True)
    utterances = sum(each.utterances for each in figures)
    print(f"\n{utterances:,} utterances in {time.perf_counter() - began:.0f} s")
    if arguments.plot:
        arguments.plot.write_text(draw(figures), "utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
