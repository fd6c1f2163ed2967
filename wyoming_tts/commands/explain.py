"""Explain mode, `say --explain`: the stages of a text on its way to sound, for people and for programs."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator, AsyncIterable, AsyncIterator, Callable
from contextlib import aclosing
from dataclasses import asdict
from typing import Any, TypeAlias

from wyoming_tts import client
from wyoming_tts.commands import local_speech
from wyoming_tts.commands.console import print_json_line, print_line
from wyoming_tts.errors import SpeechError
from wyoming_tts.speech import TextFormat, VoiceRequest
from wyoming_tts.synthesis import Explanation
from wyoming_tts.text.lexicon.rules import LexiconHit

Explain: TypeAlias = Callable[
    [AsyncIterable[local_speech.ExplainRequest]], AsyncGenerator[Explanation | SpeechError, None]
]
"""Explains texts: in this process, or by a server."""

_MAX_LINE = 1_000_000


class _BadLine(SpeechError):
    """A line of the input is not a valid request."""


def explain_text(explained: Explain, text: str, voice: VoiceRequest, text_format: TextFormat) -> int:
    """Print the stages of one text.

    Raises:
        SpeechError: it cannot be spoken; the message says why.
    """
    explanation = asyncio.run(_explain_one(explained, local_speech.ExplainRequest(text, voice, text_format)))
    for title, lines in _stages(explanation):
        print_line(f"{title + ':':10} {lines[0] if lines else '-'}")
        for line in lines[1:]:
            print_line(f"{'':10} {line}")
    return 0


def explain_text_as_json(explained: Explain, text: str, voice: VoiceRequest, text_format: TextFormat) -> int:
    """Print the stages of one text as a JSON object.

    Raises:
        SpeechError: it cannot be spoken; the message says why.
    """
    print_json_line(
        _as_object(
            text, asyncio.run(_explain_one(explained, local_speech.ExplainRequest(text, voice, text_format)))
        )
    )
    return 0


def explain_json_lines(explained: Explain, voice: VoiceRequest, text_format: TextFormat) -> int:
    """Read requests as JSON Lines from standard input, and print a JSON object for each.

    A request has the key `text` and optionally `voice`. The output has the keys `text`, `voice`, `cleaned`,
    `spoken`, `lexicon`, `segments` and `phonemes`, or `text` and `error`. Returns 1 if there was an error,
    else 0.
    """
    return asyncio.run(_explain_lines(explained, voice, text_format))


async def _explain_one(explained: Explain, request: local_speech.ExplainRequest) -> Explanation:
    async def requests() -> AsyncIterator[local_speech.ExplainRequest]:
        yield request

    async with aclosing(explained(requests())) as explanations:
        async for each in explanations:
            if isinstance(each, SpeechError):
                raise each
            return each
    raise AssertionError("Each request has an answer.")


async def _explain_lines(explained: Explain, voice: VoiceRequest, text_format: TextFormat) -> int:
    pending: list[str] = []
    failed = False

    async def requests() -> AsyncIterator[local_speech.ExplainRequest]:
        nonlocal failed
        async for line in _nonempty_lines():
            try:
                request = _parse_request(line, voice, text_format)
            except _BadLine as error:
                failed = True
                print_json_line({"text": line[:200], "error": str(error)})
                continue
            pending.append(request.text)
            yield request

    async with aclosing(explained(requests())) as explanations:
        async for each in explanations:
            text = pending.pop()
            if isinstance(each, SpeechError):
                failed = True
                print_json_line({"text": text, "error": str(each)})
            else:
                print_json_line(_as_object(text, each))
    return int(failed)


async def _nonempty_lines() -> AsyncIterator[str]:
    held = ""
    async for piece in client.read_stdin_text():
        held += piece
        *lines, held = held.split("\n")
        for line in filter(str.strip, lines):
            yield line
        if len(held) > _MAX_LINE:
            raise _BadLine(
                f"A line has more than {_MAX_LINE} characters.", hint="Put each request on its own line."
            )
    if held.strip():
        yield held


def _parse_request(line: str, voice: VoiceRequest, text_format: TextFormat) -> local_speech.ExplainRequest:
    try:
        given = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise _BadLine(f"Not a line of JSON: {error}.") from error
    if not isinstance(given, dict) or not isinstance(given.get("text"), str):
        raise _BadLine('Expected an object with a string "text" and optionally a string "voice".')
    name = given.get("voice")
    if name is not None and not isinstance(name, str):
        raise _BadLine(f'Got {name!r} for "voice", expected the name of a voice.')
    return local_speech.ExplainRequest(given["text"], VoiceRequest(name=name) if name else voice, text_format)


def _stages(explanation: Explanation) -> list[tuple[str, list[str]]]:
    return [
        ("voice", [explanation.voice]),
        ("cleaned", explanation.cleaned.split("\n")),
        ("spoken", explanation.spoken.split("\n")),
        ("lexicon", [_describe(hit) for hit in explanation.lexicon]),
        ("segments", list(explanation.segments)),
        ("phonemes", list(explanation.phonemes)),
    ]


def _describe(hit: LexiconHit) -> str:
    where = f"{hit.file}:{hit.line}" if hit.file else "default"
    return f"{hit.written} -> {hit.said} ({where})"


def _as_object(text: str, explanation: Explanation) -> dict[str, Any]:
    return {"text": text, **asdict(explanation)}
