"""The Voices tab's service: list, download, upload, remove, and choose the default voice."""

from __future__ import annotations

import shutil
import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from wyoming_tts.assembly.chosen_default import forget_chosen_default, keep_chosen_default
from wyoming_tts.assembly.default_voice import choose_default
from wyoming_tts.assembly.parts import Parts
from wyoming_tts.errors import BadRequest
from wyoming_tts.known_files import is_absent
from wyoming_tts.messages import Message
from wyoming_tts.page.sample_sentences import sample_sentence
from wyoming_tts.page.uploads import VoiceUploads
from wyoming_tts.settings import DEFAULT, place_for
from wyoming_tts.speech import UnusableVoice, Voice, VoiceRequest
from wyoming_tts.system_reasons import system_reason
from wyoming_tts.voices.blends.voices import CachedBlends
from wyoming_tts.voices.download.service import DownloadStatus
from wyoming_tts.voices.inventory import Inventory, InventoryEntry, is_blend, is_derived
from wyoming_tts.voices.library import DefaultVoice
from wyoming_tts.voices.names import find_catalogue_voice, find_name, unknown_voice_error
from wyoming_tts.voices.removal import delete_files, plan_removal

_KILOBYTE = 1024
_MAX_PIECE_BYTES = 1024 * _KILOBYTE


@dataclass(frozen=True, slots=True)
class VoiceRow:
    """A voice as a row of the table."""

    name: str
    language: str
    """As `en_US`."""
    engine: str
    quality: str
    """Empty if unknown."""
    speakers: int
    size: int | None
    """Bytes on disk or, if not installed, of the download; None if unknown."""
    shared_with: int
    """How many other voices use the same files."""
    is_installed: bool
    in_catalogue: bool
    is_default: bool
    is_removable: bool
    is_blend: bool
    title: str
    """The name of a blend as people write it; empty where that is `name`, and for any other voice."""
    is_preset: bool
    """Whether it is a blend that comes with the product, whose name the page translates."""
    description: str
    problem: str
    """Why it cannot speak although its files are here, and what to do about it; empty for any other voice."""
    is_recommended: bool
    """Whether it is the one of its language to begin with."""
    gender: str
    licence: str
    sample: str
    """A sample sentence to try it with."""


@dataclass(frozen=True, slots=True)
class BrokenFile:
    """A file that has the name of a voice but cannot be loaded."""

    name: str
    """The name by which `VoiceService.remove` takes it."""
    path: str
    size: int
    reason: str


@dataclass(frozen=True, slots=True)
class VoicesView:
    """All voices, and the disk space they use."""

    revision: int
    """Changes whenever anything else in the view does."""
    absent_default: str
    """The default voice, if it is not installed and another one is marked as the default; empty otherwise."""
    default_is_chosen: bool
    """Whether the settings or a user name the default voice; else it is the built-in one."""
    voices: tuple[VoiceRow, ...]
    broken: tuple[BrokenFile, ...]
    directory: str
    """Where new voices are stored."""
    used: int
    """Bytes of all installed voices."""
    free: int
    """Bytes free on that disk."""
    piece_bytes: int
    """The largest part of a file that one request may upload."""


@dataclass(frozen=True, slots=True)
class VoicesUpdate:
    """The part of the view that is polled: its revision, and the downloads."""

    revision: int
    downloads: tuple[DownloadStatus, ...]


@dataclass(frozen=True, slots=True)
class PlannedRemoval:
    """The files that removing a voice would delete, for the user to confirm."""

    files: tuple[str, ...]
    size: int
    """Bytes that are freed."""
    kept: tuple[str, ...]
    """Files that stay because other voices use them, as sentences."""
    problems: tuple[str, ...]
    """Why nothing can be removed, as sentences."""
    silenced: tuple[str, ...]
    """Blends and imported styles that would no longer work."""
    is_default: bool


@dataclass(frozen=True, slots=True)
class ChangedDefault:
    """The new default voice."""

    name: str
    place: str
    """Where the settings name a voice: a flag, an environment variable or a file; empty if they name none."""
    line: str
    """What says there that it is this one, as `--voice NAME` or `voice: NAME`."""
    lasts: bool
    """False if the settings name a voice, which is the default again after the next start."""


