"""The Wyoming protocol without I/O: turns a client's events into commands, and audio into reply events.

Nothing here waits, reads a clock or opens a socket, so each rule can be tried at a prompt. Encoding events as
bytes, and decoding them, is done by `wyoming_framing`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import Enum, auto
from typing import Any, TypeAlias

from wyoming import audio as wyoming_audio
from wyoming import info as wyoming_info
from wyoming.error import Error
from wyoming.event import Event
from wyoming.tts import SynthesizeStopped

from wyoming_tts.errors import BadRequest, EngineFailed, SpeechError, Unsupported, describe_value
from wyoming_tts.speech import (
    SPEAKER_MARK,
    Attribution,
    AudioChunk,
    AudioFormat,
    SpeakingVoice,
    TextFormat,
    Voice,
    VoiceRequest,
)
from wyoming_tts.voices.catalogue import CatalogueVoice
from wyoming_tts.wyoming_words import words_data

__all__ = [
    "AddText",
    "Command",
    "EndText",
    "FailText",
    "RefuseRequest",
    "ReplyEnding",
    "ReplyEvents",
    "SendInfo",
    "SendPong",
    "SpeakUtterance",
    "TextState",
    "WyomingProtocol",
    "error_event",
    "info_event",
]

PROGRAM = "wyoming-tts"
MAX_ADVERTISED_SPEAKERS = 20
"""Home Assistant does not show a voice's speakers, so each is advertised as a voice of its own. With hundreds
of speakers (some corpora have 900) the other voices would be lost in the list."""
UNKNOWN_FORMAT = AudioFormat(rate=22_050)
"""Announced when a stream ends before its voice is known: clients need some format in audio-start."""


class ReplyEnding(Enum):
    """The events a client waits for at the end of a reply, also after an error."""

    NOTHING = auto()
    AUDIO = auto()
    """audio-start and audio-stop: it sent `synthesize`."""
    STREAM = auto()
    """Those and synthesize-stopped: it sent `synthesize-start`."""


@dataclass(frozen=True, slots=True)
class SendInfo:
    """Reply to `describe`."""


@dataclass(frozen=True, slots=True)
class SendPong:
    """Reply to `ping`."""

    text: str | None


@dataclass(frozen=True, slots=True)
class SpeakUtterance:
    """Queue an utterance."""

    voice: VoiceRequest
    text_format: TextFormat
    text: str | None
    """The complete text; None if it follows as `AddText` up to `EndText`."""

    @property
    def ending(self) -> ReplyEnding:
        """How its reply ends."""
        return ReplyEnding.STREAM if self.text is None else ReplyEnding.AUDIO


@dataclass(frozen=True, slots=True)
class AddText:
    """Append text to the utterance that was started last."""

    text: str


@dataclass(frozen=True, slots=True)
class EndText:
    """Close the text of the utterance that was started last: it is complete."""


@dataclass(frozen=True, slots=True)
class FailText:
    """Fail the utterance that was started last: its text is invalid."""

    error: SpeechError


@dataclass(frozen=True, slots=True)
class RefuseRequest:
    """Reply with an error, in turn after the queued requests."""

    error: SpeechError
    ending: ReplyEnding


Command: TypeAlias = SendInfo | SendPong | SpeakUtterance | AddText | EndText | FailText | RefuseRequest


class TextState(Enum):
    """State of a client's streamed text: what `synthesize-chunk` and `synthesize-stop` refer to."""

    IDLE = auto()
    """No text is open: they are errors."""
    STREAMING = auto()
    """They belong to the utterance that was started last."""
    DISCARDING = auto()
    """They belong to a start that was refused, or to text that failed, and are dropped."""


