"""Deletes what a container image never loads of its Python packages."""

from __future__ import annotations

import argparse
import hashlib
import os
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

TEST_FOLDERS = frozenset(["test", "tests"])
UNREAD_SUFFIXES = frozenset([".pyi", ".pyx", ".pxd", ".c", ".cc", ".cpp", ".h", ".hpp", ".a", ".map"])
"""Suffixes of files that only compilers and editors read."""
NEVER_LOADED = (
    "gradio/templates/frontend/assets/PlotlyPlot-*.js",  # plots, of which the page has none
    "gradio/templates/frontend/static/bokeh",  # the same
    "gradio/templates/frontend/static/ffmpeg",  # cuts videos in the browser
    "numpy/_core/*_tests.*.so",
    "numpy/_core/_simd.*.so",  # tries single instructions
    "numpy/f2py",
    "onnx/backend/test",
    "onnx/reference/ops",
    "onnxruntime/capi/libonnxruntime.so*",  # for programs in C: Python's module has its own copy inside
    "onnxruntime/quantization",
    "onnxruntime/tools",
    "onnxruntime/transformers",
    "piper/img",
    "piper/templates",  # of its own web server
    "piper/train",
    "pygments/lexers/[!_]*.py",  # what colours programs
    "pygments/lexers/_*_builtins.py",
)
"""Paths below `site-packages`, found by running the server, its page and its tests without them."""
NEVER_LOADED_OF_MISAKI = (
    "jieba/analyse",
    "jieba/lac_small",  # needs PaddlePaddle
    "misaki/data/gb_*.json",  # for English, as are the next
    "misaki/data/us_*.json",
    "misaki/data/vi_*",  # for Vietnamese
    "misaki/g2pkc",  # for Korean
    "misaki/vi_cleaner",
    "unidic_lite/dicdir/unidic-mecab.pdf",
)
"""The same, of what Kokoro's Japanese and Mandarin need."""
LEAST_SHARED = 8192
"""Bytes; links to smaller files would save nothing."""


def strip(packages: Path) -> int:
    """Delete files that are never loaded; returns their size in bytes."""
    deleted = 0
    for path in _unloaded(packages):
        if path.exists():  # it may have been in a folder that went before
            deleted += _size(path)
            shutil.rmtree(path) if path.is_dir() else path.unlink()
    return deleted


def share(packages: Path) -> int:
    """Replace duplicate files by links; returns the bytes saved.

    Both phonemizers bring espeak-ng's data, most of it identical.
    """
    first: dict[str, Path] = {}
    saved = 0
    for path in sorted(packages.rglob("*")):
        if path.is_symlink() or not path.is_file() or path.stat().st_size < LEAST_SHARED:
            continue
        same = first.setdefault(hashlib.sha256(path.read_bytes()).hexdigest(), path)
        if same is not path:
            saved += path.stat().st_size
            path.unlink()
            path.symlink_to(os.path.relpath(same, path.parent))
    return saved


def _unloaded(packages: Path) -> list[Path]:
    found = [path for pattern in (*NEVER_LOADED, *NEVER_LOADED_OF_MISAKI) for path in packages.glob(pattern)]
    return [*found, *_of_every_package(packages)]


def _of_every_package(packages: Path) -> Iterator[Path]:
    for path in packages.rglob("*"):
        is_folder = path.is_dir()
        if path.name in TEST_FOLDERS if is_folder else path.suffix in UNREAD_SUFFIXES:
            yield path


def _size(path: Path) -> int:
    files = path.rglob("*") if path.is_dir() else [path]
    return sum(each.stat().st_size for each in files if each.is_file())


def main() -> int:
    """Strip the folder `site-packages` named on the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("packages", type=Path, help="a folder site-packages")
    packages = parser.parse_args().packages
    deleted, shared = strip(packages), share(packages)
    print(f"Deleted {deleted / 1e6:.0f} MB that is never loaded, and {shared / 1e6:.0f} MB of copies.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
