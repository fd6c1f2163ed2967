"""Wyoming framing: on plain bytes, against the wyoming package, and over asyncio streams."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import json
import tracemalloc
from collections.abc import Sequence
from typing import Any, SupportsIndex

import pytest
from hypothesis import given
from hypothesis import strategies as st
from wyoming.event import Event, async_read_event, async_write_event
from wyoming.info import Describe

from wyoming_tts import wyoming_framing
from wyoming_tts.bounded_json import JsonLimits
from wyoming_tts.errors import ErrorCode
from wyoming_tts.wyoming_framing import (
    EventLimits,
    EventReader,
    EventStream,
    MessageTooLong,
    ProtocolError,
    TruncatedEvent,
    encode_event,
    write_event,
)

json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**53), 2**53)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(codec="utf-8")),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.text(st.characters(codec="utf-8")), inner, max_size=4)
    ),
    max_leaves=10,
)
events = st.builds(
    Event,
    type=st.text(st.characters(codec="utf-8"), min_size=1, max_size=20),
    data=st.dictionaries(st.text(st.characters(codec="utf-8")), json_values, max_size=5),
    payload=st.none() | st.binary(min_size=1, max_size=200),
)


def read(*pieces: bytes, limits: EventLimits | None = None) -> list[Event]:
    reader = EventReader(limits)
    return [event for piece in pieces for event in reader.feed(piece)]


def refusal(*pieces: bytes, limits: EventLimits | None = None) -> ProtocolError:
    with pytest.raises(ProtocolError) as caught:
        read(*pieces, limits=limits)
    return caught.value


def header_line(**header: Any) -> bytes:
    return json.dumps(header).encode() + b"\n"


def split_at(data: bytes, places: Sequence[int]) -> list[bytes]:
    edges = [0, *sorted(place % (len(data) + 1) for place in places), len(data)]
    return [data[start:end] for start, end in itertools.pairwise(edges)]


class CollectingStream:
    """Collects what wyoming's writer writes to a stream."""

    def __init__(self) -> None:
        self.written = b""

    def write(self, data: bytes) -> None:
        self.written += data

    def writelines(self, lines: Sequence[bytes]) -> None:
        self.written += b"".join(lines)

    async def drain(self) -> None:
        return None


def write_with_wyoming(event: Event) -> bytes:
    collects = CollectingStream()
    asyncio.run(async_write_event(event, collects))  # type: ignore[arg-type]
    return collects.written


async def _read_with_wyoming(data: bytes) -> list[Event]:
    reader = asyncio.StreamReader()
    reader.feed_data(data)
    reader.feed_eof()
    found = []
    while (event := await async_read_event(reader)) is not None:
        found.append(event)
    return found


def read_with_wyoming(data: bytes) -> list[Event]:
    return asyncio.run(_read_with_wyoming(data))


@given(st.lists(events, max_size=4), st.lists(st.integers(0, 10_000), max_size=12))
def test_events_do_not_depend_on_how_their_bytes_are_split(sent: list[Event], places: list[int]) -> None:
    data = b"".join(map(encode_event, sent))
    reader = EventReader()

    received = [event for piece in split_at(data, places) for event in reader.feed(piece)]

    assert received == sent
    assert not reader.is_mid_event


@given(st.lists(events, max_size=3))
def test_events_are_read_as_by_the_wyoming_package(sent: list[Event]) -> None:
    data = b"".join(map(encode_event, sent))

    assert read(data) == read_with_wyoming(data)


@given(st.binary(max_size=80), st.lists(st.integers(0, 200), max_size=8))
def test_errors_do_not_depend_on_how_the_bytes_are_split(garbage: bytes, places: list[int]) -> None:
    data = encode_event(Describe().event()) + garbage + b"\n{}\n"

    whole, pieces = EventReader(), EventReader()
    outcomes = []
    for reader, parts in ((whole, [data]), (pieces, split_at(data, places))):
        found: list[Any] = []
        try:
            for part in parts:
                found.extend(reader.feed(part))
        except ProtocolError as error:
            found.append(str(error))
        outcomes.append(found)

    assert outcomes[0] == outcomes[1]
    assert outcomes[0][0] == Describe().event()


def test_the_bare_describe_line_of_a_netcat_health_check_is_accepted() -> None:
    assert read(b'{ "type": "describe" }\n') == [Event("describe")]


