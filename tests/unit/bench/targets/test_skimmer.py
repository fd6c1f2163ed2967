from __future__ import annotations

import asyncio
import itertools
from collections.abc import Generator

import pytest
from hypothesis import given
from hypothesis import strategies as st
from wyoming.audio import AudioChunk, AudioStart, AudioStop
from wyoming.event import Event, async_write_event

from tests.support.line_counting import count_lines
from wyoming_tts.bench.targets.skimmer import EventSkimmer, SkimmedEvent, open_wyoming_connection
from wyoming_tts.client import ClientError
from wyoming_tts.wyoming_framing import ProtocolError

TEXT = st.text(max_size=20)
EVENTS = st.lists(
    st.builds(
        Event,
        type=st.sampled_from(["audio-chunk", "info", "x"]),
        data=st.dictionaries(TEXT, st.one_of(st.integers(-9, 9), TEXT), max_size=3),
        payload=st.one_of(st.none(), st.binary(min_size=1, max_size=50)),
    ),
    max_size=6,
)


class Sink:
    """The part of StreamWriter that async_write_event uses."""

    def __init__(self) -> None:
        self.data = bytearray()

    def write(self, data: bytes) -> None:
        self.data += data

    def writelines(self, data: tuple[bytes, ...]) -> None:
        self.data += b"".join(data)

    async def drain(self) -> None:
        pass


def encode_with_wyoming(*events: Event) -> bytes:
    """Encode events with the wyoming package."""

    async def write() -> bytes:
        sink = Sink()
        for event in events:
            await async_write_event(event, sink)  # type: ignore[arg-type]
        return bytes(sink.data)

    return asyncio.run(write())


def skim(data: bytes, *cuts: int) -> list[SkimmedEvent]:
    skimmer = EventSkimmer()
    borders = [0, *sorted(cut % (len(data) + 1) for cut in cuts), len(data)]
    return [event for a, b in itertools.pairwise(borders) for event in skimmer.feed(data[a:b])]


@given(EVENTS, st.lists(st.integers(0, 10_000), max_size=8))
def test_events_do_not_depend_on_how_their_bytes_are_split(events: list[Event], cuts: list[int]) -> None:
    found = skim(encode_with_wyoming(*events), *cuts)
    assert [(event.type, event.data(), event.payload) for event in found] == [
        (event.type, event.data, len(event.payload or b"")) for event in events
    ]


def test_data_in_the_header_line_is_read() -> None:
    [event] = skim(b'{"type": "audio-stop", "data": {"timestamp": 3}}\n')
    assert (event.type, event.data()) == ("audio-stop", {"timestamp": 3})


def test_an_event_is_returned_only_once_its_payload_is_complete() -> None:
    skimmer = EventSkimmer()
    data = encode_with_wyoming(AudioChunk(22050, 2, 1, bytes(100)).event())
    assert list(skimmer.feed(data[:-1])) == []
    assert [event.payload for event in skimmer.feed(data[-1:])] == [100]


@pytest.mark.parametrize(
    "data",
    [
        b"HTTP/1.1 400 Bad Request\r\n\r\n",
        b"[]\n",
        b'{"type": 3}\n',
        b'{"type": "x", "payload_length": -1}\n',
        b'{"type": "x", "data_length": "5"}\n12345',
        b"\xff\n",
        bytes(2_000_000),
        b'{"type": "x", "payload_length": 1000000000000}\n',
        b'{"type": "x", "data_length": 1000000000000}\n',
        b'{"type": "x", "data": ' + b"[" * 500_000 + b"\n",
    ],
)
def test_malformed_input_is_not_wyoming(data: bytes) -> None:
    with pytest.raises(ProtocolError):
        skim(data)


def test_a_long_data_block_is_joined_only_once() -> None:
    class CountingSkimmer(EventSkimmer):
        calls = 0

        def _events(self, data: bytes, position: int) -> Generator[SkimmedEvent, None, int]:
            self.calls += 1
            return super()._events(data, position)

    data = encode_with_wyoming(Event("info", {"x": "y" * 100_000}))
    skimmer = CountingSkimmer()
    pieces = (data[at : at + 100] for at in range(0, len(data), 100))
    [event] = [event for piece in pieces for event in skimmer.feed(piece)]
    assert event.data() == {"x": "y" * 100_000}
    assert skimmer.calls == 2


LINES = 30
"""Bound of executed lines per event: twice what an event takes."""


def test_the_cost_per_event_is_bounded() -> None:
    """At 200 times real time each, eight listeners would otherwise saturate a core."""
    start = AudioStart(22050, 2, 1).event()
    chunk = AudioChunk(22050, 2, 1, bytes(2048)).event()
    chunks = 2_000
    data = (
        encode_with_wyoming(start)
        + encode_with_wyoming(chunk) * chunks
        + encode_with_wyoming(AudioStop().event())
    )
    pieces = [data[at : at + 20_000] for at in range(0, len(data), 20_000)]
    skimmer, payloads = EventSkimmer(), list[int]()
    lines = count_lines(
        lambda: payloads.extend(event.payload for piece in pieces for event in skimmer.feed(piece))
    )
    assert sum(payloads) == chunks * 2048
    assert lines < LINES * chunks


@pytest.mark.parametrize("uri", ["host:10200", "http://host:1", "tcp://host", "tcp://h:port", "unix://", ""])
async def test_an_invalid_address_is_refused(uri: str) -> None:
    with pytest.raises(ClientError, match="not an address"):
        await open_wyoming_connection(uri, asyncio.Protocol)
