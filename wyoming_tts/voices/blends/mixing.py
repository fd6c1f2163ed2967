"""Blending of Kokoro voices: weighted mixing of style tables, linear or spherical, also of nested blends.

A Kokoro voice is a table of style vectors, a row for each length of text. A blend mixes such tables row
by row, along straight lines or along arcs. It may contain other blends, each mixed in its own way first;
a `BlendSet` holds all blends and refuses cycles.

The language is a property of the phonemes, not of the table. So a blend whose voices speak several languages
specifies one; `BlendSet.language` defines the default for one that does not.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from hashlib import sha256
from types import MappingProxyType
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from wyoming_tts.errors import BadRequest, TooLong, UnknownVoice
from wyoming_tts.languages import is_tag, published_tag
from wyoming_tts.messages import Message
from wyoming_tts.style_tables import StyleTable, check_style_table
from wyoming_tts.voices.blends.recipes import Recipe, check_name
from wyoming_tts.voices.blends.titles import is_spelling
from wyoming_tts.voices.names import did_you_mean

MAX_DESCRIPTION = 200
MAX_TITLE = 64
MAX_DEPTH = 16
"""Most levels of nested blends."""

# Twice what Newton-like steps need for styles as far apart as Kokoro's.
_STEPS = 50
_CLOSE_ENOUGH = 1e-12
_TOO_SHORT = 1e-9
_Table64: TypeAlias = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Blend:
    """A recipe with a name, and how it is mixed and spoken."""

    name: str
    recipe: Recipe
    language: str | None = None
    """Language tag to speak, such as `en_US`; None takes that of the voices."""
    description: str = ""
    """One line."""
    spherical: bool = False
    """Mix along arcs: keeps the length of the vectors, which straight mixing shortens."""
    normalized: bool = True
    """Divide the weights by the sum of their magnitudes, as Kokoro-FastAPI does."""
    title: str = ""
    """The name as people write it, one line; empty where that is `name`."""

    def __post_init__(self) -> None:
        check_name(self.name)
        object.__setattr__(self, "language", parse_blend_language(self.language))
        self._check_words()
        if self.spherical and any(part.weight < 0 for part in self.recipe.parts):
            raise BadRequest(
                Message(
                    "blend_subtracts",
                    "{name} subtracts voices, which spherical mixing does not support.",
                    name=self.name,
                ),
                hint=Message("blend_linearly", "Mix it linearly, or leave out the voices with a minus."),
            )

    @property
    def shown_title(self) -> str:
        """The name as people write it; empty where that is `name`.

        A blend without a title may have it for a description: former versions stored it there.
        """
        return self.title or (self.description if is_spelling(self.description, self.name) else "")

    def called(self, name: str, title: str = "") -> Blend:
        """The same mix under another name, without what is written of the former one."""
        description = "" if self.description == self.shown_title else self.description
        return replace(self, name=name, title=title, description=description)

    def _check_words(self) -> None:
        if len(self.title) > MAX_TITLE:
            raise TooLong(
                Message(
                    "blend_title",
                    "The title has {length} characters, expected at most {most}.",
                    length=len(self.title),
                    most=MAX_TITLE,
                )
            )
        if not self.title.isprintable():
            raise BadRequest(
                Message(
                    "blend_title_line",
                    "The title {title} is expected to be one line of text.",
                    title=repr(self.title),
                )
            )
        if len(self.description) > MAX_DESCRIPTION:
            raise TooLong(
                Message(
                    "blend_description",
                    "The description has {length} characters, expected {most}.",
                    length=len(self.description),
                    most=MAX_DESCRIPTION,
                )
            )
        if not self.description.isprintable():
            raise BadRequest(
                Message(
                    "blend_one_line",
                    "The description {description} is expected to be one line of text.",
                    description=repr(self.description),
                )
            )

    @classmethod
    def unnamed(cls, recipe: Recipe) -> Blend:
        """A transient blend, from a recipe given in place of a voice's name."""
        return cls("unnamed", recipe)


@dataclass(frozen=True, slots=True)
class SpokenLanguage:
    """The language that a blend speaks."""

    tag: str
    is_certain: bool
    """False if its voices speak several and none is specified: that of the heaviest voice is taken."""


