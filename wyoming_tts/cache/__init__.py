"""Finished segments, so that what was said before is said again at once.

Two tiers of bounded size, the least recently used entry out first: PCM in memory, and files in a
directory, which outlive the process.
"""

from __future__ import annotations

from wyoming_tts.cache.entries import CachedSegment, CacheKey, SegmentRecording
from wyoming_tts.cache.segment_cache import CacheStatistics, SegmentCache

__all__ = ["CacheKey", "CacheStatistics", "CachedSegment", "SegmentCache", "SegmentRecording"]
