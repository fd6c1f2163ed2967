"""`wyoming-tts voices …`: list, download, verify, remove and import voices, without a server."""

from __future__ import annotations

import argparse
import asyncio
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from itertools import groupby
from pathlib import Path
from types import MappingProxyType
from typing import Any

from pydantic import ValidationError

from wyoming_tts.assembly.bucket import make_bucket_sync
from wyoming_tts.assembly.parts import assemble, make_engines, open_workers
from wyoming_tts.commands.console import CommandFailed, confirm, print_json, print_note, print_table
from wyoming_tts.commands.voice_reports import (
    broken_voice_fields,
    detail_fields,
    format_field,
    piper_import_as_dict,
    piper_import_lines,
    summary_fields,
    sync_lines,
    table_row,
)
from wyoming_tts.engines.base import EngineOptions
from wyoming_tts.engines.model_files import check_complete
from wyoming_tts.engines.piper.voice_json import read_voice_json
from wyoming_tts.errors import SpeechError, UnknownVoice
from wyoming_tts.languages import LanguageTag
from wyoming_tts.settings import LoadedSettings, Settings
from wyoming_tts.settings.descriptions import CONFIG_VARIABLE
from wyoming_tts.speech import Voice
from wyoming_tts.voices.bucket.object_store import BucketError
from wyoming_tts.voices.bucket.sync import SyncOptions, SyncReport
from wyoming_tts.voices.catalogue import (
    DEFAULT_KOKORO_MODEL,
    INDEX_NAME,
    CatalogueError,
    CatalogueVoice,
    expected_files,
    load_catalogue,
    other_model_exports,
)
from wyoming_tts.voices.download.downloads import Download, DownloadManager, DownloadState, OnProgress
from wyoming_tts.voices.download.hub import DownloadFailed
from wyoming_tts.voices.download.progress import show_progress
from wyoming_tts.voices.download.transfer import format_size
from wyoming_tts.voices.inventory import (
    Inventory,
    InventoryEntry,
    find_complete_directory,
    is_blend,
)
from wyoming_tts.voices.names import find_catalogue_voice
from wyoming_tts.voices.piper_import import PiperImportFailed, import_piper_directory
from wyoming_tts.voices.removal import delete_files, plan_removal
from wyoming_tts.voices.verification import FileState, VerifiedFile, verify_files
from wyoming_tts.workers import Workers


def run_voices_command(arguments: argparse.Namespace, settings: LoadedSettings) -> int:
    """Run the subcommand that the arguments name; returns its exit code.

    Raises:
        SpeechError: it failed as a whole; the message says why.
    """
    try:
        return _COMMANDS[arguments.voices_command](arguments, settings.settings)
    except CatalogueError as error:
        raise CommandFailed(str(error)) from error


# -- list ---------------------------------------------------------------------------------------


def _list(arguments: argparse.Namespace, settings: Settings) -> int:
    inventory = _inventory(settings)
    shown = [entry for entry in inventory.entries() if _matches(entry, arguments)]
    if not shown:
        raise UnknownVoice(_no_match_message(arguments), hint="Leave out the filters to see all voices.")
    if arguments.json:
        voices = [summary_fields(entry) for entry in shown]
        print_json({"voices": voices, "broken": _broken(inventory), "unusable": _unusable(inventory)})
        return 0
    print_table(
        ("Name", "Language", "Engine", "Here", "Speakers", "Size"),
        (table_row(entry) for entry in shown),
    )
    for path, reason in inventory.broken:
        print_note(f"Left out: {path}: {reason}")
    for reason, group in groupby(inventory.unusable, key=lambda each: f"{each.reason}. {each.hint}"):
        print_note(f"Left out: {', '.join(each.voice.name for each in group)}: {reason}")
    return 0


def _matches(entry: InventoryEntry, arguments: argparse.Namespace) -> bool:
    language, engine = arguments.only_language, arguments.only_engine
    return (
        (not language or entry.speaks(LanguageTag.parse(language)))
        and (not engine or entry.engine == engine.casefold())
        and (not arguments.installed or entry.voice is not None)
    )


