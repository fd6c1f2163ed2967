"""YAML format of the blends' file: parsing, validation, and edits in place that keep comments."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Annotated, Any, Final, TypeVar

import yaml
from pydantic import AfterValidator, BeforeValidator, Field, PlainValidator

from wyoming_tts.errors import SpeechError
from wyoming_tts.voices.blends.mixing import Blend, BlendSet, parse_blend_language
from wyoming_tts.voices.blends.recipes import Recipe, check_name, parse_recipe
from wyoming_tts.yaml_files.editing import NotEditable, edit_yaml
from wyoming_tts.yaml_files.models import EMPTY_IF_NONE, Flag, YamlModel, format_value
from wyoming_tts.yaml_files.reading import ScalarMode, YamlDocument, read_yaml

PRESETS_NAME = "blends.yaml"

_LOGGER = logging.getLogger(__name__)
_BLENDS = "blends"
_HEAD = "# Blends of Kokoro voices, by name. You may edit this file.\n"
_WIDTH: Final = 110
_DUMPER: Any = getattr(yaml, "CSafeDumper", yaml.SafeDumper)
_RECIPE: Final = "a recipe such as `recipe: af_bella(2)+af_sky`"
_T = TypeVar("_T")


def parse_blends(content: bytes, name: str = PRESETS_NAME) -> dict[str, Blend]:
    """Parse blends by name; empty content has none.

    Args:
        content: Content of a file.
        name: The file's name for messages.

    Raises:
        InvalidYaml: It is no YAML, or entries are malformed.
    """
    return _blends(_read(content, name))


def format_blends(blends: Mapping[str, Blend]) -> bytes:
    """Format blends as YAML, sorted by name; fields with their default are omitted."""
    entries = {name: _facts(blend) for name, blend in sorted(blends.items())}
    body = yaml.dump({_BLENDS: entries}, Dumper=_DUMPER, allow_unicode=True, sort_keys=False, width=_WIDTH)
    return (_HEAD + body).encode()


def update_blends(content: bytes, blends: Mapping[str, Blend]) -> bytes:
    """Edit a file's content so that it holds these blends: unchanged ones are preserved, new ones come last.

    Content that nobody edited by hand is written anew, which is a hundred times faster, and so is content
    that cannot be edited in place: the latter with a warning, since its comments are lost.

    Raises:
        InvalidYaml: The content is malformed.
    """
    document = _read(content, PRESETS_NAME)
    before = _blends(document)
    if content in (b"", format_blends(before)):
        return format_blends(blends)
    try:
        renamed = _with_renamed(document, _renames(before, blends))
        written = (renamed.value or {}).get(_BLENDS) or {}
        known = _blends(renamed)
        entries = {
            name: _changed(blend, known[name], written[name]) if name in known else _facts(blend)
            for name, blend in blends.items()
        }
        return _edited(renamed, entries)
    except NotEditable as error:
        _LOGGER.warning("%s: it is rewritten without its comments.", error)
        return format_blends(blends)


def _renames(before: Mapping[str, Blend], after: Mapping[str, Blend]) -> dict[str, str]:
    """Map old names to new ones of the blends that were renamed, perhaps with another title."""
    gone = {name: blend for name, blend in before.items() if name not in after}
    found: dict[str, str] = {}
    for name, blend in after.items():
        if name in before:
            continue
        old = next((old for old, one in gone.items() if one.called(name, blend.title) == blend), None)
        if old is not None:
            found[old] = name
            del gone[old]
    return found


def _with_renamed(document: YamlDocument, renames: Mapping[str, str]) -> YamlDocument:
    """The file with entries under other names, and nothing else changed: so that their comments are kept."""
    if not renames:
        return document
    entries = {renames.get(name, name): entry for name, entry in document.value[_BLENDS].items()}
    return _read(_edited(document, entries), document.name)


def load_presets(directory: Path) -> tuple[Blend, ...]:
    """Read the product's own blends from its data directory. Blocks.

    Raises:
        InvalidYaml: The file is malformed.
        OSError: The file is missing.
    """
    path = directory / PRESETS_NAME
    return tuple(BlendSet(parse_blends(path.read_bytes(), str(path))).blends.values())


def _checked(check: Callable[[str], _T]) -> Callable[[str], _T]:
    """Wrap a check so that it raises `ValueError`, as pydantic expects."""

    def checked(value: str) -> _T:
        try:
            return check(value)
        except SpeechError as error:
            raise ValueError(str(error)) from error

    return checked


def _named(name: str) -> str:
    check_name(name)
    return name


def _recipe(value: object) -> Recipe:
    if not isinstance(value, str):
        raise ValueError(f"got {format_value(value)} for 'recipe', expected {_RECIPE}")  # noqa: TRY004 - for pydantic
    return _checked(parse_recipe)(value)


class _Entry(YamlModel):
    """A blend."""

    recipe: Annotated[Recipe, PlainValidator(_recipe), Field(description=_RECIPE)]
    title: str | None = None
    language: Annotated[str, AfterValidator(_checked(parse_blend_language))] | None = None
    description: str | None = None
    spherical: Flag = False
    normalized: Flag = True


def _long_form(value: object) -> object:
    return {} if value is None else {"recipe": value} if isinstance(value, str) else value


_EntryOrRecipe = Annotated[
    _Entry, BeforeValidator(_long_form), Field(description="a recipe, or a mapping with `recipe`")
]


class _File(YamlModel):
    """A file of blends."""

    blends: Annotated[
        dict[Annotated[str, AfterValidator(_checked(_named))], _EntryOrRecipe],
        EMPTY_IF_NONE,
        Field(description="a mapping of names to blends"),
    ]


def _read(content: bytes, name: str) -> YamlDocument:
    return read_yaml(content, name, scalars=ScalarMode.TEXT)


def _blends(document: YamlDocument) -> dict[str, Blend]:
    file = document.validate(_File) if document.value is not None else None
    blends: dict[str, Blend] = {}
    for name, entry in file.blends.items() if file else ():
        try:
            blends[name] = Blend(
                name,
                entry.recipe,
                language=entry.language,
                description=entry.description or "",
                spherical=entry.spherical,
                normalized=entry.normalized,
                title=entry.title or "",
            )
        except SpeechError as error:
            document.add_problem((_BLENDS, name), str(error))
    document.raise_problems()
    return blends


def _edited(document: YamlDocument, entries: Mapping[str, Any]) -> bytes:
    return edit_yaml(document, {_BLENDS: entries}, scalars=ScalarMode.TEXT).encode()


def _facts(blend: Blend) -> dict[str, Any]:
    """A blend's entry as a mapping."""
    facts: dict[str, Any] = {"recipe": str(blend.recipe)}
    if blend.title:
        facts["title"] = blend.title
    if blend.language is not None:
        facts["language"] = blend.language
    if blend.description:
        facts["description"] = blend.description
    if blend.spherical:
        facts["spherical"] = True
    if not blend.normalized:
        facts["normalized"] = False
    return facts


def _changed(blend: Blend, before: Blend, written: Any) -> Any:
    """The entry of a changed blend; fields that are the same in both are preserved as written."""
    if blend == before:
        return written
    entry = written if isinstance(written, dict) else {"recipe": written}
    facts = _facts(blend)
    same = {key for key in entry if getattr(blend, key) == getattr(before, key)}
    changed = {key: entry[key] if key in same else facts[key] for key in entry if key in same or key in facts}
    changed |= {key: value for key, value in facts.items() if key not in entry}
    return changed["recipe"] if isinstance(written, str) and [*changed] == ["recipe"] else changed
