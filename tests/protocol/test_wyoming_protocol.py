"""The Wyoming protocol's state machine and reply events, without a socket."""

from __future__ import annotations

from dataclasses import replace
from types import MappingProxyType
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from wyoming.event import Event
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

from wyoming_tts.errors import BadRequest, Busy, EngineFailed, SpeechError, Unsupported
from wyoming_tts.speech import (
    Attribution,
    AudioChunk,
    AudioFormat,
    SpeakingVoice,
    SpokenWord,
    TextFormat,
    Voice,
    VoiceReason,
    VoiceRequest,
)
from wyoming_tts.transports.wyoming.protocol import (
    AddText,
    Command,
    EndText,
    FailText,
    RefuseRequest,
    ReplyEnding,
    ReplyEvents,
    SendInfo,
    SendPong,
    SpeakUtterance,
    TextState,
    WyomingProtocol,
    info_event,
)
from wyoming_tts.voices.catalogue import CatalogueVoice
from wyoming_tts.wyoming_framing import EventReader, encode_event


def commands(*sent: Event, streaming: bool = True) -> list[Command]:
    protocol = WyomingProtocol(streaming=streaming)
    return [command for event in sent for command in protocol.receive(event)]


def only_refusal(found: list[Command]) -> RefuseRequest:
    (command,) = found
    assert isinstance(command, RefuseRequest)
    return command


START = SynthesizeStart().event()
STOP = SynthesizeStop().event()
BAD_START = Event("synthesize-start", {"voice": "amy"})
PLAIN = SpeakUtterance(VoiceRequest(), TextFormat.PLAIN, "hello")
STREAM = SpeakUtterance(VoiceRequest(), TextFormat.PLAIN, None)


def chunk(text: str) -> Event:
    return SynthesizeChunk(text).event()


