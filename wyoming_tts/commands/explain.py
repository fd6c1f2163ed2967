"""`say --explain`: what becomes of a text on its way to sound, for people and for programs."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import AsyncIterator
from dataclasses import asdict
from typing import Any

from wyoming_tts import client
from wyoming_tts.commands import local_speech
from wyoming_tts.errors import SpeechError
from wyoming_tts.settings import Settings
from wyoming_tts.speech import TextFormat, VoiceRequest
from wyoming_tts.synthesis import Explanation

_MAX_LINE = 1_000_000


class _BadLine(SpeechError):
    """A line of the input that is no request."""


def explain_text(settings: Settings, text: str, voice: VoiceRequest, text_format: TextFormat) -> int:
    """Print the stages of one text.

    Raises:
        SpeechError: it cannot be spoken; the message says why.
    """
    explanation = asyncio.run(_one(settings, local_speech.ExplainRequest(text, voice, text_format)))
    for title, lines in _stages(explanation):
        _print(f"{title + ':':10} {lines[0] if lines else '-'}")
        for line in lines[1:]:
            _print(f"{'':10} {line}")
    return 0


def explain_text_as_json(settings: Settings, text: str, voice: VoiceRequest, text_format: TextFormat) -> int:
    """Print the stages of one text as an object of JSON.

    Raises:
        SpeechError: it cannot be spoken; the message says why.
    """
    _print_object(
        _as_object(text, asyncio.run(_one(settings, local_speech.ExplainRequest(text, voice, text_format))))
    )
    return 0


def explain_json_lines(settings: Settings, voice: VoiceRequest, text_format: TextFormat) -> int:
    """Read requests from standard input, an object of JSON a line, and print an object for each.

    A request has the keys `text` and, if another voice than the usual one is wanted, `voice`. What is
    printed has `text`, `voice`, `cleaned`, `spoken`, `lexicon`, `segments` and `phonemes`, or `text`
    and `error`. Returns 1 if there was an error, else 0.
    """
    return asyncio.run(_lines(settings, voice, text_format))


async def _one(settings: Settings, request: local_speech.ExplainRequest) -> Explanation:
    async def requests() -> AsyncIterator[local_speech.ExplainRequest]:
        yield request

    async for explained in local_speech.explain(settings, requests()):
        if isinstance(explained, SpeechError):
            raise explained
        return explained
    raise AssertionError("An answer for each request.")


async def _lines(settings: Settings, voice: VoiceRequest, text_format: TextFormat) -> int:
    asked: list[str] = []
    failed = False

    async def requests() -> AsyncIterator[local_speech.ExplainRequest]:
        nonlocal failed
        async for line in _nonempty_lines():
            try:
                request = _request(line, voice, text_format)
            except _BadLine as error:
                failed = True
                _print_object({"text": line[:200], "error": str(error)})
                continue
            asked.append(request.text)
            yield request

    async for explained in local_speech.explain(settings, requests()):
        text = asked.pop()
        if isinstance(explained, SpeechError):
            failed = True
            _print_object({"text": text, "error": str(explained)})
        else:
            _print_object(_as_object(text, explained))
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
                f"A line has more than {_MAX_LINE} characters.", hint="Each request is a line of its own."
            )
    if held.strip():
        yield held


def _request(line: str, voice: VoiceRequest, text_format: TextFormat) -> local_speech.ExplainRequest:
    try:
        given = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise _BadLine(f"Not a line of JSON: {error}.") from error
    if not isinstance(given, dict) or not isinstance(given.get("text"), str):
        raise _BadLine('Expected an object with a string as "text" and, if wanted, one as "voice".')
    name = given.get("voice")
    if name is not None and not isinstance(name, str):
        raise _BadLine(f'Got {name!r} for "voice", expected the name of a voice.')
    return local_speech.ExplainRequest(given["text"], VoiceRequest(name=name) if name else voice, text_format)


def _stages(explanation: Explanation) -> list[tuple[str, list[str]]]:
    return [
        ("voice", [explanation.voice]),
        ("cleaned", explanation.cleaned.split("\n")),
        ("spoken", explanation.spoken.split("\n")),
        ("lexicon", [f"{hit.written} -> {hit.said} ({hit.file}:{hit.line})" for hit in explanation.lexicon]),
        ("segments", list(explanation.segments)),
        ("phonemes", list(explanation.phonemes)),
    ]


def _as_object(text: str, explanation: Explanation) -> dict[str, Any]:
    return {"text": text, **asdict(explanation)}


def _print_object(given: dict[str, Any]) -> None:
    line = json.dumps(given, ensure_ascii=False)
    _print(line if _fits(line) else json.dumps(given))


def _print(line: str) -> None:
    if not _fits(line):
        line = line.encode(_encoding(), "backslashreplace").decode(_encoding())
    print(line, flush=True)


def _fits(line: str) -> bool:
    """Whether standard output can take it: terminals lack signs, and lone surrogates no encoding has."""
    try:
        line.encode(_encoding())
    except UnicodeEncodeError:
        return False
    return True


def _encoding() -> str:
    return sys.stdout.encoding or "utf-8"
