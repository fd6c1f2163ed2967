"""Where the server listens and how it is found: addresses, wyoming-piper's flags, and zeroconf."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.unit.settings.loading import load, refusal


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