class TestWyomingProtocol:
    def test_describe_is_answered_at_any_time(self) -> None:
        found = commands(Describe().event(), START, Describe().event(), STOP)

        assert found == [SendInfo(), STREAM, SendInfo(), EndText()]

    def test_a_ping_gets_its_text_back(self) -> None:
        assert commands(Ping("abc").event(), Ping().event()) == [SendPong("abc"), SendPong(None)]

    def test_a_ping_whose_text_is_no_string_is_an_error(self) -> None:
        assert only_refusal(commands(Event("ping", {"text": 5}))).ending is ReplyEnding.NOTHING

    @pytest.mark.parametrize("event_type", ["audio-chunk", "Describe", "select-program", "info", "x"])
    def test_unknown_events_are_ignored(self, event_type: str) -> None:
        assert commands(Event(event_type, {"text": 5})) == []

    def test_synthesize_starts_one_complete_utterance(self) -> None:
        assert commands(Synthesize("hello").event()) == [PLAIN]

    def test_synthesize_start_chunk_and_stop_stream_the_text_of_one_utterance(self) -> None:
        found = commands(START, chunk("a"), chunk(""), chunk("b"), STOP)

        assert found == [STREAM, AddText("a"), AddText(""), AddText("b"), EndText()]

    def test_synthesize_within_a_stream_is_ignored(self) -> None:
        found = commands(START, chunk("a"), Synthesize("a").event(), STOP, Synthesize("hello").event())

        assert found == [STREAM, AddText("a"), EndText(), PLAIN]

    @pytest.mark.parametrize("lone", [chunk("a"), STOP])
    def test_a_chunk_or_stop_without_a_start_is_an_error_and_later_events_are_processed(
        self, lone: Event
    ) -> None:
        found = commands(lone, Synthesize("hello").event())

        assert only_refusal(found[:1]).ending is ReplyEnding.NOTHING
        assert found[1:] == [PLAIN]

    def test_a_start_while_a_stream_is_open_ends_that_stream(self) -> None:
        found = commands(START, chunk("a"), START, chunk("b"), STOP)

        assert found == [STREAM, AddText("a"), EndText(), STREAM, AddText("b"), EndText()]

    def test_events_of_a_refused_start_are_discarded(self) -> None:
        found = commands(BAD_START, chunk("a"), Synthesize("a").event(), STOP, Synthesize("hello").event())

        assert only_refusal(found[:1]).ending is ReplyEnding.STREAM
        assert found[1:] == [PLAIN]

    def test_a_start_after_a_refused_one_is_accepted(self) -> None:
        assert commands(BAD_START, START, STOP)[1:] == [STREAM, EndText()]

    def test_a_refused_start_while_a_stream_is_open_ends_that_stream(self) -> None:
        assert commands(START, BAD_START)[:2] == [STREAM, EndText()]

    @pytest.mark.parametrize("data", [{}, {"text": None}, {"text": 5}, {"text": ["a"]}])
    def test_a_malformed_chunk_fails_the_stream_and_its_rest_is_discarded(self, data: dict[str, Any]) -> None:
        found = commands(START, Event("synthesize-chunk", data), chunk("a"), STOP, chunk("lone"))

        assert isinstance(found[1], FailText)
        assert only_refusal(found[2:]).ending is ReplyEnding.NOTHING

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
        assert refuse.ending is ReplyEnding.AUDIO

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
    def test_the_voice_request_is_parsed_as_wyoming_clients_send_it(
        self, voice: SynthesizeVoice, expected: VoiceRequest
    ) -> None:
        assert commands(Synthesize("hello", voice=voice).event(), SynthesizeStart(voice=voice).event()) == [
            SpeakUtterance(expected, TextFormat.PLAIN, "hello"),
            SpeakUtterance(expected, TextFormat.PLAIN, None),
        ]

    def test_a_speaker_may_be_a_number_and_blank_fields_count_as_absent(self) -> None:
        voice = {"name": "", "language": "", "speaker": 0}

        assert commands(Event("synthesize", {"text": "hello", "voice": voice})) == [
            SpeakUtterance(VoiceRequest(speaker="0"), TextFormat.PLAIN, "hello")
        ]

    def test_ssml_is_passed_on_as_ssml(self) -> None:
        found = commands(Synthesize("<speak/>", text_format=SynthesizeTextFormat.SSML).event())

        assert found == [SpeakUtterance(VoiceRequest(), TextFormat.SSML, "<speak/>")]

    def test_an_unknown_text_format_is_an_error_that_names_the_known_ones(self) -> None:
        error = only_refusal(commands(Synthesize("a", text_format="markdown").event())).error

        assert isinstance(error, Unsupported)
        assert "'text' or 'ssml'" in error.message

    def test_a_lone_surrogate_is_dropped_from_text(self) -> None:
        assert commands(START, chunk("a\ud83d")) == [STREAM, AddText("a")]

    def test_without_streaming_only_synthesize_is_accepted(self) -> None:
        sent = [START, chunk("hello"), Synthesize("hello").event(), STOP, chunk("x")]

        assert commands(*sent, streaming=False) == [PLAIN]

    @given(
        st.lists(
            st.sampled_from(
                [START, BAD_START, STOP, chunk("a"), Event("synthesize-chunk"), Synthesize("hello").event()]
            )
        )
    )
    def test_every_opened_text_is_ended_once_and_in_order_for_any_sequence_of_events(
        self, sent: list[Event]
    ) -> None:
        protocol, is_open = WyomingProtocol(), False
        for event in sent:
            for command in protocol.receive(event):
                if isinstance(command, AddText | EndText | FailText):
                    assert is_open
                is_open = command == STREAM or (is_open and isinstance(command, AddText))
            assert is_open == (protocol.state is TextState.STREAMING)


FORMAT = AudioFormat(1_000)


def audio(samples: int, first: int = 0, *, audio_format: AudioFormat = FORMAT) -> AudioChunk:
    return AudioChunk(audio_format, b"\x01\x02" * samples, first)


