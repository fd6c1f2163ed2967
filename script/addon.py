"""Generates the settings in the add-on's files: options with their types, and their texts.

Everything else in `config.yaml`, the names and texts of other languages, and the English names are written by
hand and kept. A text that a language lacks is written in English, to be translated.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml

from wyoming_tts import __version__
from wyoming_tts.settings.addon import AddonOption, addon_options

ROOT = Path(__file__).parents[1]
MANIFEST = ROOT / "config.yaml"
TRANSLATIONS = ROOT / "translations"
SOURCE = "en"
MARKED = re.compile(r"(?<=^# <settings>\n).*?(?=^# </settings>$)", re.DOTALL | re.MULTILINE)
_WIDTH = 110
_ACRONYMS = {"api": "API", "cors": "CORS", "kb": "kB", "mp3": "MP3", "cuda": "CUDA", "ms": "(ms)"}


def main() -> int:
    """Write the files, or with `--check` print which are not up to date."""
    is_check = sys.argv[1:] == ["--check"]
    stale = [path for path, text in written() if path.read_text("utf-8") != text]
    if not is_check:
        for path, text in written():
            path.write_text(text, "utf-8")
    for path in stale:
        print(
            f"{path.relative_to(ROOT)} {'is not up to date: run script/addon.py' if is_check else 'written'}"
        )
    return 1 if is_check and stale else 0


def written() -> Iterator[tuple[Path, str]]:
    """Yield each file with its up-to-date text."""
    options = addon_options()
    yield MANIFEST, manifest(MANIFEST.read_text("utf-8"), options)
    for path in sorted(TRANSLATIONS.glob("*.yaml")):
        yield path, translation(path.stem, path.read_text("utf-8"), options)


def manifest(text: str, options: tuple[AddonOption, ...]) -> str:
    """The manifest with these options and the package's version."""
    values = {option.name: option.value for option in options if option.value is not None}
    schema = {
        option.name: [*option.schema] if isinstance(option.schema, tuple) else option.schema
        for option in options
    }
    text = re.sub(r"^version: .*$", f'version: "{__version__}"', text, flags=re.MULTILINE)
    return MARKED.sub(lambda _: _yaml({"options": values, "schema": schema}), text)


def translation(language: str, text: str, options: tuple[AddonOption, ...]) -> str:
    """A language's texts, one for each of these options."""
    head = "".join(re.findall(r"^#.*\n", text, re.MULTILINE))
    before: Mapping[str, Any] = yaml.safe_load(text) or {}
    known: Mapping[str, Mapping[str, str]] = before.get("configuration") or {}
    texts = {option.name: _texts(language, option, known.get(option.name) or {}) for option in options}
    return head + _yaml({"configuration": texts, "network": before["network"]})


def _texts(language: str, option: AddonOption, known: Mapping[str, str]) -> dict[str, str]:
    text = option.description if language == SOURCE else known.get("description", option.description)
    return {"name": known.get("name", _label(option.name)), "description": text}


def _label(name: str) -> str:
    first, *others = (_ACRONYMS.get(word, word) for word in name.split("_"))
    return " ".join([first[0].upper() + first[1:], *others])


def _yaml(content: Mapping[str, Any]) -> str:
    return yaml.safe_dump(content, allow_unicode=True, sort_keys=False, width=_WIDTH)


if __name__ == "__main__":
    sys.exit(main())