@dataclass(frozen=True, slots=True)
class BlendSet:
    """Blends by name, without cycles; other names in their recipes are voices of the pack."""

    blends: Mapping[str, Blend] = field(default_factory=lambda: MappingProxyType({}))

    def __post_init__(self) -> None:
        object.__setattr__(self, "blends", MappingProxyType(dict(self.blends)))
        depths: dict[str, int] = {}
        for name in self.blends:
            self._check_depth(name, (), depths)

    @classmethod
    def of(cls, blends: Iterable[Blend]) -> BlendSet:
        """Make a set of blends; of two with one name the last stays.

        Raises:
            BadRequest: a blend contains itself, directly or through others, or is nested too deeply.
        """
        return cls({blend.name: blend for blend in blends})

    def pack_voices(self, blend: Blend) -> frozenset[str]:
        """The pack's voices that a blend contains, directly or through other blends."""
        found: set[str] = set()
        for part in self._nested(blend):
            found.update(name for name in part.recipe.voices if name not in self.blends)
        return frozenset(found)

    def users(self, name: str) -> tuple[str, ...]:
        """Names of the blends whose recipes contain the voice or blend, sorted."""
        return tuple(sorted(blend.name for blend in self.blends.values() if name in blend.recipe.voices))

    def identity(self, blend: Blend) -> str:
        """Fingerprint of the sound: sixteen hexadecimal digits, independent of how it is called."""
        lines = sorted(
            f"{'' if part is blend else part.name}={part.recipe} "
            f"{part.spherical} {part.normalized} {part.language}"
            for part in self._nested(blend)
        )
        return sha256("\n".join(lines).encode()).hexdigest()[:16]

    def language(self, blend: Blend, voices: Mapping[str, str]) -> SpokenLanguage:
        """The language of a blend: its own, else its voices', else that of the heaviest (first by name).

        Args:
            blend: A blend of this set, or one that contains its blends.
            voices: Language tags of the pack's voices by name.

        Raises:
            UnknownVoice: a voice is neither in the pack nor a blend.
        """
        if blend.language is not None:
            return SpokenLanguage(blend.language, is_certain=True)
        spoken = {name: self._part_language(name, voices) for name in blend.recipe.voices}
        heaviest = max(blend.recipe.parts, key=lambda part: part.weight).voice
        certain = len({language.tag for language in spoken.values()}) == 1
        return SpokenLanguage(
            spoken[heaviest].tag, is_certain=certain and all(each.is_certain for each in spoken.values())
        )

    def mix(self, blend: Blend, style: Callable[[str], StyleTable]) -> StyleTable:
        """Mix the style table of a blend, shape (n, 1, 256), float32; each nested blend is mixed once.

        Args:
            blend: A blend of this set, or one that contains its blends.
            style: Gives the style table of a voice of the pack, shape (n, 1, 256) or (n, 256).

        Raises:
            BadRequest: the tables differ in size.
        """
        return self._mixed(blend, style, {})

    def _mixed(
        self, blend: Blend, style: Callable[[str], StyleTable], known: dict[str, StyleTable]
    ) -> StyleTable:
        for name in blend.recipe.voices:
            if name not in known:
                inner = self.blends.get(name)
                known[name] = (
                    check_style_table(style(name), name)
                    if inner is None
                    else self._mixed(inner, style, known)
                )
        return mix(blend, [known[name] for name in blend.recipe.voices])

    def _part_language(self, name: str, voices: Mapping[str, str]) -> SpokenLanguage:
        if (inner := self.blends.get(name)) is not None:
            return self.language(inner, voices)
        if name in voices:
            return SpokenLanguage(voices[name], is_certain=True)
        hint = did_you_mean(name, [*voices, *self.blends])
        raise UnknownVoice(
            Message("blend_no_voice", "There is no Kokoro voice {name} to blend.", name=repr(name)), hint=hint
        )

    def _nested(self, blend: Blend) -> Iterator[Blend]:
        """The blend, then the nested ones, each once."""
        seen, waiting = set(), [blend]
        while waiting:
            yield (part := waiting.pop(0))
            inner = [name for name in part.recipe.voices if name in self.blends and name not in seen]
            seen.update(inner)
            waiting += [self.blends[name] for name in inner]

    def _check_depth(self, name: str, path: tuple[str, ...], depths: dict[str, int]) -> int:
        """Return the nesting depth of the named blend; each blend is visited once."""
        if name in path:
            cycle = " → ".join((*path[path.index(name) :], name))
            raise BadRequest(
                Message(
                    "blend_cycle", "The blend {name} would contain itself: {cycle}.", name=name, cycle=cycle
                )
            )
        if len(path) >= MAX_DEPTH:
            raise BadRequest(_too_deep(path[0]))
        if name not in depths:
            inner = [part for part in self.blends[name].recipe.voices if part in self.blends]
            below = (self._check_depth(part, (*path, name), depths) for part in inner)
            depths[name] = 1 + max(below, default=0)
        if len(path) + depths[name] > MAX_DEPTH:
            raise BadRequest(_too_deep((*path, name)[0]))
        return depths[name]