def test_the_last_line_needs_no_line_break() -> None:
    reader = EventReader()

    assert list(reader.feed(b'{"type":"describe"}')) == []
    assert list(reader.end()) == [Event("describe")]


@pytest.mark.parametrize("data", [b'{"type":"desc', header_line(type="x", data_length=4) + b"{}"])
def test_the_end_of_input_within_an_event_is_an_error(data: bytes) -> None:
    reader = EventReader()
    assert list(reader.feed(data)) == []

    with pytest.raises(TruncatedEvent, match="end of the connection"):
        list(reader.end())


@pytest.mark.parametrize("data", [b'{"type": "a"}\n', b'{"type": "a"}\n\r\n '])
def test_the_end_of_input_between_events_is_no_error(data: bytes) -> None:
    reader = EventReader()
    assert list(reader.feed(data)) == [Event("a")]
    assert list(reader.end()) == []


def test_blank_lines_and_carriage_returns_between_events_are_ignored() -> None:
    assert read(b'\r\n\n {"type": "a"}\r\n\r\n\n{"type": "b"}\n\n') == [Event("a"), Event("b")]


def test_the_data_block_is_merged_into_the_data_of_the_header() -> None:
    data = header_line(type="x", data={"a": 1, "b": 1}, data_length=8) + b'{"b": 2}'

    assert read(data) == [Event("x", {"a": 1, "b": 2})] == read_with_wyoming(data)


def test_a_payload_may_contain_any_bytes() -> None:
    payload = b'\n\x00{"type": "y"}\n\xff'

    assert read(header_line(type="x", payload_length=len(payload)) + payload) == [Event("x", {}, payload)]


def test_null_lengths_and_null_data_count_as_absent() -> None:
    assert read(header_line(type="x", data=None, data_length=None, payload_length=None)) == [Event("x")]


@pytest.mark.parametrize("length", [-1, True, 1.0, "1", [1], {}])
@pytest.mark.parametrize("key", ["data_length", "payload_length"])
def test_a_length_that_is_not_a_whole_number_is_refused(key: str, length: object) -> None:
    error = refusal(header_line(type="x", **{key: length}) + b"{}")

    assert key in error.message
    assert error.code is ErrorCode.BAD_REQUEST


@pytest.mark.parametrize(
    "data",
    [
        b"GET / HTTP/1.1\r\n",
        b"\x16\x03\x01\x02\x00",
        b"[]\n",
        b'"type"\n',
        b"{}\n",
        b'{"type": null}\n',
        b'{"type": ""}\n',
        b'{"type": 7}\n',
        b'{"type": "a", "type": "b"}\n',
        b'{"type": "a", "data": []}\n',
        b'{"type": "a"\n',
        b'{"type": "a"} {"type": "b"}\n',
        b'{"type": "\xff"}\n',
        b'{"type": "a", "data": {"x": NaN}}\n',
        b'{"type": "a", "data": {"x": ' + b"9" * 5000 + b"}}\n",
        header_line(type="a", data_length=2) + b"[]",
        header_line(type="a", data_length=2) + b"{{",
        header_line(type="a", data_length=13) + b'{"a":1,"a":2}',
    ],
)
def test_malformed_events_are_refused(data: bytes) -> None:
    assert refusal(data).code is ErrorCode.BAD_REQUEST


def test_another_protocol_is_refused_at_its_first_byte() -> None:
    assert "b'G'" in refusal(b"G").message


def test_events_before_garbage_are_still_returned() -> None:
    received = EventReader().feed(b'{"type": "a"}\n{"type": "b"}\ngarbage')

    assert [next(received), next(received)] == [Event("a"), Event("b")]
    with pytest.raises(ProtocolError):
        next(received)


@pytest.mark.parametrize(
    ("limits", "fits", "too_long"),
    [
        (EventLimits(header=40), b'{"type": "' + b"a" * 28 + b'"}\n', b'{"type": "' + b"a" * 29 + b'"}\n'),
        (EventLimits(header=40), b"", b"{" * 41),
        (
            EventLimits(data=8),
            header_line(type="x", data_length=8) + b'{"b": 2}',
            header_line(type="x", data_length=9),
        ),
        (
            EventLimits(payload=3),
            header_line(type="x", payload_length=3) + b"abc",
            header_line(type="x", payload_length=4),
        ),
        (
            EventLimits(json=JsonLimits(depth=3)),
            b'{"type": "x", "data": {"a": [1, "[[["]}}\n',
            b'{"type": "x", "data": {"a": [[]]}}\n',
        ),
    ],
)
def test_limits_are_inclusive(limits: EventLimits, fits: bytes, too_long: bytes) -> None:
    assert len(read(fits, limits=limits)) == bool(fits)
    error = refusal(too_long, limits=limits)
    assert isinstance(error, MessageTooLong)
    assert error.code is ErrorCode.TOO_LONG


