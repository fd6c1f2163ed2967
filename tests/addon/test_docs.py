"""What DOCS.md tells to do works."""

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


def packed(files: dict[str, bytes], mode: str) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode=mode) as archive:  # type: ignore[call-overload]
        for name, content in files.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            archive.addfile(entry, io.BytesIO(content))
    return buffer.getvalue()


def test_voices_come_out_of_a_backup_of_the_piper_add_on(tmp_path: Path) -> None:
    """As the Supervisor packs them: a tar of one compressed tar for each add-on, its files under `data`."""
    kept = {"data/de_DE-a-low.onnx": b"model", "data/de_DE-a-low.onnx.json": b"{}"}
    inner = packed({"addon.json": b"{}", **kept, "data/options.json": b"{}"}, "w:gz")
    share = tmp_path / "share"
    share.mkdir()
    (share / "backup.tar").write_bytes(packed({"./backup.json": b"{}", "./core_piper.tar.gz": inner}, "w"))
    commands = re.findall(r"```sh\n(.*?)```", TEXT, re.DOTALL)
    assert len(commands) == 1
    subprocess.run(["sh", "-euc", commands[0].replace("/share", str(share))], check=True)
    assert {path.name: path.read_bytes() for path in (share / "piper").iterdir()} == {
        Path(name).name: content for name, content in kept.items()
    }


def test_every_folder_that_is_searched_is_named() -> None:
    run = (ROOT / "addon/services/server/run").read_text("utf-8")
    folders = re.findall(r"--data-dir (\S+)", run)
    assert folders
    assert [folder for folder in folders if f"`{folder}`" not in TEXT] == []


def test_every_port_is_named() -> None:
    assert [port for port in MANIFEST["ports"] if f"**{port.split('/')[0]}**" not in TEXT] == []


def test_every_code_word_that_looks_like_an_option_is_one() -> None:
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