def _no_match_message(arguments: argparse.Namespace) -> str:
    kind = "installed voice" if arguments.installed else "voice"
    engine = f" of the engine {arguments.only_engine!r}" if arguments.only_engine else ""
    speaks = f" speaks {arguments.only_language!r}" if arguments.only_language else " is there"
    return f"No {kind}{engine}{speaks}."


def _broken(inventory: Inventory) -> list[dict[str, str]]:
    return [{"path": str(path), "reason": reason} for path, reason in inventory.broken]


def _unusable(inventory: Inventory) -> list[dict[str, str]]:
    return [
        {"name": each.voice.name, "reason": each.reason, "hint": each.hint} for each in inventory.unusable
    ]


# -- download -----------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Outcome:
    """Result of a download of one voice."""

    name: str
    state: str
    """`fetched`, `here` if it was installed before, or `failed`."""
    size: int | None = None
    directory: str | None = None
    error: str = ""

    def __str__(self) -> str:
        size = f", {format_size(self.size)}" if self.size else ""
        if self.state == "here":
            return f"{self.name} is installed already, in {self.directory}."
        return f"Downloaded {self.name}{size} to {self.directory}."


def _download(arguments: argparse.Namespace, settings: Settings) -> int:
    try:
        with show_progress(sys.stderr) as on_progress:
            outcomes = asyncio.run(_download_voices(arguments, settings, on_progress))
    except KeyboardInterrupt:
        print_note("Interrupted. Partial files are kept; run the same command again to resume.")
        raise
    if arguments.json:
        print_json({"voices": [asdict(outcome) for outcome in outcomes]})
    for outcome in outcomes:
        if outcome.error:
            print_note(f"wyoming-tts: {outcome.name}: {outcome.error}")
        elif not arguments.json:
            print(outcome)
    return int(any(outcome.error for outcome in outcomes))


async def _download_voices(
    arguments: argparse.Namespace, settings: Settings, on_progress: OnProgress
) -> list[_Outcome]:
    index, precision = settings.download_dir / INDEX_NAME, arguments.precision
    async with open_workers(settings) as workers:
        downloads = _downloads(settings, workers, on_progress)
        async with downloads:
            if settings.update_voices:
                await _update_index(downloads)
            catalogue = await workers.run_blocking(
                partial(load_catalogue, index, kokoro_model=precision or DEFAULT_KOKORO_MODEL)
            )
            outcomes: dict[str, _Outcome] = {}
            started: list[Download] = []
            for name in arguments.names:
                try:
                    voice = find_catalogue_voice(catalogue.voices, name)
                except UnknownVoice as error:
                    outcomes[name] = _Outcome(name, "failed", error=str(error))
                    continue
                place = await workers.run_blocking(partial(_find_installed, voice, precision, settings))
                if place is None:
                    started.append(downloads.start(voice))
                else:
                    outcomes[voice.name] = _Outcome(voice.name, "here", voice.size, str(place))
            for download in started:
                outcomes[download.voice.name] = await _wait_for_download(download, settings.download_dir)
            return list(outcomes.values())


def _find_installed(voice: CatalogueVoice, precision: str | None, settings: Settings) -> Path | None:
    """The directory that has the voice already; if no precision was named, any of Kokoro's models counts."""
    wanted = (voice, *other_model_exports(voice)) if precision is None else (voice,)
    found = (find_complete_directory(each, _directories(settings)) for each in wanted)
    return next(filter(None, found), None)


def _downloads(settings: Settings, workers: Workers, on_progress: OnProgress) -> DownloadManager:
    return DownloadManager(
        settings.download_dir,
        run_blocking=workers.run_blocking,
        offline=settings.offline,
        mirror=settings.hub_endpoint,
        on_progress=on_progress,
    )


async def _update_index(downloads: DownloadManager) -> None:
    try:
        await downloads.fetch_index()
    except DownloadFailed as error:
        print_note(f"The list of voices could not be updated; using the local one. {error}")


