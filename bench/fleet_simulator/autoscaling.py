"""Autoscaling as KEDA and the HorizontalPodAutoscaler do it, by the rule of deploy/kubernetes/keda.yaml.

As many replicas as there is computing and waiting: the greater of both wishes, up quickly and down slowly.
Times are arguments.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from math import ceil, inf


@dataclass(frozen=True, slots=True)
class ScalingRule:
    """The figures of keda.yaml."""

    least: int = 2
    most: int = 24
    poll: float = 10.0
    rate_over: float = 60.0
    """Seconds over which computing is averaged."""
    computing: float = 2.5
    """Seconds of computing a second, for each replica."""
    waiting: float = 2.0
    """Streams that wait, for each replica."""
    up: int = 4
    up_every: float = 30.0
    up_after: float = 15.0
    down: int = 1
    down_every: float = 60.0
    down_after: float = 300.0
    start_seconds: float = 20.0
    """From the wish for a replica to its first listener: scheduling, the container's start, the model."""


@dataclass(slots=True)
class Autoscaler:
    """Wishes of the last minutes, and what was changed when."""

    rule: ScalingRule
    _counted: deque[tuple[float, float]] = field(default_factory=deque)
    _wishes: deque[tuple[float, int]] = field(default_factory=deque)
    _up_at: float = -inf
    _down_at: float = -inf

    def change(self, now: float, *, replicas: int, computed: float, queued: int) -> int:
        """Return by how many replicas the fleet grows, or shrinks.

        Args:
            now: The time.
            replicas: How many there are, with those that start.
            computed: The sum of their counters of seconds computed.
            queued: Streams that wait for a place, on all of them.
        """
        rule = self.rule
        wish = ceil(max(self._rate(now, computed) / rule.computing, queued / rule.waiting))
        wish = min(rule.most, max(rule.least, wish))
        self._wishes.append((now, wish))
        while self._wishes[0][0] < now - rule.down_after:
            self._wishes.popleft()
        # To grow, the lowest wish of the last seconds counts; to shrink, the highest of the last minutes.
        grow = min(wish for at, wish in self._wishes if at >= now - rule.up_after) - replicas
        shrink = replicas - max(wish for _, wish in self._wishes)
        if grow > 0 and now >= self._up_at + rule.up_every:
            self._up_at = now
            return min(grow, rule.up)
        if shrink > 0 and now >= self._down_at + rule.down_every:
            self._down_at = now
            return -min(shrink, rule.down)
        return 0

    def _rate(self, now: float, computed: float) -> float:
        self._counted.append((now, computed))
        while self._counted[0][0] < now - self.rule.rate_over:
            self._counted.popleft()
        since, before = self._counted[0]
        return (computed - before) / (now - since) if now > since else 0.0
