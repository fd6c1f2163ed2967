"""Speech requests over HTTP: pydantic models of their bodies, parsed into an `Utterance` and an encoding.

The body is OpenAI's, with the additions of Kokoro-FastAPI and of this server, and `[pause:1s]` in the text
is a pause, as in Kokoro-FastAPI. Clients of both send fields that have no meaning here; unknown ones are
ignored, because such clients cannot be told to omit them.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace
from typing import Annotated, Literal, TypeAlias

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field
from pydantic_core import PydanticCustomError

from wyoming_tts.captions import CaptionFormat
from wyoming_tts.encoders import EncoderOptions, Encoding
from wyoming_tts.errors import TooLong
from wyoming_tts.languages import KOKORO_LETTERS
from wyoming_tts.messages import Message
from wyoming_tts.speech import (
    LEADING_SILENCE_RANGE,
    LENGTH_SCALE_RANGE,
    NOISE_SCALE_RANGE,
    PATIENCE_RANGE,
    PITCH_RANGE,
    SAMPLE_RATE_RANGE,
    SPEED_RANGE,
    VOLUME_RANGE,
    Prosody,
    Start,
    TextFormat,
    Utterance,
    VoiceAlias,
    VoiceRequest,
)
from wyoming_tts.text.plain_text import has_visible_character
from wyoming_tts.text.text_limits import TextLimits
from wyoming_tts.text.voice_tags import named_voices
from wyoming_tts.transports.http.errors import FieldTooLong, InvalidField

TRANSPORT = "http"
"""The transport's name in logs and metrics."""
PCM_RATE = 24_000
"""Hz of raw PCM, which does not carry its rate: what OpenAI's clients assume."""

Name: TypeAlias = Annotated[str, Field(min_length=1, max_length=1000)]
Speed: TypeAlias = Annotated[float, Field(ge=SPEED_RANGE[0], le=SPEED_RANGE[1], allow_inf_nan=False)]
Volume: TypeAlias = Annotated[float, Field(ge=VOLUME_RANGE[0], le=VOLUME_RANGE[1], allow_inf_nan=False)]
Pitch: TypeAlias = Annotated[float, Field(ge=PITCH_RANGE[0], le=PITCH_RANGE[1], allow_inf_nan=False)]
LengthScale: TypeAlias = Annotated[
    float, Field(ge=LENGTH_SCALE_RANGE[0], le=LENGTH_SCALE_RANGE[1], allow_inf_nan=False)
]
NoiseScale: TypeAlias = Annotated[
    float, Field(ge=NOISE_SCALE_RANGE[0], le=NOISE_SCALE_RANGE[1], allow_inf_nan=False)
]
LeadingSilence: TypeAlias = Annotated[
    float, Field(ge=LEADING_SILENCE_RANGE[0], le=LEADING_SILENCE_RANGE[1], allow_inf_nan=False)
]

Patience: TypeAlias = Annotated[float, Field(ge=PATIENCE_RANGE[0], le=PATIENCE_RANGE[1], allow_inf_nan=False)]


def _check_format(value: object) -> object:
    """Report a wrong format with all of them: pydantic reports the kinds one by one."""
    names = [*Encoding, *CaptionFormat]
    if not isinstance(value, str) or value.lower() not in names:
        expected = f"{', '.join(repr(str(name)) for name in names[:-1])} or {str(names[-1])!r}"
        raise PydanticCustomError("enum", "Input should be {expected}", {"expected": expected})
    return value


ResponseFormat: TypeAlias = Annotated[Encoding | CaptionFormat, BeforeValidator(_check_format)]
SampleRate: TypeAlias = Annotated[int, Field(ge=SAMPLE_RATE_RANGE[0], le=SAMPLE_RATE_RANGE[1])]


