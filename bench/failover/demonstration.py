"""Replicas behind HAProxy: `script/show-replicas [--model VOICE.onnx]`.

Three servers that share a cache, a real Redis, run behind a real HAProxy with the configuration of
deploy/compose. Scene by scene it is told what was measured, and whether what is promised holds.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
import tempfile
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from types import MappingProxyType

from bench.failover.cluster import Cluster, DemonstrationFailed, run_cluster
from bench.failover.losses import show_losses
from bench.failover.placement import show_affinity, show_busy_server, show_passing, show_shared_cache
from bench.failover.report import Report

_SCENES: Mapping[str, Callable[[Cluster, Report], Awaitable[None]]] = MappingProxyType(
    {
        "passing": show_passing,
        "affinity": show_affinity,
        "cache": show_shared_cache,
        "busy": show_busy_server,
        "losses": show_losses,
    }
)


async def demonstrate(model: Path | None, scenes: list[str]) -> int:
    """Show the scenes; returns the number of broken promises."""
    report = Report()
    report.scene("Three servers start")
    with tempfile.TemporaryDirectory(prefix="replicas-") as name:
        async with run_cluster(model, Path(name)) as cluster:
            voice = model.stem if model else "a test voice"
            report.check(len(cluster.replicas) == 3, f"3 servers run behind HAProxy; {voice} speaks")  # noqa: PLR2004
            for scene in scenes:
                await _SCENES[scene](cluster, report)
            report.scene("The end. What HAProxy said meanwhile:")
            for line in cluster.balancer.news:
                report.measured(line)
    return report.broken


def main() -> int:
    """Run the demonstration; 1 if a promise is broken."""
    parser = argparse.ArgumentParser(prog="script/show-replicas", description=__doc__)
    parser.add_argument(
        "--model", type=Path, help="a Piper voice (NAME.onnx) to speak with; else one of the tests'"
    )
    parser.add_argument("--only", choices=list(_SCENES), help="one scene; all if left out")
    arguments = parser.parse_args()
    model = arguments.model.resolve() if arguments.model else None
    scenes = [arguments.only] if arguments.only else list(_SCENES)
    try:
        broken = asyncio.run(demonstrate(model, scenes))
    except DemonstrationFailed as error:
        print(f"BROKEN {error}")
        return 1
    print(f"\n{broken} promises are broken." if broken else "\nEvery promise holds.")
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main())