class VoiceService:
    """Manages voices for the page; nothing blocks the event loop."""

    def __init__(self, parts: Parts, source: Callable[[], str] = lambda: DEFAULT) -> None:
        """Make the service.

        Args:
            parts: The server's parts.
            source: Returns where the settings name the default voice, as `LoadedSettings.sources` tells.
        """
        self._parts = parts
        self._source = source
        self.run_blocking = parts.workers.run_blocking
        self._seen: tuple[object, ...] = ()
        self._revision = int(time.time())  # differs from those of an earlier run of the server
        self.uploads = VoiceUploads(
            parts.settings.download_dir,
            run_blocking=self.run_blocking,
            conflict=self._conflict,
            on_installed=parts.refresh_voices,
        )

    async def view(self) -> VoicesView:
        """Return all voices, installed or in the catalogue."""
        return await self.run_blocking(
            partial(
                self._read_view,
                self._inventory(),
                self._default(),
                absent_default=self._absent_default(),
                default_is_chosen=self._default_is_chosen(),
                revision=self._current_revision(),
            )
        )

    def update(self) -> VoicesUpdate:
        """Return the view's current revision and the progress of downloads; cheap enough for polling."""
        return VoicesUpdate(self._current_revision(), self._parts.downloads.status())

    def download(self, name: str) -> None:
        """Start the download of a voice of the catalogue.

        Raises:
            UnknownVoice: the catalogue has no voice of that name.
            VoiceUnavailable: the server is starting or stopping.
        """
        self._parts.downloads.start(find_catalogue_voice(self._parts.catalogue.current.voices, name))

    def cancel(self, name: str) -> None:
        """Cancel a download, or dismiss one that failed.

        Raises:
            UnknownVoice: there is no download of that voice.
        """
        self._parts.downloads.cancel(name)

    async def plan_removal(self, name: str) -> PlannedRemoval:
        """Return which files removing a voice would delete.

        Raises:
            UnknownVoice: no voice and no broken file has that name.
        """
        return await self.run_blocking(partial(_plan, self._inventory(), name, self._default()))

    async def remove(self, name: str, confirmed: Iterable[str]) -> PlannedRemoval:
        """Delete the files of a voice and return what was deleted.

        Args:
            name: The name of the voice, or of a broken file.
            confirmed: The files that the user has confirmed.

        Raises:
            BadRequest: the files to delete are no longer those, or some cannot be deleted.
        """
        if self._parts.downloads.is_downloading(name):
            raise BadRequest(
                Message("is_downloading", "{name} is being downloaded.", name=name),
                hint=Message("cancel_first", "Cancel the download first."),
            )
        inventory = self._inventory()
        planned = await self.run_blocking(partial(_plan, inventory, name, self._default()))
        if planned.problems or set(planned.files) != set(confirmed):
            raise BadRequest(
                Message(
                    "files_changed", "The files to delete have changed since they were confirmed. Look again."
                )
            )
        problems = await self.run_blocking(lambda: delete_files(plan_removal(inventory, [name])))
        await self._parts.refresh_voices()
        if problems:
            raise BadRequest(problems[0])
        if planned.is_default:
            await self.run_blocking(partial(forget_chosen_default, self._parts.settings))
        return planned

    async def make_default(self, name: str) -> ChangedDefault:
        """Change the default voice for good, or until the next start if the settings name another.

        Raises:
            UnknownVoice, VoiceUnavailable: it cannot speak; the default voice stays as it was.
            BadRequest: the choice could not be kept; until the next start the voice is the default.
        """
        voice = await choose_default(self._parts, DefaultVoice(name))
        settings = self._parts.settings
        await self.run_blocking(partial(keep_chosen_default, settings, voice.name))
        place = place_for("voice", voice.name, self._source())
        return ChangedDefault(voice.name, place.name, place.text, lasts=not place.name)

    def _default(self) -> str:
        return self._parts.library.resolve_now(VoiceRequest()).voice.name

    def _absent_default(self) -> str:
        library = self._parts.library
        return "" if library.default_is_installed else library.names.default().name

    def _default_is_chosen(self) -> bool:
        library = self._parts.library
        return self._parts.names_default or library.default != library.configured_default

    def _current_revision(self) -> int:
        """Return the revision, increased if anything has changed since the last call."""
        broken = tuple(getattr(engine, "broken", ()) for engine in self._parts.engines.values())
        defaults = self._default(), self._absent_default()
        state = (self._parts.library.voices, self._parts.catalogue.current.voices, defaults, broken)
        if state != self._seen:
            self._revision += 1
        self._seen = state  # even if equal: identical objects compare fastest next time
        return self._revision

    def _inventory(self) -> Inventory:
        parts = self._parts
        broken = (each for engine in parts.engines.values() for each in getattr(engine, "broken", ()))
        directories = dict.fromkeys([*parts.settings.data_dir, parts.settings.download_dir])
        return Inventory(parts.library.names, tuple(broken), tuple(directories), parts.library.unusable)

    def _read_view(
        self,
        inventory: Inventory,
        default: str,
        *,
        absent_default: str,
        default_is_chosen: bool,
        revision: int,
    ) -> VoicesView:
        sizes = {path: _size(path) for voice in inventory.voices for path in voice.files}
        users = Counter(voice.files for voice in inventory.voices if voice.files and not is_derived(voice))
        problems = {each.voice.name: _why_mute(each) for each in inventory.unusable}
        known = _Known(sizes, users, default, problems, self._parts.blends)
        rows = (_row(entry, known) for entry in inventory.entries())
        directory = self._parts.settings.download_dir
        return VoicesView(
            revision,
            absent_default,
            default_is_chosen,
            tuple(rows),
            tuple(BrokenFile(path.stem, str(path), _size(path), reason) for path, reason in inventory.broken),
            str(directory),
            sum(sizes.values()),
            _free(directory),
            min(_MAX_PIECE_BYTES, self._parts.settings.max_body_kb * _KILOBYTE // 2),
        )

    def _conflict(self, name: str) -> str:
        """Return why no voice of that name can be uploaded, empty if one can. Blocks."""
        inventory = self._inventory()
        if self._parts.downloads.is_downloading(name):
            return Message("already_downloading", "{name} is already being downloaded.", name=name)
        if find_name(name, [voice.name for voice in inventory.voices]) is not None:
            return Message(
                "voice_exists",
                "There is already a voice {name}: delete it first, or rename the files.",
                name=name,
            )
        suffixes = (".onnx", ".onnx.json")
        files = [directory / f"{name}{suffix}" for directory in inventory.directories for suffix in suffixes]
        try:
            existing = next((path for path in files if not is_absent(path)), None)
        except OSError as error:
            return Message(
                "not_reached",
                "{path} cannot be reached now: {reason}.",
                path=error.filename,
                reason=system_reason(error),
            )
        if existing is None:
            return ""
        return Message("file_exists", "There is already a file {path}: delete it first.", path=existing)


@dataclass(frozen=True, slots=True)
class _Known:
    """What is known of all voices, of which each row tells its own."""

    sizes: Mapping[Path, int]
    users: Counter[tuple[Path, ...]]
    default: str
    problems: Mapping[str, str]
    blends: CachedBlends


def _row(entry: InventoryEntry, known: _Known) -> VoiceRow:
    voice, listed = entry.voice, entry.catalogue_voice
    derived = voice is not None and is_derived(voice)
    blend = voice is not None and is_blend(voice)
    return VoiceRow(
        name=entry.name,
        language=entry.language,
        engine=entry.engine,
        quality=entry.quality,
        speakers=entry.speakers,
        size=sum(known.sizes[path] for path in voice.files) if voice else listed.size if listed else None,
        shared_with=max(0, known.users[voice.files] - (not derived)) if voice and voice.files else 0,
        is_installed=voice is not None,
        in_catalogue=listed is not None,
        is_default=entry.name == known.default,
        is_removable=voice is not None and bool(voice.files) and not derived,
        is_blend=blend,
        title=known.blends.title(entry.name) if blend else "",
        is_preset=blend and known.blends.is_preset(entry.name),
        description=voice.description if voice else "",
        problem=known.problems.get(entry.name, ""),
        is_recommended=listed is not None and listed.is_recommended,
        gender=(listed.gender or "") if listed else "",
        licence=(listed.licence or "") if listed else "",
        sample=sample_sentence(entry.language),
    )


def _why_mute(unusable: UnusableVoice) -> str:
    return Message("reason_and_hint", "{reason}. {hint}", reason=unusable.reason, hint=unusable.hint)


def _plan(inventory: Inventory, name: str, default: str) -> PlannedRemoval:
    if inventory.find_exact(name) is None and not any(path.stem == name for path, _ in inventory.broken):
        raise unknown_voice_error(name, [voice.name for voice in inventory.voices])
    removal = plan_removal(inventory, [name])
    return PlannedRemoval(
        files=tuple(map(str, removal.files)),
        size=sum(map(_size, removal.files)),
        kept=tuple(map(str, removal.kept)),
        problems=removal.problems,
        silenced=tuple(_silenced(inventory.voices, removal.files)),
        is_default=name == default,
    )


def _silenced(voices: Iterable[Voice], files: Iterable[Path]) -> list[str]:
    deleted = set(files)
    return [voice.name for voice in voices if is_derived(voice) and deleted.intersection(voice.files)]


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0


def _free(directory: Path) -> int:
    """Return the free bytes on the disk of a directory that may not exist yet."""
    existing = next(each for each in (directory, *directory.absolute().parents) if each.exists())
    return shutil.disk_usage(existing).free
