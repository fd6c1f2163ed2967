from __future__ import annotations

import asyncio
import contextlib
import json
import socket
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from wyoming.audio import AudioChunk
from wyoming.error import Error
from wyoming.info import Info
from wyoming.tts import SynthesizeStopped

from tests.support import hostile_servers as hostile
from tests.support.scripted_server import (
    START,
    STOP,
    ScriptedConnection,
    answer_describe,
    audio,
    info,
    scripted_server,
)
from wyoming_tts.client import (
    ClientError,
    ClientTimeouts,
    ConnectionLost,
    OutputClosed,
    ServerError,
    describe,
    speak,
    supports_streaming,
)
from wyoming_tts.client import wyoming as remote
from wyoming_tts.speech import AudioFormat, SpokenWord, TextFormat, VoiceRequest
from wyoming_tts.wyoming_framing import encode_event
from wyoming_tts.wyoming_words import WORDS, words_data

HALF_SECOND = bytes(22050)
STOPPED = SynthesizeStopped()


async def pieces_of_text(*pieces: str) -> AsyncIterator[str]:
    for piece in pieces:
        yield piece


async def never_ending_text(first: str) -> AsyncIterator[str]:
    yield first
    await asyncio.Event().wait()


class RecordingSink:
    def __init__(self) -> None:
        self.format: AudioFormat | None = None
        self.pcm = b""
        self.received_audio = asyncio.Event()

    async def __call__(self, audio_format: AudioFormat, pcm: bytes) -> None:
        self.format = audio_format
        self.pcm += pcm
        if pcm:
            self.received_audio.set()


async def discard(audio_format: AudioFormat, pcm: bytes) -> None:
    pass


async def plain_reply(conversation: ScriptedConnection) -> None:
    await conversation.read_until("synthesize")
    await conversation.send(START, audio(HALF_SECOND), audio(HALF_SECOND), STOP)


async def streamed_reply(conversation: ScriptedConnection) -> None:
    await conversation.read_until("synthesize-stop")
    await conversation.send(START, audio(HALF_SECOND), STOP, STOPPED)


def assert_one_line(error: pytest.ExceptionInfo[ClientError], *words: str) -> None:
    message = str(error.value)
    assert "\n" not in message
    for word in words:
        assert word in message


async def test_a_plain_request_is_one_event_with_the_whole_text() -> None:
    listener = RecordingSink()
    async with scripted_server(plain_reply) as server:
        report = await speak(server.uri, pieces_of_text("The door ", "is open."), on_audio=listener)
    assert [(event.type, event.data) for event in server.received] == [
        ("synthesize", {"text": "The door is open."})
    ]
    assert listener.pcm == HALF_SECOND * 2
    assert (report.samples, report.seconds) == (22050, 1.0)
    assert report.format == AudioFormat(22050)
    assert report.complete
    assert report.ttfa is not None
    assert 0 < report.ttfa <= report.total


async def test_voice_speaker_and_ssml_are_sent_only_when_given() -> None:
    voice_request = VoiceRequest(name="en_US-tone", speaker="3")
    async with scripted_server(plain_reply) as server:
        await speak(
            server.uri,
            pieces_of_text("<speak/>"),
            on_audio=discard,
            voice=voice_request,
            text_format=TextFormat.SSML,
        )
        await speak(
            server.uri, pieces_of_text("Hallo."), on_audio=discard, voice=VoiceRequest(language="de_DE")
        )
    ssml, plain = server.received
    assert ssml.data["voice"] == {"name": "en_US-tone", "speaker": "3"}
    assert ssml.data["text_format"] == "ssml"
    assert plain.data == {"text": "Hallo.", "voice": {"language": "de_DE"}}


async def test_a_speaker_without_a_voice_is_refused_before_connecting() -> None:
    with pytest.raises(ClientError) as error:
        await speak(
            "tcp://127.0.0.1:1", pieces_of_text("Hi."), on_audio=discard, voice=VoiceRequest(speaker="3")
        )
    assert_one_line(error, "'3'", "Name the voice")


