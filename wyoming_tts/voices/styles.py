"""Style tables by voice name: the imported voices, and the table of any voice, blend or recipe. Blocks."""

from __future__ import annotations

import zipfile
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path

from wyoming_tts.errors import BadRequest, UnknownVoice, VoiceUnavailable
from wyoming_tts.known_files import KnownFiles, is_absent
from wyoming_tts.messages import Message
from wyoming_tts.style_tables import StyleTable, pack_names, read_packed_table
from wyoming_tts.system_reasons import reason_of, system_reason
from wyoming_tts.voices.blends.mixing import BlendSet
from wyoming_tts.voices.blends.recipes import check_name
from wyoming_tts.voices.blends.voices import BlendResolver
from wyoming_tts.voices.names import did_you_mean, find_name
from wyoming_tts.voices.style_files import read_style_file, write_style_file

STYLES_DIRECTORY = "styles"
"""Directory of the imported voices, in the first data directory."""


class ImportedStyles:
    """Imported style tables, voices to speak with and to blend: `NAME.npy` in a directory. Blocks."""

    def __init__(self, directory: Path, known: KnownFiles | None = None) -> None:
        self._directory = directory
        self._known = known or KnownFiles()

    def names(self) -> tuple[str, ...]:
        """Names of the imported voices, sorted; files whose names are invalid are ignored."""
        files = self._known.names(self._directory)
        found = sorted(file.removesuffix(".npy") for file in files if file.endswith(".npy"))
        return tuple(name for name in found if _is_name(name))

    def path(self, name: str) -> Path:
        """Path of the voice of that name, whether it exists or not.

        Raises:
            BadRequest: the name is invalid.
        """
        check_name(name)
        return self._directory / f"{name}.npy"

    def remove(self, name: str, *, users: Sequence[str]) -> None:
        """Delete the voice of that name.

        Raises:
            BadRequest: the name is invalid, or there are `users`: blends that contain it.
            VoiceUnavailable: its file cannot be deleted.
        """
        if users:
            raise BadRequest(
                Message(
                    "blend_in_use",
                    "{name} cannot be removed: it is part of {users}.",
                    name=name,
                    users=", ".join(users),
                )
            )
        path = self.path(name)
        try:
            path.unlink(missing_ok=True)
        except OSError as error:
            reason = system_reason(error)
            raise VoiceUnavailable(
                Message("not_deleted", "{path} cannot be deleted: {reason}.", path=path, reason=reason)
            ) from error

    def read(self, name: str) -> StyleTable:
        """Read the style table of the voice, shape (n, 1, 256), float32.

        Raises:
            BadRequest, VoiceUnavailable: as for `read_style_file`, or the name is invalid.
        """
        return read_style_file(self.path(name))

    def add(self, name: str, source: Path) -> StyleTable:
        """Import a file under a new name; return its style table.

        Raises:
            BadRequest, VoiceUnavailable: as for `read_style_file` and `write_style_file`, or the name is
                taken.
        """
        path = self.path(name)
        if self._is_taken(path):
            raise BadRequest(
                Message("style_exists", "There is an imported voice {name} already.", name=name),
                hint=Message("remove_first", "Remove it first."),
            )
        table = read_style_file(source)
        write_style_file(path, table)
        return table

    def _is_taken(self, path: Path) -> bool:
        try:
            return not is_absent(path)
        except OSError as error:
            reason = system_reason(error)
            raise VoiceUnavailable(
                Message("not_reached", "{path} cannot be reached now: {reason}.", path=path, reason=reason)
            ) from error


def load_style_table(
    name: str,
    book: BlendSet,
    *,
    voices: Mapping[str, str],
    imported: ImportedStyles,
    pack: Callable[[], Path],
) -> StyleTable:
    """Load the style table of a voice, a stored blend or a recipe, shape (n, 1, 256), float32. Blocks.

    Args:
        name: Name of a voice or a stored blend, or a recipe.
        book: The stored blends.
        voices: Language tags by name of the voices that can be blended.
        imported: The imported ones among them.
        pack: Finds the file that holds the others; called only if one of them is needed.

    Raises:
        UnknownVoice: nothing has that name, or a voice of the recipe does not exist.
        BadRequest: the recipe is malformed, or its tables differ in size.
        VoiceUnavailable: the pack is not installed, or a file cannot be read.
    """
    style = partial(_voice_table, imported=imported, pack=pack)
    if (voice := find_name(name, voices)) is not None:
        return style(voice)
    found = BlendResolver(lambda: book, lambda: voices).find(name)
    if found is None:
        known = [*book.blends, *voices]
        hint = did_you_mean(name, known) or Message("list_blends", "See `wyoming-tts blend list` for all.")
        raise UnknownVoice(Message("no_blend", "There is no blend {name}.", name=name), hint=hint)
    return found.mix(style)


def _voice_table(name: str, *, imported: ImportedStyles, pack: Callable[[], Path]) -> StyleTable:
    if name in imported.names():
        return imported.read(name)
    path = pack()
    try:
        if name not in pack_names(path):
            raise UnknownVoice(
                Message("pack_lacks", "The voice pack {path} has no voice {name}.", path=path, name=name)
            )
        with zipfile.ZipFile(path) as archive:
            return read_packed_table(archive, name)
    except (OSError, ValueError, zipfile.BadZipFile) as error:
        reason = reason_of(error)
        raise VoiceUnavailable(
            Message(
                "pack_not_read", "The voice pack {path} cannot be read: {reason}.", path=path, reason=reason
            )
        ) from error


def _is_name(name: str) -> bool:
    try:
        check_name(name)
    except BadRequest:
        return False
    return True
