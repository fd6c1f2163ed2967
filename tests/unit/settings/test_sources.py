"""Where settings come from: flags, the environment, and a file with its paths; which of them wins."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest
from pydantic import ValidationError

from tests.unit.settings.loading import INFO, load, refusal
from wyoming_tts.settings import (
    SETTINGS,
    Place,
    Settings,
    place_for,
)


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

    @pytest.mark.parametrize(
        ("flags", "environ", "place"),
        [
            ("", {}, Place("", "voice: a b")),
            ("--voice x", {}, Place("--voice", "--voice 'a b'")),
            ("", {"WYOMING_TTS_VOICE": "x"}, Place("WYOMING_TTS_VOICE", "WYOMING_TTS_VOICE=a b")),
        ],
    )
    def test_another_value_is_written_where_the_setting_was_given(
        self, flags: str, environ: dict[str, str], place: Place
    ) -> None:
        assert place_for("voice", "a b", load(flags, environ).sources["voice"]) == place

    @pytest.mark.parametrize("name", ["my line 3, key file.yaml", "options.json"])
    def test_another_value_is_written_in_the_file_that_gave_the_setting(
        self, config: Callable[..., str], name: str
    ) -> None:
        file = config('{"voice": "x"}', name)
        source = load("", {"WYOMING_TTS_CONFIG": file}).sources["voice"]
        assert place_for("voice", "y", source) == Place(name, "voice: y")


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
