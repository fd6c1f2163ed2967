"""Segment cache: finished PCM by everything that decides its sound, so that repeated text is heard at once.

Up to three tiers: PCM in memory, files in a directory, which outlive the process, and a server that many
machines share. `segment_cache` is the face of all, `entries` defines keys and values, `entry_format` how they
are written, `lru` the order of eviction; `disk` decides what is written and evicted, `files` reads and
writes; `shared` asks the server within limits, `redis_store` speaks with it.
"""

from __future__ import annotations

from wyoming_tts.cache.entries import CachedSegment, CacheKey, SegmentRecording
from wyoming_tts.cache.segment_cache import CacheStatistics, SegmentCache
from wyoming_tts.cache.shared import SharedStatistics, SharedTier, Store

__all__ = [
    "CacheKey",
    "CacheStatistics",
    "CachedSegment",
    "SegmentCache",
    "SegmentRecording",
    "SharedStatistics",
    "SharedTier",
    "Store",
]
