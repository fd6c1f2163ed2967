"""Formatting of voices for the command line: table rows and lines for people, JSON fields for programs."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from wyoming_tts.voices.bucket.sync import SyncReport
from wyoming_tts.voices.catalogue import CatalogueFile, CatalogueVoice
from wyoming_tts.voices.download.transfer import format_size
from wyoming_tts.voices.inventory import Inventory, InventoryEntry, is_blend
from wyoming_tts.voices.piper_import import PiperImport


def table_row(entry: InventoryEntry) -> tuple[str, ...]:
    """Row of the table: name, language, engine, installed, speakers, size."""
    voice, known = entry.voice, entry.catalogue_voice
    return (
        entry.name,
        entry.language,
        entry.engine,
        "yes" if voice else "no",
        str(entry.speakers),
        format_size(known.size) if known and known.size else "",
    )


def summary_fields(entry: InventoryEntry) -> dict[str, Any]:
    """JSON fields of a voice in a list."""
    voice, known = entry.voice, entry.catalogue_voice
    return {
        "name": entry.name,
        "language": entry.language,
        "engine": entry.engine,
        "installed": voice is not None,
        "in_catalogue": known is not None,
        "is_blend": voice is not None and is_blend(voice),
        "speakers": entry.speakers,
        "sample_rate": voice.sample_rate if voice else known.sample_rate if known else None,
        "description": voice.description if voice else "",
        "quality": entry.quality or None,
        "size": known.size if known else None,
        "aliases": list(known.aliases) if known else [],
    }


def detail_fields(entry: InventoryEntry, inventory: Inventory) -> dict[str, Any]:
    """JSON fields of a voice with all details; reads the sizes of its files."""
    voice, known = entry.voice, entry.catalogue_voice
    fields = summary_fields(entry)
    if known is not None:
        fields |= {
            "gender": known.gender,
            "grade": known.grade,
            "licence": known.licence,
            "pronunciation": known.pronunciation,
            "downloads": _downloadable(known, inventory),
        }
    if voice is not None:
        fields |= {
            "speaker_names": list(voice.speakers),
            "default_speaker": voice.default_speaker,
            "attribution": f"{voice.attribution.name}, {voice.attribution.url}",
            "files": [_file_facts(path) for path in voice.files],
        }
    fields["problems"] = [
        *(reason for path, reason in inventory.broken if path.stem == entry.name),
        *(f"{each.reason}. {each.hint}" for each in inventory.unusable if each.voice.name == entry.name),
    ]
    return fields


def broken_voice_fields(name: str, inventory: Inventory) -> dict[str, Any] | None:
    """JSON fields of a voice whose files are broken; None if there are none of that name."""
    if any(voice.name == name for voice in inventory.voices):
        return None  # a complete one is in another directory
    reasons = {path: reason for path, reason in inventory.broken if path.stem == name}
    if not reasons:
        return None
    files = [_file_facts(path) for path in reasons]
    return {"name": name, "installed": False, "files": files, "problems": list(reasons.values())}


def _downloadable(known: CatalogueVoice, inventory: Inventory) -> list[dict[str, Any]]:
    return [_download_facts(file, inventory) for file in known.files]


def _download_facts(file: CatalogueFile, inventory: Inventory) -> dict[str, Any]:
    parts = (directory / f"{file.name}.part" for directory in inventory.directories)
    so_far = next((part.stat().st_size for part in parts if part.is_file()), 0)
    return {"url": file.url, "size": file.size, "digest": file.digest, "bytes_so_far": so_far}


def _file_facts(path: Path) -> dict[str, Any]:
    return {"path": str(path), "size": path.stat().st_size if path.is_file() else None}


def format_field(value: object) -> list[str]:
    """Format a JSON field as lines for people; none if it is empty."""
    if isinstance(value, bool):
        return ["yes" if value else "no"]
    if isinstance(value, dict):
        return [" ".join(str(part) for part in value.values() if part)]
    if isinstance(value, list):
        if value and isinstance(value[0], str):
            return [", ".join(value)]
        return [line for each in value for line in format_field(each)]
    return [] if value in {None, ""} else [str(value)]


def piper_import_as_dict(taken: PiperImport) -> dict[str, Any]:
    """JSON fields of the voices found in a Piper directory."""
    return {
        "directory": str(taken.directory),
        "voices": [voice.name for voice in taken.voices],
        "broken": [{"path": str(path), "reason": reason} for path, reason in taken.broken],
        "data_dir": [str(path) for path in taken.data_dir],
        "is_new": taken.is_new,
        "voice": taken.voice,
        "own_in_index": list(taken.own_in_index),
        "index_problem": taken.index_problem,
        "written": str(taken.written) if taken.written else None,
    }


def piper_import_lines(taken: PiperImport) -> Iterable[str]:
    """Yield lines on the voices found in a Piper directory, and what to do with them."""
    yield f"{taken.directory}: {len(taken.voices)} voices, nothing was copied."
    yield from (f"  {voice.name}" for voice in taken.voices)
    yield from (f"Left out: {path}: {reason}" for path, reason in taken.broken)
    if taken.index_problem:
        yield f"Its index cannot be read: {taken.index_problem}"
    if taken.own_in_index:
        yield (
            f"Only its own index knows {', '.join(taken.own_in_index)}: to fetch them too, set "
            f"--download-dir {taken.directory}."
        )
    if taken.voice:
        yield f"The old server spoke with {taken.voice}: --voice {taken.voice}."
    if taken.written:
        yield f"{taken.written} names the directory now; restart the server."
    elif taken.is_new:
        yield f"Start the server with {' '.join(f'--data-dir {each}' for each in taken.data_dir)}."
    else:
        yield "The directory is in --data-dir already: nothing to do."


def sync_lines(report: SyncReport) -> list[str]:
    """What a sync did, a line each."""
    lines = [f"Brought {name}." for name in report.brought]
    lines += [f"Deleted {name}." for name in report.deleted]
    lines += [f"Pushed {name}." for name in report.pushed]
    lines += [f"Kept {name}: it is your own, and the bucket has another." for name in report.kept]
    return lines or ["Nothing has changed."]
