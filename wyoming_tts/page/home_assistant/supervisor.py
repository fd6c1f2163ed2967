"""Access to Home Assistant through the Supervisor's proxy, which an add-on with `homeassistant_api` has."""

from __future__ import annotations

from collections.abc import MutableMapping
from dataclasses import dataclass, field
from urllib.parse import urlsplit

_TOKEN = "SUPERVISOR_TOKEN"  # noqa: S105 - the name of a variable
_FORMER_TOKEN = "HASSIO_TOKEN"  # noqa: S105
_ADDRESS = "SUPERVISOR_URL"
_DEFAULT_ADDRESS = "http://supervisor"


@dataclass(frozen=True, slots=True)
class SupervisorAccess:
    """The Supervisor's address, and the token by which it knows the add-on."""

    address: str
    token: str = field(repr=False)

    @classmethod
    def take(cls, environment: MutableMapping[str, str]) -> SupervisorAccess | None:
        """Take it out of the environment, so that no child process inherits it; None outside of an add-on."""
        token = environment.pop(_TOKEN, "")
        environment.pop(_FORMER_TOKEN, None)
        return cls(environment.get(_ADDRESS) or _DEFAULT_ADDRESS, token) if token else None

    @property
    def websocket(self) -> str:
        """The address of Home Assistant's WebSocket API."""
        parts = urlsplit(self.address)
        scheme = "wss" if parts.scheme == "https" else "ws"
        return f"{scheme}://{parts.netloc}{parts.path.rstrip('/')}/core/websocket"
