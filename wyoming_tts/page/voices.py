"""The voices tab: what is here and what could be, fetched, brought along, chosen and thrown away."""

from __future__ import annotations

import re
import shutil
import time
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from wyoming_tts.assembly.default_voice import change_default
from wyoming_tts.assembly.parts import Parts
from wyoming_tts.errors import BadRequest, VoiceUnavailable
from wyoming_tts.page.lexicon import LexiconService
from wyoming_tts.page.sample_sentences import sample_sentence
from wyoming_tts.page.voices_uploads import VoiceUploads
from wyoming_tts.speech import Voice, VoiceRequest
from wyoming_tts.voices.download.service import DownloadStatus
from wyoming_tts.voices.inventory import Inventory, InventoryEntry, is_derived
from wyoming_tts.voices.library import DefaultVoice
from wyoming_tts.voices.names import find_catalogue_voice, find_name, unknown_voice_error
from wyoming_tts.voices.removal import delete_files, plan_removal

_QUALITY = re.compile(r"-(x_low|low|medium|high)\Z")
_KILOBYTE = 1024
_MOST_PIECE = 1024 * _KILOBYTE


@dataclass(frozen=True, slots=True)
class VoiceRow:
    """A voice, as the table shows it."""

    name: str
    language: str
    """As `en_US`."""
    engine: str
    quality: str
    """Empty where nobody says."""
    speakers: int
    size: int | None
    """Bytes on the disk, or those that a download takes; None where nobody knows."""
    shared_with: int
    """How many other voices speak with the same files."""
    is_installed: bool
    in_catalogue: bool
    is_default: bool
    is_removable: bool
    description: str
    gender: str
    licence: str
    sample: str
    """What it can be heard with."""


@dataclass(frozen=True, slots=True)
class BrokenFile:
    """A file that looks like a voice and is none."""

    name: str
    """What it is removed by."""
    path: str
    size: int
    reason: str


@dataclass(frozen=True, slots=True)
class VoicesView:
    """All voices, and the room they take."""

    revision: int
    """Another one as soon as anything here is."""
    voices: tuple[VoiceRow, ...]
    broken: tuple[BrokenFile, ...]
    directory: str
    """Where new voices go."""
    used: int
    """Bytes of all installed voices."""
    free: int
    """Bytes that can still be written."""
    piece_bytes: int
    """Most of a file that may be sent in one request."""


@dataclass(frozen=True, slots=True)
class VoicesUpdate:
    """What changes from moment to moment."""

    revision: int
    downloads: tuple[DownloadStatus, ...]


@dataclass(frozen=True, slots=True)
class PlannedRemoval:
    """What would go with a voice, to be agreed to."""

    files: tuple[str, ...]
    size: int
    """Bytes that become free."""
    kept: tuple[str, ...]
    """Files that stay because others speak with them, in sentences."""
    problems: tuple[str, ...]
    """Why nothing can go, in sentences."""
    silenced: tuple[str, ...]
    """Blends and imported styles that could not be spoken any more."""
    is_default: bool


@dataclass(frozen=True, slots=True)
class ChangedDefault:
    """The voice that speaks from now on where none is named."""

    name: str
    line: str
    """What makes it last, in the file of the settings."""