def _too_deep(name: str) -> Message:
    return Message(
        "blend_depth", "The blend {name} holds blends more than {most} deep.", name=name, most=MAX_DEPTH
    )


def mix(blend: Blend, tables: list[StyleTable]) -> StyleTable:
    """Mix style tables, given in the order of the recipe's voices, by their weights.

    Sums are taken in float64, so the result is the exact one to the last bit or two of float32. One
    voice of weight 1 is returned as it is. Along straight lines it is the weighted sum. Along arcs the
    direction is the weighted mean on the sphere (Buss and Fillmore, Spherical Averages and Applications
    to Spherical Splines and Interpolation, 2001; of two vectors it is Shoemake's slerp, Animating Rotation
    with Quaternion Curves, 1985), and the length the weighted sum of the lengths; rows without such a
    mean, where a vector is zero or they cancel out, are mixed along straight lines.

    Raises:
        BadRequest: the tables differ in their number of rows.
    """
    rows = {name: len(table) for name, table in zip(blend.recipe.voices, tables, strict=True)}
    if len(set(rows.values())) > 1:
        counts = ", ".join(f"{name} {count}" for name, count in rows.items())
        raise BadRequest(
            Message(
                "blend_lengths",
                "The style tables of {name} differ in length: {counts} rows.",
                name=blend.name,
                counts=counts,
            )
        )
    weights = _weights(blend)
    if weights.tolist() == [1.0]:
        return tables[0]
    stacked = np.stack(tables).astype(np.float64)
    result = _spherical_mean(stacked, weights) if blend.spherical else _sum(stacked, weights)
    return result.astype(np.float32)


def parse_blend_language(tag: str | None) -> str | None:
    """Normalize a language tag: `en_US` for `en-us`; None for no tag.

    Raises:
        BadRequest: it is no language tag.
    """
    if not tag:
        return None
    published = published_tag(tag) if is_tag(tag) else None
    if published is None:
        raise BadRequest(
            Message("blend_tag", "{tag} is not a language tag.", tag=repr(tag)),
            hint=Message("blend_tag_such_as", "Expected a tag such as {example}.", example="en_US"),
        )
    return published


def _weights(blend: Blend) -> _Table64:
    weights = [part.weight for part in blend.recipe.parts]
    whole = sum(abs(weight) for weight in weights) if blend.normalized else 1
    return np.array([float(weight / whole) for weight in weights])


def _sum(tables: _Table64, weights: _Table64) -> _Table64:
    """Sum over the first axis."""
    total: _Table64 = np.tensordot(weights, tables, axes=1)
    return total


def _spherical_mean(tables: _Table64, weights: _Table64) -> _Table64:
    shares = weights / weights.sum()
    lengths = _length(tables)
    units = tables / np.where(lengths > 0, lengths, 1)
    centre = _sum(units, shares)
    has_mean = (lengths > 0).all(axis=0) & (_length(centre) > _TOO_SHORT)
    centre /= np.where(has_mean, _length(centre), 1)
    for _ in range(_STEPS):
        step = _sum(_on_tangent(units, centre), shares)
        angle = np.where(has_mean, _length(step), 0)
        centre = np.cos(angle) * centre + np.sinc(angle / np.pi) * step
        if angle.max() < _CLOSE_ENOUGH:
            break
    return np.where(has_mean, centre * _sum(lengths, weights), _sum(tables, weights))


def _on_tangent(units: _Table64, centre: _Table64) -> _Table64:
    """Logarithmic map: tangent vectors with the direction and length of the arcs from centre to units."""
    cosine = (units * centre).sum(axis=-1, keepdims=True)
    across = units - cosine * centre
    sine = _length(across)
    scale = np.divide(np.arctan2(sine, cosine), sine, out=np.ones_like(sine), where=sine > 0)
    straight: _Table64 = across * scale
    return straight


def _length(vectors: _Table64) -> _Table64:
    length: _Table64 = np.linalg.norm(vectors, axis=-1, keepdims=True)
    return length
