"""Blends as YAML: read strictly, with the line of whatever is wrong, and written in one way."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from wyoming_tts.errors import SpeechError
from wyoming_tts.voices.blends import Blend, BlendBook
from wyoming_tts.voices.recipes import parse_recipe

PRESETS_NAME = "blends.yaml"
MAX_BYTES = 1_000_000

_HEAD = """\
# Blends of Kokoro voices, by name. You may edit this file; comments are lost when the server or
# the command line changes it.
"""
_MAX_DEPTH = 10
_FLAGS = {"true": True, "false": False}


class BlendsMalformed(Exception):
    """The YAML does not hold blends; the message names the line."""


def blends_from_yaml(content: bytes) -> dict[str, Blend]:
    """Read blends by name; nothing at all is no blends.

    Raises:
        BlendsMalformed: it is no YAML, or one entry is out of form.
    """
    import yaml  # noqa: PLC0415  # only who has blends pays for it

    if len(content) > MAX_BYTES:
        raise BlendsMalformed(f"it has {len(content)} bytes, expected at most {MAX_BYTES}.")
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    try:
        _check_depth(yaml.parse(content, Loader=loader))
        # Nodes know their lines; and aliases are not multiplied.
        root = yaml.compose(content, Loader=loader)
    except yaml.MarkedYAMLError as error:
        line = "" if error.problem_mark is None else f"line {error.problem_mark.line + 1}: "
        raise BlendsMalformed(f"{line}it is no YAML: {error.problem}.") from error
    except (yaml.YAMLError, UnicodeDecodeError, RecursionError) as error:
        raise BlendsMalformed(f"it is no YAML: {error}.") from error
    if root is None:
        return {}
    top = dict(_entries(root))
    if [*top] != ["blends"]:
        raise _malformed(root, f"got {', '.join(top) or 'nothing'}, expected one entry, `blends`")
    return {name: _blend(name, node) for name, node in _entries(top["blends"])}


def blends_to_yaml(blends: Mapping[str, Blend]) -> bytes:
    """Write blends, sorted by name; what is left to its default is left out."""
    import yaml  # noqa: PLC0415

    entries = {name: _facts(blend) for name, blend in sorted(blends.items())}
    dumper = getattr(yaml, "CSafeDumper", yaml.SafeDumper)
    body = yaml.dump({"blends": entries}, Dumper=dumper, allow_unicode=True, sort_keys=False, width=110)
    return (_HEAD + body).encode()


def load_presets(directory: Path) -> tuple[Blend, ...]:
    """Read the blends that came with the product from its data directory.

    Raises:
        BlendsMalformed: they are not as they were written.
        OSError: they are not there.
    """
    return tuple(BlendBook(blends_from_yaml((directory / PRESETS_NAME).read_bytes())).blends.values())


def _check_depth(events: Iterable[Any]) -> None:
    """Refuse early: composing recurses in C, and the process would die of a file of open brackets."""
    import yaml  # noqa: PLC0415

    depth = 0
    for event in events:
        depth += isinstance(event, yaml.CollectionStartEvent)
        depth -= isinstance(event, yaml.CollectionEndEvent)
        if depth > _MAX_DEPTH:
            raise _malformed(event, f"it is more than {_MAX_DEPTH} levels deep")


def _facts(blend: Blend) -> dict[str, Any]:
    facts: dict[str, Any] = {"recipe": str(blend.recipe)}
    if blend.language is not None:
        facts["language"] = blend.language
    if blend.description:
        facts["description"] = blend.description
    if blend.spherical:
        facts["spherical"] = True
    if not blend.normalized:
        facts["normalized"] = False
    return facts


def _blend(name: str, node: Any) -> Blend:
    only_recipe = node.id == "scalar" and not node.tag.endswith(":null")
    entries = {"recipe": node} if only_recipe else dict(_entries(node))
    _check_keys(node, entries)
    try:
        return Blend(
            name,
            parse_recipe(_text(entries["recipe"])),
            language=_text(entries["language"]) if "language" in entries else None,
            description=_text(entries["description"]) if "description" in entries else "",
            spherical=_flag(entries["spherical"]) if "spherical" in entries else False,
            normalized=_flag(entries["normalized"]) if "normalized" in entries else True,
        )
    except SpeechError as error:
        raise _malformed(node, f"the blend {name}: {error}", at_end=False) from error


def _check_keys(node: Any, keys: Iterable[str]) -> None:
    known = {"recipe", "language", "description", "spherical", "normalized"}
    if unknown := sorted(set(keys) - known):
        raise _malformed(node, f"got {', '.join(unknown)}, expected {', '.join(sorted(known))}")
    if "recipe" not in keys:
        raise _malformed(node, "expected a recipe such as `recipe: af_bella(2)+af_sky`")


def _entries(node: Any) -> Iterator[tuple[str, Any]]:
    if node.id != "mapping":
        if node.id == "scalar" and node.tag.endswith(":null"):
            return
        raise _malformed(node, f"got a {node.id}, expected entries `name: …`")
    seen = set()
    for key, value in node.value:
        name = _text(key)
        if name in seen:
            raise _malformed(key, f"{name} is there twice")
        seen.add(name)
        yield name, value


def _text(node: Any) -> str:
    if node.id != "scalar":
        raise _malformed(node, f"got a {node.id}, expected text")
    value: str = node.value
    return value


def _flag(node: Any) -> bool:
    text = _text(node).lower()
    if text not in _FLAGS:
        raise _malformed(node, f"got {text!r}, expected true or false")
    return _FLAGS[text]


def _malformed(node: Any, problem: str, *, at_end: bool = True) -> BlendsMalformed:
    return BlendsMalformed(f"line {node.start_mark.line + 1}: {problem}{'.' if at_end else ''}")
