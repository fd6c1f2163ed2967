"""Generate piper.yaml from upstream's index of the Piper voices.

    python voices/update.py                  downloads the index
    python voices/update.py voices.json      reads it from a file (or any other URL)
    python voices/update.py --cards          also downloads each voice's model card, for its licence
    python voices/update.py --cards DIR      reads them from a copy of upstream's folders (or another URL)

Without --cards the licences and sample rates of the current file are preserved, since the index lacks them.
The output is deterministic, so a change in the file is a change upstream. kokoro.yaml is maintained by hand:
its release has no index.
"""

from __future__ import annotations

import argparse
import re
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path, PurePosixPath
from typing import Any
from urllib.parse import quote

import httpx
import yaml

from wyoming_tts.voices.catalogue import (
    INDEX_NAME,
    PIPER_BASE_URL,
    CatalogueError,
    CatalogueVoice,
    carry_over_card_facts,
    read_piper_catalogue,
    read_piper_index,
)

_HEADER = """\
# The Piper voices that can be downloaded: facts from upstream's index, written by voices/update.py.
# files: path below base_url: [bytes, digest]
"""
_NO_WRAPPING = 1_000
_CARD = "MODEL_CARD"
# Lines of a card such as `* Samplerate: 22,050Hz` and `* License: CC0`.
_LICENCE = re.compile(r"^[\s*-]*licen[cs]e\s*:[^\S\n]*(\S.*?)\s*$", re.IGNORECASE | re.MULTILINE)
_SEE_DATASET = re.compile(r"see url\.?", re.IGNORECASE)
_DATASET = re.compile(r"^[\s*-]*url\s*:\s*(\S+)\s*$", re.IGNORECASE | re.MULTILINE)
_RATE = re.compile(r"^[\s*-]*sample\s*rate\s*:\s*([\d,.]+)\s*hz\s*$", re.IGNORECASE | re.MULTILINE)

_Read = Callable[[str], str | None]
"""Reads the text of the file at a path below the base; None if there is none."""


def _entry(voice: CatalogueVoice) -> dict[str, Any]:
    entry: dict[str, Any] = {"language": voice.language, "quality": voice.quality, "speakers": voice.speakers}
    if voice.sample_rate is not None:
        entry["sample_rate"] = voice.sample_rate
    if voice.licence is not None:
        entry["licence"] = voice.licence
    if voice.aliases:
        entry["aliases"] = list(voice.aliases)
    return entry | {"files": {file.path: [file.size, file.digest] for file in voice.files}}


def format_catalogue(voices: Sequence[CatalogueVoice]) -> str:
    """Format the voices as the text of piper.yaml."""
    facts = {"base_url": PIPER_BASE_URL, "voices": {voice.name: _entry(voice) for voice in voices}}
    return _HEADER + yaml.safe_dump(
        facts, default_flow_style=None, sort_keys=False, allow_unicode=True, width=_NO_WRAPPING
    )


def _load_index(source: str) -> tuple[CatalogueVoice, ...]:
    if not source.startswith(("http://", "https://")):
        return read_piper_index(Path(source))
    answer = httpx.get(source, follow_redirects=True, timeout=60).raise_for_status()
    with tempfile.TemporaryDirectory() as directory:
        index = Path(directory, INDEX_NAME)
        index.write_bytes(answer.content)
        return read_piper_index(index)


def _with_card(voice: CatalogueVoice, read: _Read) -> CatalogueVoice:
    card = read(str(PurePosixPath(voice.files[0].path).with_name(_CARD))) or ""
    dataset, rate = _DATASET.search(card), _RATE.search(card)
    licences = dict.fromkeys(
        f"see {dataset[1]}" if dataset and _SEE_DATASET.fullmatch(licence) else licence
        for licence in _LICENCE.findall(card)
    )
    return replace(
        voice,
        licence="; ".join(licences) or None,
        sample_rate=int(re.sub(r"\D", "", rate[1])) if rate else voice.sample_rate,
    )


def _with_cards(voices: Sequence[CatalogueVoice], source: str) -> tuple[CatalogueVoice, ...]:
    if not source.startswith(("http://", "https://")):
        return tuple(_with_card(voice, lambda path: _read_file(Path(source, path))) for voice in voices)
    base = source if source.endswith("/") else f"{source}/"
    with httpx.Client(follow_redirects=True, timeout=60) as client:
        return tuple(
            _with_card(voice, lambda path: _download(client, base + quote(path))) for voice in voices
        )


def _read_file(path: Path) -> str | None:
    return path.read_text(encoding="utf-8") if path.is_file() else None


def _download(client: httpx.Client, url: str) -> str | None:
    answer = client.get(url)
    if answer.status_code == httpx.codes.NOT_FOUND:
        return None
    return answer.raise_for_status().text


def _read_current(output: Path) -> tuple[CatalogueVoice, ...] | None:
    try:
        return read_piper_catalogue(output)
    except CatalogueError:
        return None  # missing or damaged: it is about to be generated


def _count(voices: Sequence[CatalogueVoice]) -> str:
    licences = sum(voice.licence is not None for voice in voices)
    return f"{len(voices)} voices" + (f", {licences} with a licence" if licences else "")


def _difference(old: Sequence[CatalogueVoice], new: Sequence[CatalogueVoice]) -> str:
    before, after = ({voice.name: voice for voice in voices} for voices in (old, new))
    changed = [name for name in before.keys() & after.keys() if before[name] != after[name]]
    lines = [_count(new)]
    for label, names in (
        ("new", after.keys() - before.keys()),
        ("gone", before.keys() - after.keys()),
        ("changed", changed),
    ):
        lines += [f"{label}: {', '.join(sorted(names))}"] if names else []
    return "\n".join(lines)


def main(arguments: Sequence[str] | None = None) -> None:
    """Read the index, write the catalogue, print what changed."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "source", nargs="?", default=PIPER_BASE_URL + INDEX_NAME, help="URL or file of the index"
    )
    parser.add_argument(
        "--cards", nargs="?", const=PIPER_BASE_URL, help="URL or folder of the model cards, for the licences"
    )
    parser.add_argument("--output", type=Path, default=Path(__file__).with_name("piper.yaml"))
    options = parser.parse_args(arguments)
    old, new = _read_current(options.output), _load_index(options.source)
    known = {voice.name: voice for voice in old or ()}
    if options.cards:
        new = _with_cards(new, options.cards)
    else:
        new = tuple(carry_over_card_facts(voice, known.get(voice.name)) for voice in new)
    options.output.write_text(format_catalogue(new), encoding="utf-8")
    print(_count(new) if old is None else _difference(old, new))


if __name__ == "__main__":
    main()
