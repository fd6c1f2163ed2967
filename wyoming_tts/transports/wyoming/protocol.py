"""What Wyoming events mean: a client's events to commands, audio to the events that answer.

Nothing here waits, reads a clock or opens a socket, so each rule can be tried at a prompt. How
events become bytes, and back, is `wyoming_framing`.
"""

from __future__ import annotations

import reprlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import Enum, auto
from typing import Any, TypeAlias

from wyoming import audio as wyoming_audio
from wyoming import info as wyoming_info
from wyoming.error import Error
from wyoming.event import Event
from wyoming.tts import SynthesizeStopped

from wyoming_tts.errors import BadRequest, EngineFailed, SpeechError, Unsupported
from wyoming_tts.speech import (
    SPEAKER_MARK,
    Attribution,
    AudioChunk,
    AudioFormat,
    TextFormat,
    Voice,
    VoiceRequest,
)
from wyoming_tts.voices.catalogue import CatalogueVoice

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
MOST_ADVERTISED_SPEAKERS = 20
"""Home Assistant never shows a voice's speakers, so each gets a voice of its own; with hundreds of
them (some corpora have 900) nobody would find the other voices in the list."""
UNKNOWN_FORMAT = AudioFormat(rate=22_050)
"""Announced when a stream ends before its voice was known: a client needs some format to close it."""


class ReplyEnding(Enum):
    """What a client waits for after an error."""

    NOTHING = auto()
    AUDIO = auto()
    """audio-start, audio-stop: it sent `synthesize`."""
    STREAM = auto()
    """And synthesize-stopped: it sent `synthesize-start`."""


@dataclass(frozen=True, slots=True)
class SendInfo:
    """Answer `describe`."""


@dataclass(frozen=True, slots=True)
class SendPong:
    """Answer `ping`."""

    text: str | None


@dataclass(frozen=True, slots=True)
class SpeakUtterance:
    """Speak, after what was asked for before."""

    voice: VoiceRequest
    text_format: TextFormat
    text: str | None
    """The whole text; None when it follows as AddText until EndText."""

    @property
    def closing(self) -> ReplyEnding:
        """The events that end the answer."""
        return ReplyEnding.STREAM if self.text is None else ReplyEnding.AUDIO


@dataclass(frozen=True, slots=True)
class AddText:
    """More text of the utterance that was started last."""

    text: str


@dataclass(frozen=True, slots=True)
class EndText:
    """The text of the utterance that was started last is complete."""


@dataclass(frozen=True, slots=True)
class FailText:
    """The utterance that was started last cannot be spoken to its end."""

    error: SpeechError


@dataclass(frozen=True, slots=True)
class RefuseRequest:
    """Answer with an error, after the answers to what was asked for before."""

    error: SpeechError
    closing: ReplyEnding


Command: TypeAlias = SendInfo | SendPong | SpeakUtterance | AddText | EndText | FailText | RefuseRequest


class TextState(Enum):
    """What `synthesize-chunk` and `synthesize-stop` mean now."""

    IDLE = auto()
    """Nothing: no text is open."""
    STREAMING = auto()
    """They belong to the utterance that was started last."""
    DISCARDING = auto()
    """They belong to a start that was refused, or to text that failed: nobody wants them."""


class WyomingProtocol:
    """Turns one client's events into commands."""

    def __init__(self, *, streaming: bool = True) -> None:
        """With `streaming` off only `synthesize` is known, as to servers before Wyoming had streams."""
        self._streaming = streaming
        self._state = TextState.IDLE

    @property
    def state(self) -> TextState:
        """Whether text is open."""
        return self._state

    def receive(self, event: Event) -> list[Command]:
        """What is to be done about an event; nothing for one that is unknown."""
        match event.type:
            case "describe":
                return [SendInfo()]
            case "ping":
                return [_pong(event.data)]
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
        # Streaming clients send the whole text once more, for servers that know no streams.
        if self._state is not TextState.IDLE:
            return []
        try:
            return [SpeakUtterance(_voice(data), _text_format(data), _text(data))]
        except BadRequest as error:
            return [RefuseRequest(error, ReplyEnding.AUDIO)]

    def _on_start(self, data: dict[str, Any]) -> list[Command]:
        ended: list[Command] = [EndText()] if self._state is TextState.STREAMING else []
        try:
            started = SpeakUtterance(_voice(data), _text_format(data), text=None)
        except BadRequest as error:
            self._state = TextState.DISCARDING
            return [*ended, RefuseRequest(error, ReplyEnding.STREAM)]
        self._state = TextState.STREAMING
        return [*ended, started]

    def _on_chunk(self, data: dict[str, Any]) -> list[Command]:
        if self._state is TextState.IDLE:
            return [_lone("synthesize-chunk")]
        if self._state is TextState.DISCARDING:
            return []
        try:
            return [AddText(_text(data))]
        except BadRequest as error:
            self._state = TextState.DISCARDING
            return [FailText(error)]

    def _on_stop(self) -> list[Command]:
        before, self._state = self._state, TextState.IDLE
        if before is TextState.IDLE:
            return [_lone("synthesize-stop")]
        return [EndText()] if before is TextState.STREAMING else []


def _lone(event_type: str) -> RefuseRequest:
    error = BadRequest(f"Got {event_type} while no stream was open.", hint="Send synthesize-start first.")
    return RefuseRequest(error, ReplyEnding.NOTHING)


def _pong(data: dict[str, Any]) -> SendPong | RefuseRequest:
    try:
        return SendPong(_optional_string(data, "text"))
    except BadRequest as error:
        return RefuseRequest(error, ReplyEnding.NOTHING)


