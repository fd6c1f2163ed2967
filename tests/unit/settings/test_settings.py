from __future__ import annotations

import argparse
import json
import logging
import math
import os
import shlex
import subprocess
import sys
from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path

import pytest
from annotated_types import Ge, Gt, Le
from hypothesis import given
from hypothesis import settings as examples
from hypothesis import strategies as st
from pydantic import ValidationError

from tests.support.hypothesis_examples import scaled_examples
from wyoming_tts.assembly.options import http_host
from wyoming_tts.settings import (
    SETTINGS,
    Group,
    LoadedSettings,
    SettingInfo,
    Settings,
    SettingsError,
    add_flags,
    load_settings,
    settings_table,
)

NUMBERS = [info for info in SETTINGS if info.is_number]
INFO = {info.name: info for info in SETTINGS}


@cache
def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(exit_on_error=False)
    add_flags(parser)
    return parser


def parse_flags(line: str) -> dict[str, object]:
    return vars(_parser().parse_args(shlex.split(line)))


def load(line: str = "", environ: Mapping[str, str] | None = None) -> LoadedSettings:
    return load_settings(parse_flags(line), environ=environ or {})


def refusal(line: str = "", environ: Mapping[str, str] | None = None) -> str:
    with pytest.raises(SettingsError) as error:
        load(line, environ)
    message = str(error.value)
    assert "\n" not in message
    return message


def bounds(info: SettingInfo) -> tuple[float, float]:
    """The smallest and the largest allowed value."""
    found = {type(limit): limit for limit in Settings.model_fields[info.name].metadata}
    lowest = found[Ge].ge if Ge in found else math.nextafter(found[Gt].gt, math.inf)
    return lowest, found[Le].le


@pytest.fixture
def config(tmp_path: Path) -> Callable[..., str]:
    def write(text: str, name: str = "settings.yaml") -> str:
        path = tmp_path / name
        path.write_text(text, encoding="utf-8")
        return str(path)

    return write