async def test_a_streaming_request_sends_start_chunks_the_whole_text_and_stop() -> None:
    voice_request = VoiceRequest(name="en_US-tone")
    async with scripted_server(streamed_reply) as server:
        report = await speak(
            server.uri, pieces_of_text("One. ", "Two."), on_audio=discard, voice=voice_request, streaming=True
        )
    voice = {"name": "en_US-tone"}
    assert [(event.type, event.data) for event in server.received] == [
        ("synthesize-start", {"voice": voice}),
        ("synthesize-chunk", {"text": "One. "}),
        ("synthesize-chunk", {"text": "Two."}),
        ("synthesize", {"text": "One. Two.", "voice": voice}),
        ("synthesize-stop", {}),
    ]
    assert report.seconds == 0.5


async def test_audio_is_received_while_the_text_is_still_being_written() -> None:
    listener = RecordingSink()

    async def text_waiting_for_audio() -> AsyncIterator[str]:
        yield "One. "
        await listener.received_audio.wait()
        yield "Two."

    async def reply(conversation: ScriptedConnection) -> None:
        await conversation.read_until("synthesize-chunk")
        await conversation.send(START, audio(HALF_SECOND))
        await conversation.read_until("synthesize-stop")
        await conversation.send(audio(HALF_SECOND), STOP, STOPPED)

    async with asyncio.timeout(10), scripted_server(reply) as server:
        report = await speak(server.uri, text_waiting_for_audio(), on_audio=listener, streaming=True)
    assert report.seconds == 1.0
    assert server.types.count("synthesize-chunk") == 2


async def test_the_sink_gets_the_format_before_any_audio() -> None:
    async def reply(conversation: ScriptedConnection) -> None:
        await conversation.read_until("synthesize")
        await conversation.send(START, STOP)

    listener = RecordingSink()
    async with scripted_server(reply) as server:
        report = await speak(server.uri, pieces_of_text("..."), on_audio=listener)
    assert listener.format == AudioFormat(22050)
    assert (report.samples, report.ttfa) == (0, None)


async def test_words_are_passed_on_before_the_audio_in_which_they_begin() -> None:
    words = (SpokenWord("One", 0, 3, 0, 3, 0.0, 0.2), SpokenWord("two", 4, 7, 4, 7, 0.2, 0.5))
    heard: list[object] = []

    async def reply(conversation: ScriptedConnection) -> None:
        await conversation.read_until("synthesize")
        await conversation.send(START)
        for told in (words_data(words), {}, {WORDS: 5}):
            event = audio(HALF_SECOND).event()
            event.data |= told
            await conversation.send_bytes(encode_event(event))
        await conversation.send(STOP)

    async def listen(_: AudioFormat, pcm: bytes) -> None:
        if pcm:
            heard.append("audio")

    async with scripted_server(reply) as server:
        await speak(server.uri, pieces_of_text("One two"), on_audio=listen, on_words=heard.append)
    assert heard == [words, "audio", "audio", "audio"]


async def test_audio_restarted_for_every_sentence_is_received_to_the_end() -> None:
    async def reply(conversation: ScriptedConnection) -> None:
        await conversation.read_until("synthesize-stop")
        sentence = (START, audio(HALF_SECOND), STOP)
        await conversation.send(*sentence, *sentence, STOPPED)

    async with scripted_server(reply) as server:
        report = await speak(server.uri, pieces_of_text("One. Two."), on_audio=discard, streaming=True)
    assert report.seconds == 1.0


@pytest.mark.parametrize("streaming", [False, True])
async def test_a_server_error_is_raised_with_its_code_after_the_closing_events(streaming: bool) -> None:  # noqa: FBT001
    closed_by_client = asyncio.Event()

    async def reply(conversation: ScriptedConnection) -> None:
        await conversation.read_until("synthesize")
        await conversation.send(START, audio(HALF_SECOND), Error("No voice\nis called x.", "unknown_voice"))
        await conversation.send(STOP, *([STOPPED] if streaming else []))
        await conversation.closed()
        closed_by_client.set()

    listener = RecordingSink()
    async with scripted_server(reply) as server:
        with pytest.raises(ServerError) as error:
            await speak(server.uri, pieces_of_text("Hi."), on_audio=listener, streaming=streaming)
        await closed_by_client.wait()
    assert_one_line(error, "(unknown_voice)", "No voice is called x.")
    assert listener.pcm == HALF_SECOND