def _text(data: dict[str, Any]) -> str:
    text = _optional_string(data, "text")
    if text is None:
        raise BadRequest("Got a request without 'text', expected a string.")
    return text


def _text_format(data: dict[str, Any]) -> TextFormat:
    name = _optional_string(data, "text_format") or TextFormat.PLAIN
    try:
        return TextFormat(name)
    except ValueError:
        known = " or ".join(repr(known.value) for known in TextFormat)
        raise Unsupported(f"Got text_format {reprlib.repr(name)}, expected {known}.") from None


def _voice(data: dict[str, Any]) -> VoiceRequest:
    voice = data.get("voice")
    if voice is None:
        return VoiceRequest()
    if not isinstance(voice, dict):
        raise BadRequest(f"Got {reprlib.repr(voice)} as the voice, expected an object.")
    return VoiceRequest(
        # Empty strings come from forms left blank.
        name=_optional_string(voice, "name") or None,
        language=_optional_string(voice, "language") or None,
        speaker=_speaker(voice) or None,
    )


def _speaker(voice: dict[str, Any]) -> str | None:
    speaker = voice.get("speaker")
    if isinstance(speaker, int) and not isinstance(speaker, bool):
        return str(speaker)
    return _optional_string(voice, "speaker")


def _optional_string(data: dict[str, Any], key: str) -> str | None:
    value = data.get(key)
    if value is None:
        return None
    if not isinstance(value, str):
        raise BadRequest(f"Got {reprlib.repr(value)} as {key!r}, expected a string.")
    # JSON can carry half of a surrogate pair: it has no sound, and no encoding to be sent back in.
    return value.encode(errors="ignore").decode()


class ReplyEvents:
    """The events that answer one utterance, in the one order that every client accepts.

    audio-start goes out with the first sound, so that a failure before it comes first; the
    closing events always follow, whatever happened.
    """

    def __init__(self, closing: ReplyEnding, *, samples_per_chunk: int = 1024) -> None:
        self._closing = closing
        self._samples_per_chunk = samples_per_chunk
        self._format = UNKNOWN_FORMAT
        self._announced = False
        self._samples = 0

    def use(self, audio_format: AudioFormat) -> None:
        """Say what the stream's audio is, before any of it."""
        self._format = audio_format

    def audio(self, chunk: AudioChunk) -> Iterator[Event]:
        """The events of some audio; its rest is a shorter event, so that nothing is held back.

        Raises:
            EngineFailed: the chunk has another format than the stream. Clients would play it
                at the wrong pitch, for they look at the first audio-start alone.
        """
        if chunk.format != self._format:
            raise EngineFailed(f"Got audio in {chunk.format} within a stream in {self._format}.")
        if chunk.pcm:
            yield from self._announcement()
        step = self._samples_per_chunk * chunk.format.frame_bytes
        for start in range(0, len(chunk.pcm), step):
            yield self._audio_event(chunk.pcm[start : start + step])

    def closed(self, error: SpeechError | None = None) -> Iterator[Event]:
        """The events that end the answer, after the error if it failed."""
        if error is not None:
            yield error_event(error)
        if self._closing is ReplyEnding.NOTHING:
            return
        yield from self._announcement()
        yield wyoming_audio.AudioStop(timestamp=self._milliseconds).event()
        if self._closing is ReplyEnding.STREAM:
            yield SynthesizeStopped().event()

    @property
    def _milliseconds(self) -> int:
        return self._samples * 1000 // self._format.rate

    def _announcement(self) -> Iterator[Event]:
        if self._announced:
            return
        self._announced = True
        form = self._format
        yield wyoming_audio.AudioStart(form.rate, form.width, form.channels, timestamp=0).event()

    def _audio_event(self, pcm: bytes) -> Event:
        form, timestamp = self._format, self._milliseconds
        self._samples += len(pcm) // form.frame_bytes
        return wyoming_audio.AudioChunk(form.rate, form.width, form.channels, pcm, timestamp).event()


def error_event(error: SpeechError) -> Event:
    """The event that tells a client of an error."""
    return Error(text=str(error), code=error.code.value).event()


def info_event(
    voices: Sequence[Voice],
    *,
    version: str,
    supports_streaming: bool,
    downloadable: Sequence[CatalogueVoice] = (),
) -> Event:
    """The answer to `describe`: one installed program with every voice that can be spoken with now.

    Those of `downloadable` that are not among them follow, said not to be installed.
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
            *(shown for voice in sorted(voices, key=lambda voice: voice.name) for shown in _shown(voice)),
            *(_not_installed(voice) for voice in sorted(absent, key=lambda voice: voice.name)),
        ],
        supports_synthesize_streaming=supports_streaming,
    )
    return wyoming_info.Info(tts=[program]).event()


def _shown(voice: Voice) -> Iterator[wyoming_info.TtsVoice]:
    speakers = sorted(voice.speakers, key=lambda speaker: voice.speakers[speaker])
    yield _advertised(voice, speakers=[wyoming_info.TtsVoiceSpeaker(speaker) for speaker in speakers] or None)
    if 1 < len(speakers) <= MOST_ADVERTISED_SPEAKERS:
        yield from (_advertised(voice, speaker=speaker) for speaker in speakers)


def _advertised(
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
        speakers=None,  # their names are in its files
    )


def _attribution(attribution: Attribution) -> wyoming_info.Attribution:
    return wyoming_info.Attribution(name=attribution.name, url=attribution.url)
