"""The add-on's manifest: valid for the Supervisor, with an option for every setting."""

from __future__ import annotations

import json
import os
import runpy
import shutil
import struct
import subprocess
from pathlib import Path, PurePath
from typing import Any

import pytest
import yaml
from annotated_types import Ge, Gt, Le

from tests.addon import supervisor
from wyoming_tts import __version__
from wyoming_tts.settings import SETTINGS, LoadedSettings, Settings, load_settings
from wyoming_tts.settings.addon import FIXED, addon_options
from wyoming_tts.settings.model import SECRETS

ROOT = Path(__file__).parents[2]
MANIFEST = yaml.safe_load((ROOT / "config.yaml").read_text("utf-8"))
OPTIONS = {option.name: option for option in addon_options()}
PIPER = """
voice: de_DE-thorsten-medium
speaker: 0
length_scale: 1.1
noise_scale: 0.667
noise_w: 0.333
sentence_silence: 0.2
debug_logging: true
update_voices: true
"""
"""Options of the Piper add-on, as users copy them from Home Assistant's YAML editor."""
SCHEMA = Settings.model_json_schema()
GENERATED = frozenset(["build", "dist", "node_modules"])
"""Generated directories, which are not in the repository."""
DEFAULTS = load_settings({}, environ={}).settings


def load_options(directory: Path, options: dict[str, Any]) -> LoadedSettings:
    file = directory / "options.json"
    file.write_text(json.dumps(options), "utf-8")
    return load_settings({"config": str(file)}, environ={})


def settings_from_options(directory: Path, options: dict[str, Any]) -> Settings:
    """The settings that result when a user enters these options."""
    return load_options(directory, supervisor.validate_options(MANIFEST, options)).settings


def setting_schema(name: str) -> dict[str, Any]:
    """A setting's JSON schema, as pydantic generates it."""
    found: dict[str, Any] = SCHEMA["properties"][name]
    kinds = [kind for kind in found.get("anyOf", [found]) if kind.get("type") != "null"]
    return {**found, **kinds[0]}


def limits(name: str) -> tuple[float, float]:
    found: dict[type, Any] = {type(limit): limit for limit in Settings.model_fields[name].metadata}
    return 0.01 if Gt in found else found[Ge].ge, found[Le].le


def test_the_manifest_has_all_required_keys_and_no_unknown_ones() -> None:
    assert set(MANIFEST) >= supervisor.REQUIRED
    assert set(MANIFEST) - supervisor.KNOWN == set()
    assert supervisor.SLUG.fullmatch(MANIFEST["slug"])
    assert supervisor.WATCHDOG.fullmatch(MANIFEST["watchdog"])
    assert set(MANIFEST["arch"]) == {"amd64", "aarch64"}
    assert set(MANIFEST["map"]) <= supervisor.MAPS
    assert MANIFEST["init"] is False
    assert MANIFEST["discovery"] == ["wyoming"]
    assert MANIFEST["homeassistant_api"] is True
    assert not {"hassio_api", "hassio_role", "auth_api", "privileged"} & set(MANIFEST), "no more rights"


def test_the_manifest_has_the_packages_version() -> None:
    assert MANIFEST["version"] == __version__


def test_the_add_on_files_match_the_generator_scripts_output() -> None:
    written = runpy.run_path(str(ROOT / "script/addon.py"))["written"]
    assert [path.name for path, text in written() if path.read_text("utf-8") != text] == []


def test_no_other_file_in_the_tree_looks_like_an_add_on_manifest() -> None:
    names = {"config.yaml", "config.yml", "config.json"}
    found = []
    for directory, within, files in os.walk(ROOT):
        within[:] = [name for name in within if name[0] != "." and name not in GENERATED]
        found += [Path(directory, name).relative_to(ROOT) for name in names.intersection(files)]
    assert found == [Path("config.yaml")]


def test_ports_are_unpublished_by_default_and_described() -> None:
    assert MANIFEST["ports"] == {"10200/tcp": None, "8880/tcp": None}
    assert set(MANIFEST["ports_description"]) == set(MANIFEST["ports"])
    assert all(supervisor.PORT.fullmatch(port) for port in MANIFEST["ports"])
    assert f"{MANIFEST['ingress_port']}/tcp" in MANIFEST["ports"]


def test_caches_and_partial_downloads_are_excluded_from_backups() -> None:
    for name in ("cache", "de_DE-thorsten-medium.onnx.part"):
        path = PurePath("/mnt/data/supervisor/addons/data/local_wyoming_tts", name)
        assert any(path.match(pattern) for pattern in MANIFEST["backup_exclude"])


def test_voices_blends_and_lexicon_are_included_in_backups() -> None:
    for name in ("a.onnx", "a.onnx.json", "blends.yaml", "lexicon.yaml", "styles/a.npy"):
        assert not any(PurePath("/data", name).match(pattern) for pattern in MANIFEST["backup_exclude"])


def test_every_setting_is_an_option_or_fixed_for_a_reason() -> None:
    assert {option.info.name for option in OPTIONS.values()} | set(FIXED) == {info.name for info in SETTINGS}
    assert {option.info.name for option in OPTIONS.values()} & set(FIXED) == set()
    assert all(FIXED.values())
    assert set(MANIFEST["schema"]) == set(OPTIONS)


