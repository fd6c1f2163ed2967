"""Wyoming's bytes, events and rules, tried without a socket."""

from __future__ import annotations

import asyncio
import itertools
import json
import time
from collections.abc import Sequence
from types import MappingProxyType
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from wyoming.event import Event, async_read_event, async_write_event
from wyoming.info import Describe, Info
from wyoming.ping import Ping
from wyoming.tts import (
    Synthesize,
    SynthesizeChunk,
    SynthesizeStart,
    SynthesizeStop,
    SynthesizeTextFormat,
    SynthesizeVoice,
)

from wyoming_tts.errors import BadRequest, Busy, EngineFailed, ErrorCode, SpeechError, Unsupported
from wyoming_tts.speech import Attribution, AudioChunk, AudioFormat, TextFormat, Voice, VoiceRequest
from wyoming_tts.transports.wyoming_protocol import (
    AddText,
    Answer,
    Closing,
    Command,
    Conversation,
    EndText,
    EventReader,
    FailText,
    Limits,
    MessageTooLong,
    ProtocolError,
    Refuse,
    SendInfo,
    SendPong,
    Speak,
    TextState,
    encode,
    info_event,
)
from wyoming_tts.voices.catalogue import CatalogueVoice

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


def read(*pieces: bytes, limits: Limits | None = None) -> list[Event]:
    reader = EventReader(limits)
    return [event for piece in pieces for event in reader.feed(piece)]


def refusal(*pieces: bytes, limits: Limits | None = None) -> ProtocolError:
    with pytest.raises(ProtocolError) as caught:
        read(*pieces, limits=limits)
    return caught.value


def line(**header: Any) -> bytes:
    return json.dumps(header).encode() + b"\n"


def cut(data: bytes, places: Sequence[int]) -> list[bytes]:
    edges = [0, *sorted(place % (len(data) + 1) for place in places), len(data)]
    return [data[start:end] for start, end in itertools.pairwise(edges)]


class Collects:
    """Stands where wyoming's writer expects a stream."""

    def __init__(self) -> None:
        self.written = b""

    def write(self, data: bytes) -> None:
        self.written += data

    def writelines(self, lines: Sequence[bytes]) -> None:
        self.written += b"".join(lines)

    async def drain(self) -> None:
        return None


def written_by_wyoming(event: Event) -> bytes:
    collects = Collects()
    asyncio.run(async_write_event(event, collects))  # type: ignore[arg-type]
    return collects.written


async def _read_by_wyoming(data: bytes) -> list[Event]:
    reader = asyncio.StreamReader()
    reader.feed_data(data)
    reader.feed_eof()
    found = []
    while (event := await async_read_event(reader)) is not None:
        found.append(event)
    return found


def read_by_wyoming(data: bytes) -> list[Event]:
    return asyncio.run(_read_by_wyoming(data))


