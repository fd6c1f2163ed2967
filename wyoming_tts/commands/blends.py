"""`wyoming-tts blend …`: create, list, remove, import and export blends of Kokoro voices."""

from __future__ import annotations

import argparse
import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

from wyoming_tts import client
from wyoming_tts.assembly.parts import make_engines
from wyoming_tts.commands import local_speech
from wyoming_tts.commands.console import CommandFailed, print_json, print_note, print_table
from wyoming_tts.engines.base import EngineOptions
from wyoming_tts.engines.kokoro.names import named_languages
from wyoming_tts.errors import SpeechError, UnknownVoice, VoiceUnavailable
from wyoming_tts.settings import LoadedSettings, Settings
from wyoming_tts.speech import VoiceRequest
from wyoming_tts.voices.blends.mixing import Blend
from wyoming_tts.voices.blends.recipes import parse_recipe
from wyoming_tts.voices.blends.store import BlendStore
from wyoming_tts.voices.blends.yaml_format import load_presets
from wyoming_tts.voices.catalogue import CatalogueError, data_directory, read_kokoro_catalogue
from wyoming_tts.voices.names import check_name_is_free
from wyoming_tts.voices.style_files import write_style_file
from wyoming_tts.voices.styles import STYLES_DIRECTORY, ImportedStyles, load_style_table


@dataclass(frozen=True, slots=True)
class _BlendContext:
    """The stored blends, and the voices that they are made of."""

    store: BlendStore
    styles: ImportedStyles
    pack: Mapping[str, str]
    """Languages of the pack's voices by name."""

    @property
    def imported(self) -> dict[str, str]:
        """Languages of the imported voices by name."""
        return named_languages(self.styles.names())

    @property
    def languages(self) -> dict[str, str]:
        """Languages of all voices that can be blended, by name."""
        return self.imported | dict(self.pack)


def run_blend_command(arguments: argparse.Namespace, settings: LoadedSettings) -> int:
    """Run the subcommand that the arguments name; returns its exit code.

    Raises:
        SpeechError: it failed; the message says why.
    """
    try:
        return _COMMANDS[arguments.blend_command](arguments, settings.settings)
    except CatalogueError as error:
        raise CommandFailed(str(error)) from error


def _open_context(settings: Settings) -> _BlendContext:
    styles = ImportedStyles(settings.data_dir[0] / STYLES_DIRECTORY)
    pack = {voice.name: voice.language for voice in read_kokoro_catalogue(data_directory() / "kokoro.yaml")}
    store = BlendStore(
        settings.data_dir[0],
        voices=lambda: named_languages(styles.names()) | pack,
        presets=load_presets(data_directory()),
    )
    return _BlendContext(store, styles, pack)


# -- add ----------------------------------------------------------------------------------------


def _add(arguments: argparse.Namespace, settings: Settings) -> int:
    context = _open_context(settings)
    blend = Blend(
        arguments.name,
        parse_recipe(arguments.recipe, (*context.store.load().blends, *context.languages)),
        language=arguments.language,
        description=arguments.description,
        spherical=arguments.spherical,
        normalized=arguments.normalize,
        title=arguments.title,
    )
    before = context.store.load().blends.get(blend.name) if arguments.replace else None
    if before is None:
        context.store.add(blend)
    else:
        context.store.replace(blend, expected=before)
    print(f"Saved {blend.name}: {blend.recipe}, speaks {_language(context, blend)}.")
    return 0 if arguments.say is None else _speak(arguments, settings)


def _speak(arguments: argparse.Namespace, settings: Settings) -> int:
    try:
        sink = client.PlayerProcess() if arguments.out is None else client.open_wav_output(arguments.out)
        report = asyncio.run(_speak_locally(arguments, settings, sink))
    except (client.ClientError, SpeechError) as error:
        raise CommandFailed(f"{arguments.name} is saved, but could not be played. {error}") from error
    print_note(f"Spoke {report.seconds:.2f} s of audio.")
    return 0


async def _speak_locally(
    arguments: argparse.Namespace,
    settings: Settings,
    sink: client.PlayerProcess | client.WavFile | client.WavStream,
) -> client.SpeechReport:
    async with sink:
        return await local_speech.speak(
            settings,
            client.single_piece(arguments.say),
            on_audio=sink.write,
            voice=VoiceRequest(name=arguments.name),
            is_complete=True,
        )