async def _wait_for_download(download: Download, directory: Path) -> _Outcome:
    if await download.wait() is DownloadState.DONE:
        return _Outcome(download.voice.name, "fetched", download.received, str(directory))
    return _Outcome(download.voice.name, "failed", download.total, error=download.error)


# -- remove -------------------------------------------------------------------------------------


def _remove(arguments: argparse.Namespace, settings: Settings) -> int:
    removal = plan_removal(_inventory(settings), arguments.names)
    for problem in (*removal.kept, *removal.problems):
        print_note(f"wyoming-tts: {problem}")
    for path in removal.files:
        print_note(f"To be deleted: {path}")
    is_confirmed = not removal.files or arguments.yes or confirm(f"Delete {len(removal.files)} files?")
    problems = delete_files(removal) if is_confirmed else ("Nothing was deleted.",)
    for problem in problems:
        print_note(f"wyoming-tts: {problem}")
    if arguments.json:
        deleted = [str(path) for path in removal.files if not os.path.lexists(path)]
        print_json(
            {
                "removed": list(removal.names) if not problems else [],
                "deleted": deleted,
                "kept": [{"path": str(kept.path), "users": list(kept.users)} for kept in removal.kept],
                "problems": [*removal.problems, *problems],
            }
        )
    elif not problems:
        for name in removal.names:
            print(f"Removed {name}.")
    return int(bool(removal.kept or removal.problems or problems))


# -- verify -------------------------------------------------------------------------------------


def _verify(arguments: argparse.Namespace, settings: Settings) -> int:
    inventory = _inventory(settings)
    voices, broken, unknown = _select_for_verification(inventory, arguments.names)
    expected = expected_files(inventory.names.catalogue)
    checks = {".onnx": check_complete, ".json": read_voice_json}
    checked = [*broken, *verify_files(voices, expected, checks)]
    if arguments.json:
        print_json({"files": [_as_object(file) for file in checked], "problems": unknown})
    elif checked:
        print_table(("File", "Voices", "State"), map(_checked_row, checked))
    else:
        print_note("There are no files to verify.")
    for problem in unknown:
        print_note(f"wyoming-tts: {problem}")
    is_broken = any(file.state is FileState.BROKEN for file in checked)
    if is_broken:
        print_note(
            "Broken voices: `wyoming-tts voices remove NAME`, then `wyoming-tts voices download NAME`."
        )
    return int(is_broken or bool(unknown))


def _select_for_verification(
    inventory: Inventory, names: Sequence[str]
) -> tuple[list[Voice], list[VerifiedFile], list[str]]:
    """Select the voices to verify; also returns files known to be broken, and problems with names."""
    broken = {
        path.stem: VerifiedFile(path, (path.stem,), FileState.BROKEN, reason)
        for path, reason in inventory.broken
    }
    if not names:
        voices = [voice for voice in inventory.voices if not is_blend(voice)]
        return voices, list(broken.values()), []
    chosen: list[Voice] = []
    problems = []
    for name in names:
        if name in broken:
            continue
        try:
            entry = inventory.find(name)
        except SpeechError as error:
            problems.append(str(error))
            continue
        if entry.voice is None:
            problems.append(f"The voice {entry.name} is not installed.")
        else:
            chosen.append(entry.voice)
    return chosen, [file for name, file in broken.items() if name in names], problems


def _checked_row(file: VerifiedFile) -> tuple[str, ...]:
    state = str(file.state) if file.is_known or file.reason else "complete, not in the catalogue"
    some = ", ".join(file.voices[:3]) + (" …" if len(file.voices) > 3 else "")  # noqa: PLR2004
    return str(file.path), some, f"{state}{': ' if file.reason else ''}{file.reason}"


def _as_object(file: VerifiedFile) -> dict[str, Any]:
    return {**asdict(file), "path": str(file.path), "voices": list(file.voices)}


# -- info ---------------------------------------------------------------------------------------