class TestPrecedence:
    def test_an_unset_setting_has_its_default(self) -> None:
        loaded = load()
        assert loaded.settings.port == 10200
        assert loaded.sources["port"] == "default"
        assert loaded.warnings == ()

    def test_the_file_overrides_the_default(self, config: Callable[..., str]) -> None:
        file = config("port: 1")
        loaded = load(f"--config {file}")
        assert loaded.settings.port == 1
        assert loaded.sources["port"] == f"file {file} line 1, key port"

    def test_the_environment_overrides_the_file(self, config: Callable[..., str]) -> None:
        loaded = load(f"--config {config('port: 1')}", {"WYOMING_TTS_PORT": "2"})
        assert loaded.settings.port == 2
        assert loaded.sources["port"] == "environment WYOMING_TTS_PORT"

    def test_a_flag_overrides_the_environment(self, config: Callable[..., str]) -> None:
        loaded = load(f"--config {config('port: 1')} --port 3", {"WYOMING_TTS_PORT": "2"})
        assert loaded.settings.port == 3
        assert loaded.sources["port"] == "flag --port"

    def test_precedence_applies_to_each_setting_separately(self, config: Callable[..., str]) -> None:
        file = config("voice: from-file\nspeaker: from-file\nengine: kokoro")
        environ = {"WYOMING_TTS_VOICE": "from-environment", "WYOMING_TTS_SPEAKER": "from-environment"}
        settings = load(f"--config {file} --voice from-flag", environ).settings
        assert (settings.voice, settings.speaker, settings.engine) == (
            "from-flag",
            "from-environment",
            "kokoro",
        )

    def test_a_negative_flag_overrides_a_switch_in_the_file(self, config: Callable[..., str]) -> None:
        settings = load(f"--config {config('debug: true')} --no-debug").settings
        assert not settings.debug

    def test_the_environment_can_name_the_file(self, config: Callable[..., str]) -> None:
        assert load(environ={"WYOMING_TTS_CONFIG": config("port: 7")}).settings.port == 7

    def test_every_setting_has_a_source(self) -> None:
        assert load("--debug").sources.keys() == Settings.model_fields.keys()

    def test_the_process_environment_is_not_read_implicitly(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("WYOMING_TTS_PORT", "4")
        assert load().settings.port == 10200
        assert Settings().port == 10200

    def test_loaded_settings_are_immutable(self) -> None:
        settings = load().settings
        with pytest.raises(ValidationError, match="frozen"):
            settings.port = 1


class TestWyomingPiperFlags:
    @pytest.mark.parametrize(
        ("line", "name", "value"),
        [
            ("--uri tcp://0.0.0.0:10300", "uri", "tcp://0.0.0.0:10300"),
            ("--uri unix:///run/tts.sock", "uri", "unix:///run/tts.sock"),
            ("--uri stdio://", "uri", "stdio://"),
            ("--voice en_GB-alba-medium", "voice", "en_GB-alba-medium"),
            ("--speaker p239", "speaker", "p239"),
            ("--speaker 3", "speaker", "3"),
            ("--data-dir /data", "data_dir", (Path("/data"),)),
            ("--data-dir /a --data-dir /b", "data_dir", (Path("/a"), Path("/b"))),
            ("--download-dir /voices", "download_dir", Path("/voices")),
            ("--length-scale 1.2", "length_scale", 1.2),
            ("--noise-scale 0", "noise_scale", 0.0),
            ("--noise-w-scale 0.8", "noise_w_scale", 0.8),
            ("--noise-w 0.8", "noise_w_scale", 0.8),
            ("--sentence-silence 0.5", "sentence_silence", 0.5),
            ("--auto-punctuation .!", "auto_punctuation", ".!"),
            ("--auto-punctuation ''", "auto_punctuation", ""),
            ("--samples-per-chunk 2048", "samples_per_chunk", 2048),
            ("--no-streaming", "streaming", False),
            ("--update-voices", "update_voices", True),
            ("--use-cuda", "use_cuda", True),
            ("--zeroconf", "zeroconf", True),
            ("--zeroconf kitchen", "zeroconf_name", "kitchen"),
            ("--debug", "debug", True),
            ("--log-format '%(levelname)s:%(message)s'", "log_format", "%(levelname)s:%(message)s"),
        ],
    )
    def test_flags_of_wyoming_piper_are_supported(self, line: str, name: str, value: object) -> None:
        assert getattr(load(line).settings, name) == value

    def test_the_command_line_of_the_official_add_on_is_supported(self) -> None:
        line = (
            "--uri tcp://0.0.0.0:10200 --length-scale 1.0 --noise-scale 0.667 --noise-w 0.333 --speaker 0 "
            "--voice en_US-lessac-medium --sentence-silence 0.0 --data-dir /data --data-dir /share/piper "
            "--download-dir /data --update-voices --debug"
        )
        settings = load(line).settings
        assert settings.data_dir == (Path("/data"), Path("/share/piper"))
        assert (settings.speaker, settings.noise_w_scale) == ("0", 0.333)

    def test_defaults_match_wyoming_piper(self) -> None:
        settings = load().settings
        assert (settings.length_scale, settings.noise_scale, settings.noise_w_scale) == (None, None, None)
        assert settings.sentence_silence == 0
        assert settings.auto_punctuation == ".?!。？！．؟"
        assert settings.samples_per_chunk == 1024
        assert settings.streaming

    def test_flags_that_disable_features_are_accepted(self) -> None:
        settings = load("--no-ui --no-http --no-zeroconf").settings
        assert (settings.ui, settings.http, settings.zeroconf) == (False, False, False)


class TestZeroconf:
    def test_zeroconf_is_enabled_by_default_without_a_name(self) -> None:
        assert (load().settings.zeroconf, load().settings.zeroconf_name) == (True, None)

    def test_a_name_on_the_flag_overrides_the_one_in_the_file(self, config: Callable[..., str]) -> None:
        loaded = load(f"--config {config('zeroconf: hall')} --zeroconf kitchen")
        assert loaded.settings.zeroconf_name == "kitchen"
        assert loaded.sources["zeroconf_name"] == "flag --zeroconf"

    def test_the_bare_flag_keeps_the_name_in_the_file(self, config: Callable[..., str]) -> None:
        settings = load(f"--config {config('zeroconf: hall')} --zeroconf").settings
        assert (settings.zeroconf, settings.zeroconf_name) == (True, "hall")

    def test_the_negative_flag_overrides_a_name_in_the_file(self, config: Callable[..., str]) -> None:
        loaded = load(f"--config {config('zeroconf: hall')} --no-zeroconf")
        assert not loaded.settings.zeroconf
        assert loaded.sources["zeroconf"] == "flag --no-zeroconf"

    @pytest.mark.parametrize(
        ("text", "announced", "name"),
        [
            ("hall", True, "hall"),
            ("true", True, None),
            ("off", False, None),
            ("No", False, None),
            ("1", True, None),
        ],
    )
    def test_the_environment_variable_is_a_switch_or_a_name(
        self,
        text: str,
        announced: bool,  # noqa: FBT001
        name: str | None,
    ) -> None:
        settings = load(environ={"WYOMING_TTS_ZEROCONF": text}).settings
        assert (settings.zeroconf, settings.zeroconf_name) == (announced, name)

    @pytest.mark.parametrize(
        ("text", "announced", "name"), [("true", True, None), ("false", False, None), ("hall", True, "hall")]
    )
    def test_the_file_value_is_a_switch_or_a_name(
        self,
        config: Callable[..., str],
        text: str,
        announced: bool,  # noqa: FBT001
        name: str | None,
    ) -> None:
        settings = load(f"--config {config(f'zeroconf: {text}')}").settings
        assert (settings.zeroconf, settings.zeroconf_name) == (announced, name)

    def test_a_name_too_long_for_a_dns_label_is_refused(self) -> None:
        assert load(f"--zeroconf {'ü' * 31}").settings.zeroconf_name == "ü" * 31
        message = refusal(f"--zeroconf {'ü' * 32}")
        assert "zeroconf_name: got" in message
        assert "from flag --zeroconf, expected a printable name of 1 to 63 bytes" in message

    def test_zeroconf_without_tcp_is_warned_about_only_when_set_explicitly(self) -> None:
        assert load("--uri stdio:// --zeroconf").warnings == (
            "zeroconf from flag --zeroconf is ignored: stdio:// cannot be announced",
        )
        assert load("--uri stdio://").warnings == ()


class TestListening:
    @pytest.mark.parametrize(
        ("line", "uri"),
        [
            ("", "tcp://0.0.0.0:10200"),
            ("--port 0", "tcp://0.0.0.0:0"),
            ("--host tts.lan --port 99", "tcp://tts.lan:99"),
            ("--host ::1", "tcp://[::1]:10200"),
        ],
    )
    def test_the_uri_is_derived_from_host_and_port(self, line: str, uri: str) -> None:
        loaded = load(line)
        assert loaded.settings.uri == uri
        assert loaded.sources["uri"] == "default"

    def test_a_port_ignored_because_of_a_uri_is_warned_about(self) -> None:
        loaded = load("--uri stdio://", {"WYOMING_TTS_PORT": "5"})
        assert loaded.settings.uri == "stdio://"
        assert loaded.warnings == (
            "port from environment WYOMING_TTS_PORT is ignored: uri from flag --uri says where to listen",
        )

    @pytest.mark.parametrize(
        "uri",
        [
            "tcp://0.0.0.0",
            "tcp://:10200",
            "tcp://a:70000",
            "tcp://a:b",
            "tcp://a:1/x",
            "tcp://[::1",
            "unix://",
            "unix://a/b",
            "http://a:1",
            "stdio",
            "stdio://x",
            "10200",
        ],
    )
    def test_an_invalid_listen_uri_is_refused(self, uri: str) -> None:
        message = refusal(f"--uri {uri}")
        assert (
            message == f"uri: got {uri!r} from flag --uri, expected tcp://HOST:PORT, unix:///PATH or stdio://"
        )

    def test_an_invalid_host_is_reported_once_and_not_as_an_invalid_uri(self) -> None:
        assert (
            refusal("--host http://a")
            == "host: got 'http://a' from flag --host, expected an address or a host name"
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


class TestInvalidValues:
    def test_an_invalid_flag_is_reported_with_its_value_and_the_range(self) -> None:
        assert (
            refusal("--port 99999")
            == "port: got '99999' from flag --port, expected a whole number from 0 to 65535"
        )

    def test_an_invalid_variable_is_reported_by_its_name(self) -> None:
        message = refusal(environ={"WYOMING_TTS_SENTENCE_SILENCE": "long"})
        assert message == (
            "sentence_silence: got 'long' from environment WYOMING_TTS_SENTENCE_SILENCE, "
            "expected a number from 0 to 10 seconds"
        )

    def test_an_invalid_value_in_the_file_is_reported_with_file_and_key(
        self, config: Callable[..., str]
    ) -> None:
        file = config("port: 1\n\nnoise_w: -1")
        assert refusal(f"--config {file}") == (
            f"noise_w_scale: got -1 from file {file} line 3, key noise_w, expected a number from 0 to 2"
        )

    def test_an_overridden_invalid_value_is_ignored(self) -> None:
        assert load("--port 5", {"WYOMING_TTS_PORT": "99999"}).settings.port == 5

    def test_several_invalid_values_are_one_line_with_a_count(self) -> None:
        message = refusal("--port x --speed 9 --volume -1")
        assert message.startswith("port: got 'x' from flag --port")
        assert message.endswith("(and 2 more)")

    def test_a_list_with_two_invalid_items_counts_once(self, config: Callable[..., str]) -> None:
        message = refusal(f"--config {config('data_dir: [{}, {}]')}")
        assert message.endswith("expected one or more paths")

    def test_a_value_with_line_breaks_is_reported_in_one_line(self) -> None:
        assert r"got 'a\nb'" in refusal(environ={"WYOMING_TTS_ENGINE": "a\nb"})

    def test_a_long_value_is_truncated_in_the_message(self) -> None:
        assert len(refusal(f"--port {'9' * 5000}")) < 200

    @pytest.mark.parametrize("value", ["yes", "true", "[1]", "{a: 1}", "1.5"])
    def test_yaml_values_that_are_not_whole_numbers_are_refused(
        self, config: Callable[..., str], value: str
    ) -> None:
        assert "expected a whole number from 0 to 65535" in refusal(f"--config {config(f'port: {value}')}")

    @pytest.mark.parametrize("name", [info.name for info in NUMBERS])
    @pytest.mark.parametrize("value", ["nan", "inf", "-inf", "1,5", "0x10", "ten"])
    def test_values_that_are_not_numbers_are_refused(self, name: str, value: str) -> None:
        message = refusal(environ={INFO[name].variables[0]: value})
        assert message.startswith(f"{name}: got {value!r}")
        assert message.endswith(f"expected {INFO[name].expects}")

    @pytest.mark.parametrize("value", ["%(message)q", "%(nonsense)s", "no field at all", "%(message)d"])
    def test_a_log_format_that_cannot_format_a_record_is_refused(self, value: str) -> None:
        assert "from flag --log-format, expected a %-style" in refusal(f"--log-format {shlex.quote(value)}")

    @pytest.mark.parametrize("value", ["Piper", "../x", "9", "a b"])
    def test_an_engine_name_is_a_plain_identifier(self, value: str) -> None:
        assert "engine: got" in refusal(f"--engine {shlex.quote(value)}")

    def test_a_third_party_engine_is_accepted(self) -> None:
        assert load("--engine my_engine-2").settings.engine == "my_engine-2"

    @pytest.mark.parametrize("value", ["huggingface.co", "ftp://a", "https://", "http://[a"])
    def test_the_hub_endpoint_must_be_an_http_url(self, value: str) -> None:
        assert "expected an http:// or https:// address" in refusal(f"--hub-endpoint {value}")

    def test_letters_are_not_accepted_as_punctuation(self) -> None:
        assert "expected punctuation characters, or none" in refusal("--auto-punctuation yes")

    def test_a_switch_must_be_true_or_false(self) -> None:
        expected = "debug: got 'maybe' from environment WYOMING_TTS_DEBUG, expected true or false"
        assert refusal(environ={"WYOMING_TTS_DEBUG": "maybe"}) == expected


def with_number(name: str, value: float) -> float:
    """The setting as it is loaded from a flag with this number."""
    return getattr(load_settings({name: str(value)}, environ={}).settings, name)  # type: ignore[no-any-return]


def refuses(name: str, value: float) -> bool:
    with pytest.raises(SettingsError) as error:
        with_number(name, value)
    return str(error.value).endswith(f"from flag {INFO[name].flags[0]}, expected {INFO[name].expects}")


# Each name loads the same code, so that few numbers of each are enough beside the ends of its range.
FEW = examples(max_examples=scaled_examples(10))


@pytest.mark.parametrize("name", [info.name for info in NUMBERS])
class TestRanges:
    def test_the_ends_of_the_range_are_accepted_and_what_is_next_to_them_is_refused(self, name: str) -> None:
        lowest, highest = bounds(INFO[name])
        whole = isinstance(highest, int)
        below = int(lowest) - 1 if whole else math.nextafter(lowest, -math.inf)
        above = highest + 1 if whole else math.nextafter(highest, math.inf)
        lowest = int(lowest) if whole else lowest
        assert (with_number(name, lowest), with_number(name, highest)) == (lowest, highest)
        assert refuses(name, below)
        assert refuses(name, above)

    @FEW
    @given(data=st.data())
    def test_a_number_within_the_range_is_accepted(self, name: str, data: st.DataObject) -> None:
        lowest, highest = bounds(INFO[name])
        numbers = (
            st.integers(int(lowest), highest) if isinstance(highest, int) else st.floats(lowest, highest)
        )
        value = data.draw(numbers)
        assert with_number(name, value) == value

    @FEW
    @given(data=st.data())
    def test_a_number_outside_the_range_is_refused_with_the_range(
        self, name: str, data: st.DataObject
    ) -> None:
        lowest, highest = bounds(INFO[name])
        finite = st.floats(allow_nan=False, allow_infinity=False)
        numbers = st.integers() if isinstance(highest, int) else finite
        assert refuses(name, data.draw(numbers.filter(lambda number: not lowest <= number <= highest)))

    def test_the_documented_range_is_the_enforced_range(self, name: str) -> None:
        lowest, highest = bounds(INFO[name])
        assert f"{highest:g}" in INFO[name].expects or str(highest) in INFO[name].expects
        assert f"from {lowest:g} " in INFO[name].expects or "above 0," in INFO[name].expects


class TestSettingsFile:
    def test_options_of_a_home_assistant_add_on_are_read(self, config: Callable[..., str]) -> None:
        options = {
            "voice": "en_US-lessac-medium",
            "speaker": 0,
            "length_scale": 1.0,
            "noise_scale": 0.667,
            "noise_w": 0.333,
            "sentence_silence": 0,
            "debug_logging": True,
            "update_voices": True,
            "engine": "",
            "hub_endpoint": None,
            "data_dir": ["/data", "", "/share/piper"],
        }
        file = config(json.dumps(options), "options.json")
        loaded = load(f"--config {file}")
        settings = loaded.settings
        assert (settings.speaker, settings.noise_w_scale, settings.sentence_silence) == ("0", 0.333, 0.0)
        assert (settings.debug, settings.update_voices) == (True, True)
        assert settings.data_dir == (Path("/data"), Path("/share/piper"))
        assert (settings.engine, settings.hub_endpoint) == ("auto", "https://huggingface.co")
        assert loaded.sources["engine"] == "default"
        assert loaded.sources["noise_w_scale"] == f"file {file}, key noise_w"

    def test_json_files_are_parsed_as_json(self, config: Callable[..., str]) -> None:
        yaml_in_json = config("port: 1", "options.json")
        assert "cannot be read, expected YAML or JSON" in refusal(f"--config {yaml_in_json}")
        json_with_tab = config('{"port":\t1}', "options.json")
        assert load(f"--config {json_with_tab}").settings.port == 1

    @pytest.mark.parametrize(
        ("key", "hint"),
        [
            ("prot", "did you mean 'port'?"),
            ("sentence_silense", "did you mean 'sentence_silence'?"),
            ("no_ui", "did you mean 'ui', with the value false?"),
            ("no-streaming", "did you mean 'streaming', with the value false?"),
            ("qqqq", "--help lists all settings"),
        ],
    )
    def test_an_unknown_key_is_an_error_with_a_suggestion(
        self, config: Callable[..., str], key: str, hint: str
    ) -> None:
        file = config(f"voice: x\n{key}: 1")
        expected = f"file {file} line 2: got the key {key!r}, expected a setting; {hint}"
        assert refusal(f"--config {file}") == expected

    def test_an_unknown_key_in_json_is_an_error(self, config: Callable[..., str]) -> None:
        file = config('{"prot": 1}', "options.json")
        expected = f"file {file}: got the key 'prot', expected a setting; did you mean 'port'?"
        assert refusal(f"--config {file}") == expected

    def test_a_duplicate_key_is_an_error(self, config: Callable[..., str]) -> None:
        file = config("port: 1\nport: 2")
        assert refusal(f"--config {file}") == f"file {file} line 2: got 'port' twice, it is in line 1 already"

    @pytest.mark.parametrize(("text", "key"), [("1: x", "1"), ("on: x", "True"), ("~: x", "None")])
    def test_a_key_that_is_not_text_is_unknown(self, config: Callable[..., str], text: str, key: str) -> None:
        file = config(text)
        assert refusal(f"--config {file}").startswith(
            f"file {file} line 1: got the key {key}, expected a setting;"
        )

    def test_keys_may_be_spelled_like_flags(self, config: Callable[..., str]) -> None:
        assert load(f"--config {config('sentence-silence: 2')}").settings.sentence_silence == 2

    @pytest.mark.parametrize("text", ["", "# nothing\n", "{}"])
    def test_an_empty_file_sets_nothing(self, config: Callable[..., str], text: str) -> None:
        assert set(load(f"--config {config(text)}").sources.values()) == {"default"}

    @pytest.mark.parametrize(
        ("text", "mistake"),
        [
            ("a: [", "got a bracket or a quote that is not closed"),
            ("a: b: c", "got a second colon in this line"),
            ("\x01", "got the character"),
        ],
    )
    def test_a_file_that_is_not_yaml_is_an_error(
        self, config: Callable[..., str], text: str, mistake: str
    ) -> None:
        file = config(text)
        assert refusal(f"--config {file}").startswith(f"file {file} line 1: {mistake}")

    @pytest.mark.parametrize(
        ("text", "shown"), [("- port", "['port']"), ("just text", "'just text'"), ("0", "0")]
    )
    def test_a_file_without_a_mapping_is_an_error(
        self, config: Callable[..., str], text: str, shown: str
    ) -> None:
        file = config(text)
        expected = f"file {file}: got {shown}, expected a mapping of settings to values"
        assert refusal(f"--config {file}") == expected

    def test_a_file_in_another_encoding_is_an_error(self, tmp_path: Path) -> None:
        path = tmp_path / "latin.yaml"
        path.write_bytes("voice: ü".encode("latin-1"))
        assert "line 1: got the byte 0xfc, expected UTF-8" in refusal(f"--config {path}")

    def test_a_missing_file_is_an_error(self, tmp_path: Path) -> None:
        assert "No such file" in refusal(f"--config {tmp_path / 'none.yaml'}")
        assert "Is a directory" in refusal(f"--config {tmp_path}")

    def test_a_file_with_a_byte_order_mark_is_read(self, tmp_path: Path) -> None:
        for name in ("a.json", "a.yaml"):
            path = tmp_path / name
            path.write_bytes(b'\xef\xbb\xbf{"port": 6}')
            assert load(f"--config {path}").settings.port == 6

    @pytest.mark.parametrize("text", ["data_dir: /one", "data_dir: [/one]", "data_dir:\n- /one\n-"])
    def test_a_single_directory_needs_no_list(self, config: Callable[..., str], text: str) -> None:
        assert load(f"--config {config(text)}").settings.data_dir == (Path("/one"),)


class TestEmptyValues:
    @pytest.mark.parametrize("name", [info.name for info in SETTINGS])
    @pytest.mark.parametrize("value", ["", "  ", None])
    def test_an_empty_value_in_the_file_counts_as_unset(
        self, config: Callable[..., str], name: str, value: str | None
    ) -> None:
        file = config(json.dumps({name: value}), "options.json")
        assert load(f"--config {file}").settings == Settings()

    @pytest.mark.parametrize("name", [info.name for info in SETTINGS])
    def test_an_empty_variable_counts_as_unset(self, name: str) -> None:
        loaded = load(environ={INFO[name].variables[0]: ""})
        assert loaded.settings == Settings()
        assert set(loaded.sources.values()) == {"default"}

    def test_an_empty_variable_does_not_override_the_file(self, config: Callable[..., str]) -> None:
        assert load(f"--config {config('port: 5')}", {"WYOMING_TTS_PORT": ""}).settings.port == 5

    def test_an_empty_flag_counts_as_unset(self) -> None:
        loaded = load("--speaker '' --data-dir '' --zeroconf ''", {"WYOMING_TTS_SPEAKER": "3"})
        assert loaded.settings == Settings(speaker="3")

    def test_an_empty_flag_disables_automatic_punctuation(self) -> None:
        loaded = load("--auto-punctuation ''", {"WYOMING_TTS_AUTO_PUNCTUATION": "."})
        assert loaded.settings.auto_punctuation == ""
        assert loaded.sources["auto_punctuation"] == "flag --auto-punctuation"

    def test_none_disables_automatic_punctuation(self, config: Callable[..., str]) -> None:
        assert load(environ={"WYOMING_TTS_AUTO_PUNCTUATION": "none"}).settings.auto_punctuation == ""
        assert load(f"--config {config('auto_punctuation: none')}").settings.auto_punctuation == ""

    def test_spaces_in_automatic_punctuation_are_ignored(self) -> None:
        assert load("--auto-punctuation '. ! ?'").settings.auto_punctuation == ".!?"


class TestEnvironment:
    def test_directories_are_separated_as_in_path(self) -> None:
        environ = {"WYOMING_TTS_DATA_DIR": os.pathsep.join(["/a", "", "/b"])}
        assert load(environ=environ).settings.data_dir == (Path("/a"), Path("/b"))

    @pytest.mark.parametrize(
        ("variable", "hint"),
        [
            ("WYOMING_TTS_PROT", "; did you mean WYOMING_TTS_PORT?"),
            ("WYOMING_TTS_NO_STREAMING", "; did you mean WYOMING_TTS_STREAMING?"),
        ],
    )
    def test_an_unknown_variable_is_warned_about_with_a_suggestion(self, variable: str, hint: str) -> None:
        assert load(environ={variable: "1"}).warnings == (
            f"environment {variable}: no setting has that name, it is ignored{hint}",
        )

    def test_variables_without_the_prefix_are_ignored(self) -> None:
        assert load(environ={"PORT": "1", "WYOMING_PIPER_PORT": "1"}).warnings == ()

    def test_variables_of_a_kubernetes_service_of_this_name_are_ignored(self) -> None:
        environ = {
            "WYOMING_TTS_SERVICE_HOST": "10.43.0.9",
            "WYOMING_TTS_SERVICE_PORT": "10200",
            "WYOMING_TTS_SERVICE_PORT_WYOMING": "10200",
            "WYOMING_TTS_PORT": "tcp://10.43.0.9:10200",
            "WYOMING_TTS_PORT_10200_TCP": "tcp://10.43.0.9:10200",
            "WYOMING_TTS_PORT_10200_TCP_PROTO": "tcp",
        }
        loaded = load(environ=environ)
        assert loaded.settings == Settings()
        assert loaded.warnings == ()

    def test_a_uri_as_port_is_refused_without_such_a_service(self) -> None:
        assert refusal(environ={"WYOMING_TTS_PORT": "tcp://a:1"}).startswith("port: got 'tcp://a:1'")

    @pytest.mark.parametrize(
        ("name", "variable", "value", "ours"),
        [
            ("offline", "HF_HUB_OFFLINE", "1", "false"),
            ("hub_endpoint", "HF_ENDPOINT", "https://mirror.example", "https://ours.example"),
        ],
    )
    def test_hugging_face_variables_apply_below_the_products_own(
        self, name: str, variable: str, value: str, ours: str
    ) -> None:
        theirs = load(environ={variable: value})
        assert str(getattr(theirs.settings, name)) in {value, "True"}
        assert theirs.sources[name] == f"environment {variable}"
        both = load(environ={variable: value, f"WYOMING_TTS_{name.upper()}": ours})
        assert str(getattr(both.settings, name)).lower() == ours
        unset = load(environ={variable: value, f"WYOMING_TTS_{name.upper()}": ""})
        assert unset.sources[name] == f"environment {variable}"

    def test_a_trailing_slash_of_the_hub_endpoint_is_removed(self) -> None:
        assert (
            load("--hub-endpoint https://mirror.example/").settings.hub_endpoint == "https://mirror.example"
        )


class TestPaths:
    def test_downloads_go_to_the_first_data_directory(self) -> None:
        assert load("--data-dir /a --data-dir /b").settings.download_dir == Path("/a")

    def test_the_default_data_directory_follows_xdg_data_home(
        self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
    ) -> None:
        monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
        assert load().settings.data_dir == (tmp_path / "wyoming-tts",)

    def test_state_goes_to_the_directory_of_the_service_else_of_the_user(
        self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
    ) -> None:
        monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
        monkeypatch.delenv("STATE_DIRECTORY", raising=False)
        assert load("--data-dir /a").settings.metrics_file == tmp_path / "wyoming-tts" / "metrics.jsonl"
        monkeypatch.setenv("STATE_DIRECTORY", "/var/lib/wyoming-tts:/var/lib/other")
        assert load("--data-dir /a").settings.state_dir == Path("/var/lib/wyoming-tts")
        assert load("--state-dir /b").settings.metrics_file == Path("/b/metrics.jsonl")

    def test_a_journal_of_an_earlier_version_is_looked_for_unless_its_place_was_chosen(self) -> None:
        assert load("--data-dir /a").settings.former_metrics_file == Path("/a/metrics.jsonl")
        assert load("--data-dir /a --metrics-file /c").settings.former_metrics_file is None

    def test_a_tilde_expands_to_the_home_directory(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("HOME", "/home/me")
        environ = {"WYOMING_TTS_KOKORO_MODEL": "~/kokoro.onnx", "WYOMING_TTS_DATA_DIR": "~/voices"}
        settings = load(environ=environ).settings
        assert settings.kokoro_model == Path("/home/me/kokoro.onnx")
        assert settings.data_dir == (Path("/home/me/voices"),)

    def test_an_unknown_home_directory_is_an_invalid_value(self) -> None:
        assert "kokoro_model: got '~nobody-of-that-name/x'" in refusal(
            "--kokoro-model ~nobody-of-that-name/x"
        )


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
