"""Segment cache: finished PCM by everything that decides its sound, so that repeated text is heard at once.

Two bounded LRU tiers: PCM in memory, and files in a directory, which outlive the process. `segment_cache` is
the face of both, `entries` defines keys and values, `lru` the order of eviction; `disk` decides what is
written and evicted, `files` reads and writes.
"""

from __future__ import annotations

from wyoming_tts.cache.entries import CachedSegment, CacheKey, SegmentRecording
from wyoming_tts.cache.segment_cache import CacheStatistics, SegmentCache

__all__ = ["CacheKey", "CacheStatistics", "CachedSegment", "SegmentCache", "SegmentRecording"]
