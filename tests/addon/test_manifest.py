"""The add-on's manifest is one that the Supervisor takes, and offers the settings that there are."""

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
from wyoming_tts.settings.addon import FIXED, SECRETS, addon_options

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
"""As its user copies them out of Home Assistant's editor."""
SCHEMA = Settings.model_json_schema()
MADE = frozenset(["build", "dist", "node_modules"])
"""Folders that are not in the repository."""
DEFAULTS = load_settings({}, environ={}).settings


def loaded(directory: Path, options: dict[str, Any]) -> LoadedSettings:
    file = directory / "options.json"
    file.write_text(json.dumps(options), "utf-8")
    return load_settings({"config": str(file)}, environ={})


def entered(directory: Path, options: dict[str, Any]) -> Settings:
    """The settings of somebody who enters this."""
    return loaded(directory, supervisor.taken(MANIFEST, options)).settings


def model(name: str) -> dict[str, Any]:
    """A setting's JSON schema, as pydantic has it."""
    found: dict[str, Any] = SCHEMA["properties"][name]
    kinds = [kind for kind in found.get("anyOf", [found]) if kind.get("type") != "null"]
    return {**found, **kinds[0]}


def limits(name: str) -> tuple[float, float]:
    found: dict[type, Any] = {type(limit): limit for limit in Settings.model_fields[name].metadata}
    return 0.01 if Gt in found else found[Ge].ge, found[Le].le


def test_it_has_what_the_supervisor_wants_and_nothing_that_it_drops() -> None:
    assert set(MANIFEST) >= supervisor.REQUIRED
    assert set(MANIFEST) - supervisor.KNOWN == set()
    assert supervisor.SLUG.fullmatch(MANIFEST["slug"])
    assert supervisor.WATCHDOG.fullmatch(MANIFEST["watchdog"])
    assert set(MANIFEST["arch"]) == {"amd64", "aarch64"}
    assert set(MANIFEST["map"]) <= supervisor.MAPS
    assert MANIFEST["init"] is False
    assert MANIFEST["discovery"] == ["wyoming"]


def test_it_has_the_packages_version() -> None:
    assert MANIFEST["version"] == __version__


def test_the_files_are_those_that_the_script_writes() -> None:
    written = runpy.run_path(str(ROOT / "script/addon.py"))["written"]
    assert [path.name for path, text in written() if path.read_text("utf-8") != text] == []


def test_no_other_file_in_the_tree_would_be_taken_for_an_add_on() -> None:
    names = {"config.yaml", "config.yml", "config.json"}
    found = []
    for directory, within, files in os.walk(ROOT):
        within[:] = [name for name in within if name[0] != "." and name not in MADE]
        found += [Path(directory, name).relative_to(ROOT) for name in names.intersection(files)]
    assert found == [Path("config.yaml")]


def test_ports_are_closed_and_described() -> None:
    assert MANIFEST["ports"] == {"10200/tcp": None, "8880/tcp": None}
    assert set(MANIFEST["ports_description"]) == set(MANIFEST["ports"])
    assert all(supervisor.PORT.fullmatch(port) for port in MANIFEST["ports"])
    assert f"{MANIFEST['ingress_port']}/tcp" in MANIFEST["ports"]


def test_what_can_be_made_anew_is_left_out_of_backups() -> None:
    for name in ("cache", "de_DE-thorsten-medium.onnx.part"):
        path = PurePath("/mnt/data/supervisor/addons/data/local_wyoming_tts", name)
        assert any(path.match(pattern) for pattern in MANIFEST["backup_exclude"])


def test_voices_and_blends_are_kept_in_backups() -> None:
    for name in ("a.onnx", "a.onnx.json", "blends.yaml", "lexicon.yaml", "styles/a.npy"):
        assert not any(PurePath("/data", name).match(pattern) for pattern in MANIFEST["backup_exclude"])


def test_every_setting_is_an_option_or_fixed_for_a_reason() -> None:
    assert {option.info.name for option in OPTIONS.values()} | set(FIXED) == {info.name for info in SETTINGS}
    assert {option.info.name for option in OPTIONS.values()} & set(FIXED) == set()
    assert all(FIXED.values())
    assert set(MANIFEST["schema"]) == set(OPTIONS)


def test_every_type_is_one_of_the_supervisors() -> None:
    assert [name for name, kind in MANIFEST["schema"].items() if not supervisor.is_type(kind)] == []