class TestEventReader:
    @given(st.lists(events, max_size=4), st.lists(st.integers(0, 10_000), max_size=12))
    def test_any_cut_of_the_bytes_gives_the_events_that_were_encoded(
        self, sent: list[Event], places: list[int]
    ) -> None:
        data = b"".join(map(encode, sent))
        reader = EventReader()

        received = [event for piece in cut(data, places) for event in reader.feed(piece)]

        assert received == sent
        assert not reader.is_mid_event

    @given(st.lists(events, max_size=3))
    def test_reads_what_the_wyoming_package_reads(self, sent: list[Event]) -> None:
        data = b"".join(map(encode, sent))

        assert read(data) == read_by_wyoming(data)

    @given(st.binary(max_size=80), st.lists(st.integers(0, 200), max_size=8))
    def test_any_cut_of_garbage_after_events_gives_the_same_events_and_the_same_error(
        self, garbage: bytes, places: list[int]
    ) -> None:
        data = encode(Describe().event()) + garbage + b"\n{}\n"

        whole, pieces = EventReader(), EventReader()
        outcomes = []
        for reader, parts in ((whole, [data]), (pieces, cut(data, places))):
            found: list[Any] = []
            try:
                for part in parts:
                    found.extend(reader.feed(part))
            except ProtocolError as error:
                found.append(str(error))
            outcomes.append(found)

        assert outcomes[0] == outcomes[1]
        assert outcomes[0][0] == Describe().event()

    def test_takes_the_bare_line_that_a_health_check_pipes_through_nc(self) -> None:
        assert read(b'{ "type": "describe" }\n') == [Event("describe")]

    def test_a_last_line_needs_no_line_break(self) -> None:
        reader = EventReader()

        assert list(reader.feed(b'{"type":"describe"}')) == []
        assert list(reader.end()) == [Event("describe")]

    @pytest.mark.parametrize("data", [b'{"type":"desc', line(type="x", data_length=4) + b"{}"])
    def test_an_end_within_an_event_is_an_error(self, data: bytes) -> None:
        reader = EventReader()
        assert list(reader.feed(data)) == []

        with pytest.raises(ProtocolError):
            list(reader.end())

    def test_blank_lines_and_carriage_returns_between_events_mean_nothing(self) -> None:
        assert read(b'\r\n\n {"type": "a"}\r\n\r\n\n{"type": "b"}\n\n') == [Event("a"), Event("b")]

    def test_the_data_block_is_added_to_the_data_in_the_line(self) -> None:
        data = line(type="x", data={"a": 1, "b": 1}, data_length=8) + b'{"b": 2}'

        assert read(data) == [Event("x", {"a": 1, "b": 2})] == read_by_wyoming(data)

    def test_a_payload_may_hold_anything(self) -> None:
        payload = b'\n\x00{"type": "y"}\n\xff'

        assert read(line(type="x", payload_length=len(payload)) + payload) == [Event("x", {}, payload)]

    def test_null_lengths_and_null_data_count_as_absent(self) -> None:
        assert read(line(type="x", data=None, data_length=None, payload_length=None)) == [Event("x")]

    @pytest.mark.parametrize("length", [-1, True, 1.0, "1", [1], {}])
    @pytest.mark.parametrize("key", ["data_length", "payload_length"])
    def test_a_length_that_is_no_whole_number_is_refused(self, key: str, length: object) -> None:
        error = refusal(line(type="x", **{key: length}) + b"{}")

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
            line(type="a", data_length=2) + b"[]",
            line(type="a", data_length=2) + b"{{",
            line(type="a", data_length=13) + b'{"a":1,"a":2}',
        ],
    )
    def test_what_is_no_event_is_refused(self, data: bytes) -> None:
        assert refusal(data).code is ErrorCode.BAD_REQUEST

    def test_another_protocol_is_refused_at_its_first_byte(self) -> None:
        assert "b'G'" in refusal(b"G").message

    def test_the_events_before_garbage_still_arrive(self) -> None:
        received = EventReader().feed(b'{"type": "a"}\n{"type": "b"}\ngarbage')

        assert [next(received), next(received)] == [Event("a"), Event("b")]
        with pytest.raises(ProtocolError):
            next(received)

    @pytest.mark.parametrize(
        ("limits", "fits", "too_long"),
        [
            (Limits(header=40), b'{"type": "' + b"a" * 28 + b'"}\n', b'{"type": "' + b"a" * 29 + b'"}\n'),
            (Limits(header=40), b"", b"{" * 41),
            (Limits(data=8), line(type="x", data_length=8) + b'{"b": 2}', line(type="x", data_length=9)),
            (Limits(payload=3), line(type="x", payload_length=3) + b"abc", line(type="x", payload_length=4)),
            (
                Limits(depth=3),
                b'{"type": "x", "data": {"a": [1, "[[["]}}\n',
                b'{"type": "x", "data": {"a": [[]]}}\n',
            ),
        ],
    )
    def test_each_limit_can_be_reached_and_not_exceeded(
        self, limits: Limits, fits: bytes, too_long: bytes
    ) -> None:
        assert len(read(fits, limits=limits)) == bool(fits)
        error = refusal(too_long, limits=limits)
        assert isinstance(error, MessageTooLong)
        assert error.code is ErrorCode.TOO_LONG

    def test_an_announced_length_over_the_limit_is_refused_before_it_is_received(self) -> None:
        error = refusal(line(type="x", data_length=10**12))

        assert "1000000000000" in error.message
        assert "1048576" in error.message

    def test_nesting_that_would_exhaust_the_parser_is_refused(self) -> None:
        block = b'{"a":' + b"[" * 500_000

        error = refusal(line(type="x", data_length=len(block)) + block)

        assert error.code is ErrorCode.TOO_LONG

    def test_reading_byte_by_byte_takes_time_in_proportion_to_the_bytes(self) -> None:
        def seconds(length: int) -> float:
            data = b'{"type": "a", "data": {"x": "' + b"y" * length + b'"}}\n'
            reader = EventReader(Limits(header=2_000_000))
            started = time.process_time()
            received = [event for byte in data for event in reader.feed(bytes([byte]))]
            assert len(received) == 1
            return time.process_time() - started

        short, long = (seconds(length) for length in (100_000, 1_000_000))

        assert long < 30 * short  # ten times the bytes; a quadratic reader takes up to a hundred times

    def test_many_events_in_one_piece_take_time_in_proportion(self) -> None:
        def seconds(count: int) -> float:
            reader, data = EventReader(), b'{"type":"a"}\n' * count
            started = time.process_time()
            assert len(list(reader.feed(data))) == count
            return time.process_time() - started

        few, many = (min(seconds(count) for _ in range(3)) for count in (1_000, 10_000))

        assert many < 40 * few


