"""Phonemes over HTTP: Kokoro-FastAPI's `/dev/phonemize`, and speech from phonemes.

Phonemes are IPA here, whichever engine speaks; those of Kokoro's own phonemizer, with capitals for
diphthongs, are taken too.
"""

from __future__ import annotations

import re
from dataclasses import replace

from fastapi import APIRouter, Request, Response
from pydantic import BaseModel, Field
from starlette.types import Receive, Scope, Send

from wyoming_tts.encoders import Encoding
from wyoming_tts.errors import UnknownVoice
from wyoming_tts.ipa import from_misaki, is_ipa
from wyoming_tts.languages import KOKORO_LETTERS
from wyoming_tts.messages import Message
from wyoming_tts.speech import Utterance, VoiceRequest
from wyoming_tts.text.text_limits import TextLimits
from wyoming_tts.transports.http.errors import (
    InvalidField,
    UnknownLanguage,
    error_responses,
    get_request_id,
    json_response,
)
from wyoming_tts.transports.http.speech_request import (
    HOPS,
    TRANSPORT,
    Name,
    SpeechBody,
    SpeechFields,
    VoiceId,
    check_text,
    make_speech_request,
    parse_hops,
)
from wyoming_tts.transports.http.speech_response import SpeechContext, SpeechResponse, run_while_connected
from wyoming_tts.transports.http.speech_routes import describe_audio
from wyoming_tts.transports.interfaces import SpeechService

_PHONEMIZED_TEXT = TextLimits(10_000)
"""Some ten minutes of speech: nothing is streamed, and nothing here waits for a place among the streams."""
_MAX_BLOCK_CHARS = 400
"""Of a block of phonemes; the text front end takes a few more."""
_AMERICAN = "a"

_MARKS = ",;:.!?…—"
_ENDS = frozenset(".!?…")
_APART = re.compile(r"([;!?…—])")
"""Marks that are no sign of IPA, so that they need no space behind them."""
_DROPPED = str.maketrans(dict.fromkeys('"“”„«»()[]¡¿', " "))


class PhonemizeBody(BaseModel):
    """A text whose phonemes are asked for."""

    text: str = Field(min_length=1, description="The text.", examples=["Good morning."])
    language: Name | None = Field(
        None, description="Kokoro's letter or a tag, `a` or `en_US`; English where no voice is named either."
    )
    voice: Name | VoiceId | None = Field(None, description="The voice that is to speak them.")


class Phonemes(BaseModel):
    """The phonemes of a text."""

    phonemes: str = Field(description="In IPA.")
    tokens: list[int] = Field(description="Always empty, as in Kokoro-FastAPI.")


class PhonemesBody(SpeechFields):
    """A request to speak phonemes."""

    phonemes: str = Field(min_length=1, description="In IPA, with punctuation.", examples=["həlˈoʊ, wˈɜːld!"])
    voice: Name | VoiceId | None = Field(None, description="Any voice, of any engine.")
    response_format: Encoding | None = Field(None, description="`wav` where it is left out.")

    def speech(self) -> SpeechBody:
        """Return the request for the same with a text.

        Raises:
            InvalidField: something in it is no phoneme.
        """
        fields = {name: value for name, value in self if name in SpeechBody.model_fields}
        spoken = {
            "input": _ssml(self.phonemes),
            "input_type": "ssml",
            "response_format": self.response_format or Encoding.WAV,
        }
        return SpeechBody.model_construct(**fields | spoken)


def phoneme_routes(service: SpeechService, context: SpeechContext) -> APIRouter:
    """Return the routes that make phonemes of a text, and speech of phonemes."""
    router = APIRouter()
    errors = error_responses(400, 404, 408, 413, 503)

    @router.post("/dev/phonemize", response_model=Phonemes, responses=errors)
    async def phonemize(request: Request, body: PhonemizeBody) -> Response:
        """Return the phonemes of a text, as a voice would speak it."""
        check_text(body.text, _PHONEMIZED_TEXT, "text", hint="Send it in parts.")
        return _PhonemesResponse(service, _phonemized(body, get_request_id(request)))

    @router.post(
        "/dev/generate_from_phonemes",
        response_class=Response,
        responses={200: describe_audio(*Encoding), **errors},
    )
    async def speak_phonemes(request: Request, body: PhonemesBody) -> Response:
        """Speak phonemes; the audio is streamed as it is computed."""
        check_text(body.phonemes, TextLimits(context.options.max_text_chars), "phonemes")
        hops = parse_hops(request.headers.get(HOPS))
        speech = make_speech_request(body.speech(), context.options, get_request_id(request), hops)
        return SpeechResponse(context, speech)

    return router


class _PhonemesResponse(Response):
    """The phonemes of an utterance, made only while the client stays connected."""

    def __init__(self, service: SpeechService, utterance: Utterance) -> None:
        super().__init__()
        self._service = service
        self._utterance = utterance

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await run_while_connected(receive, self._answer(scope, receive, send))

    async def _answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            phonemes = await self._service.phonemes(self._utterance)
        except UnknownVoice as error:
            if self._utterance.voice.name is not None:
                raise
            raise UnknownLanguage(error.message, hint=error.hint) from error
        await json_response({"phonemes": " ".join(phonemes), "tokens": []})(scope, receive, send)


def _phonemized(body: PhonemizeBody, request_id: str) -> Utterance:
    name = body.voice.id if isinstance(body.voice, VoiceId) else body.voice
    language = body.language or (None if name else _AMERICAN)
    voice = VoiceRequest(name, KOKORO_LETTERS.get(language, language) if language else None)
    return replace(Utterance.of(body.text, voice=voice, transport=TRANSPORT), id=request_id)


def _ssml(phonemes: str) -> str:
    """Return phonemes as sentences of `[[ ]]` blocks in SSML, with the punctuation between the blocks.

    A sign after which a block follows ends no sentence in plain text.

    Raises:
        InvalidField: something in it is no phoneme.
    """
    sentences, parts, block = [], list[str](), list[str]()
    for word in _APART.sub(r"\1 ", from_misaki(phonemes).translate(_DROPPED)).split():
        sounds = word.rstrip(_MARKS)
        if len(" ".join([*block, sounds])) > _MAX_BLOCK_CHARS:
            parts.append(_block(block))
            block = []
        block += [sounds] if sounds else []
        if marks := word[len(sounds) :]:
            parts.append(_block(block) + marks)
            block = []
        if not _ENDS.isdisjoint(marks):
            sentences.append(" ".join(parts))
            parts = []
    sentences.append(" ".join([*parts, _block(block)]))
    return f"<speak>{' '.join(f'<s>{sentence}</s>' for sentence in sentences)}</speak>"


def _block(words: list[str]) -> str:
    if not words:
        return ""
    if not is_ipa(" ".join(words)) or max(map(len, words)) > _MAX_BLOCK_CHARS:
        wrong = next((word for word in words if not is_ipa(word)), words[0])
        raise InvalidField(
            Message("not_ipa", "Got {found}, expected phonemes in IPA.", found=repr(wrong[:40])),
            param="phonemes",
            hint=Message("phonemize_tells", "`/dev/phonemize` returns those of a text."),
        )
    return f"[[{' '.join(words)}]]"
