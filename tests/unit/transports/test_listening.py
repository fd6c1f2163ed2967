"""Sockets as the servers get them."""

from __future__ import annotations

import socket

import pytest

from wyoming_tts.transports.listening import ListenAddress, bind_tcp


@pytest.mark.parametrize("uri", ["tcp://127.0.0.1:0", "tcp://[::]:0"])
def test_small_writes_of_an_accepted_connection_do_not_wait_for_each_other(uri: str) -> None:
    if "::" in uri and not socket.has_dualstack_ipv6():
        pytest.skip("there is no IPv6 here")
    (listening,) = bind_tcp(ListenAddress.parse(uri))
    with listening, socket.create_connection(("127.0.0.1", listening.getsockname()[1])):
        accepted, _ = listening.accept()
        with accepted:
            assert accepted.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
