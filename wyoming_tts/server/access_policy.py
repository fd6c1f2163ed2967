"""Access policy: which clients may connect over Wyoming and HTTP, changeable at run time."""

from __future__ import annotations

import socket

from wyoming_tts.assembly.options import guard_options
from wyoming_tts.settings import Settings
from wyoming_tts.transports.http.guard import AllowedNetworks, Guard


class AccessPolicy:
    """The allowed networks of both transports and the guard of the HTTP API."""

    def __init__(self, settings: Settings) -> None:
        self._networks = AllowedNetworks(settings.allow_networks)
        self._names = (socket.gethostname(),)
        self.guard = Guard(None, guard_options(settings, self._names))

    def allows(self, address: str) -> bool:
        """Whether clients at that IP address are served."""
        return self._networks.allows(address)

    def replace(self, settings: Settings) -> None:
        """Apply other settings from the next client on.

        Raises:
            ValueError: a value is invalid; the policy stays as it was.
        """
        networks = AllowedNetworks(settings.allow_networks)
        self.guard.reconfigure(guard_options(settings, self._names))
        self._networks = networks