def reply_to(
    *chunks: AudioChunk, ending: ReplyEnding = ReplyEnding.STREAM, error: SpeechError | None = None
) -> list[Event]:
    reply = ReplyEvents(ending)
    if chunks:
        reply.set_format(FORMAT)
    return [*(event for chunk in chunks for event in reply.audio(chunk)), *reply.close(error)]


def types(found: list[Event]) -> list[str]:
    return [event.type for event in found]


class TestReplyEvents:
    def test_each_audio_chunk_is_an_event_with_its_timestamp(self) -> None:
        found = reply_to(audio(100), audio(100, 100), audio(50, 200), audio(30, 250))

        chunks = [event for event in found if event.type == "audio-chunk"]
        assert [len(event.payload or b"") // 2 for event in chunks] == [100, 100, 50, 30]
        assert [event.data["timestamp"] for event in chunks] == [0, 100, 200, 250]
        assert b"".join(event.payload or b"" for event in chunks) == b"\x01\x02" * 280

    def test_an_event_tells_the_words_of_its_audio_in_a_field_of_our_own(self) -> None:
        word = SpokenWord("25 °C", 7, 12, 7, 12, 0.1, 0.15)
        told = replace(audio(100, 100), words=(word,))

        first, second = reply_to(audio(100), told)[1:3]

        assert first.data == {"rate": 1_000, "width": 2, "channels": 1, "timestamp": 0}
        assert second.data == {
            "rate": 1_000,
            "width": 2,
            "channels": 1,
            "timestamp": 100,
            "wyoming_tts_words": [
                {
                    "text": "25 °C",
                    "begin": 7,
                    "end": 12,
                    "utf16_begin": 7,
                    "utf16_end": 12,
                    "start_time": 0.1,
                    "end_time": 0.15,
                    "estimated": False,
                }
            ],
        }

    def test_the_start_tells_the_voice_in_a_field_of_our_own(self) -> None:
        reply = ReplyEvents(ReplyEnding.AUDIO)
        reply.set_format(FORMAT)
        reply.set_voice(SpeakingVoice("espeak-de", VoiceReason.FALLBACK, "de_DE-far"))

        assert next(reply.audio(audio(100))).data == {
            "rate": 1_000,
            "width": 2,
            "channels": 1,
            "timestamp": 0,
            "wyoming_tts_voice": {"name": "espeak-de", "reason": "fallback"},
        }

    def test_without_words_an_event_is_as_it_always_was(self) -> None:
        reply = ReplyEvents(ReplyEnding.AUDIO, words=False)
        reply.set_format(FORMAT)
        told = replace(audio(100), words=(SpokenWord("word", 0, 4, 0, 4, 0.0, 0.1),))

        assert list(reply.audio(told))[1].data == {"rate": 1_000, "width": 2, "channels": 1, "timestamp": 0}

    def test_a_reply_has_one_start_and_one_stop_with_its_format_and_duration(self) -> None:
        found = reply_to(audio(100), audio(100, 100), ending=ReplyEnding.AUDIO)

        assert types(found) == ["audio-start", "audio-chunk", "audio-chunk", "audio-stop"]
        assert found[0].data == {"rate": 1_000, "width": 2, "channels": 1, "timestamp": 0}
        assert found[-1].data == {"timestamp": 200}

    def test_a_stream_ends_with_synthesize_stopped(self) -> None:
        assert types(reply_to(audio(10)))[-2:] == ["audio-stop", "synthesize-stopped"]

    def test_no_event_is_sent_before_the_first_audio(self) -> None:
        reply = ReplyEvents(ReplyEnding.AUDIO)
        reply.set_format(FORMAT)

        assert list(reply.audio(audio(0))) == []

    def test_a_reply_without_audio_still_has_start_and_stop(self) -> None:
        assert types(reply_to(audio(0))) == ["audio-start", "audio-stop", "synthesize-stopped"]

    def test_an_error_comes_before_the_closing_events(self) -> None:
        found = reply_to(audio(10), error=Busy("No room.", hint="Wait."))

        assert types(found) == ["audio-start", "audio-chunk", "error", "audio-stop", "synthesize-stopped"]
        assert found[2].data == {"text": "No room. Wait.", "code": "busy"}

    def test_a_reply_that_fails_before_its_format_is_known_is_well_formed(self) -> None:
        found = reply_to(error=Busy("No room."))

        assert types(found) == ["error", "audio-start", "audio-stop", "synthesize-stopped"]
        assert found[1].data["rate"] == 22_050

    def test_an_error_without_a_stream_is_only_an_error(self) -> None:
        assert types(reply_to(ending=ReplyEnding.NOTHING, error=Busy("No room."))) == ["error"]

    def test_audio_in_another_format_than_announced_is_never_sent(self) -> None:
        with pytest.raises(EngineFailed, match=r"rate=2000.* within a stream in .*rate=1000"):
            reply_to(audio(10), audio(10, 10, audio_format=AudioFormat(2_000)))


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
    (received,) = EventReader().feed(encode_event(event))
    return Info.from_event(received)


class TestInfo:
    def test_info_advertises_one_tts_program_and_no_other_service(self) -> None:
        info = advertised(voice("a"))

        (program,) = info.tts
        assert program.name == "wyoming-tts"
        assert program.installed
        assert program.version == "2.3"
        assert program.supports_synthesize_streaming
        assert info.satellite is None
        assert not any((info.asr, info.handle, info.intent, info.wake))

    def test_info_says_whether_streaming_is_supported(self) -> None:
        assert not advertised(voice("a"), supports_streaming=False).tts[0].supports_synthesize_streaming

    def test_a_voice_is_advertised_with_all_its_metadata(self) -> None:
        (shown,) = advertised(voice("a")).tts[0].voices

        assert (shown.name, shown.description, shown.languages) == ("a", "The voice a", ["en_US"])
        assert (shown.attribution.name, shown.attribution.url) == ("somebody", "https://example.org")
        assert (shown.installed, shown.version, shown.speakers) == (True, "1.0", None)

    @pytest.mark.parametrize(("speakers", "more"), [(1, 0), (2, 2), (20, 20), (21, 0)])
    def test_speakers_up_to_a_limit_are_advertised_as_voices_of_their_own(
        self, speakers: int, more: int
    ) -> None:
        base, *others = advertised(voice("a", speakers)).tts[0].voices

        assert base.speakers is not None
        assert [speaker.name for speaker in base.speakers] == [f"s{number}" for number in range(speakers)]
        assert [shown.name for shown in others] == [f"a#s{number}" for number in range(more)]
        assert [shown.description for shown in others] == [
            f"The voice a – s{number}" for number in range(more)
        ]
        assert all(shown.speakers is None for shown in others)

    def test_a_downloadable_voice_is_advertised_as_not_installed(self) -> None:
        def downloadable(name: str) -> CatalogueVoice:
            return CatalogueVoice(name, "piper", "de_DE", "low", 3, ())

        event = info_event(
            [voice("b")],
            version="1",
            supports_streaming=True,
            downloadable=[downloadable("c"), downloadable("b"), downloadable("a")],
        )
        (received,) = EventReader().feed(encode_event(event))
        (program,) = Info.from_event(received).tts

        assert program.installed
        assert [(shown.name, shown.installed) for shown in program.voices] == [
            ("b", True),
            ("a", False),
            ("c", False),
        ]
        assert program.voices[1].languages == ["de_DE"]
        assert program.voices[1].speakers is None

    def test_voices_are_advertised_in_an_order_independent_of_discovery(self) -> None:
        one, other = voice("b", 2), voice("a")

        assert encode_event(info_event([one, other], version="1", supports_streaming=True)) == encode_event(
            info_event([other, one], version="1", supports_streaming=True)
        )