def test_an_option_has_the_type_of_its_setting() -> None:
    words = {"boolean": "bool", "integer": "int", "number": "float", "array": "str", "string": "str"}
    for option in OPTIONS.values():
        setting, written = model(option.info.name), MANIFEST["schema"][option.name]
        word = (written[0] if isinstance(written, list) else written).removesuffix("?")
        expected = words[setting["type"]]
        if "enum" in setting:
            expected = f"list({'|'.join(setting['enum'])})"
        elif option.info.name in SECRETS:
            expected = "password"
        elif option.info.name == "speaker":  # which people also write as a number, as YAML has it
            expected = "match(.*)"
        assert (word if word.startswith(("list", "match")) else word.partition("(")[0]) == expected
        assert isinstance(written, list) == (setting["type"] == "array")


def test_what_lies_within_the_bounds_is_taken_by_both_and_what_does_not_by_neither(tmp_path: Path) -> None:
    numbers = [option for option in OPTIONS.values() if option.info.is_number]
    bounds = {option.name: limits(option.info.name) for option in numbers}
    for end in (0, 1):
        settings = entered(tmp_path, {name: bound[end] for name, bound in bounds.items()})
        for option in numbers:
            assert getattr(settings, option.info.name) == bounds[option.name][end]
    unbounded = []
    for name, (lowest, highest) in bounds.items():
        for value in (lowest - 1, highest + 1):
            try:
                supervisor.taken(MANIFEST, {name: value})
            except supervisor.InvalidOptions:
                continue
            unbounded.append(name)
    assert set(unbounded) == {"loudness"}  # older Supervisors know no bounds below zero


def test_the_defaults_are_those_of_the_server(tmp_path: Path) -> None:
    assert entered(tmp_path, {}) == DEFAULTS


def test_only_the_voice_and_switches_that_are_on_have_a_value_from_the_start() -> None:
    values = dict(MANIFEST["options"])
    assert values.pop("voice") == DEFAULTS.voice
    switches = {info.name for info in SETTINGS if info.is_switch and getattr(DEFAULTS, info.name)}
    assert set(values) == switches - set(FIXED)
    assert all(value is True for value in values.values())


def test_an_option_that_says_nothing_means_the_default(tmp_path: Path) -> None:
    """Whatever the Supervisor writes for a field that was emptied."""
    for nothing in (None, "", " "):
        assert loaded(tmp_path, dict.fromkeys(OPTIONS, nothing)).settings == DEFAULTS


def test_a_list_without_entries_means_the_default(tmp_path: Path) -> None:
    lists = [option.name for option in OPTIONS.values() if option.info.is_list]
    assert lists
    assert entered(tmp_path, {name: [] for name in lists}) == DEFAULTS
    assert entered(tmp_path, {name: [""] for name in lists}) == DEFAULTS


def test_the_options_of_the_piper_add_on_are_taken_unchanged(tmp_path: Path) -> None:
    pasted = yaml.safe_load(PIPER)
    settings = entered(tmp_path, pasted)
    assert settings.voice == "de_DE-thorsten-medium"
    assert settings.speaker == "0"
    assert settings.length_scale == pytest.approx(1.1)
    assert settings.noise_scale == pytest.approx(0.667)
    assert settings.noise_w_scale == pytest.approx(0.333)
    assert settings.sentence_silence == pytest.approx(0.2)
    assert settings.debug
    assert settings.update_voices
    assert set(pasted) - set(supervisor.taken(MANIFEST, pasted)) == set()


def test_keys_are_entered_unseen() -> None:
    secret = Settings(api_keys=("a",), remote_key="b")
    assert set(secret.secrets) == {"a", "b"}
    assert {"api_keys", "remote_key"} == SECRETS
    assert MANIFEST["schema"]["api_keys"] == ["password?"]
    assert MANIFEST["schema"]["remote_key"] == "password?"


def test_the_app_armor_profile_has_the_slugs_name() -> None:
    """The Supervisor puts the installed name in its place, and takes a file with one such line alone."""
    lines = (ROOT / "apparmor.txt").read_text("utf-8").splitlines()
    assert [line.split()[1] for line in lines if line.startswith("profile ")] == [MANIFEST["slug"]]


@pytest.mark.skipif(not shutil.which("apparmor_parser"), reason="Debian's package apparmor is not installed")
def test_the_app_armor_profile_can_be_parsed() -> None:
    command = ["apparmor_parser", "--skip-kernel-load", "--skip-cache", str(ROOT / "apparmor.txt")]
    parsed = subprocess.run(command, capture_output=True, text=True, check=False)
    assert parsed.returncode == 0, parsed.stderr


@pytest.mark.parametrize(("name", "sizes"), [("icon", {(128, 128), (256, 256)}), ("logo", {(250, 100)})])
def test_pictures_have_the_size_that_the_store_shows(name: str, sizes: set[tuple[int, int]]) -> None:
    content = (ROOT / f"{name}.png").read_bytes()
    assert content[:8] == b"\x89PNG\r\n\x1a\n"
    assert struct.unpack(">II", content[16:24]) in sizes
    assert len(content) < 50_000
