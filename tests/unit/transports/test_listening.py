"""Options of listening and accepted sockets."""

from __future__ import annotations

import socket

import pytest

from wyoming_tts.transports.listening import ListenAddress, bind_tcp


@pytest.mark.parametrize("uri", ["tcp://127.0.0.1:0", "tcp://[::]:0"])
def test_accepted_connections_disable_nagles_algorithm(uri: str) -> None:
    if "::" in uri and not socket.has_dualstack_ipv6():
        pytest.skip("there is no IPv6 here")
    (listening,) = bind_tcp(ListenAddress.parse(uri))
    with listening, socket.create_connection(("127.0.0.1", listening.getsockname()[1])):
        accepted, _ = listening.accept()
        with accepted:
            assert accepted.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