async def test_an_error_before_a_close_takes_precedence_over_the_lost_connection() -> None:
    async def reply(conversation: ScriptedConnection) -> None:
        await conversation.read_until("synthesize")
        await conversation.send(Error("out of memory"))

    async with scripted_server(reply) as server:
        with pytest.raises(ServerError, match="out of memory") as error:
            await speak(server.uri, pieces_of_text("Hi."), on_audio=discard)
    assert_one_line(error, "refused: out of memory")


async def test_an_error_without_closing_events_is_raised_after_a_short_wait(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(remote, "_ERROR_GRACE_SECONDS", 0.05)

    async def reply(conversation: ScriptedConnection) -> None:
        await conversation.read_until("synthesize-start")
        await conversation.send(Error("busy", "busy"))
        await conversation.closed()

    async with asyncio.timeout(10), scripted_server(reply) as server:
        with pytest.raises(ServerError, match="busy"):
            await speak(server.uri, never_ending_text("One. "), on_audio=discard, streaming=True)


async def test_a_refused_connection_names_the_address_and_what_to_do() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        uri = f"tcp://127.0.0.1:{taken.getsockname()[1]}"
    with pytest.raises(ClientError) as error:
        await speak(uri, pieces_of_text("Hi."), on_audio=discard)
    assert_one_line(error, uri, "Connection refused", "wyoming-tts serve")


@pytest.mark.parametrize(
    "uri", ["127.0.0.1:10200", "http://127.0.0.1:80", "tcp://pi", "stdio://", "tcp://a:b"]
)
async def test_an_invalid_address_is_refused_with_the_expected_form(uri: str) -> None:
    with pytest.raises(ClientError) as error:
        await describe(uri)
    assert_one_line(error, uri, "tcp://HOST:10200")


async def test_a_lost_connection_reports_how_much_audio_was_received() -> None:
    async def reply(conversation: ScriptedConnection) -> None:
        await conversation.read_until("synthesize")
        await conversation.send(START, audio(HALF_SECOND))

    async with scripted_server(reply) as server:
        with pytest.raises(ConnectionLost) as error:
            await speak(server.uri, pieces_of_text("Hi."), on_audio=discard)
    assert_one_line(error, server.uri, "after 0.5 s of audio")


async def test_a_connection_closed_within_an_event_is_lost() -> None:
    async def reply(conversation: ScriptedConnection) -> None:
        await conversation.read_until("synthesize")
        await conversation.send_bytes(b'{"type": "audio-chunk", "payload_length": 1000}\nabc')

    async with scripted_server(reply) as server:
        with pytest.raises(ConnectionLost, match="before any audio"):
            await speak(server.uri, pieces_of_text("Hi."), on_audio=discard)


async def test_a_server_that_disconnects_does_not_block_the_text_writer() -> None:
    async def reply(conversation: ScriptedConnection) -> None:
        await conversation.read_until("synthesize-chunk")
        conversation.writer.transport.abort()

    async with asyncio.timeout(10), scripted_server(reply) as server:
        with pytest.raises(ConnectionLost):
            await speak(server.uri, never_ending_text("One. "), on_audio=discard, streaming=True)


@pytest.mark.parametrize("answer", [b"HTTP/1.1 400 Bad Request\r\n\r\n", b"[1]\n", b"{}\n"])
async def test_another_protocol_is_refused(answer: bytes) -> None:
    async def reply(conversation: ScriptedConnection) -> None:
        await conversation.read()
        await conversation.send_bytes(answer)

    async with scripted_server(reply) as server:
        with pytest.raises(ClientError, match="Wyoming"):
            await describe(server.uri)


@pytest.mark.parametrize("what", hostile.NOT_WYOMING)
async def test_a_hostile_server_is_refused_with_a_one_line_error(what: str) -> None:
    async with asyncio.timeout(10), scripted_server(hostile.NOT_WYOMING[what]) as server:
        for call in (describe(server.uri), speak(server.uri, pieces_of_text("Hi."), on_audio=discard)):
            with pytest.raises(ClientError) as error:
                await call
            assert_one_line(error, server.uri, "not Wyoming: Got ")


@pytest.mark.parametrize("what", hostile.CUT_OFF)
async def test_a_truncated_reply_is_a_lost_connection(what: str) -> None:
    async with asyncio.timeout(10), scripted_server(hostile.CUT_OFF[what]) as server:
        for call in (describe(server.uri), speak(server.uri, pieces_of_text("Hi."), on_audio=discard)):
            with pytest.raises(ConnectionLost) as error:
                await call
            assert_one_line(error, server.uri, "closed the connection")


@pytest.mark.parametrize(
    "data", [{"tts": {"a": {}}}, {"tts": 7}, {"tts": [None]}, {"tts": "abc"}, {"tts": [{"voices": [1]}]}]
)
async def test_a_malformed_info_event_is_refused(data: object) -> None:
    async def reply(conversation: ScriptedConnection) -> None:
        await conversation.read()
        await conversation.send_bytes(json.dumps({"type": "info", "data": data}).encode() + b"\n")

    async with scripted_server(reply) as server:
        with pytest.raises(ClientError, match="malformed 'info'"):
            await describe(server.uri)


@pytest.mark.parametrize(
    "fields", [{"rate": "x"}, {"rate": 10**12}, {"channels": 10**12}, {"channels": None}, {"width": [2]}]
)
async def test_an_invalid_audio_format_is_refused(fields: dict[str, object]) -> None:
    async def reply(conversation: ScriptedConnection) -> None:
        await conversation.read_until("synthesize")
        data = {"rate": 22050, "width": 2, "channels": 1} | fields
        await conversation.send_bytes(json.dumps({"type": "audio-start", "data": data}).encode() + b"\n")

    async with scripted_server(reply) as server:
        with pytest.raises(ClientError, match="expected"):
            await speak(server.uri, pieces_of_text("Hi."), on_audio=discard)


async def test_a_silent_server_is_abandoned_after_the_answer_timeout() -> None:
    async with asyncio.timeout(10), scripted_server(ScriptedConnection.closed) as server:
        with pytest.raises(ClientError) as error:
            await speak(
                server.uri, pieces_of_text("Hi."), on_audio=discard, timeouts=ClientTimeouts(answer=0.05)
            )
    assert_one_line(error, server.uri, "0.05 s", "before any audio")


async def test_the_answer_timeout_of_a_streaming_request_starts_at_the_end_of_its_text() -> None:
    async with asyncio.timeout(10), scripted_server(ScriptedConnection.closed) as server:
        with pytest.raises(ClientError, match="sent nothing for"):
            await speak(
                server.uri,
                pieces_of_text("One. ", "Two."),
                on_audio=discard,
                streaming=True,
                timeouts=ClientTimeouts(answer=0.05),
            )
    assert server.types[-1] == "synthesize-stop"


async def test_slow_typing_does_not_time_out() -> None:
    limit = 0.4

    async def slow_text() -> AsyncIterator[str]:
        yield "One "
        await asyncio.sleep(2 * limit)
        yield "more."

    async with scripted_server(streamed_reply) as server:
        report = await speak(
            server.uri, slow_text(), on_audio=discard, streaming=True, timeouts=ClientTimeouts(answer=limit)
        )
    assert report.seconds == 0.5


async def test_a_server_without_streaming_support_is_recognized_by_the_missing_end() -> None:
    async def reply(conversation: ScriptedConnection) -> None:
        await plain_reply(conversation)
        await conversation.closed()

    async with scripted_server(reply) as server:
        with pytest.raises(ClientError, match="without --stream"):
            await speak(
                server.uri,
                pieces_of_text("Hi."),
                on_audio=discard,
                streaming=True,
                timeouts=ClientTimeouts(answer=0.05),
            )


async def test_a_format_change_within_a_stream_is_refused() -> None:
    async def reply(conversation: ScriptedConnection) -> None:
        await conversation.read_until("synthesize")
        await conversation.send(START, audio(HALF_SECOND), audio(HALF_SECOND, rate=16000))

    async with scripted_server(reply) as server:
        with pytest.raises(ClientError, match=r"16000 Hz.* in a stream of .*22050 Hz"):
            await speak(server.uri, pieces_of_text("Hi."), on_audio=discard)


@pytest.mark.parametrize("chunk", [audio(b"\0\0\0"), audio(b"\0\0", width=1), audio(b"\0\0", rate=0)])
async def test_audio_that_is_not_whole_16_bit_samples_is_refused(chunk: AudioChunk) -> None:
    async def reply(conversation: ScriptedConnection) -> None:
        await conversation.read_until("synthesize")
        await conversation.send(chunk)

    async with scripted_server(reply) as server:
        with pytest.raises(ClientError):
            await speak(server.uri, pieces_of_text("Hi."), on_audio=discard)


async def test_a_malformed_event_is_refused() -> None:
    async def reply(conversation: ScriptedConnection) -> None:
        await conversation.read_until("synthesize")
        await conversation.send_bytes(b'{"type": "audio-start", "data": {"rate": 22050}}\n')

    async with scripted_server(reply) as server:
        with pytest.raises(ClientError, match="malformed 'audio-start'"):
            await speak(server.uri, pieces_of_text("Hi."), on_audio=discard)


async def test_a_closed_output_ends_the_speech_without_an_error() -> None:
    connection_closed = asyncio.Event()

    async def reply(conversation: ScriptedConnection) -> None:
        await conversation.read_until("synthesize")
        await conversation.send(START, audio(HALF_SECOND))
        await conversation.closed()
        connection_closed.set()

    async def close_output(audio_format: AudioFormat, pcm: bytes) -> None:
        if pcm:
            raise OutputClosed

    async with asyncio.timeout(10), scripted_server(reply) as server:
        report = await speak(server.uri, pieces_of_text("Hi."), on_audio=close_output)
        await connection_closed.wait()
    assert not report.complete
    assert report.seconds == 0.5


async def test_exceptions_of_the_sink_and_the_text_are_propagated() -> None:
    class CustomError(Exception):
        pass

    async def failing_sink(audio_format: AudioFormat, pcm: bytes) -> None:
        raise CustomError

    async def failing_text() -> AsyncIterator[str]:
        yield "One. "
        raise CustomError

    async with scripted_server(ScriptedConnection.closed) as server:
        with pytest.raises(CustomError):
            await speak(server.uri, failing_text(), on_audio=discard, streaming=True)
    async with scripted_server(plain_reply) as server:
        with pytest.raises(CustomError):
            await speak(server.uri, pieces_of_text("Hi."), on_audio=failing_sink)


async def test_cancellation_closes_the_connection_and_the_text() -> None:
    text_closed = asyncio.Event()
    connection_closed = asyncio.Event()
    listener = RecordingSink()

    async def text_closed_at_the_end() -> AsyncIterator[str]:
        try:
            yield "One. "
            await asyncio.Event().wait()
        finally:
            text_closed.set()

    async def reply(conversation: ScriptedConnection) -> None:
        await conversation.read_until("synthesize-chunk")
        await conversation.send(START, audio(HALF_SECOND))
        await conversation.closed()
        connection_closed.set()

    async with asyncio.timeout(10), scripted_server(reply) as server:
        speaking = asyncio.create_task(
            speak(server.uri, text_closed_at_the_end(), on_audio=listener, streaming=True)
        )
        await listener.received_audio.wait()
        speaking.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await speaking
        assert speaking.cancelled()
        await connection_closed.wait()
        assert text_closed.is_set()


async def test_speech_over_a_unix_socket(tmp_path: Path) -> None:
    async with scripted_server(plain_reply, unix_path=tmp_path / "tts.sock") as server:
        report = await speak(server.uri, pieces_of_text("Hi."), on_audio=discard)
    assert report.seconds == 1.0


async def test_describe_returns_the_info_of_the_server() -> None:
    async with scripted_server(answer_describe(info())) as server:
        described = await describe(server.uri)
    assert described.tts[0].voices[0].name == "tone"


async def test_describe_times_out_when_the_server_does_not_answer() -> None:
    async with asyncio.timeout(10), scripted_server(ScriptedConnection.closed) as server:
        with pytest.raises(ClientError) as error:
            await describe(server.uri, 0.05)
    assert_one_line(error, server.uri, "0.05 s")


@pytest.mark.parametrize(
    ("described", "streams"),
    [(info(), True), (info(streaming=False), False), (info(installed=False), False), (Info(), False)],
)
def test_streaming_requires_an_installed_program_that_supports_it(described: Info, streams: bool) -> None:  # noqa: FBT001
    assert supports_streaming(described) is streams
