"""Licence list of the packages in the image: written by `script/lock`.

A licence is what the package's metadata declares as an SPDX expression. Where there is none, or it leaves out
what the package brings along, the expression is given here, after its files and its repository.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from contextlib import suppress
from importlib.metadata import PackageNotFoundError, metadata
from pathlib import Path

from script import lock

DOCUMENT = lock.ROOT / "docs" / "licences.md"
READ_FROM_FILES: Mapping[str, str] = {
    "addict": "MIT",
    "certifi": "MPL-2.0",
    "cloudpickle": "BSD-3-Clause",
    "cn2an": "MIT",
    "dlinfo": "MIT",
    "emoji": "BSD-3-Clause",
    "espeakng-loader": "MIT AND GPL-3.0-or-later",  # with espeak-ng itself
    "flatbuffers": "Apache-2.0",
    "fugashi": "MIT AND BSD-3-Clause",  # with MeCab itself
    "h11": "MIT",
    "httpx": "BSD-3-Clause",
    "ifaddr": "MIT",
    "jaconv": "MIT",
    "jieba": "MIT",
    "kokoro-onnx": "MIT",
    "markdown-it-py": "MIT",
    "mdurl": "MIT",
    "misaki": "Apache-2.0",
    "obstore": "MIT",
    "onnxruntime": "MIT",
    "ordered-set": "MIT",
    "pathvalidate": "MIT",
    "phonemizer": "GPL-3.0-or-later",
    "piper-tts": "GPL-3.0-or-later",
    "proces": "MIT",
    "protobuf": "BSD-3-Clause",
    "pypinyin": "MIT",
    "pyyaml": "MIT",
    "rich": "MIT",
    "ruamel-yaml": "MIT",
    "sentence-stream": "Apache-2.0",
    "shtab": "MPL-2.0",
    "soundfile": "BSD-3-Clause AND LGPL-2.1-or-later",  # with libsndfile itself
    "tzdata": "Apache-2.0",
    "unicode-rbnf": "MIT",
    "unidic-lite": "MIT AND BSD-3-Clause",  # with UniDic itself, which is also under GPL and LGPL
    "watchfiles": "MIT",
    "wyoming": "MIT",
}
"""SPDX expression by normalized package name."""

PARTS: Mapping[str, Path] = {
    "the server": lock.SERVER,
    "the page, which has its front end": lock.PAGE,
    "Kokoro's Japanese and Mandarin": lock.MISAKI,
}
"""The lock files, by what their packages are for."""

_HEADING = """# Licences of what the image brings

wyoming-tts is GPL-3.0-or-later. Its image contains these Python packages besides, at the versions and digests
in [deploy/image](../deploy/image). Their licence texts are in their `dist-info` folders, those of Debian's
packages in `/usr/share/doc/*/copyright`. No voice is in the image; each has a licence of its own, which its
model card names.

Written by `script/lock`.

| package | licence | with |
|---|---|---|
"""


def main() -> int:
    """Write the document."""
    rows = [
        f"| {name} | {licence_of(name)} | {part} |"
        for part, path in PARTS.items()
        for name in names_in_image(path)
    ]
    DOCUMENT.write_text(_HEADING + "\n".join(rows) + "\n", "utf-8")
    return 0


def names_in_image(path: Path) -> list[str]:
    """Return the packages of a lock file that the image contains: only Gradio of those that make the page."""
    return [name for name in lock.locked_names(path) if path != lock.PAGE or name in lock.PAGE_ALONE]


def licence_of(name: str) -> str:
    """Return the SPDX expression of an installed or known package.

    Raises:
        LookupError: neither its metadata nor the table here has one.
    """
    if name in READ_FROM_FILES:
        return READ_FROM_FILES[name]
    with suppress(PackageNotFoundError):
        if declared := metadata(name).get_all("License-Expression"):
            return str(declared[0])
    raise LookupError(f"{name} declares no SPDX licence: read its files and add it to READ_FROM_FILES.")


if __name__ == "__main__":
    sys.exit(main())
