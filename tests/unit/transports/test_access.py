"""Whom an address counts for."""

from __future__ import annotations

import pytest

from wyoming_tts.transports.access import subscriber


@pytest.mark.parametrize(
    ("address", "counts_for"),
    [
        ("192.168.1.7", "192.168.1.7"),
        ("::ffff:192.168.1.7", "192.168.1.7"),
        ("2001:db8::5", "2001:db8::/64"),
        ("2001:db8::ffff:1", "2001:db8::/64"),
        ("fe80::5%eth0", "fe80::/64"),
        ("", ""),
    ],
)
def test_an_address_counts_for_its_subscriber(address: str, counts_for: str) -> None:
    assert subscriber(address) == counts_for
