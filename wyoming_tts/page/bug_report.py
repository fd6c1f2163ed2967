"""Bug report: what somebody who is to find a fault has to know of this server, as Markdown without secrets.

Version, platform, settings, voices, recent utterances and the log. Texts are nowhere kept, and addresses of
listeners are left out.
"""

from __future__ import annotations

import platform
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Protocol

from fastapi import APIRouter, Response

from wyoming_tts.page import paths
from wyoming_tts.page.status import FinishedUtterance, ServerStatus, SettingInForce
from wyoming_tts.speech import Voice
from wyoming_tts.telemetry.log_tail import LogLine

REPORT_PATH = paths.REPORT
"""Relative to the page."""
_MAX_VOICES = 200
_FIGURES = ("ttfa", "held", "audio_seconds", "wall_seconds", "rtf", "underruns")
"""Of an utterance, in the order of their columns."""


class StateSource(Protocol):
    """A provider of the server's state and settings, such as `StatusService`."""

    async def status(self) -> ServerStatus:
        """As for `StatusService.status`."""
        ...

    def settings(self) -> Sequence[SettingInForce]:
        """As for `StatusService.settings`."""
        ...


class BugReporter:
    """Writes bug reports.

    Args:
        source: Provides the server's state.
        voices: Returns the installed voices.
        redact: Removes the secrets that are known from a text, wherever they stand.
    """

    def __init__(
        self, source: StateSource, voices: Callable[[], Sequence[Voice]], redact: Callable[[str], str]
    ) -> None:
        self._source = source
        self._voices = voices
        self._redact = redact

    async def report(self) -> str:
        """Return the report."""
        lines = _report(await self._source.status(), self._source.settings(), self._voices())
        return self._redact("\n".join(lines)) + "\n"


def _report(
    status: ServerStatus, settings: Iterable[SettingInForce], voices: Sequence[Voice]
) -> Iterator[str]:
    server = status.server
    yield f"# wyoming-tts {server['version']}"
    yield from _section("Server", (f"- {name}: {value}" for name, value in _facts(server)))
    changed = (setting for setting in settings if setting.is_secret or not setting.is_default)
    installed = [voice for voice in voices if voice.files]
    yield from _section("Settings that are not left at their defaults", map(_setting, changed))
    count = f"Voices: {len(installed)}, and {len(voices) - len(installed)} without files"
    yield from _section(count, map(_voice, installed[:_MAX_VOICES]))
    yield from _section("Recent utterances, newest first", _utterances(status.spoken))
    yield from _section("Log", ("```", *map(_line, status.log), "```"))


def _section(title: str, lines: Iterable[str]) -> Iterator[str]:
    yield from ("", f"## {title}", "")
    yield from lines


def _facts(server: Mapping[str, object]) -> Iterator[tuple[str, object]]:
    yield "platform", f"{platform.system()} {platform.release()}, {platform.machine()}"
    packages = server["packages"]
    assert isinstance(packages, Mapping)
    yield "packages", ", ".join(f"{name} {version}" for name, version in packages.items())
    for name, value in server.items():
        if name not in {"version", "packages", "bucket"}:
            yield name, value


def _setting(setting: SettingInForce) -> str:
    value = "(set, not shown)" if setting.is_secret else f"{setting.value} {setting.unit}".strip()
    return f"- {setting.name}: {value} ({setting.source})"


def _voice(voice: Voice) -> str:
    return f"- {voice.name}: {voice.engine}, {voice.language}, {voice.sample_rate} Hz"


def _utterances(spoken: Iterable[FinishedUtterance]) -> Iterator[str]:
    columns = ("time", "transport", "voice", *_FIGURES, "outcome")
    yield f"| {' | '.join(columns)} |"
    yield f"|{'---|' * len(columns)}"
    for one in spoken:
        voice = f"{one.voice} (asked for: {one.requested_voice})" if one.requested_voice else one.voice
        figures = (_figure(getattr(one, name)) for name in _FIGURES)
        outcome = f"{one.outcome} ({one.error})" if one.error else one.outcome
        cells = (_clock(one.time), one.transport, voice, *figures, outcome)
        yield f"| {' | '.join(cell.replace('|', '/') for cell in cells)} |"


def _figure(value: float | None) -> str:
    return "" if value is None else f"{value:.3g}"


def _line(line: LogLine) -> str:
    return f"{_clock(line.time)} {line.level} {line.logger}: {line.text}"


def _clock(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M:%SZ")


def bug_report_routes(reporter: BugReporter) -> APIRouter:
    """Return the route for REPORT_PATH."""
    router = APIRouter(include_in_schema=False)

    @router.get(f"/{REPORT_PATH}")
    async def report() -> Response:
        # What clients send may hold lone surrogates, which UTF-8 cannot encode.
        text = (await reporter.report()).encode(errors="replace")
        return Response(text, media_type="text/markdown", headers={"Cache-Control": "no-store"})

    return router