@dataclass(frozen=True, slots=True)
class HttpOptions:
    """Limits and timeouts of the HTTP API. Times are in seconds."""

    max_text_chars: int = 100_000
    max_words: int = 0
    """Most words of a text; 0 is no limit."""
    send_timeout: float = 60.0
    """A client that reads nothing for this long is disconnected."""
    request_timeout: float = 30.0
    """A request whose body does not go on for this long is ended."""
    stream_prime_bytes: int = 0
    """Bytes of PCM silence before the speech, for proxies that buffer small bodies."""
    max_buffered_bytes: int = 128 * 1024 * 1024
    """Bytes of a response that is sent as a whole."""
    kept_audio_bytes: int = 0
    """Bytes of finished audio that is kept for clients that ask for it."""
    allow_unload: bool = False
    """Whether clients may unload the models."""
    busy_status: int = 429
    """Status of a request that is refused as busy; load balancers ask another server only after 503."""
    encoders: EncoderOptions = field(default_factory=EncoderOptions)
    log_requests: bool = False
    """Whether each request has a line in the log."""

    @property
    def text_limits(self) -> TextLimits:
        """The longest text of a request."""
        return TextLimits(self.max_text_chars, self.max_words)


class VoiceId(BaseModel):
    """A voice as an object, which OpenAI's clients may send."""

    id: Name


class RatedVoice(BaseModel):
    """What a name of the request's own stands for, with a pace of its own."""

    voice: Name
    rate: Speed | None = Field(None, description="Factor of the pace whenever the voice speaks by that name.")


class SpeechFields(BaseModel):
    """The fields that all speech request bodies have in common, whatever is spoken."""

    model_config = ConfigDict(extra="ignore")

    model: Annotated[str, Field(max_length=1000)] | None = Field(
        None, description="Any: the voice decides which model speaks."
    )
    instructions: str | None = Field(None, description="Accepted and ignored; `X-Ignored` says so.")
    speed: Speed | None = Field(None, description="Pace, relative to the server's setting.")
    stream_format: Literal["audio", "sse"] | None = Field(None, description="`audio` where it is left out.")
    stream: bool | None = Field(None, description="False: send it as a whole, with its length.")
    language: Name | None = Field(
        None, description="As `en_US`: chooses a voice where none is named; what a recipe speaks."
    )
    lang_code: Name | None = Field(None, description="Kokoro-FastAPI's word for `language`: `a`, `en-us`.")
    speaker: Name | int | None = Field(None, description="A speaker of the voice, by name or number.")
    sample_rate: SampleRate | None = Field(None, description="Hz; the voice's own where it is left out.")
    start: Start | None = Field(
        None,
        description="`steady`, or `at_once` for a player with its own buffer; "
        "the server's setting where it is left out.",
    )
    leading_silence: LeadingSilence | None = Field(
        None, description="Seconds of silence before the speech; the server's setting where it is left out."
    )
    voice_aliases: dict[Name, Name | RatedVoice] | None = Field(
        None,
        description='Names of its own for voices, as `{"narrator": {"voice": "af_bella", "rate": 0.9}}`.',
    )
    patience: Patience | None = Field(
        None,
        description="Seconds within which something has to be heard: then the embedded voice speaks for one "
        "that is not loaded, and silence is sent until there is speech. 0 waits as long as it takes; the "
        "server's setting where it is left out.",
    )
    volume: Volume | None = Field(None, description="Linear gain, relative to the server's setting.")
    volume_multiplier: Volume | None = Field(None, description="Kokoro-FastAPI's word for `volume`.")
    pitch: Pitch | None = Field(None, description="Relative, of voices of espeak-ng.")
    length_scale: LengthScale | None = Field(
        None, description="Piper's phoneme length in place of the server's; `speed` divides it."
    )
    noise_scale: NoiseScale | None = Field(None, description="Piper's noise in place of the server's.")
    noise_w_scale: NoiseScale | None = Field(
        None, description="Piper's noise of phoneme lengths in place of the server's."
    )

    return_download_link: bool | None = Field(
        None, description="True: keeps the finished audio for a while, at the path in `X-Download-Path`."
    )
    download_format: Encoding | None = Field(
        None, description="Of the kept audio; that of the response if left out."
    )
    return_timing: bool | None = Field(
        None, description="True: keeps beside it when what is said sounds, at the path in `X-Timing-Path`."
    )

    def encoding(self) -> Encoding:
        """Return the requested audio encoding."""
        raise NotImplementedError


