"""File descriptors: the process's limit, raised to what connections need, with some kept for all else.

Without descriptors a server can neither read a voice nor start a phonemizer, so connections must never take
them all: where the system allows too few, fewer connections are accepted.
"""

from __future__ import annotations

import logging
import resource

from wyoming_tts.settings import Settings

RESERVED = 256
"""Descriptors for what is not a client: libraries, models, files, child processes with three pipes each,
downloads, zeroconf, other servers, and clients that are being refused."""
_PORTS = 2
"""Wyoming, and HTTP with the page."""
_MIN_CONNECTIONS = 8

_LOGGER = logging.getLogger(__name__)


def reserve_descriptors(settings: Settings) -> Settings:
    """Raise this process's soft limit as far as needed, and lower `max_connections` to what fits."""
    wanted = _PORTS * settings.max_connections + RESERVED
    limit = _raise_limit(wanted)
    if limit >= wanted:
        return settings
    fitting = max(_MIN_CONNECTIONS, (limit - RESERVED) // _PORTS)
    _LOGGER.warning(
        "The system allows %s open files, too few for max_connections=%s: at most %s connections to a port "
        "are accepted. Raise the hard limit (LimitNOFILE= of systemd, --ulimit nofile= of a container).",
        limit,
        settings.max_connections,
        fitting,
    )
    return settings.model_copy(
        update={
            "max_connections": fitting,
            "max_connections_per_peer": min(fitting, settings.max_connections_per_peer),
        }
    )


def _raise_limit(wanted: int) -> int:
    """Raise the soft limit to what is wanted, at most to the hard one, and return it; never lower it."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY or soft >= wanted:
        return wanted
    limit = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (limit, hard))
    except (OSError, ValueError):  # macOS allows fewer than it says
        return soft
    return limit
