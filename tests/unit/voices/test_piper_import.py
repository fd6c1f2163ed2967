from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from pathlib import Path

import pytest
import yaml

from tests.support.tones import LETTERS, LOW, VOICES
from wyoming_tts.engines.base import EngineOptions
from wyoming_tts.engines.model_files import BrokenVoice
from wyoming_tts.engines.piper.engine import PiperEngine
from wyoming_tts.speech import Voice
from wyoming_tts.voices.piper_import import PiperImport, PiperImportFailed, import_piper_directory

OURS = Path("/srv/ours")


def scan_directory(directory: Path) -> tuple[Sequence[Voice], Sequence[BrokenVoice]]:
    engine = PiperEngine(EngineOptions(data_dirs=(directory,)))
    return engine.installed(), engine.broken


def import_directory(directory: Path, settings_file: Path | None = None) -> PiperImport:
    return import_piper_directory(
        directory, data_dir=(OURS,), scan_directory=scan_directory, settings_file=settings_file
    )


def add_voice(directory: Path, *names: str) -> None:
    for name in names:
        for ending in ("", ".json"):
            shutil.copy(VOICES / f"{name}.onnx{ending}", directory)


@pytest.fixture
def piper_directory(tmp_path: Path) -> Path:
    directory = tmp_path / "piper"
    directory.mkdir()
    add_voice(directory, LETTERS.name, LOW.name)
    return directory


def test_importing_keeps_the_voices_in_place_and_the_download_directory_unchanged(
    piper_directory: Path,
) -> None:
    before = {path: path.stat().st_mtime_ns for path in piper_directory.iterdir()}
    imported = import_directory(piper_directory)
    assert [voice.name for voice in imported.voices] == [LETTERS.name, LOW.name]
    assert (imported.broken, imported.index, imported.voice, imported.written) == ((), None, None, None)
    assert (imported.data_dir, imported.is_new) == ((OURS, piper_directory), True)
    assert {path: path.stat().st_mtime_ns for path in piper_directory.iterdir()} == before


def test_a_directory_already_in_use_is_not_added_twice(piper_directory: Path, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(piper_directory)
    imported = import_piper_directory(
        tmp_path / "link", data_dir=(OURS, piper_directory), scan_directory=scan_directory
    )
    assert (imported.data_dir, imported.is_new) == ((OURS, piper_directory), False)


def test_broken_voices_are_reported_with_their_reasons(piper_directory: Path) -> None:
    model = piper_directory / f"{LOW.name}.onnx"
    model.write_bytes(model.read_bytes()[:500])
    (piper_directory / "bare.onnx").write_bytes(b"x")
    reasons = {path.name: reason for path, reason in import_directory(piper_directory).broken}
    assert "not complete" in reasons[model.name]
    assert "bare.onnx.json is missing" in reasons["bare.onnx"]


@pytest.mark.parametrize("name", ["nothing", "empty", "file"])
def test_a_directory_without_piper_voices_is_rejected(tmp_path: Path, name: str) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "file").touch()
    with pytest.raises(PiperImportFailed, match=r"Name a directory that|expected the directory of"):
        import_directory(tmp_path / name)


def entry(name: str) -> dict[str, object]:
    files = {f"x/{name}.onnx{ending}": {"size_bytes": 9, "md5_digest": "0" * 32} for ending in ("", ".json")}
    return {"language": {"code": "en_US"}, "quality": "low", "num_speakers": 1, "files": files}


def test_a_custom_voice_index_is_reported(piper_directory: Path) -> None:
    names = ("en_US-lessac-medium", "en_US-house-low")
    (piper_directory / "voices.json").write_text(
        json.dumps({name: entry(name) for name in names}), encoding="utf-8"
    )
    imported = import_directory(piper_directory)
    assert (imported.index, imported.own_in_index) == (piper_directory / "voices.json", ("en_US-house-low",))
    (piper_directory / "voices.json").write_text("{", encoding="utf-8")
    assert "cannot be read as JSON" in import_directory(piper_directory).index_problem


def test_the_previous_voice_is_read_from_the_add_on_options(piper_directory: Path) -> None:
    (piper_directory / "options.json").write_text(json.dumps({"voice": "de_DE-thorsten-high", "speaker": 0}))
    assert import_directory(piper_directory).voice == "de_DE-thorsten-high"