class WyomingProtocol:
    """Protocol state of one client: turns its events into commands."""

    def __init__(self, *, streaming: bool = True) -> None:
        """Without `streaming` only `synthesize` is understood, as by servers older than Wyoming's streams."""
        self._streaming = streaming
        self._state = TextState.IDLE

    @property
    def state(self) -> TextState:
        """The state of the streamed text."""
        return self._state

    def receive(self, event: Event) -> list[Command]:
        """Return the commands that an event stands for; none for an unknown event."""
        match event.type:
            case "describe":
                return [SendInfo()]
            case "ping":
                return [_parse_ping(event.data)]
            case "synthesize":
                return self._on_synthesize(event.data)
            case _ if self._streaming:
                return self._on_stream_event(event)
        return []

    def _on_stream_event(self, event: Event) -> list[Command]:
        match event.type:
            case "synthesize-start":
                return self._on_start(event.data)
            case "synthesize-chunk":
                return self._on_chunk(event.data)
            case "synthesize-stop":
                return self._on_stop()
        return []

    def _on_synthesize(self, data: dict[str, Any]) -> list[Command]:
        # Streaming clients send the complete text once more, for servers that do not know streams.
        if self._state is not TextState.IDLE:
            return []
        try:
            return [SpeakUtterance(_parse_voice(data), _parse_text_format(data), _parse_text(data))]
        except BadRequest as error:
            return [RefuseRequest(error, ReplyEnding.AUDIO)]

    def _on_start(self, data: dict[str, Any]) -> list[Command]:
        ended: list[Command] = [EndText()] if self._state is TextState.STREAMING else []
        try:
            started = SpeakUtterance(_parse_voice(data), _parse_text_format(data), text=None)
        except BadRequest as error:
            self._state = TextState.DISCARDING
            return [*ended, RefuseRequest(error, ReplyEnding.STREAM)]
        self._state = TextState.STREAMING
        return [*ended, started]

    def _on_chunk(self, data: dict[str, Any]) -> list[Command]:
        if self._state is TextState.IDLE:
            return [_refuse_stray("synthesize-chunk")]
        if self._state is TextState.DISCARDING:
            return []
        try:
            return [AddText(_parse_text(data))]
        except BadRequest as error:
            self._state = TextState.DISCARDING
            return [FailText(error)]

    def _on_stop(self) -> list[Command]:
        before, self._state = self._state, TextState.IDLE
        if before is TextState.IDLE:
            return [_refuse_stray("synthesize-stop")]
        return [EndText()] if before is TextState.STREAMING else []


def _refuse_stray(event_type: str) -> RefuseRequest:
    error = BadRequest(f"Got {event_type} while no stream was open.", hint="Send synthesize-start first.")
    return RefuseRequest(error, ReplyEnding.NOTHING)


def _parse_ping(data: dict[str, Any]) -> SendPong | RefuseRequest:
    try:
        return SendPong(_get_string(data, "text"))
    except BadRequest as error:
        return RefuseRequest(error, ReplyEnding.NOTHING)


def _parse_text(data: dict[str, Any]) -> str:
    text = _get_string(data, "text")
    if text is None:
        raise BadRequest("Got a request without 'text', expected a string.")
    return text


def _parse_text_format(data: dict[str, Any]) -> TextFormat:
    name = _get_string(data, "text_format") or TextFormat.PLAIN
    try:
        return TextFormat(name)
    except ValueError:
        known = " or ".join(repr(known.value) for known in TextFormat)
        raise Unsupported(f"Got an unknown text_format, expected {known}.") from None


def _parse_voice(data: dict[str, Any]) -> VoiceRequest:
    voice = data.get("voice")
    if voice is None:
        return VoiceRequest()
    if not isinstance(voice, dict):
        raise BadRequest(f"Got {describe_value(voice)} as the voice, expected an object.")
    return VoiceRequest(
        # Empty strings come from forms left blank.
        name=_get_string(voice, "name") or None,
        language=_get_string(voice, "language") or None,
        speaker=_parse_speaker(voice) or None,
    )


def _parse_speaker(voice: dict[str, Any]) -> str | None:
    speaker = voice.get("speaker")
    if isinstance(speaker, int) and not isinstance(speaker, bool):
        return str(speaker)
    return _get_string(voice, "speaker")


def _get_string(data: dict[str, Any], key: str) -> str | None:
    value = data.get(key)
    if value is None:
        return None
    if not isinstance(value, str):
        raise BadRequest(f"Got {describe_value(value)} as {key!r}, expected a string.")
    # JSON can hold a lone surrogate, which cannot be spoken and cannot be encoded in a reply.
    return value.encode(errors="ignore").decode()


_VOICE = "wyoming_tts_voice"
"""Field of audio-start that tells which voice speaks, and why; clients ignore what they do not know."""


