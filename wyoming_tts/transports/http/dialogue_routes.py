"""Dialogues: Kokoro-FastAPI's `/dev/dialogue`, several speakers in turn, in one sound.

The turns become a text with voice tags, so that all else is as for one voice.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, TypeAlias

from fastapi import APIRouter, Request, Response
from pydantic import AfterValidator, AliasChoices, BaseModel, ConfigDict, Field

from wyoming_tts.encoders import Encoding
from wyoming_tts.text.markup import MAX_BREAK_SECONDS
from wyoming_tts.text.plain_text import has_visible_character
from wyoming_tts.text.voice_tags import is_voice_tag
from wyoming_tts.transports.http.errors import error_responses, get_request_id
from wyoming_tts.transports.http.speech_request import (
    HOPS,
    RatedVoice,
    SpeechBody,
    SpeechFields,
    make_speech_request,
    parse_hops,
)
from wyoming_tts.transports.http.speech_response import SpeechContext, SpeechResponse
from wyoming_tts.transports.http.speech_routes import describe_audio
from wyoming_tts.transports.interfaces import AvailableVoice, SpeechService
from wyoming_tts.voices.names import NameIndex

_MAX_TURNS = 1000


def _check_name(name: str) -> str:
    name = name.strip()
    if not name or not is_voice_tag(_voice_tag(name)):
        raise ValueError("expected the name of a voice, without brackets, on one line")
    return name


def _check_text(text: str) -> str:
    if not has_visible_character(text):
        raise ValueError("expected a text with a visible character")
    return text.strip()


def _voice_tag(name: str) -> str:
    return f"[voice:{name}]"


VoiceName: TypeAlias = Annotated[str, AfterValidator(_check_name)]


class Turn(BaseModel):
    """What one speaker says."""

    model_config = ConfigDict(populate_by_name=True)

    voice: VoiceName = Field(
        validation_alias=AliasChoices("voice", "voice_id"),
        description="A voice's name, a recipe, or a name in `voice_aliases`.",
    )
    text: Annotated[str, AfterValidator(_check_text)] = Field(description="The text; tags in it count.")


class DialogueBody(SpeechFields):
    """The body of a dialogue: the fields of a speech request, with turns in place of a text and a voice."""

    model_config = ConfigDict(populate_by_name=True, extra="ignore")

    turns: list[Turn] = Field(
        min_length=1, max_length=_MAX_TURNS, validation_alias=AliasChoices("turns", "inputs")
    )
    pause_between_turns: float = Field(
        0.0,
        ge=0,
        le=MAX_BREAK_SECONDS,
        allow_inf_nan=False,
        description="Seconds of silence between turns; 0 leaves that between paragraphs.",
    )
    response_format: Encoding | None = Field(None, description="`mp3` where it is left out.")

    def speech(self, languages: NameIndex[str]) -> SpeechBody:
        """Return the request for the same with a text; `languages` are those of voices, by name."""
        pause = f" [pause:{self.pause_between_turns:.3f}s] " if self.pause_between_turns else ""
        text = f"\n\n{pause}".join(
            f"{_voice_tag(turn.voice)}{_language_tag(self._target(turn.voice), languages)} {turn.text}"
            for turn in self.turns
        )
        fields = {name: value for name, value in self if name in SpeechBody.model_fields}
        tagged = {"input": text, "voice": self.turns[0].voice, "allow_voice_tags": True}
        return SpeechBody.model_construct(**fields | tagged)

    def _target(self, name: str) -> str:
        """Return the name that an alias stands for."""
        target = NameIndex((self.voice_aliases or {}).items()).find(name)
        return target.voice if isinstance(target, RatedVoice) else target or name


def _language_tag(voice: str, languages: NameIndex[str]) -> str:
    """Return a tag that has the text read in the voice's language, if that is known."""
    language = languages.find(voice)
    return f"[lang:{language}]" if language else ""


def _languages(voices: Sequence[AvailableVoice]) -> NameIndex[str]:
    return NameIndex((voice.name, voice.language) for voice in voices)


def dialogue_routes(service: SpeechService, context: SpeechContext) -> APIRouter:
    """Return the route of dialogues."""
    router = APIRouter()

    @router.post(
        "/dev/dialogue",
        response_class=Response,
        responses={200: describe_audio(*Encoding), **error_responses(400, 404, 408, 413, 503)},
    )
    async def create_dialogue(request: Request, body: DialogueBody) -> Response:
        """Speak turns of several voices one after the other; the audio is streamed as it is computed."""
        speech = body.speech(_languages(service.voices()))
        hops = parse_hops(request.headers.get(HOPS))
        return SpeechResponse(
            context, make_speech_request(speech, context.options, get_request_id(request), hops)
        )

    return router