class BaseSpeechBody(SpeechFields):
    """A speech request body with a text."""

    input: str = Field(min_length=1, description="The text.", examples=["Good morning."])
    voice: Name | VoiceId | None = Field(
        None,
        description="A voice's name, one of OpenAI's, or a blend's recipe as `af_bella(2)+af_sky(1)`; "
        "the server's default voice where it is left out.",
    )
    input_type: Literal["text", "ssml"] | None = Field(None, description="`text` where it is left out.")
    ssml: bool | None = Field(None, description="True: the input is SSML if it begins with `<speak>`.")
    allow_voice_tags: bool | None = Field(
        None, description="True: `[voice:NAME]`, `[lang:CODE]` and `[rate:0.8]` in the text are tags."
    )
    return_timestamps: bool | None = Field(
        None, description="True: says when each word sounds, in server-sent events and in WebVTT."
    )

    def captions(self) -> CaptionFormat | None:
        """Return the requested format of captions; None for audio."""
        return None

    def tells_words(self) -> bool:
        """Return whether the response says when each word sounds."""
        return bool(self.return_timestamps)


class SpeechBody(BaseSpeechBody):
    """The body of OpenAI's speech request, with this server's additions."""

    response_format: ResponseFormat | None = Field(
        None,
        description="`mp3` where it is left out; `srt`, `vtt` and `json` are captions alone.",
    )

    def encoding(self) -> Encoding:
        """Return the requested audio encoding."""
        return self.response_format if isinstance(self.response_format, Encoding) else Encoding.MP3

    def captions(self) -> CaptionFormat | None:
        """Return the requested format of captions; None for audio."""
        return self.response_format if isinstance(self.response_format, CaptionFormat) else None


class StreamBody(BaseSpeechBody):
    """The body of the streaming endpoint, for clients that send `format`."""

    format: Encoding | None = Field(None, description="`pcm` where it is left out.")
    response_format: Encoding | None = Field(None, description="The same as `format`.")

    def encoding(self) -> Encoding:
        """Return the requested audio encoding."""
        return self.format or self.response_format or Encoding.PCM


class CaptionedSpeechBody(BaseSpeechBody):
    """The body of Kokoro-FastAPI's request for speech with the times of its words."""

    response_format: Encoding | None = Field(None, description="`mp3` where it is left out.")
    return_timestamps: bool | None = Field(None, description="False: without the times.")

    def encoding(self) -> Encoding:
        """Return the requested audio encoding."""
        return self.response_format or Encoding.MP3

    def tells_words(self) -> bool:
        """Return whether the response says when each word sounds."""
        return self.return_timestamps is not False


@dataclass(frozen=True, slots=True)
class SpeechRequest:
    """A validated speech request."""

    utterance: Utterance
    text: str
    encoding: Encoding
    captions: CaptionFormat | None = None
    """Captions are sent in place of the audio."""
    tells_words: bool = False
    """Whether the response says when each word sounds."""
    as_events: bool = False
    """Sent as server-sent events instead of an audio body."""
    as_a_whole: bool = False
    """Sent only once complete, with a Content-Length."""
    kept_as: Encoding | None = None
    """The format in which its audio is kept for a download; None keeps none."""
    keeps_times: bool = False
    """Whether the times of its words are kept beside it."""
    ignored: tuple[str, ...] = ()
    """Ignored fields that are reported to the client."""


_MAX_HOPS_DIGITS = 4
_SSML_START = re.compile(r"[\s\ufeff]*<(?:\?xml|!--|speak[\s/>])")
"""Clients that set `ssml` for all they send mean the texts that are SSML."""

HOPS = "X-Hops"
"""Number of servers a request was forwarded through, which stops servers from forwarding in a loop."""


def parse_hops(header: str | None) -> int:
    """Parse `X-Hops`; an invalid value counts as 0."""
    return (
        int(header)
        if header and header.isascii() and header.isdigit() and len(header) <= _MAX_HOPS_DIGITS
        else 0
    )