class TestEncode:
    @given(events)
    def test_writes_the_bytes_that_the_wyoming_package_writes(self, event: Event) -> None:
        assert encode(event) == written_by_wyoming(event)

    def test_text_that_is_not_unicode_is_still_sent(self) -> None:
        (received,) = read(encode(Event("error", {"text": "No file \udcff."})))

        assert received.data == {"text": "No file ?."}


def commands(*sent: Event, streaming: bool = True) -> list[Command]:
    conversation = Conversation(streaming=streaming)
    return [command for event in sent for command in conversation.receive(event)]


def only_refusal(found: list[Command]) -> Refuse:
    (command,) = found
    assert isinstance(command, Refuse)
    return command


START = SynthesizeStart().event()
STOP = SynthesizeStop().event()
BAD_START = Event("synthesize-start", {"voice": "amy"})
PLAIN = Speak(VoiceRequest(), TextFormat.PLAIN, "hello")
STREAM = Speak(VoiceRequest(), TextFormat.PLAIN, None)


def chunk(text: str) -> Event:
    return SynthesizeChunk(text).event()


class TestConversation:
    def test_describe_is_answered_at_any_time(self) -> None:
        found = commands(Describe().event(), START, Describe().event(), STOP)

        assert found == [SendInfo(), STREAM, SendInfo(), EndText()]

    def test_a_ping_gets_its_text_back(self) -> None:
        assert commands(Ping("abc").event(), Ping().event()) == [SendPong("abc"), SendPong(None)]

    def test_a_ping_whose_text_is_no_string_is_an_error(self) -> None:
        assert only_refusal(commands(Event("ping", {"text": 5}))).closing is Closing.NOTHING

    @pytest.mark.parametrize("event_type", ["audio-chunk", "Describe", "select-program", "info", "x"])
    def test_unknown_events_are_ignored(self, event_type: str) -> None:
        assert commands(Event(event_type, {"text": 5})) == []

    def test_synthesize_is_one_utterance(self) -> None:
        assert commands(Synthesize("hello").event()) == [PLAIN]

    def test_a_stream_is_an_utterance_whose_text_follows(self) -> None:
        found = commands(START, chunk("a"), chunk(""), chunk("b"), STOP)

        assert found == [STREAM, AddText("a"), AddText(""), AddText("b"), EndText()]

    def test_synthesize_within_a_stream_is_for_old_servers_and_ignored(self) -> None:
        found = commands(START, chunk("a"), Synthesize("a").event(), STOP, Synthesize("hello").event())

        assert found == [STREAM, AddText("a"), EndText(), PLAIN]

    @pytest.mark.parametrize("lone", [chunk("a"), STOP])
    def test_a_lone_chunk_or_stop_is_an_error_and_what_follows_is_heard(self, lone: Event) -> None:
        found = commands(lone, Synthesize("hello").event())

        assert only_refusal(found[:1]).closing is Closing.NOTHING
        assert found[1:] == [PLAIN]

    def test_a_start_while_text_is_open_ends_that_text(self) -> None:
        found = commands(START, chunk("a"), START, chunk("b"), STOP)

        assert found == [STREAM, AddText("a"), EndText(), STREAM, AddText("b"), EndText()]

    def test_what_belongs_to_a_refused_start_is_discarded(self) -> None:
        found = commands(BAD_START, chunk("a"), Synthesize("a").event(), STOP, Synthesize("hello").event())

        assert only_refusal(found[:1]).closing is Closing.STREAM
        assert found[1:] == [PLAIN]

    def test_a_start_after_a_refused_one_is_heard(self) -> None:
        assert commands(BAD_START, START, STOP)[1:] == [STREAM, EndText()]

    def test_a_refused_start_while_text_is_open_ends_that_text(self) -> None:
        assert commands(START, BAD_START)[:2] == [STREAM, EndText()]

    @pytest.mark.parametrize("data", [{}, {"text": None}, {"text": 5}, {"text": ["a"]}])
    def test_a_malformed_chunk_fails_the_stream_and_its_rest_is_discarded(self, data: dict[str, Any]) -> None:
        found = commands(START, Event("synthesize-chunk", data), chunk("a"), STOP, chunk("lone"))

        assert isinstance(found[1], FailText)
        assert only_refusal(found[2:]).closing is Closing.NOTHING

    @pytest.mark.parametrize(
        "data",
        [
            {},
            {"text": 5},
            {"text": "a", "voice": "amy"},
            {"text": "a", "voice": []},
            {"text": "a", "voice": {"name": 5}},
            {"text": "a", "voice": {"language": {}}},
            {"text": "a", "voice": {"speaker": True}},
            {"text": "a", "voice": {"speaker": 1.5}},
            {"text": "a", "text_format": 5},
        ],
    )
    def test_malformed_data_is_an_error_with_the_closing_events_of_audio(self, data: dict[str, Any]) -> None:
        refuse = only_refusal(commands(Event("synthesize", data)))

        assert isinstance(refuse.error, BadRequest)
        assert refuse.closing is Closing.AUDIO

    @pytest.mark.parametrize(
        ("voice", "expected"),
        [
            (SynthesizeVoice(name="amy"), VoiceRequest(name="amy")),
            (SynthesizeVoice(name="amy", speaker="low"), VoiceRequest(name="amy", speaker="low")),
            (SynthesizeVoice(name="amy#low"), VoiceRequest(name="amy#low")),
            (SynthesizeVoice(language="en_US"), VoiceRequest(language="en_US")),
            (SynthesizeVoice(), VoiceRequest()),
        ],
    )
    def test_the_voice_is_taken_as_wyoming_clients_send_it(
        self, voice: SynthesizeVoice, expected: VoiceRequest
    ) -> None:
        assert commands(Synthesize("hello", voice=voice).event(), SynthesizeStart(voice=voice).event()) == [
            Speak(expected, TextFormat.PLAIN, "hello"),
            Speak(expected, TextFormat.PLAIN, None),
        ]

    def test_a_speaker_may_be_a_number_and_blank_fields_count_as_absent(self) -> None:
        voice = {"name": "", "language": "", "speaker": 0}

        assert commands(Event("synthesize", {"text": "hello", "voice": voice})) == [
            Speak(VoiceRequest(speaker="0"), TextFormat.PLAIN, "hello")
        ]

    def test_ssml_is_passed_on_as_ssml(self) -> None:
        found = commands(Synthesize("<speak/>", text_format=SynthesizeTextFormat.SSML).event())

        assert found == [Speak(VoiceRequest(), TextFormat.SSML, "<speak/>")]

    def test_an_unknown_text_format_is_an_error_that_names_the_known_ones(self) -> None:
        error = only_refusal(commands(Synthesize("a", text_format="markdown").event())).error

        assert isinstance(error, Unsupported)
        assert "'text' or 'ssml'" in error.message

    def test_half_a_surrogate_pair_is_dropped_from_text(self) -> None:
        assert commands(START, chunk("a\ud83d")) == [STREAM, AddText("a")]

    def test_without_streaming_only_synthesize_is_known(self) -> None:
        sent = [START, chunk("hello"), Synthesize("hello").event(), STOP, chunk("x")]

        assert commands(*sent, streaming=False) == [PLAIN]

    @given(
        st.lists(
            st.sampled_from(
                [START, BAD_START, STOP, chunk("a"), Event("synthesize-chunk"), Synthesize("hello").event()]
            )
        )
    )
    def test_whatever_comes_every_text_that_was_opened_is_ended_once_and_in_order(
        self, sent: list[Event]
    ) -> None:
        conversation, is_open = Conversation(), False
        for event in sent:
            for command in conversation.receive(event):
                if isinstance(command, AddText | EndText | FailText):
                    assert is_open
                is_open = command == STREAM or (is_open and isinstance(command, AddText))
            assert is_open == (conversation.state is TextState.STREAMING)