def _info(arguments: argparse.Namespace, settings: Settings) -> int:
    inventory = _inventory(settings)
    fields = broken_voice_fields(arguments.name, inventory)
    if fields is None:
        fields = detail_fields(inventory.find(arguments.name), inventory)
    if arguments.json:
        print_json(fields)
        return 0
    for title, value in fields.items():
        for number, line in enumerate(format_field(value)):
            print(f"{'' if number else title.replace('_', ' ') + ':':14} {line}")
    return 0


# -- import-piper -------------------------------------------------------------------------------


def _import_piper(arguments: argparse.Namespace, settings: Settings) -> int:
    file = getattr(arguments, "config", None) or os.environ.get(CONFIG_VARIABLE)
    try:
        taken = import_piper_directory(
            Path(arguments.directory),
            data_dir=settings.data_dir,
            scan_directory=_scan_piper_directory,
            settings_file=Path(file) if file else None,
        )
    except PiperImportFailed as error:
        raise CommandFailed(str(error)) from error
    if arguments.json:
        print_json(piper_import_as_dict(taken))
    else:
        print("\n".join(piper_import_lines(taken)))
    return 0


def _scan_piper_directory(directory: Path) -> tuple[Sequence[Voice], Sequence[tuple[Path, str]]]:
    engine = make_engines(EngineOptions(data_dirs=(directory,)))["piper"]
    return engine.installed(), getattr(engine, "broken", ())


# -- sync and push ------------------------------------------------------------------------------


def _sync(arguments: argparse.Namespace, settings: Settings) -> int:
    return _run_sync(arguments, settings, SyncOptions(may_push=settings.voices_push))


def _push(arguments: argparse.Namespace, settings: Settings) -> int:
    return _run_sync(arguments, settings, SyncOptions(may_pull=False, may_push=True))


def _run_sync(arguments: argparse.Namespace, settings: Settings, options: SyncOptions) -> int:
    settings = _with_bucket(settings, arguments.url)
    try:
        report = asyncio.run(_sync_once(settings, options))
    except (BucketError, OSError) as error:
        raise CommandFailed(f"{settings.voices_url}: {error}") from error
    if arguments.json:
        print_json(asdict(report))
    else:
        print("\n".join(sync_lines(report)))
    for problem in report.problems:
        print_note(f"wyoming-tts: {problem}")
    return int(bool(report.problems))


def _with_bucket(settings: Settings, url: str | None) -> Settings:
    url = url or settings.voices_url
    if url is None:
        raise CommandFailed("Name a bucket, such as s3://BUCKET/PREFIX, or set voices_url.")
    try:
        return Settings(**settings.model_dump(exclude_unset=True) | {"voices_url": url})
    except ValidationError:
        raise CommandFailed("Expected s3://BUCKET/PREFIX, gs://BUCKET/PREFIX or file:///DIRECTORY.") from None


async def _sync_once(settings: Settings, options: SyncOptions) -> SyncReport:
    async with open_workers(settings) as workers:
        bucket = make_bucket_sync(settings, workers.run_blocking, options)
        assert bucket is not None, "it has a URL"
        return await bucket.run_once()


# -- inventory ----------------------------------------------------------------------------------


def _inventory(settings: Settings) -> Inventory:
    return asyncio.run(_load_inventory(settings))


async def _load_inventory(settings: Settings) -> Inventory:
    # Covers all engines, even where the settings choose one.
    settings = settings.model_copy(update={"engine": "auto"})
    async with open_workers(settings) as workers, assemble(settings, workers) as parts:
        broken = [each for engine in parts.engines.values() for each in getattr(engine, "broken", ())]
        return Inventory(
            parts.library.names, tuple(broken), _directories(parts.settings), parts.library.unusable
        )


def _directories(settings: Settings) -> tuple[Path, ...]:
    return tuple(dict.fromkeys([*settings.data_dir, settings.download_dir]))


_COMMANDS: Mapping[str, Callable[[argparse.Namespace, Settings], int]] = MappingProxyType(
    {
        "list": _list,
        "download": _download,
        "remove": _remove,
        "verify": _verify,
        "info": _info,
        "import-piper": _import_piper,
        "sync": _sync,
        "push": _push,
    }
)