class ReplyEvents:
    """Builds the events of one reply, in the one order that every client accepts.

    audio-start goes out with the first audio, so that an earlier error precedes it; the closing events always
    follow, whatever happened.
    """

    def __init__(self, ending: ReplyEnding, *, words: bool = True) -> None:
        """With `words`, an event tells when which word sounds in its audio."""
        self._ending = ending
        self._words = words
        self._format = UNKNOWN_FORMAT
        self._voice: SpeakingVoice | None = None
        self._started = False
        self._samples = 0

    def set_format(self, audio_format: AudioFormat) -> None:
        """Set the format of the stream, before its first audio."""
        self._format = audio_format

    def set_voice(self, voice: SpeakingVoice) -> None:
        """Set the voice that audio-start names, in a field of our own, before the first audio."""
        self._voice = voice

    def audio(self, chunk: AudioChunk) -> Iterator[Event]:
        """Build the events of one frame of audio.

        Raises:
            EngineFailed: the frame has another format than the stream. Clients would play it at the wrong
                pitch, because they only look at the first audio-start.
        """
        if chunk.format != self._format:
            raise EngineFailed(f"Got audio in {chunk.format} within a stream in {self._format}.")
        if chunk.pcm:
            yield from self._start()
            yield self._audio_event(chunk)

    def close(self, error: SpeechError | None = None) -> Iterator[Event]:
        """Build the events that end the reply, after the error if it failed."""
        if error is not None:
            yield error_event(error)
        if self._ending is ReplyEnding.NOTHING:
            return
        yield from self._start()
        yield wyoming_audio.AudioStop(timestamp=self._milliseconds).event()
        if self._ending is ReplyEnding.STREAM:
            yield SynthesizeStopped().event()

    @property
    def _milliseconds(self) -> int:
        return self._samples * 1000 // self._format.rate

    def _start(self) -> Iterator[Event]:
        if self._started:
            return
        self._started = True
        form = self._format
        event = wyoming_audio.AudioStart(form.rate, form.width, form.channels, timestamp=0).event()
        if self._voice is not None:
            event.data[_VOICE] = {"name": self._voice.name, "reason": str(self._voice.reason)}
        yield event

    def _audio_event(self, chunk: AudioChunk) -> Event:
        form, timestamp = self._format, self._milliseconds
        self._samples += chunk.samples
        event = wyoming_audio.AudioChunk(form.rate, form.width, form.channels, chunk.pcm, timestamp).event()
        if self._words:
            event.data |= words_data(chunk.words)
        return event


def error_event(error: SpeechError) -> Event:
    """Build the `error` event for a client."""
    return Error(text=str(error), code=error.code.value).event()


def info_event(
    voices: Sequence[Voice],
    *,
    version: str,
    supports_streaming: bool,
    downloadable: Sequence[CatalogueVoice] = (),
) -> Event:
    """Build the reply to `describe`: one installed program with all installed voices.

    Voices of `downloadable` that are not installed follow, marked as such.
    """
    installed = {voice.name for voice in voices}
    absent = [voice for voice in downloadable if voice.name not in installed]
    program = wyoming_info.TtsProgram(
        name=PROGRAM,
        attribution=wyoming_info.Attribution(name=f"The {PROGRAM} authors", url=""),
        installed=True,
        description="Local text-to-speech that speaks while the text is still arriving",
        version=version,
        voices=[
            *(shown for voice in sorted(voices, key=lambda voice: voice.name) for shown in _advertise(voice)),
            *(_not_installed(voice) for voice in sorted(absent, key=lambda voice: voice.name)),
        ],
        supports_synthesize_streaming=supports_streaming,
    )
    return wyoming_info.Info(tts=[program]).event()


def _advertise(voice: Voice) -> Iterator[wyoming_info.TtsVoice]:
    speakers = sorted(voice.speakers, key=lambda speaker: voice.speakers[speaker])
    yield _installed(voice, speakers=[wyoming_info.TtsVoiceSpeaker(speaker) for speaker in speakers] or None)
    if 1 < len(speakers) <= MAX_ADVERTISED_SPEAKERS:
        yield from (_installed(voice, speaker=speaker) for speaker in speakers)


def _installed(
    voice: Voice, *, speaker: str | None = None, speakers: list[wyoming_info.TtsVoiceSpeaker] | None = None
) -> wyoming_info.TtsVoice:
    return wyoming_info.TtsVoice(
        name=voice.name if speaker is None else f"{voice.name}{SPEAKER_MARK}{speaker}",
        attribution=_attribution(voice.attribution),
        installed=True,
        description=voice.description if speaker is None else f"{voice.description} – {speaker}",
        version=voice.version,
        languages=[voice.language],
        speakers=speakers,
    )


def _not_installed(voice: CatalogueVoice) -> wyoming_info.TtsVoice:
    return wyoming_info.TtsVoice(
        name=voice.name,
        attribution=wyoming_info.Attribution(
            name=voice.engine, url=voice.files[0].url if voice.files else ""
        ),
        installed=False,
        description=f"{voice.name} ({voice.engine}, not installed)",
        version=None,
        languages=[voice.language],
        speakers=None,  # only its files name them
    )


def _attribution(attribution: Attribution) -> wyoming_info.Attribution:
    return wyoming_info.Attribution(name=attribution.name, url=attribution.url)