def test_every_option_type_is_known_to_the_supervisor() -> None:
    assert [name for name, kind in MANIFEST["schema"].items() if not supervisor.is_type(kind)] == []


def test_an_option_has_the_type_of_its_setting() -> None:
    words = {"boolean": "bool", "integer": "int", "number": "float", "array": "str", "string": "str"}
    for option in OPTIONS.values():
        setting, written = setting_schema(option.info.name), MANIFEST["schema"][option.name]
        word = (written[0] if isinstance(written, list) else written).removesuffix("?")
        expected = words[setting["type"]]
        if "enum" in setting:
            expected = f"list({'|'.join(setting['enum'])})"
        elif option.info.name in SECRETS:
            expected = "password"
        elif option.info.name == "speaker":  # users may also enter it as a YAML number
            expected = "match(.*)"
        assert (word if word.startswith(("list", "match")) else word.partition("(")[0]) == expected
        assert isinstance(written, list) == (setting["type"] == "array")


def test_numeric_options_have_the_same_bounds_for_the_supervisor_and_the_server(tmp_path: Path) -> None:
    numbers = [option for option in OPTIONS.values() if option.info.is_number]
    bounds = {option.name: limits(option.info.name) for option in numbers}
    for end in (0, 1):
        settings = settings_from_options(tmp_path, {name: bound[end] for name, bound in bounds.items()})
        for option in numbers:
            assert getattr(settings, option.info.name) == bounds[option.name][end]
    unbounded = []
    for name, (lowest, highest) in bounds.items():
        for value in (lowest - 1, highest + 1):
            try:
                supervisor.validate_options(MANIFEST, {name: value})
            except supervisor.InvalidOptions:
                continue
            unbounded.append(name)
    assert set(unbounded) == {"loudness"}  # older Supervisors accept no negative bounds


def test_an_add_on_without_entered_options_has_the_servers_defaults(tmp_path: Path) -> None:
    assert settings_from_options(tmp_path, {}) == DEFAULTS


def test_only_the_voice_and_enabled_switches_have_initial_values() -> None:
    values = dict(MANIFEST["options"])
    assert values.pop("voice") == DEFAULTS.voice
    switches = {info.name for info in SETTINGS if info.is_switch and getattr(DEFAULTS, info.name)}
    assert set(values) == switches - set(FIXED)
    assert all(value is True for value in values.values())


def test_an_empty_option_means_the_default(tmp_path: Path) -> None:
    """Whatever the Supervisor writes for an empty field."""
    for empty in (None, "", " "):
        assert load_options(tmp_path, dict.fromkeys(OPTIONS, empty)).settings == DEFAULTS


def test_an_empty_list_option_means_the_default(tmp_path: Path) -> None:
    lists = [option.name for option in OPTIONS.values() if option.info.is_list]
    assert lists
    assert settings_from_options(tmp_path, {name: [] for name in lists}) == DEFAULTS
    assert settings_from_options(tmp_path, {name: [""] for name in lists}) == DEFAULTS


def test_options_copied_from_the_piper_add_on_are_accepted_unchanged(tmp_path: Path) -> None:
    pasted = yaml.safe_load(PIPER)
    settings = settings_from_options(tmp_path, pasted)
    assert settings.voice == "de_DE-thorsten-medium"
    assert settings.speaker == "0"
    assert settings.length_scale == pytest.approx(1.1)
    assert settings.noise_scale == pytest.approx(0.667)
    assert settings.noise_w_scale == pytest.approx(0.333)
    assert settings.sentence_silence == pytest.approx(0.2)
    assert settings.debug
    assert settings.update_voices
    assert set(pasted) - set(supervisor.validate_options(MANIFEST, pasted)) == set()


def test_api_keys_are_password_options() -> None:
    secret = Settings(api_keys=("a",), remote_key="b")
    assert set(secret.secrets) == {"a", "b"}
    assert {"api_keys", "remote_key", "token_keys"} == SECRETS
    assert MANIFEST["schema"]["api_keys"] == ["password?"]
    assert MANIFEST["schema"]["remote_key"] == "password?"


def test_the_apparmor_profile_is_named_after_the_slug() -> None:
    """The Supervisor replaces it by the installed name, and requires exactly one such line."""
    lines = (ROOT / "apparmor.txt").read_text("utf-8").splitlines()
    assert [line.split()[1] for line in lines if line.startswith("profile ")] == [MANIFEST["slug"]]


@pytest.mark.skipif(not shutil.which("apparmor_parser"), reason="Debian's package apparmor is not installed")
def test_apparmor_parser_accepts_the_profile() -> None:
    command = ["apparmor_parser", "--skip-kernel-load", "--skip-cache", str(ROOT / "apparmor.txt")]
    parsed = subprocess.run(command, capture_output=True, text=True, check=False)
    assert parsed.returncode == 0, parsed.stderr


@pytest.mark.parametrize(("name", "sizes"), [("icon", {(128, 128), (256, 256)}), ("logo", {(250, 100)})])
def test_icon_and_logo_have_the_sizes_of_the_add_on_store(name: str, sizes: set[tuple[int, int]]) -> None:
    content = (ROOT / f"{name}.png").read_bytes()
    assert content[:8] == b"\x89PNG\r\n\x1a\n"
    assert struct.unpack(">II", content[16:24]) in sizes
    assert len(content) < 50_000
