"""Settings: groups of them that go together, and what is derived from them all."""

from __future__ import annotations

import argparse
import json
import logging
import shlex
import subprocess
import sys
from collections.abc import Callable

import pytest

from tests.unit.settings.loading import NUMBERS, bounds, load, parse_flags, refusal
from wyoming_tts.assembly.options import http_host
from wyoming_tts.settings import (
    SETTINGS,
    Group,
    SettingInfo,
    Settings,
    add_flags,
    settings_table,
)


class TestSharedCache:
    @pytest.mark.parametrize(
        "url",
        [
            "redis://cache",
            "redis://cache:6380/3",
            "redis://:a%40b@[::1]:6379/",
            "rediss://me:word@cache.example:6380?ssl_ca_certs=/ca.pem&ssl_certfile=/c.pem&ssl_keyfile=/k.pem",
        ],
    )
    def test_the_address_of_a_shared_cache_is_taken_as_it_is(self, url: str) -> None:
        assert load(environ={"WYOMING_TTS_CACHE_URL": url}).settings.cache_url == url

    @pytest.mark.parametrize(
        "rest",
        [
            "",
            "cache:x",
            "cache:0",
            "cache/name",
            "cache?socket_timeout=9",
            "cache?ssl_ca_certs=/a",
            "cache#1",
        ],
    )
    @pytest.mark.parametrize("scheme", ["redis://", "http://", ""])
    def test_another_address_is_refused_without_its_password(self, scheme: str, rest: str) -> None:
        message = refusal(environ={"WYOMING_TTS_CACHE_URL": f"{scheme}:sesame@{rest}"})
        assert message.startswith(
            f"cache_url: got '...@{rest}' from environment WYOMING_TTS_CACHE_URL, expected"
        )
        assert "sesame" not in message

    def test_its_password_is_among_the_secrets_as_it_is_and_as_it_was_written(self) -> None:
        settings = load(environ={"WYOMING_TTS_CACHE_URL": "redis://me:a%2Fb@cache"}).settings
        assert settings.secrets == ("a%2Fb", "a/b")
        assert load().settings.secrets == ()


SIGNING = "0123456789abcdef" * 2


class TestKeysOfTokens:
    def test_they_come_from_a_list_a_mapping_lines_or_flags(self, config: Callable[..., str]) -> None:
        for loaded in (
            load(f"--config {config(f'token_keys: [web={SIGNING}, 2026=={SIGNING}]')}"),
            load(f"--config {config(f'token_keys: {{web: {SIGNING}, 2026: ={SIGNING}}}')}"),
            load(f"--token-keys web={SIGNING} --token-keys 2026=={SIGNING}"),
            load(environ={"WYOMING_TTS_TOKEN_KEYS": f"web={SIGNING}\n2026=={SIGNING}"}),
        ):
            assert loaded.settings.token_keys == (f"web={SIGNING}", f"2026=={SIGNING}")
            assert loaded.settings.secrets == (SIGNING, f"={SIGNING}")
            assert http_host(loaded.settings) == "0.0.0.0"

    def test_what_is_wrong_is_said_without_a_secret(self) -> None:
        for lines, reason in {
            f"web={SIGNING[:31]}": "the secret of web has 31 bytes, at least 32 are needed; `openssl rand",
            f"web={SIGNING}\nweb={SIGNING}x": "the id web is given twice",
            f"web={SIGNING}\n{SIGNING}": "number 2 does not begin with an id, such as web=",
            f"my site={SIGNING}": "number 1 does not begin with an id",
        }.items():
            message = refusal(environ={"WYOMING_TTS_TOKEN_KEYS": lines})
            assert message.startswith("token_keys: got a value from environment WYOMING_TTS_TOKEN_KEYS, ")
            assert reason in message
            assert SIGNING[:31] not in message


BODY = {"target_text": "{text}", "cfg_value": 2.0, "voice": "/voices/{voice}.wav", "speed": "{speed}"}


BODY_AS_YAML = """
remote_path: /generate?rate={rate}
remote_body:
  target_text: {text}
  cfg_value: 2.0
  voice: /voices/{voice}.wav
  speed: "{speed}"
"""


