"""HAProxy's agent-check: a TCP port that tells a load balancer how much it should send here.

Whoever connects is sent one line and nothing is read: `ready 80%` is the share of its usual weight that the
server should have, `drain` that it should get nobody new while those that it serves go on.
"""

from __future__ import annotations

import asyncio
import logging
import socket
from collections.abc import Callable
from functools import partial

from wyoming_tts.blocking import RunBlocking
from wyoming_tts.errors import SpeechError
from wyoming_tts.transports.accepting import Acceptor
from wyoming_tts.transports.connection_limits import ConnectionLimits, ConnectionSlot
from wyoming_tts.transports.listening import ListenAddress, bind_tcp

MIN_WEIGHT = 1
"""Percent of a server that should get nobody while others have room. With 0 for all of them HAProxy would
refuse everybody, where the servers have a queue."""

_HALVING_WAIT = 0.25
"""Seconds of predicted wait that halve the weight: a wait is heard, unlike a share of the machine."""
_LIMITS = ConnectionLimits(64, 16)
_LOGGER = logging.getLogger(__name__)


def agent_weight(share: float, wait: float) -> int:
    """Return the weight of a server, in percent.

    Args:
        share: Share of the machine that its streams take.
        wait: Seconds for which they delay another one.
    """
    free = max(0.0, 1.0 - share) / (1.0 + max(0.0, wait) / _HALVING_WAIT)
    return max(MIN_WEIGHT, min(100, round(100 * free)))


class AgentCheckServer:
    """Sends each client a line and closes the connection."""

    def __init__(
        self, line: Callable[[], str], *, run_blocking: RunBlocking, allow: Callable[[str], bool]
    ) -> None:
        """Create a server that does not listen yet.

        Args:
            line: Returns the line that is sent, without its end.
            run_blocking: Runs the resolution of the host's name.
            allow: Whether an IP address may connect.
        """
        self._line = line
        self._run_blocking = run_blocking
        self._acceptor = Acceptor(_LIMITS, serve=self._send, refusal=_say_nothing, allow=allow)

    def __repr__(self) -> str:
        return f"<AgentCheckServer bound={self.bound}>"

    @property
    def bound(self) -> list[tuple[str, int]]:
        """The (host, port) of each listening socket."""
        return [each.getsockname()[:2] for each in self._acceptor.sockets]

    async def start(self, host: str, port: int) -> None:
        """Listen on an address.

        Raises:
            OSError: it cannot be listened on, for example because another process does.
        """
        address = ListenAddress("tcp", host, port)
        self._acceptor.listen(await self._run_blocking(partial(bind_tcp, address)))

    async def serve(self, host: str, port: int) -> None:
        """Listen until cancelled; a failure is logged, and the server goes on without."""
        try:
            await self.start(host, port)
        except OSError as error:
            why = error.strerror or error
            _LOGGER.warning("The load balancer's agent cannot listen on port %d: %s.", port, why)
            return
        _LOGGER.info("The load balancer's agent listens on port %d.", self.bound[0][1])
        try:
            await asyncio.Event().wait()
        finally:
            await self.close()

    async def close(self) -> None:
        """Stop listening."""
        await self._acceptor.close()

    async def _send(self, sock: socket.socket, _slot: ConnectionSlot) -> None:
        with sock:
            # A line fits into an empty send buffer, so this waits for nobody.
            await asyncio.get_running_loop().sock_sendall(sock, f"{self._line()}\n".encode())


def _say_nothing(_: SpeechError) -> bytes:
    return b""
