"""The instructions and names in DOCS.md are correct."""

from __future__ import annotations

import io
import re
import subprocess
import tarfile
from pathlib import Path

import yaml

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "DOCS.md").read_text("utf-8")
MANIFEST = yaml.safe_load((ROOT / "config.yaml").read_text("utf-8"))


def make_tar(files: dict[str, bytes], mode: str) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode=mode) as archive:  # type: ignore[call-overload]
        for name, content in files.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            archive.addfile(entry, io.BytesIO(content))
    return buffer.getvalue()


def test_the_documented_commands_extract_voices_from_a_piper_add_on_backup(tmp_path: Path) -> None:
    """The Supervisor's backup format: a tar with one compressed tar per add-on, its files under `data`."""
    voice_files = {"data/de_DE-a-low.onnx": b"model", "data/de_DE-a-low.onnx.json": b"{}"}
    inner = make_tar({"addon.json": b"{}", **voice_files, "data/options.json": b"{}"}, "w:gz")
    share = tmp_path / "share"
    share.mkdir()
    (share / "backup.tar").write_bytes(make_tar({"./backup.json": b"{}", "./core_piper.tar.gz": inner}, "w"))
    commands = re.findall(r"```sh\n(.*?)```", TEXT, re.DOTALL)
    assert len(commands) == 1
    subprocess.run(["sh", "-euc", commands[0].replace("/share", str(share))], check=True)
    assert {path.name: path.read_bytes() for path in (share / "piper").iterdir()} == {
        Path(name).name: content for name, content in voice_files.items()
    }


def test_every_searched_voice_directory_is_documented() -> None:
    run = (ROOT / "addon/services/server/run").read_text("utf-8")
    folders = re.findall(r"--data-dir (\S+)", run)
    assert folders
    assert [folder for folder in folders if f"`{folder}`" not in TEXT] == []


def test_every_port_is_documented() -> None:
    assert [port for port in MANIFEST["ports"] if f"**{port.split('/')[0]}**" not in TEXT] == []


def test_every_option_named_in_the_docs_exists() -> None:
    known = {
        *MANIFEST["schema"],
        "noise_w_scale",
        "debug",
        "app_configs",
        "addon_configs",
        "share",
        "cache",
        "data",
    }
    words = set(re.findall(r"`([a-z_]+)`", TEXT))
    assert words - known == set()
