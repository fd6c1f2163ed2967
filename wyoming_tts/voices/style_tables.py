"""Style tables by name, for export: of a voice that can be mixed, a kept blend, or a recipe. Blocks."""

from __future__ import annotations

import zipfile
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path

import numpy as np

from wyoming_tts.errors import UnknownVoice, VoiceUnavailable
from wyoming_tts.voices.blends.mixing import BlendBook, StyleTable, as_table
from wyoming_tts.voices.blends.voices import BlendedVoices
from wyoming_tts.voices.names import did_you_mean, same_name
from wyoming_tts.voices.styles import ImportedStyles


def style_table(
    name: str,
    book: BlendBook,
    *,
    voices: Mapping[str, str],
    imported: ImportedStyles,
    pack: Callable[[], Path],
) -> StyleTable:
    """The style table that a name stands for, shape (n, 1, 256), float32.

    Args:
        name: Of a voice or a kept blend, or a recipe.
        book: The kept blends.
        voices: Languages by name of the voices that can be mixed.
        imported: Those of them that were imported.
        pack: Finds the file that holds the others; asked only where one of them is needed.

    Raises:
        UnknownVoice: nothing has that name, or a voice of the recipe is not there.
        BadRequest: it is a malformed recipe, or its voices do not fit each other.
        VoiceUnavailable: the pack is not here, or a file cannot be read.
    """
    style = partial(_voice_table, imported=imported, pack=pack)
    if (voice := same_name(name, voices)) is not None:
        return style(voice)
    found = BlendedVoices(lambda: book, lambda: voices).find(name)
    if found is None:
        hint = did_you_mean(name, [*book.blends, *voices]) or "See `wyoming-tts blend list` for all."
        raise UnknownVoice(f"There is no blend {name!r}.", hint=hint)
    return found.mixed(style)


def _voice_table(name: str, *, imported: ImportedStyles, pack: Callable[[], Path]) -> StyleTable:
    if name in imported.names():
        return imported.read(name)
    path = pack()
    try:
        with np.load(path, allow_pickle=False) as tables:
            return as_table(tables[name], name)
    except KeyError as error:
        raise UnknownVoice(f"The voice pack {path} holds no voice {name!r}.") from error
    except (OSError, ValueError, zipfile.BadZipFile) as error:
        raise VoiceUnavailable(f"The voice pack {path} cannot be read: {error}.") from error