FORMAT = AudioFormat(1_000)


def audio(samples: int, first: int = 0, *, audio_format: AudioFormat = FORMAT) -> AudioChunk:
    return AudioChunk(audio_format, b"\x01\x02" * samples, first)


def answered(
    *chunks: AudioChunk, closing: Closing = Closing.STREAM, error: SpeechError | None = None
) -> list[Event]:
    answer = Answer(closing, samples_per_chunk=100)
    if chunks:
        answer.use(FORMAT)
    return [*(event for chunk in chunks for event in answer.audio(chunk)), *answer.closed(error)]


def types(found: list[Event]) -> list[str]:
    return [event.type for event in found]


class TestAnswer:
    def test_audio_comes_in_chunks_of_the_set_size_with_the_rest_at_once(self) -> None:
        found = answered(audio(250), audio(30, 250))

        chunks = [event for event in found if event.type == "audio-chunk"]
        assert [len(event.payload or b"") // 2 for event in chunks] == [100, 100, 50, 30]
        assert [event.data["timestamp"] for event in chunks] == [0, 100, 200, 250]
        assert b"".join(event.payload or b"" for event in chunks) == b"\x01\x02" * 280

    def test_one_start_and_one_stop_with_the_streams_format_and_length(self) -> None:
        found = answered(audio(100), audio(100, 100), closing=Closing.AUDIO)

        assert types(found) == ["audio-start", "audio-chunk", "audio-chunk", "audio-stop"]
        assert found[0].data == {"rate": 1_000, "width": 2, "channels": 1, "timestamp": 0}
        assert found[-1].data == {"timestamp": 200}

    def test_a_stream_ends_with_synthesize_stopped(self) -> None:
        assert types(answered(audio(10)))[-2:] == ["audio-stop", "synthesize-stopped"]

    def test_nothing_is_announced_before_there_is_sound(self) -> None:
        answer = Answer(Closing.AUDIO)
        answer.use(FORMAT)

        assert list(answer.audio(audio(0))) == []

    def test_silence_is_still_a_whole_stream(self) -> None:
        assert types(answered(audio(0))) == ["audio-start", "audio-stop", "synthesize-stopped"]

    def test_an_error_comes_before_the_closing_events(self) -> None:
        found = answered(audio(10), error=Busy("No room.", hint="Wait."))

        assert types(found) == ["audio-start", "audio-chunk", "error", "audio-stop", "synthesize-stopped"]
        assert found[2].data == {"text": "No room. Wait.", "code": "busy"}

    def test_an_answer_that_fails_before_its_format_is_known_is_well_formed(self) -> None:
        found = answered(error=Busy("No room."))

        assert types(found) == ["error", "audio-start", "audio-stop", "synthesize-stopped"]
        assert found[1].data["rate"] == 22_050

    def test_an_error_without_a_stream_is_only_an_error(self) -> None:
        assert types(answered(closing=Closing.NOTHING, error=Busy("No room."))) == ["error"]

    def test_audio_of_another_rate_is_never_sent(self) -> None:
        with pytest.raises(EngineFailed, match=r"rate=2000.* within a stream in .*rate=1000"):
            answered(audio(10), audio(10, 10, audio_format=AudioFormat(2_000)))


def voice(name: str, speakers: int = 0) -> Voice:
    return Voice(
        name=name,
        engine="tone",
        language="en_US",
        description=f"The voice {name}",
        sample_rate=16_000,
        model=name,
        attribution=Attribution("somebody", "https://example.org"),
        speakers=MappingProxyType({f"s{number}": number for number in range(speakers)}),
        version="1.0",
    )


def advertised(*voices: Voice, supports_streaming: bool = True) -> Info:
    event = info_event(voices, version="2.3", supports_streaming=supports_streaming)
    (received,) = read(encode(event))
    return Info.from_event(received)


class TestInfo:
    def test_one_installed_program_is_advertised_and_no_satellite(self) -> None:
        info = advertised(voice("a"))

        (program,) = info.tts
        assert program.name == "wyoming-tts"
        assert program.installed
        assert program.version == "2.3"
        assert program.supports_synthesize_streaming
        assert info.satellite is None
        assert not any((info.asr, info.handle, info.intent, info.wake))

    def test_a_server_without_streaming_says_so(self) -> None:
        assert not advertised(voice("a"), supports_streaming=False).tts[0].supports_synthesize_streaming

    def test_a_voice_is_advertised_with_all_that_is_known_of_it(self) -> None:
        (shown,) = advertised(voice("a")).tts[0].voices

        assert (shown.name, shown.description, shown.languages) == ("a", "The voice a", ["en_US"])
        assert (shown.attribution.name, shown.attribution.url) == ("somebody", "https://example.org")
        assert (shown.installed, shown.version, shown.speakers) == (True, "1.0", None)

    @pytest.mark.parametrize(("speakers", "more"), [(1, 0), (2, 2), (20, 20), (21, 0)])
    def test_few_speakers_are_advertised_as_voices_of_their_own(self, speakers: int, more: int) -> None:
        base, *others = advertised(voice("a", speakers)).tts[0].voices

        assert base.speakers is not None
        assert [speaker.name for speaker in base.speakers] == [f"s{number}" for number in range(speakers)]
        assert [shown.name for shown in others] == [f"a#s{number}" for number in range(more)]
        assert [shown.description for shown in others] == [
            f"The voice a – s{number}" for number in range(more)
        ]
        assert all(shown.speakers is None for shown in others)

    def test_what_could_be_fetched_is_advertised_as_not_installed(self) -> None:
        def fetchable(name: str) -> CatalogueVoice:
            return CatalogueVoice(name, "piper", "de_DE", "low", 3, ())

        event = info_event(
            [voice("b")],
            version="1",
            supports_streaming=True,
            downloadable=[fetchable("c"), fetchable("b"), fetchable("a")],
        )
        (received,) = read(encode(event))
        (program,) = Info.from_event(received).tts

        assert program.installed
        assert [(shown.name, shown.installed) for shown in program.voices] == [
            ("b", True),
            ("a", False),
            ("c", False),
        ]
        assert program.voices[1].languages == ["de_DE"]
        assert program.voices[1].speakers is None

    def test_the_order_of_voices_does_not_depend_on_how_they_were_found(self) -> None:
        one, other = voice("b", 2), voice("a")

        assert encode(info_event([one, other], version="1", supports_streaming=True)) == encode(
            info_event([other, one], version="1", supports_streaming=True)
        )
