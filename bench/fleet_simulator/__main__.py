"""Simulates a fleet and prints what its listeners hear.

Usage: python -m bench.fleet_simulator --replicas 360 --listeners 10000
       python -m bench.fleet_simulator --table law
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from bench.fleet_simulator.autoscaling import ScalingRule
from bench.fleet_simulator.balancing import POLICIES
from bench.fleet_simulator.cases import TABLES, Case, CaseMaker
from bench.fleet_simulator.costs import COSTS, Costs, read_costs
from bench.fleet_simulator.figures import HEAD, figures_of, render_row
from bench.fleet_simulator.fleet import Event, Happening, run_fleet
from bench.fleet_simulator.traffic import Shape


def main(argv: Sequence[str] | None = None) -> int:
    """Simulate and print."""
    arguments = _parser().parse_args(argv)
    costs = read_costs(arguments.costs)
    cases = TABLES[arguments.table](costs) if arguments.table else [_case(arguments, costs)]
    print(HEAD)
    began, came = time.process_time(), 0
    for case in cases:
        run = run_fleet(
            case.options, case.traffic.arrivals(arguments.seed), events=case.events, seed=arguments.seed
        )
        came += run.outcomes.total()
        print(render_row(case.name, case.options, figures_of(case.options, case.traffic, run)), flush=True)
    print(f"\n{came:,} listeners in {time.process_time() - began:.0f} s of processor time")
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("--table", choices=list(TABLES), help="a table of docs/scaling.md; the flags below do not apply")
    add("--costs", type=Path, default=COSTS, help="what speech costs (default: as measured for this project)")
    add("--seed", type=int, default=1)
    add("--replicas", type=int, default=4)
    add("--cores", type=int, default=4, help="of each (default: %(default)s)")
    add("--listeners", type=float, default=100.0, help="at the same time, on average (default: 100)")
    add("--seconds", type=float, default=30.0, help="of traffic (default: 30)")
    add("--sample", type=int, default=8, help="replicas simulated with the real code (default: 8)")
    add("--voice", default="piper", help="of the costs (default: %(default)s)")
    add("--format", default="pcm", help="of the costs (default: %(default)s)")
    add("--voices", type=int, default=1, help="that are asked for, by Zipf's law (default: 1)")
    add("--models", type=int, default=3, help="that a replica keeps in memory (default: 3)")
    add(
        "--policy",
        choices=POLICIES,
        default="eight choices",
        help="default: that of deploy/compose/haproxy.cfg",
    )
    add("--no-agents", action="store_true", help="have replicas not tell their load")
    add("--repeated", type=float, default=0.0, help="share of texts that are among a hundred known ones")
    add("--cache", type=float, default=0.0, help="seconds of speech that each keeps in memory")
    add("--shared-cache", action="store_true", help="have all share a cache behind that")
    add("--burst", type=int, default=0, help="listeners who get an announcement, every 10 s")
    add("--day", action="store_true", help="let the traffic change as in a day, in the time simulated")
    add("--paced", action="store_true", help="let listeners read at playing speed")
    add("--retry-refused", action="store_true", help="send whoever is refused to another (busy_status: 503)")
    add("--kill", type=float, help="kill the first replica after so many seconds")
    add("--drain", type=float, help="tell it to stop after so many seconds")
    add("--autoscale", action="store_true", help="by deploy/kubernetes/keda.yaml")
    return parser


def _case(arguments: argparse.Namespace, costs: Costs) -> Case:
    happenings = ((arguments.kill, Happening.KILLED), (arguments.drain, Happening.DRAINED))
    maker = CaseMaker(
        costs=costs,
        replicas=arguments.replicas,
        cores=arguments.cores,
        per_core=arguments.listeners / (arguments.replicas * arguments.cores),
        voice=arguments.voice,
        audio_format=arguments.format,
        voices=arguments.voices,
        models=arguments.models,
        policy=arguments.policy,
        agent_poll=None if arguments.no_agents else 1.0,
        seconds=arguments.seconds,
        sample=arguments.sample,
        repeated=arguments.repeated,
        cache_seconds=arguments.cache,
        has_shared_cache=arguments.shared_cache,
        retries_refused=arguments.retry_refused,
        burst_listeners=arguments.burst,
        is_paced=arguments.paced,
        shape=Shape.DAY if arguments.day else Shape.STEADY,
        rule=ScalingRule(start_seconds=costs.start_seconds) if arguments.autoscale else None,
        events=[Event(at, happening, 0) for at, happening in happenings if at is not None],
    )
    return maker.make(f"{arguments.listeners:,g} listeners")


if __name__ == "__main__":
    sys.exit(main())