class VoiceService:
    """Does what the voices tab asks for; blocks nobody."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self._run = parts.workers.run_blocking
        self._seen: tuple[object, ...] = ()
        self._revision = int(time.time())  # not one that another run of the server told
        self.lexicon = LexiconService(parts)
        self.uploads = VoiceUploads(
            parts.settings.download_dir,
            run_blocking=self._run,
            why_taken=self._why_taken,
            on_installed=parts.refresh_voices,
        )

    async def shelf(self) -> VoicesView:
        """All voices as they are now."""
        return await self._run(partial(self._looked, self._inventory(), self._default(), self._now()))

    def news(self) -> VoicesUpdate:
        """Whether there is anything new, and how far the downloads are."""
        return VoicesUpdate(self._now(), self._parts.downloads.status())

    def download(self, name: str) -> None:
        """Have a voice of the catalogue fetched.

        Raises:
            UnknownVoice: the catalogue has none of that name.
            VoiceUnavailable: nothing is fetched now.
        """
        if self._parts.settings.offline:
            raise VoiceUnavailable("The server is set to be offline.", hint="Turn `offline` off.")
        self._parts.downloads.start(find_catalogue_voice(self._parts.known.catalogue.voices, name))

    def cancel(self, name: str) -> None:
        """Stop a download, or let go of one that failed.

        Raises:
            UnknownVoice: there is none of that voice.
        """
        self._parts.downloads.cancel(name)

    async def plan_removal(self, name: str) -> PlannedRemoval:
        """Find out what would go with a voice."""
        return await self._run(partial(_planned, self._inventory(), name, self._default()))

    async def remove(self, name: str, agreed: Iterable[str]) -> PlannedRemoval:
        """Delete a voice's files; what was done.

        Args:
            name: Of the voice, or of files that are broken.
            agreed: The files that somebody said yes to.

        Raises:
            BadRequest: other files would go by now, or some cannot be deleted.
        """
        if self._parts.downloads.is_downloading(name):
            raise BadRequest(f"{name} is being fetched.", hint="Cancel that first.")
        inventory = self._inventory()
        planned = await self._run(partial(_planned, inventory, name, self._default()))
        if planned.problems or set(planned.files) != set(agreed):
            raise BadRequest("Other files would go than were agreed to.", hint="Look again.")
        problems = await self._run(lambda: delete_files(plan_removal(inventory, [name])))
        await self._parts.refresh_voices()
        if problems:
            raise BadRequest(" ".join(problems))
        return planned

    async def make_default(self, name: str) -> ChangedDefault:
        """Have another voice speak where none is named, until the server ends or reads its settings again.

        Raises:
            UnknownVoice, VoiceUnavailable: it cannot speak; the one before stays.
        """
        voice = await change_default(self._parts, DefaultVoice(name))
        return ChangedDefault(voice.name, f"voice: {voice.name}")

    def _default(self) -> str:
        return self._parts.library.resolve_now(VoiceRequest()).voice.name

    def _now(self) -> int:
        """The number of the state that all is in."""
        broken = tuple(getattr(engine, "broken", ()) for engine in self._parts.engines.values())
        seen = (self._parts.library.voices, self._parts.known.catalogue.voices, self._default(), broken)
        if seen != self._seen:
            self._revision += 1
        self._seen = seen  # also where they are equal: what is the same is compared soonest
        return self._revision

    def _inventory(self) -> Inventory:
        parts = self._parts
        broken = (each for engine in parts.engines.values() for each in getattr(engine, "broken", ()))
        directories = dict.fromkeys([*parts.settings.data_dir, parts.settings.download_dir])
        return Inventory(parts.library.names, tuple(broken), tuple(directories))

    def _looked(self, inventory: Inventory, default: str, revision: int) -> VoicesView:
        sizes = {path: _size(path) for voice in inventory.voices for path in voice.files}
        users = Counter(voice.files for voice in inventory.voices if voice.files and not is_derived(voice))
        rows = (_row(entry, sizes, users, default) for entry in inventory.entries())
        directory = self._parts.settings.download_dir
        return VoicesView(
            revision,
            tuple(rows),
            tuple(BrokenFile(path.stem, str(path), _size(path), reason) for path, reason in inventory.broken),
            str(directory),
            sum(sizes.values()),
            _free(directory),
            min(_MOST_PIECE, self._parts.settings.max_body_kb * _KILOBYTE // 2),
        )

    def _why_taken(self, name: str) -> str:
        """Why no voice of that name may be brought; blocks."""
        inventory = self._inventory()
        if self._parts.downloads.is_downloading(name):
            return f"{name} is being fetched already."
        if find_name(name, [voice.name for voice in inventory.voices]) is not None:
            return f"There is a voice {name} already: delete it first, or give the files another name."
        ends = (".onnx", ".onnx.json")
        files = [directory / f"{name}{end}" for directory in inventory.directories for end in ends]
        here = next((path for path in files if path.exists()), None)
        return f"There is a file {here} already: delete it first." if here else ""


def _row(
    entry: InventoryEntry, sizes: Mapping[Path, int], users: Counter[tuple[Path, ...]], default: str
) -> VoiceRow:
    voice, known = entry.voice, entry.catalogue_voice
    found = _QUALITY.search(entry.name)
    derived = voice is not None and is_derived(voice)
    return VoiceRow(
        name=entry.name,
        language=entry.language,
        engine=entry.engine,
        quality=known.quality if known else found[1] if found else "",
        speakers=entry.speakers,
        size=sum(sizes[path] for path in voice.files) if voice else known.size if known else None,
        shared_with=max(0, users[voice.files] - (not derived)) if voice and voice.files else 0,
        is_installed=voice is not None,
        in_catalogue=known is not None,
        is_default=entry.name == default,
        is_removable=voice is not None and bool(voice.files) and not derived,
        description=voice.description if voice else "",
        gender=(known.gender or "") if known else "",
        licence=(known.licence or "") if known else "",
        sample=sample_sentence(entry.language),
    )


def _planned(inventory: Inventory, name: str, default: str) -> PlannedRemoval:
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
    going = set(files)
    return [voice.name for voice in voices if is_derived(voice) and going.intersection(voice.files)]


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0


def _free(directory: Path) -> int:
    """Bytes that may be written there, or in what it would be made in."""
    here = next(each for each in (directory, *directory.absolute().parents) if each.exists())
    return shutil.disk_usage(here).free
