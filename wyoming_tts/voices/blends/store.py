"""Store of the user's blends: one YAML file, with locking, atomic replacement, and a backup.

The page, the command line and a text editor may change the file at the same time. A writer holds a lock (on a
separate file, because the blends' file is replaced), reads the current content, checks that the edit still
applies to it, and replaces the file atomically, synced and with a backup, before it returns. Readers need no
lock. A malformed file is never overwritten: it is kept under another name.

Everything here blocks.
"""

from __future__ import annotations

import errno
import fcntl
import logging
import os
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path

from wyoming_tts.errors import BadRequest, Busy, SpeechError, UnknownVoice, VoiceUnavailable
from wyoming_tts.known_files import KnownFiles
from wyoming_tts.messages import Message
from wyoming_tts.regular_files import open_without_waiting, read_regular_file
from wyoming_tts.system_reasons import system_reason
from wyoming_tts.voices.blends.mixing import Blend, BlendSet
from wyoming_tts.voices.blends.yaml_format import format_blends, parse_blends, update_blends
from wyoming_tts.voices.names import check_name_is_free, find_name
from wyoming_tts.yaml_files.reading import MAX_BYTES, InvalidYaml, Position, Problem

_LOGGER = logging.getLogger(__name__)

FILE_NAME = "blends.yaml"
_MOST_BYTES = 10 * MAX_BYTES  # of a malformed file that is kept beside a new one
MAX_BLENDS = 1000
_LOCK_PATIENCE = 30.0
"""Seconds; a write takes milliseconds, so a process that holds the lock longer is suspended."""
_LOCK_PAUSE = 0.005
NO_LOCKS = frozenset({errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP})
"""Errors of network file systems without locks; the comparison before writing remains."""

_Edit = Callable[[dict[str, Blend]], Blend | None]


def _no_voices() -> Mapping[str, str]:
    return {}


