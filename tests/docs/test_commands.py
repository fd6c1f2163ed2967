"""Every documented command would work: static checks of commands, flags, settings and variables."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path

import pytest

import wyoming_tts
from tests.docs.checking import WrongCommand, check, check_words, flags, parse_our_command
from tests.docs.excuses import COMMANDS, PROGRAMS, RUN, excuse
from tests.docs.pages import Block, Command, Page, commands, pages, program_name
from wyoming_tts.commands import cli
from wyoming_tts.errors import ErrorCode
from wyoming_tts.settings.descriptions import SETTINGS
from wyoming_tts.transports.http.dialogue_routes import DialogueBody
from wyoming_tts.transports.http.speech_request import SpeechBody
from wyoming_tts.voices.catalogue import load_catalogue

FOREIGN_FLAGS = {
    "--backend": "wyoming-piper's",
    "--build": "Docker's",
    "--build-arg": "Docker's",
    "--env": "Docker's",
    "--log-level": "openedai-speech's",
    "--max-piper-procs": "wyoming-piper's",
    "--no-cache-speaker": "openedai-speech's",
    "--piper": "wyoming-piper's",
    "--unload-timer": "openedai-speech's",
    "--use-deepspeed": "openedai-speech's",
    "--xtts_device": "openedai-speech's",
    "--local-files-only": "wyoming-piper's",
    "--network": "Docker's",
    "--omnivoice-…": "wyoming-piper's",
    "--publish": "Docker's",
    "--ulimit": "Docker's",
    "--web-server…": "wyoming-piper's",
    "--without-downloads": "that of deploy/backup",
}
"""Flags in the documents that belong to other programs."""

OTHER_NAMES = {
    "audio_s": "another server's record's",
    "audio_seconds": "the record's",
    "mem_limit": "Docker Compose's",
    "nr_throttled": "the kernel's",
    "played_ms": "the WebSocket's",
    "proxy_read_timeout": "nginx's",
    "requested_voice": "the record's",
    "ttfb_ms": "another server's record's",
    "voice_reason": "the record's",
    "wait_ms": "the log line's",
    "wall_s": "the record's",
    "address_not_allowed": "the guard's",
    "addon_configs": "Home Assistant's",
    "app_configs": "Home Assistant's",
    "at_once": "a setting's value",
    "body_too_large": "the guard's",
    "create_stream": "kokoro-onnx's",
    "default_voice_fallback": "a field of /status",
    "event_id": "the WebSocket's",
    "first_visit": "a setting's value",
    "held_ms": "the log line's",
    "kokoro_statistics": "a directory of the state directory",
    "expected_ms": "the log line's",
    "homeassistant_api": "the manifest's of an add-on",
    "host_not_allowed": "the guard's",
    "normalization_options": "Kokoro-FastAPI's",
    "origin_not_allowed": "the guard's",
    "test_a_lone_stop_is_an_error_event": "a test's",
    "text_format": "Wyoming's",
    "x_low": "a quality of Piper's",
    "voices_loaded": "a field of /readyz",
}
"""Names in the documents that look like settings but are not."""
_SETTING = re.compile(r"[a-z]+(?:_[a-z0-9]+)+")
_WORD = re.compile(r"\w+")

PAGES = pages()
ALL_COMMANDS = [command for page in PAGES for command in page.commands()]


@pytest.mark.parametrize("page", [page for page in PAGES if list(page.commands())], ids=str)
def test_every_command_in_a_block_passes_its_static_check(page: Page) -> None:
    problems = []
    for command in page.commands():
        try:
            check(command)
        except WrongCommand as wrong:
            problems.append(f"{command}: {wrong}")
    assert problems == []


@pytest.mark.parametrize("page", PAGES, ids=str)
def test_every_command_in_the_prose_passes_its_static_check(page: Page) -> None:
    for span in page.code_spans():
        if span.startswith("wyoming-tts "):
            _, first, *rest = span.split()
            assert first in cli._COMMANDS or first[0] == "-", span
            if rest:  # otherwise it is only the command's name
                check(*commands(Block(str(page), 0, "sh", span)))


@pytest.mark.parametrize("page", PAGES, ids=str)
def test_every_flag_in_the_prose_exists(page: Page) -> None:
    named = {span.split()[0].split("=")[0] for span in page.code_spans() if span.startswith("--")}
    assert named - flags() - FOREIGN_FLAGS.keys() == set()


def test_every_listed_foreign_flag_is_used_and_not_ours() -> None:
    spans = {span.split()[0] for page in PAGES for span in page.code_spans() if span.startswith("--")}
    assert FOREIGN_FLAGS.keys() - spans == set()
    assert FOREIGN_FLAGS.keys() & flags() == set()


@pytest.mark.parametrize("page", PAGES, ids=str)
def test_every_name_that_looks_like_a_setting_is_one(page: Page) -> None:
    """Or a known name of something else."""
    in_json = {
        name for block in page.blocks() if block.language == "json" for name in _WORD.findall(block.text)
    }
    named = {span.partition(":")[0] for span in page.code_spans()}
    setting_like = {name for name in named if _SETTING.fullmatch(name)}
    assert setting_like - _known_names() - in_json == set()


@pytest.mark.parametrize("page", PAGES, ids=str)
def test_every_environment_variable_is_a_setting(page: Page) -> None:
    known = {variable for info in SETTINGS for variable in info.variables} | {"WYOMING_TTS_CONFIG"}
    named = {name for name in re.findall(r"\bWYOMING_TTS_[A-Z0-9_]+", page.text) if not name.endswith("_")}
    assert named - known == set()


def test_every_command_runs_or_has_an_excuse() -> None:
    """`test_running` runs those without an excuse."""
    runnable = [command for command in ALL_COMMANDS if excuse(command) is None]
    assert [str(one) for one in runnable if not {program_name(words) for words in one.programs} <= RUN] == []


def test_every_excuse_is_used() -> None:
    used = {excuse(command) for command in ALL_COMMANDS}
    assert [beginning for beginning, reason in COMMANDS.items() if reason not in used] == []
    assert [program for program, reason in PROGRAMS.items() if reason not in used] == []


@pytest.mark.parametrize(
    "line",
    [
        "wyoming-tts serve --no-such-flag",
        "wyoming-tts serve --port many",
        "wyoming-tts voices fetch x",
        "docker build --target nothing .",
        "docker run --publish 80:81 wyoming-tts",
        "sudo cp deploy/nothing /etc",
        "helm install wyoming-tts deploy/helm/wyoming-tts --set settings.max_stream=8",
        "export WYOMING_TTS_VOICES=x",
        "curl http://localhost:1/",
        "unheard-of",
    ],
)
def test_a_command_that_would_not_work_is_detected(line: str) -> None:
    (command,) = _commands(line)
    with pytest.raises(WrongCommand):
        check(command)


def test_a_line_is_parsed_like_a_shell() -> None:
    (piped, written) = _commands("echo 'a | b' | wyoming-tts say  # spoken\ncurl \\\n  http://x > door.wav")
    assert piped.programs == (("echo", "a | b"), ("wyoming-tts", "say"))
    assert (written.programs, written.out) == ((("curl", "http://x"),), "door.wav")
    assert parse_our_command(["say", "x"]).text == "x"
    with pytest.raises(WrongCommand):
        check_words(["wyoming-tts", "say", "--port", "x"])


@cache
def _known_names() -> set[str]:
    settings = {name for info in SETTINGS for name in info.names}
    voices = {voice.name for voice in load_catalogue().voices}
    modules = {path.stem for path in Path(wyoming_tts.__file__).parent.iterdir()}
    python = modules | {"wyoming_tts", *wyoming_tts.__all__}
    fields = SpeechBody.model_fields.keys() | DialogueBody.model_fields.keys()
    return settings | python | set(ErrorCode) | fields | OTHER_NAMES.keys() | voices


def _commands(text: str) -> list[Command]:
    return list(commands(Block("here", 1, "sh", text)))
