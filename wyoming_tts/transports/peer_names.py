"""Names of other machines on the network by their addresses, as they tell them over mDNS.

Nothing waits for an answer: a question is sent, and whoever asks again later finds the name. The system's
resolver is not used, as it may block for many seconds and tells a name server outside who is in the house.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping
from ipaddress import ip_address
from itertools import islice
from math import inf
from typing import Final, TypeVar

from zeroconf import (  # type: ignore[attr-defined]  # gaps in __all__
    DNSAddress,
    DNSOutgoing,
    DNSPointer,
    DNSQuestion,
    Zeroconf,
)
from zeroconf.asyncio import AsyncServiceInfo
from zeroconf.const import _CLASS_IN, _FLAGS_QR_QUERY, _TYPE_PTR

HOME_ASSISTANT_TYPE: Final = "_home-assistant._tcp.local."
"""What Home Assistant announces itself as, with the name of its home."""
_ASK_AGAIN: Final = 60.0
"""Seconds after which an address without a name is asked for again."""
_KEPT: Final = 256
"""Addresses at most; the oldest is forgotten first."""
_MAX_RECORDS: Final = 4096
"""Records of the network looked at, which anyone may fill."""
_MAX_LENGTH: Final = 63

_Value = TypeVar("_Value")


class PeerNames:
    """Remembers the names of addresses, and asks for those that it does not know."""

    def __init__(
        self, zeroconf: Callable[[], Zeroconf | None], clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._zeroconf = zeroconf
        self._clock = clock
        self._names: dict[str, str] = {}
        self._asked_at: dict[str, float] = {}

    def __call__(self, addresses: Iterable[str]) -> Mapping[str, str]:
        """Return the names that are known by now; called on the event loop."""
        wanted = dict.fromkeys(islice(filter(_is_of_a_machine, addresses), _KEPT))
        zeroconf = self._zeroconf()
        if wanted and zeroconf is not None:
            self._learn(zeroconf, wanted)
            self._ask(zeroconf, (address for address in wanted if address not in self._names))
        return {address: self._names[address] for address in wanted if address in self._names}

    def _learn(self, zeroconf: Zeroconf, wanted: Iterable[str]) -> None:
        found = _host_names(zeroconf, wanted) | _home_assistants(zeroconf)
        for address in wanted:
            if address in found:
                _remember(self._names, address, found[address])

    def _ask(self, zeroconf: Zeroconf, addresses: Iterable[str]) -> None:
        now, asked = self._clock(), self._asked_at
        due = [address for address in addresses if now - asked.get(address, -inf) >= _ASK_AGAIN]
        if not due:
            return
        question = DNSOutgoing(_FLAGS_QR_QUERY)
        for name in (HOME_ASSISTANT_TYPE, *map(_reverse_name, due)):
            question.add_question(DNSQuestion(name, _TYPE_PTR, _CLASS_IN))
        zeroconf.async_send(question)
        for address in due:
            _remember(asked, address, now)


def _remember(known: dict[str, _Value], key: str, value: _Value) -> None:
    known.pop(key, None)
    known[key] = value
    if len(known) > _KEPT:
        del known[next(iter(known))]


def _is_of_a_machine(address: str) -> bool:
    """Whether it is an address of one other machine: not of a network, a socket file or this machine."""
    try:
        return not ip_address(address).is_loopback
    except ValueError:
        return False


def _reverse_name(address: str) -> str:
    return f"{ip_address(address).reverse_pointer}."


def _host_names(zeroconf: Zeroconf, wanted: Iterable[str]) -> dict[str, str]:
    """Read the host names from the records that were heard."""
    found: dict[str, str] = {}
    for address in wanted:
        for record in zeroconf.cache.get_all_by_details(_reverse_name(address), _TYPE_PTR, _CLASS_IN):
            if isinstance(record, DNSPointer):
                found[address] = _shown(record.alias)
    packed = {ip_address(address).packed: address for address in wanted}
    records = (record for name in zeroconf.cache.names() for record in zeroconf.cache.entries_with_name(name))
    for record in islice(records, _MAX_RECORDS):
        if isinstance(record, DNSAddress) and record.address in packed:
            found.setdefault(packed[record.address], _shown(record.name))
    return {address: name for address, name in found.items() if name}


def _home_assistants(zeroconf: Zeroconf) -> dict[str, str]:
    """Read the addresses of the Home Assistants that were heard, and how they call themselves."""
    found: dict[str, str] = {}
    pointers = zeroconf.cache.get_all_by_details(HOME_ASSISTANT_TYPE, _TYPE_PTR, _CLASS_IN)
    for pointer in islice((each for each in pointers if isinstance(each, DNSPointer)), _KEPT):
        info = AsyncServiceInfo(HOME_ASSISTANT_TYPE, pointer.alias)
        if info.load_from_cache(zeroconf):
            home = _shown(info.decoded_properties.get("location_name") or "")
            name = f"Home Assistant ({home})" if home else "Home Assistant"
            found |= dict.fromkeys(info.parsed_addresses(), name)
    return found


def _shown(name: str) -> str:
    printable = "".join(filter(str.isprintable, name)).rstrip(".").removesuffix(".local")
    return printable[:_MAX_LENGTH]