class BlendStore:
    """Reads and edits the blends of one data directory; safe for any number of threads and processes.

    Presets are part of the product and cannot be changed; a blend of the same name overrides a preset.
    """

    def __init__(
        self,
        directory: Path,
        *,
        voices: Callable[[], Mapping[str, str]] = _no_voices,
        presets: Iterable[Blend] = (),
        clock: Callable[[], float] = time.time,
        known: KnownFiles | None = None,
    ) -> None:
        """Read nothing yet.

        Args:
            directory: The directory of `blends.yaml`; created by the first write.
            voices: Language tags by name of the voices that can be blended; their names are reserved.
                While there are none, edits are not checked against them.
            presets: The product's own blends.
            clock: Seconds since the epoch, for the name under which a malformed file is kept.
            known: What is known of the files, which tells a directory that is away from one without the file.
        """
        self._path = directory / FILE_NAME
        self._voices = voices
        self._presets = BlendSet.of(presets).blends
        self._clock = clock
        self._known = known or KnownFiles()
        self._loaded: BlendSet | None = None
        self._unread_because = ""
        self._reported = b""
        """The malformed content that was logged last."""

    def load(self) -> BlendSet:
        """Load all blends, including presets; those loaded before, if the file cannot be read now.

        Raises:
            VoiceUnavailable: the file exists but cannot be read, and never could.
        """
        try:
            self._loaded = self._book(self._read()[0])
            self._unread_because = ""
        except VoiceUnavailable as error:
            if self._loaded is None:
                raise
            if str(error) != self._unread_because:
                self._unread_because = str(error)
                _LOGGER.error("The previous blends stay in use. %s", error)  # noqa: TRY400 - it suffices
        return self._loaded

    def blends(self) -> tuple[Blend, ...]:
        """Load all blends, sorted by name."""
        return tuple(sorted(self.load().blends.values(), key=lambda blend: blend.name))

    def find(self, name: str) -> Blend:
        """Load the blend of that name, as written or else in any case.

        Raises:
            UnknownVoice: there is none.
        """
        return _found(self.load().blends, name)

    @property
    def presets(self) -> Mapping[str, Blend]:
        """The product's own blends by name."""
        return self._presets

    def is_preset(self, name: str) -> bool:
        """Whether it is a preset that is not overridden."""
        return name in self._presets and name not in self._read()[0]

    def add(self, blend: Blend) -> Blend:
        """Store a new blend durably.

        Raises:
            BadRequest: its name is taken, it would contain itself, or it mixes voices of several
                languages without specifying one.
            UnknownVoice: it contains a voice that is neither Kokoro's nor a blend.
            VoiceUnavailable: the file cannot be written.
        """

        def add(own: dict[str, Blend]) -> Blend:
            self._check_name_is_free(blend.name, own)
            own[blend.name] = blend
            self._check_spoken(blend, own)
            return blend

        return self._changed(add)

    def replace(self, blend: Blend, *, expected: Blend) -> Blend:
        """Replace a blend by one of the same name, if it was not changed since the edit began.

        Args:
            blend: The new blend.
            expected: The old blend, as it was when the edit began.

        Raises:
            BadRequest: it was changed meanwhile, or as for `add`.
            UnknownVoice, VoiceUnavailable: as for `add`, or the blend was removed.
        """

        def put(own: dict[str, Blend]) -> Blend:
            current = _found({**self._presets, **own}, blend.name, exactly=True)
            if current != expected:
                raise BadRequest(
                    Message(
                        "blend_changed",
                        "The blend {name} was changed meanwhile: it is {recipe} now.",
                        name=blend.name,
                        recipe=current.recipe,
                    ),
                    hint=Message("blend_reload", "Reload it, then repeat the change."),
                )
            own[blend.name] = blend
            self._check_spoken(blend, own)
            return blend

        return self._changed(put)

    def rename(self, old: str, new: str, title: str = "") -> Blend:
        """Rename a blend, also in the recipes that contain it.

        Args:
            old: Its name.
            new: The new name.
            title: The new name as people write it; empty where that is `new`.

        Raises:
            BadRequest: the name is taken, or the blend is a preset.
            UnknownVoice, VoiceUnavailable: as for `replace`.
        """

        def rename(own: dict[str, Blend]) -> Blend:
            blend = self._own(own, old).called(new, title)
            del own[old]
            self._check_name_is_free(new, own)
            own[new] = blend
            for user in BlendSet(own).users(old) if old not in self._presets else ():
                own[user] = replace(own[user], recipe=own[user].recipe.renamed(old, new))
            return own[new]

        return self._changed(rename)

    def duplicate(self, name: str, new: str, title: str = "") -> Blend:
        """Store a copy of a blend or preset under another name; the title is as for `rename`.

        Raises:
            BadRequest, UnknownVoice, VoiceUnavailable: as for `add`.
        """

        def duplicate(own: dict[str, Blend]) -> Blend:
            self._check_name_is_free(new, own)
            own[new] = _found({**self._presets, **own}, name).called(new, title)
            return own[new]

        return self._changed(duplicate)

    def remove(self, name: str) -> None:
        """Remove a blend; a preset that it overrode is back.

        Raises:
            BadRequest: it is a preset, or other blends contain it.
            UnknownVoice, VoiceUnavailable: as for `replace`.
        """

        def remove(own: dict[str, Blend]) -> None:
            self._own(own, name)
            users = self._book(own).users(name)
            if users and name not in self._presets:
                raise BadRequest(
                    Message(
                        "blend_in_use",
                        "{name} cannot be removed: it is part of {users}.",
                        name=name,
                        users=", ".join(users),
                    )
                )
            del own[name]

        self._edited(remove)

    def _changed(self, edit: Callable[[dict[str, Blend]], Blend]) -> Blend:
        blend = self._edited(edit)
        assert blend is not None
        return blend

    def _edited(self, edit: _Edit) -> Blend | None:
        self._require_directory()
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            with hold_lock(self._path.with_suffix(".yaml.lock")):
                own, content, is_broken = self._read()
                changed = edit(own)
                if len(own) > MAX_BLENDS:
                    raise BadRequest(
                        Message(
                            "blends_full",
                            "There are {most} blends already: remove some first.",
                            most=MAX_BLENDS,
                        )
                    )
                self._book(own)
                if is_broken:
                    self._keep_broken(content)
                self._write(format_blends(own) if is_broken else update_blends(content, own), content)
        except OSError as error:
            raise VoiceUnavailable(
                Message(
                    "blends_not_stored",
                    "The blends cannot be stored in {directory}: {reason}.",
                    directory=self._path.parent,
                    reason=system_reason(error),
                ),
                hint=Message(
                    "blends_unchanged",
                    "Nothing was changed. Check that the directory is writable and the disk has space.",
                ),
            ) from error
        return changed

    def _check_spoken(self, blend: Blend, own: Mapping[str, Blend]) -> None:
        book, voices = self._book(own), self._voices()
        if not voices:
            return
        language = book.language(replace(blend, language=None), voices)
        if not language.is_certain and blend.language is None:
            raise BadRequest(
                Message("blend_languages", "{name} mixes voices of several languages.", name=blend.name),
                hint=Message(
                    "blend_language",
                    "Specify the language to speak, such as {language}.",
                    language=language.tag,
                ),
            )

    def _check_name_is_free(self, name: str, own: Mapping[str, Blend]) -> None:
        presets = [other for other in self._presets if other != name]
        check_name_is_free(name, (*own, *self._voices(), *presets))

    def _own(self, own: Mapping[str, Blend], name: str) -> Blend:
        if name not in own and name in self._presets:
            raise BadRequest(
                Message("blend_is_preset", "{name} is a preset and cannot be changed.", name=name),
                hint=Message("blend_duplicate", "Duplicate it and change the copy."),
            )
        return _found(own, name, exactly=True)

    def _book(self, own: Mapping[str, Blend]) -> BlendSet:
        return BlendSet({**self._presets, **own})

    def _read(self) -> tuple[dict[str, Blend], bytes, bool]:
        """The blends of the file, or else of its backup; the file's content; and whether it is malformed."""
        try:
            content = _content(self._path)
        except OSError as error:
            reason = system_reason(error)
            raise VoiceUnavailable(
                Message("not_read", "{path} cannot be read: {reason}.", path=self._path, reason=reason)
            ) from error
        if not content:
            self._require_directory()
        try:
            return self._parsed(content, self._path), content, False
        except InvalidYaml as error:
            backup, problem = self._from_backup()
            self._log_once(content, f"{error}\n{problem}")
            return backup, content, True

    def _require_directory(self) -> None:
        """Refuse to read or write an empty set of blends where a share with others is about to come back."""
        if self._known.is_away(self._path.parent):
            raise VoiceUnavailable(
                Message(
                    "directory_away",
                    "{directory} is gone or empty, as when a network share is unmounted.",
                    directory=self._path.parent,
                ),
                hint=Message(
                    "mount_again",
                    "Nothing was changed. Mount it again; if that is not meant, wait five minutes.",
                ),
            )

    def _parsed(self, content: bytes, path: Path) -> dict[str, Blend]:
        own = parse_blends(content, str(path))
        try:
            self._book(own)
        except SpeechError as error:
            raise InvalidYaml([Problem(Position(), str(error), str(path))]) from error
        return own

    def _from_backup(self) -> tuple[dict[str, Blend], str]:
        path = self._path.with_suffix(".yaml.bak")
        try:
            own = self._parsed(_content(path), path)
        except (InvalidYaml, OSError) as error:
            return {}, f"The backup is broken as well ({error}): only the presets are available."
        return own, f"The {len(own)} blends of the backup {path.name} are used; repair the file."

    def _log_once(self, content: bytes, problem: str) -> None:
        """Log a problem once for each content of the file, which is read repeatedly."""
        if content != self._reported:
            self._reported = content
            _LOGGER.error("%s", problem)

    def _keep_broken(self, content: bytes) -> None:
        stamp = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime(self._clock()))
        kept = self._path.with_name(f"{FILE_NAME}.broken-{stamp}")
        for number in range(1, MAX_BLENDS):
            with suppress(FileExistsError), kept.open("xb") as file:
                _write_synced(file.fileno(), content)
                _LOGGER.warning("The broken %s is kept as %s.", self._path, kept)
                return
            kept = self._path.with_name(f"{FILE_NAME}.broken-{stamp}-{number}")
        raise OSError(f"{kept} and all before it are taken")

    def _write(self, content: bytes, replaced: bytes) -> None:
        """Replace the file and its backup atomically; a failure leaves them as they were."""
        targets = [self._path, self._path.with_suffix(".yaml.bak")]
        # The lock is held: existing files of these names were left by a process that was killed.
        parts = [target.with_name(f"{target.name}.part") for target in targets]
        try:
            for part in parts:
                with part.open("wb") as file:
                    _write_synced(file.fileno(), content)
            if _content(self._path) != replaced:
                raise BadRequest(
                    Message(
                        "changed_by_another",
                        "{path} was changed by another program just now.",
                        path=self._path,
                    ),
                    hint=Message("try_again", "Try again."),
                )
            for part, target in zip(parts, targets, strict=True):
                part.replace(target)
        finally:
            for part in parts:
                part.unlink(missing_ok=True)
        _sync_directory(self._path.parent)