class TestRequestsToServersWithAnApiOfTheirOwn:
    def test_the_body_is_a_mapping_in_the_file_or_json_anywhere(self, config: Callable[..., str]) -> None:
        text = json.dumps(BODY)
        for loaded in (
            load(f"--config {config(BODY_AS_YAML)}"),
            load(f"--config {config(json.dumps({'remote_body': text}), 'options.json')}"),
            load(f"--remote-body {shlex.quote(text)}"),
            load(environ={"WYOMING_TTS_REMOTE_BODY": text}),
        ):
            assert json.loads(loaded.settings.remote_body or "") == BODY

    def test_a_blank_body_is_none(self, config: Callable[..., str]) -> None:
        assert load(environ={"WYOMING_TTS_REMOTE_BODY": " "}).settings.remote_body is None
        assert load(f"--config {config('remote_body:')}").settings.remote_body is None

    @pytest.mark.parametrize(
        ("value", "reason"),
        [
            ('{"text": "{txt}"}', "{txt} is no placeholder; there are {text}, {voice}, "),
            ('{"text": "Hello"}', "{text} is nowhere in it"),
            ("{'text': '{text}'}", "it is not JSON: "),
            ('"{text}"', "not an object"),
        ],
    )
    def test_what_is_wrong_in_a_body_is_said(self, value: str, reason: str) -> None:
        message = refusal(environ={"WYOMING_TTS_REMOTE_BODY": value})
        assert message.startswith("remote_body: got ")
        assert "from environment WYOMING_TTS_REMOTE_BODY, expected a JSON object" in message
        assert reason in message

    @pytest.mark.parametrize("text", ["[1]", "{text: {text}, at: .nan}", "7"])
    def test_a_body_in_the_file_that_cannot_be_sent_is_refused(
        self, config: Callable[..., str], text: str
    ) -> None:
        assert "expected a JSON object" in refusal(f"--config {config(f'remote_body: {text}')}")

    @pytest.mark.parametrize(
        ("path", "reason"),
        [
            ("generate", "begin with one slash"),
            ("http://gpu:8000/generate", "begin with one slash"),
            ("//gpu/generate", "begin with one slash"),
            ("/a b", "characters that a path cannot have"),
            ("/a#b", "characters that a path cannot have"),
            ("/{voices}", "{voices} is no placeholder"),
        ],
    )
    def test_what_is_wrong_in_a_path_is_said(self, path: str, reason: str) -> None:
        message = refusal(environ={"WYOMING_TTS_REMOTE_PATH": path})
        assert "expected a path such as /generate: " in message
        assert reason in message


class TestDocumentation:
    @pytest.mark.parametrize("info", SETTINGS, ids=lambda info: info.name)
    def test_every_setting_is_described(self, info: SettingInfo) -> None:
        assert info.text.endswith(".")
        assert info.default
        assert info.expects
        assert info.variables[0] == f"WYOMING_TTS_{info.name.upper()}"

    def test_every_number_has_a_range(self) -> None:
        assert len(NUMBERS) == 55
        for info in NUMBERS:
            lowest, highest = bounds(info)
            assert lowest < highest

    def test_settings_are_ordered_by_group(self) -> None:
        order = [info.group for info in SETTINGS]
        assert sorted(order, key=list(Group).index) == order

    def test_every_default_is_valid(self) -> None:
        defaults = {info.name: getattr(Settings(), info.name) for info in SETTINGS}
        assert Settings(**defaults) == Settings()

    def test_the_help_shows_default_range_unit_and_variable(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("COLUMNS", "500")
        parser = argparse.ArgumentParser()
        add_flags(parser)
        text = parser.format_help()
        assert "--download-wait SECONDS" in text
        assert "a number from 0 to 300 seconds. Default: 20. [WYOMING_TTS_DOWNLOAD_WAIT]" in text
        assert "Default: %(asctime)s %(levelname)s %(name)s: %(message)s." in text
        for info in SETTINGS:
            assert all(flag in text for flag in info.flags)

    def test_unset_flags_leave_no_attributes(self) -> None:
        assert parse_flags("") == {}

    def test_a_negative_number_is_parsed_as_a_value(self) -> None:
        assert load("--loudness -23").settings.loudness == -23

    def test_the_table_has_a_row_for_every_setting(self) -> None:
        lines = settings_table().splitlines()
        rows = [[cell.strip() for cell in line.strip("|").split(" | ")] for line in lines]
        assert {len(row) for row in rows} == {5}
        assert [row[0] for row in rows if row[0].startswith("`")] == [f"`{info.name}`" for info in SETTINGS]
        assert [row[0] for row in rows if row[0].startswith("**")] == [
            f"**{group.value}**" for group in Group
        ]
        meaning = "Silence added between two sentences. Allowed: a number from 0 to 10 seconds."
        flag, variable = "`--sentence-silence`", "`WYOMING_TTS_SENTENCE_SILENCE`"
        assert f"| `sentence_silence` | {flag} | {variable} | 0 | {meaning} |" in lines

    def test_the_default_log_format_shows_time_level_and_message(self) -> None:
        record = logging.makeLogRecord({"msg": "ready", "levelname": "INFO", "name": "wyoming_tts"})
        line = logging.Formatter(load().settings.log_format).format(record)
        assert line.endswith("INFO wyoming_tts: ready")


def test_importing_the_settings_loads_no_audio_or_network_package() -> None:
    code = "import sys, wyoming_tts.settings; print(*sys.modules)"
    output = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=30
    )
    loaded = set(output.stdout.split())
    assert "pydantic" in loaded
    assert not loaded & {"numpy", "onnxruntime", "piper", "kokoro_onnx", "httpx", "zeroconf"}