# -- list, show, remove -------------------------------------------------------------------------


def _list(arguments: argparse.Namespace, settings: Settings) -> int:
    context = _open_context(settings)
    blends = [_as_object(context, blend) for blend in context.store.blends()]
    imported = [_imported_as_object(context, name) for name in context.imported]
    if arguments.json:
        print_json({"blends": blends, "imported": imported})
        return 0
    print_table(
        [column.capitalize() for column in _COLUMNS],
        ([each[column] for column in _COLUMNS] for each in (*blends, *imported)),
        folding=2,
    )
    return 0


def _show(arguments: argparse.Namespace, settings: Settings) -> int:
    context = _open_context(settings)
    if arguments.name in context.imported:
        shown = _imported_as_object(context, arguments.name)
    else:
        shown = _as_object(context, context.store.find(arguments.name))
    if arguments.json:
        print_json(shown)
        return 0
    for title, value in shown.items():
        print(f"{title.replace('_', ' ') + ':':12} {_format_value(value)}")
    return 0


def _remove(arguments: argparse.Namespace, settings: Settings) -> int:
    context = _open_context(settings)
    if arguments.name in context.imported:
        users = context.store.load().users(arguments.name)
        context.styles.remove(arguments.name, users=users)
    else:
        context.store.remove(arguments.name)
    print(f"Removed {arguments.name}.")
    return 0


_COLUMNS = ("name", "language", "kind", "recipe", "description")


def _as_object(context: _BlendContext, blend: Blend) -> dict[str, Any]:
    book = context.store.load()
    return {
        "name": blend.name,
        "recipe": str(blend.recipe),
        "language": _language(context, blend),
        "kind": "preset" if context.store.is_preset(blend.name) else "own",
        "title": blend.shown_title,
        "description": blend.description,
        "spherical": blend.spherical,
        "normalized": blend.normalized,
        "made_of": sorted(book.pack_voices(blend)),
        "used_by": list(book.users(blend.name)),
    }


def _imported_as_object(context: _BlendContext, name: str) -> dict[str, Any]:
    return {
        "name": name,
        "recipe": "",
        "language": context.imported[name],
        "kind": "imported",
        "description": "",
        "path": str(context.styles.path(name)),
        "used_by": list(context.store.load().users(name)),
    }


def _language(context: _BlendContext, blend: Blend) -> str:
    try:
        return context.store.load().language(blend, context.languages).tag
    except UnknownVoice:
        return ""  # the file was edited by hand and names an unknown voice


def _format_value(value: object) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return ", ".join(value) if isinstance(value, list) else str(value)


# -- import, export -----------------------------------------------------------------------------


def _import(arguments: argparse.Namespace, settings: Settings) -> int:
    context = _open_context(settings)
    check_name_is_free(arguments.name, (*context.pack, *context.store.load().blends))
    table = context.styles.add(arguments.name, Path(arguments.file).expanduser())
    language = context.imported[arguments.name]
    print(f"Imported {arguments.name}: {len(table)} rows, speaks {language}.")
    return 0


def _export(arguments: argparse.Namespace, settings: Settings) -> int:
    context = _open_context(settings)
    table = load_style_table(
        arguments.name,
        context.store.load(),
        voices=context.languages,
        imported=context.styles,
        pack=lambda: _pack(settings),
    )
    path = Path(arguments.file).expanduser()
    write_style_file(path, table)
    print(f"Wrote {arguments.name} to {path}: {len(table)} rows.")
    return 0


def _pack(settings: Settings) -> Path:
    engine = make_engines(
        EngineOptions(
            data_dirs=tuple(dict.fromkeys([*settings.data_dir, settings.download_dir])),
            kokoro_model=settings.kokoro_model,
            kokoro_voices=settings.kokoro_voices,
        )
    ).get("kokoro")
    voices = engine.installed() if engine else ()
    if not voices:
        raise VoiceUnavailable(
            "Kokoro is not installed, so there are no voices to blend.",
            hint="Download it with `wyoming-tts voices download af_heart`.",
        )
    return voices[0].files[1]


_COMMANDS: Mapping[str, Callable[[argparse.Namespace, Settings], int]] = MappingProxyType(
    {
        "add": _add,
        "list": _list,
        "show": _show,
        "remove": _remove,
        "import": _import,
        "export": _export,
    }
)