def _found(blends: Mapping[str, Blend], name: str, *, exactly: bool = False) -> Blend:
    found = find_name(name, blends)
    if found is None or (exactly and found != name):
        raise UnknownVoice(
            Message("no_blend", "There is no blend {name}.", name=repr(name)),
            hint=Message("list_blends", "See `wyoming-tts blend list` for all."),
        )
    return blends[found]


def _content(path: Path) -> bytes:
    """Content of the file; empty if it does not exist.

    Raises:
        OSError: it cannot be read, is no regular file, or is larger than any that could be kept.
    """
    try:
        content = read_regular_file(path, _MOST_BYTES)
    except FileNotFoundError:
        return b""
    if len(content) > _MOST_BYTES:
        raise OSError(errno.EFBIG, os.strerror(errno.EFBIG))
    return content


@contextmanager
def hold_lock(path: Path) -> Iterator[None]:
    """Hold an flock, released if the process dies. Every call opens the file: threads exclude each other."""
    with open(path, "ab", opener=open_without_waiting) as file:
        give_up_at = time.monotonic() + _LOCK_PATIENCE
        while not _try_lock(file.fileno()):
            if time.monotonic() > give_up_at:
                raise Busy(
                    Message("file_held", "Another program holds {path}.", path=path),
                    hint=Message("end_it_first", "End it, then try again."),
                )
            time.sleep(_LOCK_PAUSE)
        yield


def _try_lock(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError as error:
        if error.errno not in NO_LOCKS:
            raise
    return True


def _write_synced(descriptor: int, content: bytes) -> None:
    with memoryview(content) as rest:
        written = 0
        while written < len(rest):
            written += os.write(descriptor, rest[written:])
    os.fsync(descriptor)


def _sync_directory(directory: Path) -> None:
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