def make_speech_request(
    body: BaseSpeechBody, options: HttpOptions, request_id: str, hops: int = 0
) -> SpeechRequest:
    """Make a speech request of a body; `hops` as in `Utterance.hops`.

    Raises:
        TooLong: the text is over the limit.
        InvalidField: the text has no visible character, or captions are to be events.
    """
    check_text(body.input, options.text_limits, "input")
    _check_stream_format(body)
    encoding = body.encoding()
    text_format = _text_format(body)
    is_tagged = bool(body.allow_voice_tags) and text_format is TextFormat.PLAIN
    keeps = bool(body.return_download_link) and options.kept_audio_bytes > 0 and body.captions() is None
    default_rate = PCM_RATE if encoding is Encoding.PCM else None
    utterance = Utterance.of(
        body.input,
        voice=_make_voice_request(body),
        prosody=_make_prosody(body),
        text_format=text_format,
        transport=TRANSPORT,
        sample_rate=body.sample_rate or default_rate,
    )
    return SpeechRequest(
        replace(
            utterance,
            id=request_id,
            hops=hops,
            start=body.start,
            pause_tags=True,
            voice_tags=is_tagged,
            voice_aliases=_make_aliases(body),
            named_voices=named_voices(body.input) if is_tagged else (),
            leading_silence=body.leading_silence,
            patience=body.patience,
            keeps_alive=body.stream is not False and body.captions() is None and not keeps,
        ),
        text=body.input,
        encoding=encoding,
        captions=body.captions(),
        tells_words=body.tells_words(),
        as_events=body.stream_format == "sse",
        as_a_whole=body.stream is False,
        kept_as=(body.download_format or encoding) if keeps else None,
        keeps_times=bool(body.return_timing),
        ignored=_ignored(body, options),
    )


def make_player_request(
    text: str, voice: str | None, speed: float | None, options: HttpOptions, request_id: str
) -> SpeechRequest:
    """Make a speech request of a plain player's query; the encoding is always WAV.

    It downloads no voice: a GET is to change nothing (RFC 9110), because anything may send one.

    Raises:
        TooLong, InvalidField: as in `make_speech_request`.
    """
    check_text(text, options.text_limits, "text")
    prosody = Prosody(speed=speed or 1.0)
    utterance = Utterance.of(
        text, voice=VoiceRequest(voice, may_download=False), prosody=prosody, transport=TRANSPORT
    )
    return SpeechRequest(replace(utterance, id=request_id, pause_tags=True), text, Encoding.WAV)


def check_text(text: str, limits: TextLimits, param: str, *, hint: str | None = None) -> None:
    """Check that a text is no longer than allowed and has something to speak.

    Raises:
        TooLong, InvalidField: with the name of the field.
    """
    try:
        limits.check(text)
    except TooLong as error:
        raise FieldTooLong(error.message, param=param, hint=hint or error.hint) from None
    if not has_visible_character(text):
        raise InvalidField(
            Message("nothing_visible", "Got a text without a visible character, expected one to speak."),
            param=param,
            hint=Message("put_into", "Put it into `{field}`.", field=param),
        )


def _check_stream_format(body: BaseSpeechBody) -> None:
    if body.captions() is not None and body.stream_format == "sse":
        raise InvalidField(
            f"Got `sse` for captions in {body.captions()}, expected a format of audio.",
            param="stream_format",
            hint="Leave out `stream_format`, or ask for audio with `return_timestamps`.",
        )


def _make_prosody(body: BaseSpeechBody) -> Prosody:
    return Prosody(
        speed=body.speed or 1.0,
        pitch=body.pitch or 1.0,
        volume=_gain(body.volume) * _gain(body.volume_multiplier),
        length_scale=body.length_scale,
        noise_scale=body.noise_scale,
        noise_w_scale=body.noise_w_scale,
    )


def _text_format(body: BaseSpeechBody) -> TextFormat:
    if body.ssml and _SSML_START.match(body.input):
        return TextFormat.SSML
    return TextFormat(body.input_type or "text")


def _ignored(body: BaseSpeechBody, options: HttpOptions) -> tuple[str, ...]:
    keeps_nothing = body.return_download_link and not options.kept_audio_bytes
    return ("instructions",) * bool(body.instructions) + ("return_download_link",) * bool(keeps_nothing)


def _make_aliases(body: BaseSpeechBody) -> dict[str, VoiceAlias]:
    given = (body.voice_aliases or {}).items()
    return {
        name: VoiceAlias(target) if isinstance(target, str) else VoiceAlias(target.voice, target.rate or 1.0)
        for name, target in given
    }


def _gain(value: float | None) -> float:
    return 1.0 if value is None else value


def _make_voice_request(body: BaseSpeechBody) -> VoiceRequest:
    name = body.voice.id if isinstance(body.voice, VoiceId) else body.voice
    code = body.lang_code
    language = body.language or (KOKORO_LETTERS.get(code, code) if code else None)
    return VoiceRequest(name, language, None if body.speaker is None else str(body.speaker))