@pytest.mark.parametrize(
    "command",
    [
        "command: --voice en_GB-alan-low --data-dir /data",
        'command: ["--voice", "en_GB-alan-low"]',
        "command:\n  - --voice=/data/en_GB-alan-low.onnx",
        'command:\n  - "--voice"\n  - "en_GB-alan-low"',
    ],
)
def test_the_previous_voice_is_read_from_a_neighbouring_compose_file(
    piper_directory: Path, command: str
) -> None:
    (piper_directory.parent / "docker-compose.yml").write_text(
        f"services:\n piper:\n  {command}\n", encoding="utf-8"
    )
    assert import_directory(piper_directory).voice == "en_GB-alan-low"


def test_a_single_voice_counts_as_the_previous_one(tmp_path: Path) -> None:
    add_voice(tmp_path, LOW.name)
    assert import_directory(tmp_path).voice == LOW.name


def test_a_missing_settings_file_is_created(piper_directory: Path, tmp_path: Path) -> None:
    for name in ("new.yaml", "sub/new.json"):
        imported = import_directory(piper_directory, tmp_path / name)
        assert imported.written == tmp_path / name
        assert yaml.safe_load((tmp_path / name).read_text()) == {
            "data_dir": [str(OURS), str(piper_directory)]
        }


@pytest.mark.parametrize(
    ("text", "dirs"),
    [
        ("voice: x  # mine\n", [str(OURS)]),
        ("# nothing yet", [str(OURS)]),
        ("data_dir:\n  - /a  # the first\n  - '/b'\n# end\nvoice: x\n", ["/a", "/b"]),
        ("data_dir:\n- /a\nvoice: x\n", ["/a"]),
        ("data_dir: [/a, /b] # both\n", ["/a", "/b"]),
        ("data-dir: /a  # one\nvoice: x\n", ["/a"]),
        ("data_dir:\nvoice: x\n", [str(OURS)]),
        ("data_dir: []\n", [str(OURS)]),
        ("{voice: x, data_dir: [/a]} # one line\n", ["/a"]),
        ("---\ndata_dir:\n- /a\n# the voice\nvoice: x\n...\n# end", ["/a"]),
    ],
)
def test_adding_the_directory_leaves_the_rest_of_the_file_unchanged(
    piper_directory: Path, tmp_path: Path, text: str, dirs: list[str]
) -> None:
    file = tmp_path / "settings.yaml"
    file.write_text(text, encoding="utf-8")
    file.chmod(0o600)
    import_directory(piper_directory, file)
    after = file.read_text(encoding="utf-8")
    content = yaml.safe_load(after)
    assert content["data-dir" if "data-dir" in text else "data_dir"] == [*dirs, str(piper_directory)]
    assert yaml.safe_load(after).get("voice") == (yaml.safe_load(text) or {}).get("voice")
    assert after.count("#") == text.count("#")
    assert file.stat().st_mode & 0o777 == 0o600
    import_directory(piper_directory, file)
    assert file.read_text(encoding="utf-8") == after


def test_a_json_file_keeps_its_other_settings(piper_directory: Path, tmp_path: Path) -> None:
    file = tmp_path / "options.json"
    file.write_text('{"voice": "x", "data_dir": ["/a"]}', encoding="utf-8")
    import_directory(piper_directory, file)
    assert json.loads(file.read_text()) == {"voice": "x", "data_dir": ["/a", str(piper_directory)]}


@pytest.mark.parametrize(
    ("name", "text"),
    [("a.yaml", "- a list"), ("a.yaml", "a: [b"), ("a.json", "{"), ("a.json", "[]"), ("a.yaml", "a: &b c")],
)
def test_a_settings_file_that_cannot_be_edited_is_left_unchanged(
    piper_directory: Path, tmp_path: Path, name: str, text: str
) -> None:
    file = tmp_path / name
    file.write_text(text, encoding="utf-8")
    with pytest.raises(PiperImportFailed, match=f"Set data_dir by hand: {OURS}, {piper_directory}"):
        import_directory(piper_directory, file)
    assert file.read_text(encoding="utf-8") == text
    assert {path.name for path in tmp_path.iterdir()} == {"piper", name}