def test_an_announced_length_over_the_limit_is_refused_before_it_is_received() -> None:
    error = refusal(header_line(type="x", data_length=10**12))

    assert "1000000000000" in error.message
    assert "1048576" in error.message


def test_nesting_too_deep_for_the_parser_is_refused() -> None:
    block = b'{"a":' + b"[" * 500_000

    error = refusal(header_line(type="x", data_length=len(block)) + block)

    assert error.code is ErrorCode.TOO_LONG


class CountingBytes(bytearray):
    """A reader's buffer that counts the bytes that are searched or copied."""

    handled = 0

    def find(self, sub: Any, start: SupportsIndex | None = 0, end: SupportsIndex | None = None, /) -> int:
        found = super().find(sub, start, end)
        CountingBytes.handled += (len(self) if found < 0 else found) - int(start or 0)
        return found

    def __getitem__(self, key: Any) -> Any:
        taken = super().__getitem__(key)
        CountingBytes.handled += len(taken) if isinstance(key, slice) else 1
        return taken


@pytest.mark.parametrize(
    ("data", "piece", "count"),
    [
        (b'{"type": "a", "data": {"x": "' + b"y" * 100_000 + b'"}}\n', 1, 1),
        (header_line(type="a", payload_length=100_000) + bytes(100_000), 1, 1),
        (b'{"type":"a"}\n' * 10_000, 1_000_000, 10_000),
        (b'\r\n{"type":"a"}\n' * 10_000, 1_000_000, 10_000),
    ],
    ids=["long line", "long payload", "many events", "blank lines"],
)
def test_work_is_linear_in_the_number_of_bytes(
    data: bytes, piece: int, count: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(wyoming_framing, "bytearray", CountingBytes, raising=False)
    monkeypatch.setattr(CountingBytes, "handled", 0)
    reader = EventReader(EventLimits(header=200_000, payload=200_000))

    pieces = (data[at : at + piece] for at in range(0, len(data), piece))
    assert sum(1 for received in pieces for _ in reader.feed(received)) == count

    assert len(data) <= CountingBytes.handled <= 4 * len(data)


SMALL = EventLimits(header=60, data=40, payload=50)
fragments = st.sampled_from(
    [
        b"{",
        b'{"type": "x"}\n',
        b'{"type": "x", "data_length": 30}\n',
        b'{"type": "x", "payload_length": 30}\n',
        b'{"type": "x", "data": {"a": [1]}}\n',
        b'{"a": 1}',
        b"\n",
        b" ",
        b"[",
        b'"',
    ]
)


@given(st.lists(fragments | st.binary(max_size=20), max_size=60))
def test_arbitrary_bytes_give_events_or_an_error_and_a_bounded_buffer(pieces: list[bytes]) -> None:
    reader = EventReader(SMALL)
    held = 0
    with contextlib.suppress(ProtocolError):
        for byte in b"".join(pieces):
            found = list(reader.feed(bytes([byte])))
            held = 0 if found or not reader.is_mid_event else held + 1
            assert held <= SMALL.header + SMALL.data + SMALL.payload + 1
        list(reader.end())


@pytest.mark.parametrize("endless", [b"{" * 1000, b'{"a' * 300, b"\n" * 1000, b'{"type": "x"}\n' * 100])
def test_endless_input_uses_bounded_memory(endless: bytes) -> None:
    tracemalloc.start()
    try:
        reader = EventReader()
        with contextlib.suppress(MessageTooLong):
            for _ in range(1_000):
                for _event in reader.feed(endless):
                    pass
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 500_000


def test_the_cache_of_header_lines_is_bounded() -> None:
    tracemalloc.start()
    try:
        reader = EventReader()
        for number in range(5_000):
            assert len(list(reader.feed(header_line(type="x", number=number, filling="f" * 100)))) == 1
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 500_000


def test_events_with_the_same_header_line_share_no_data() -> None:
    first, second = read(b'{"type": "a"}\n' * 2)
    first.data["x"] = 1
    assert second.data == {}


@given(events)
def test_events_are_written_as_by_the_wyoming_package(event: Event) -> None:
    assert encode_event(event) == write_with_wyoming(event)


def test_text_with_lone_surrogates_is_still_sent() -> None:
    (received,) = read(encode_event(Event("error", {"text": "No file \udcff."})))

    assert received.data == {"text": "No file ?."}


@given(events)
def test_events_written_by_the_wyoming_package_are_read(event: Event) -> None:
    assert read(write_with_wyoming(event)) == [event]


@given(events)
def test_data_in_the_header_line_is_read_as_by_the_wyoming_package(event: Event) -> None:
    payload = event.payload or b""
    data = header_line(type=event.type, data=event.data, payload_length=len(payload)) + payload

    assert read(data, limits=EventLimits(header=1_000_000)) == [event] == read_with_wyoming(data)


def test_parsing_of_a_data_block_can_be_left_to_the_caller() -> None:
    reader = EventReader()
    reader.receive(encode_event(Event("x", {"a": 1}, b"pcm")))

    raw = reader.next_raw_event()

    assert raw is not None
    assert (raw.type, raw.block, raw.payload) == ("x", b'{"a": 1}', b"pcm")
    assert raw.event(EventLimits()) == Event("x", {"a": 1}, b"pcm")
    assert reader.next_raw_event() is None


def make_stream(data: bytes, *, ended: bool = True) -> asyncio.StreamReader:
    stream = asyncio.StreamReader()
    stream.feed_data(data)
    if ended:
        stream.feed_eof()
    return stream


class TestEventStream:
    async def test_events_are_returned_in_order_and_then_the_end_is_signalled(self) -> None:
        sent = [Event("a", {"x": 1}, b"12"), Event("b")]
        events = EventStream(make_stream(b"".join(map(encode_event, sent))), EventLimits())

        assert [await events.read_event(), await events.read_event()] == sent
        for _ in range(2):
            with pytest.raises(EOFError):
                await events.read_event()

    async def test_the_last_line_needs_no_line_break(self) -> None:
        events = EventStream(make_stream(b'{"type": "a"}'), EventLimits())

        assert await events.read_event() == Event("a")
        with pytest.raises(EOFError):
            await events.read_event()

    @pytest.mark.parametrize(
        "data",
        [b"{", b'{"type": "a', header_line(type="a", data_length=3), encode_event(Event("a", {"b": 1}))[:-1]],
    )
    async def test_an_end_within_an_event_is_a_truncated_event(self, data: bytes) -> None:
        with pytest.raises(TruncatedEvent):
            await EventStream(make_stream(data), EventLimits()).read_event()

    @pytest.mark.parametrize("data", [b"HTTP/1.1 400 Bad Request\r\n", b"[1]\n", b"{}\n", b"{]\n"])
    async def test_garbage_is_not_mistaken_for_the_end_of_the_stream(self, data: bytes) -> None:
        with pytest.raises(ProtocolError) as caught:
            await EventStream(make_stream(data), EventLimits()).read_event()
        assert not isinstance(caught.value, EOFError)

    async def test_a_cancelled_read_loses_no_bytes(self) -> None:
        data = encode_event(Event("a", {"x": 1}, b"payload"))
        stream = make_stream(data[:-3], ended=False)
        events = EventStream(stream, EventLimits())

        waiting = asyncio.create_task(events.read_event())
        await asyncio.sleep(0)
        waiting.cancel()
        await asyncio.wait([waiting])
        stream.feed_data(data[-3:])

        assert await events.read_event() == Event("a", {"x": 1}, b"payload")

    async def test_the_given_limits_are_enforced(self) -> None:
        data = encode_event(Event("a", {}, bytes(100)))

        assert (await EventStream(make_stream(data), EventLimits(payload=100)).read_event()).type == "a"
        with pytest.raises(MessageTooLong, match="100 bytes, expected at most 99"):
            await EventStream(make_stream(data), EventLimits(payload=99)).read_event()


async def test_an_event_is_written_in_one_call_and_drained() -> None:
    class Writer:
        def __init__(self) -> None:
            self.calls: list[bytes] = []

        def write(self, data: bytes, /) -> None:
            self.calls.append(data)

        async def drain(self) -> None:
            self.calls.append(b"drained")

    writer = Writer()
    await write_event(writer, Event("a", {"x": 1}, b"12"))
    assert writer.calls == [encode_event(Event("a", {"x": 1}, b"12")), b"drained"]
