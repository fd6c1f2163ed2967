"""Write piper.yaml anew from upstream's index of the Piper voices.

    python voices/update.py             fetches the index
    python voices/update.py voices.json reads it from a file (or any other URL)

The same index gives the same bytes, so a change in the file is a change upstream. kokoro.yaml is
kept by hand: its release has no index.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import httpx
import yaml

from wyoming_tts.voices.catalogue import (
    INDEX_NAME,
    PIPER_BASE_URL,
    CatalogueError,
    CatalogueVoice,
    read_index,
    read_piper,
)

_HEADER = """\
# The Piper voices that can be downloaded: facts from upstream's index, written by voices/update.py.
# files: path below base_url: [bytes, digest]
"""
_NO_WRAPPING = 1_000


def _entry(voice: CatalogueVoice) -> dict[str, Any]:
    entry: dict[str, Any] = {"language": voice.language, "quality": voice.quality, "speakers": voice.speakers}
    if voice.aliases:
        entry["aliases"] = list(voice.aliases)
    return entry | {"files": {file.path: [file.size, file.digest] for file in voice.files}}


def rendered(voices: Sequence[CatalogueVoice]) -> str:
    """The text of piper.yaml for these voices."""
    facts = {"base_url": PIPER_BASE_URL, "voices": {voice.name: _entry(voice) for voice in voices}}
    return _HEADER + yaml.safe_dump(
        facts, default_flow_style=None, sort_keys=False, allow_unicode=True, width=_NO_WRAPPING
    )


def _voices_at(source: str) -> tuple[CatalogueVoice, ...]:
    if not source.startswith(("http://", "https://")):
        return read_index(Path(source))
    answer = httpx.get(source, follow_redirects=True, timeout=60).raise_for_status()
    with tempfile.TemporaryDirectory() as directory:
        index = Path(directory, INDEX_NAME)
        index.write_bytes(answer.content)
        return read_index(index)


def _written_before(output: Path) -> tuple[CatalogueVoice, ...] | None:
    try:
        return read_piper(output)
    except CatalogueError:
        return None  # not there yet, or damaged: writing it anew is what this is for


def _difference(old: Sequence[CatalogueVoice], new: Sequence[CatalogueVoice]) -> str:
    before, after = ({voice.name: voice for voice in voices} for voices in (old, new))
    changed = [name for name in before.keys() & after.keys() if before[name] != after[name]]
    lines = [f"{len(new)} voices"]
    for label, names in (
        ("new", after.keys() - before.keys()),
        ("gone", before.keys() - after.keys()),
        ("changed", changed),
    ):
        lines += [f"{label}: {', '.join(sorted(names))}"] if names else []
    return "\n".join(lines)


def main(arguments: Sequence[str] | None = None) -> None:
    """Read the index, write the catalogue, say what changed."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "source", nargs="?", default=PIPER_BASE_URL + INDEX_NAME, help="URL or file of the index"
    )
    parser.add_argument("--output", type=Path, default=Path(__file__).with_name("piper.yaml"))
    options = parser.parse_args(arguments)
    old, new = _written_before(options.output), _voices_at(options.source)
    options.output.write_text(rendered(new), encoding="utf-8")
    print(f"{len(new)} voices" if old is None else _difference(old, new))


if __name__ == "__main__":
    main()
