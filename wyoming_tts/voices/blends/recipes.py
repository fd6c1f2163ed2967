"""Recipes of blends: parser and canonical form of voices with weights, in every common notation.

Accepted are `af_bella(2)+af_sky(1)` and with `-` as in Kokoro-FastAPI, repeats as weights
(`af_aoede+af_aoede+af_nicole`), `60*af_bella+40*af_sky`, `af_bella:60,af_sky:40`, and any mixture of
these. All mean sums, so one canonical form is printed: sorted by name, each voice once, weights in
parentheses unless they are 1: `af_bella(2)+af_sky`. What means the same is written the same.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from decimal import Decimal
from functools import reduce

from wyoming_tts.errors import BadRequest, TooLong
from wyoming_tts.messages import Message
from wyoming_tts.voices.names import NameIndex

MAX_LENGTH = 1000
"""Most characters of a recipe."""
MAX_PARTS = 32
"""Most voices of one recipe, counted before repeats are added up."""
MAX_NAME = 64
MAX_WEIGHT = Decimal(1000)
"""Magnitude of a weight, after repeats are added up."""
MAX_DECIMALS = 6

_NAME = re.compile(rf"[A-Za-z][A-Za-z0-9_]{{0,{MAX_NAME - 1}}}")
_TOKEN = re.compile(
    r"\s*(?:(?P<name>[A-Za-z][A-Za-z0-9_]*)|(?P<number>\d+\.?\d*|\.\d+)|(?P<mark>[-+,*:()]))", re.ASCII
)
_NAMES = re.compile(r"[A-Za-z][A-Za-z0-9_]*(?:-[A-Za-z0-9_]+)*")
_MAX_NAME_PARTS = 4
"""Parts between hyphens of a known name: those of Kokoro's voices have two."""
_EXAMPLE = Message(
    "recipe_example",
    "Write for example af_bella(2)+af_sky(1), 60*af_bella+40*af_sky or af_bella:60,af_sky:40.",
)
_THE_END = Message("recipe_end", "the end")
_WORDS = {
    "name": Message("recipe_name", "the name of a voice"),
    "number": Message("recipe_number", "a weight"),
    ",": Message("recipe_comma", "a comma"),
}


@dataclass(frozen=True, slots=True)
class WeightedVoice:
    """A voice of a recipe with its weight."""

    voice: str
    weight: Decimal = Decimal(1)
    """Relative to the others, not zero; a negative one subtracts the voice."""

    def __post_init__(self) -> None:
        check_name(self.voice)
        _check_weight(self.voice, self.weight)


@dataclass(frozen=True, slots=True)
class Recipe:
    """Voices and their weights: sorted by name, each once, one weight at least above zero."""

    parts: tuple[WeightedVoice, ...]

    def __post_init__(self) -> None:
        names = [part.voice for part in self.parts]
        if names != sorted(set(names)):
            raise ValueError(f"the voices {names} are not sorted and unique: make recipes with Recipe.of")
        if len(names) > MAX_PARTS:
            raise TooLong(_too_many(len(names)))
        if not any(part.weight > 0 for part in self.parts):
            raise BadRequest(
                Message("recipe_empty", "Nothing is left of the recipe: no voice has a weight above 0."),
                hint=Message("recipe_needs_one", "A blend needs at least one voice that is added."),
            )

    @classmethod
    def of(cls, parts: Iterable[tuple[str, Decimal]]) -> Recipe:
        """Add up the weights of each voice, drop what cancels out, and sort.

        Raises:
            BadRequest: a name or weight is out of form or range, or nothing is left.
        """
        weights: dict[str, Decimal] = {}
        for voice, weight in parts:
            weights[voice] = weights.get(voice, Decimal(0)) + weight
        return cls(tuple(WeightedVoice(voice, weight) for voice, weight in sorted(weights.items()) if weight))

    @property
    def voices(self) -> tuple[str, ...]:
        """The names in it, sorted."""
        return tuple(part.voice for part in self.parts)

    def renamed(self, old: str, new: str) -> Recipe:
        """The recipe with one voice renamed."""
        return Recipe.of((new if part.voice == old else part.voice, part.weight) for part in self.parts)

    def __str__(self) -> str:
        written = "".join(_written(part) for part in self.parts)
        return written.removeprefix("+")


def parse_recipe(text: str, known: Iterable[str] = ()) -> Recipe:
    """Parse a recipe in any accepted notation; `parse_recipe(str(recipe)) == recipe`.

    Args:
        text: The recipe.
        known: Names of voices, which may be written in another case and with `-` for `_`; a hyphen that is
            part of none of them is a minus.

    Raises:
        TooLong: it has more than MAX_LENGTH characters or MAX_PARTS voices.
        BadRequest: it is malformed; the message says where and what was expected.
    """
    if len(text) > MAX_LENGTH:
        raise TooLong(
            Message(
                "recipe_too_long",
                "The recipe has {length} characters, expected at most {most}.",
                length=len(text),
                most=MAX_LENGTH,
            )
        )
    return Recipe.of(_Parser(_with_known_names(text, known)).parts())


def _with_known_names(text: str, known: Iterable[str]) -> str:
    """The recipe with each known name as it is known."""
    index = NameIndex((name, name) for name in known)
    return _NAMES.sub(lambda names: "-".join(_known_names(names[0].split("-"), index)), text)


def _known_names(parts: list[str], known: NameIndex[str]) -> Iterator[str]:
    """The names between the hyphens of `af-bella-af_sky`, the shortest that is known before longer ones."""
    at = 0
    while at < len(parts):
        counts = range(1, min(_MAX_NAME_PARTS, len(parts) - at) + 1)
        found = ((count, known.find("-".join(parts[at : at + count]))) for count in counts)
        count, name = next(((count, name) for count, name in found if name is not None), (1, parts[at]))
        yield name
        at += count


def looks_like_recipe(name: str) -> bool:
    """Whether a voice's name is a recipe: names of blends and Kokoro voices contain none of its operators."""
    return any(mark in name for mark in "+*:,(") or re.search(r"\w\s*-\s*[a-z][fm]_", name) is not None


def check_name(name: str) -> None:
    """Refuse an invalid name for a blend or for a voice in one.

    Raises:
        BadRequest: it is not a letter followed by up to MAX_NAME - 1 ASCII letters, digits or `_`.
    """
    if not _NAME.fullmatch(name):
        raise BadRequest(
            Message(
                "blend_name",
                "{name} is not a valid name for a blend or a voice in one.",
                name=repr(name[: MAX_NAME + 1]),
            ),
            hint=Message(
                "blend_name_letters",
                "Expected a letter, then letters, digits or _, up to {most} characters: af_bella.",
                most=MAX_NAME,
            ),
        )


@dataclass(frozen=True, slots=True)
class _Token:
    kind: str
    text: str
    column: int


class _Parser:
    """One pass over the tokens; every part is `[sign] [number *] name [(number) | :number | *number]`."""

    def __init__(self, text: str) -> None:
        self._tokens = list(_tokens(text))
        self._at = 0

    def parts(self) -> list[tuple[str, Decimal]]:
        parts = [self._part(self._sign())]
        while self._now.kind != "end":
            if len(parts) == MAX_PARTS:
                raise TooLong(_too_many(MAX_PARTS + 1))
            mark = self._take("+", "-", ",")
            sign = self._sign() if mark == "," else Decimal(-1 if mark == "-" else 1)
            parts.append(self._part(sign))
        return parts

    @property
    def _now(self) -> _Token:
        return self._tokens[self._at]

    def _part(self, sign: Decimal) -> tuple[str, Decimal]:
        weight = None
        if self._now.kind == "number":
            weight = self._number()
            self._take("*")
        name = self._take("name")
        check_name(name)
        if self._now.text in {"(", ":", "*"}:
            if weight is not None:
                raise self._malformed(
                    Message(
                        "recipe_weight_twice",
                        "+, - or a comma: {voice} has the weight {weight} already",
                        voice=name,
                        weight=weight,
                    )
                )
            weight = self._weight_after()
        return name, sign * (Decimal(1) if weight is None else weight)

    def _weight_after(self) -> Decimal:
        mark = self._take("(", ":", "*")
        weight = self._sign() * self._number()
        if mark == "(":
            self._take(")")
        return weight

    def _sign(self) -> Decimal:
        if self._now.text in {"+", "-"}:
            return Decimal(-1 if self._take("+", "-") == "-" else 1)
        return Decimal(1)

    def _number(self) -> Decimal:
        token = self._now
        text = self._take("number")
        if len(text.partition(".")[2]) > MAX_DECIMALS or len(text) > MAX_LENGTH // 10:
            raise BadRequest(
                Message(
                    "recipe_digits",
                    "The weight {weight} at column {column} has too many digits.",
                    weight=text[:20],
                    column=token.column,
                ),
                hint=Message("most_decimals", "Expected at most {most} decimals.", most=MAX_DECIMALS),
            )
        return Decimal(text)

    def _take(self, *expected: str) -> str:
        token = self._now
        if token.kind not in expected and token.text not in expected:
            raise self._malformed(reduce(_either, map(_in_words, expected)))
        self._at += 1
        return token.text

    def _malformed(self, expected: str) -> BadRequest:
        token = self._now
        return _malformed(repr(token.text) if token.text else _THE_END, token.column, expected)


def _malformed(found: str, column: int, expected: str) -> BadRequest:
    return BadRequest(
        Message(
            "recipe_found",
            "The recipe has {found} at column {column}, expected {expected}.",
            found=found,
            column=column,
            expected=expected,
        ),
        hint=_EXAMPLE,
    )


def _in_words(what: str) -> str:
    return _WORDS.get(what, what)


def _either(one: str, other: str) -> Message:
    return Message("either", "{one} or {other}", one=one, other=other)


def _too_many(count: int) -> Message:
    return Message(
        "too_many_voices",
        "The recipe has {count} voices, expected at most {most}.",
        count=count,
        most=MAX_PARTS,
    )


def _tokens(text: str) -> Iterator[_Token]:
    at, end = 0, len(text.rstrip())
    while at < end:
        match = _TOKEN.match(text, at)
        if match is None:
            column = at + len(text[at:]) - len(text[at:].lstrip()) + 1
            expected = Message("recipe_parts", "a voice, weight or sign")
            raise _malformed(repr(text[column - 1]), column, expected)
        kind = match.lastgroup or ""
        yield _Token(kind, match[kind], match.start(kind) + 1)
        at = match.end()
    yield _Token("end", "", end + 1)


def _check_weight(voice: str, weight: Decimal) -> None:
    if not weight.is_finite() or not weight or abs(weight) > MAX_WEIGHT:
        raise BadRequest(
            Message(
                "recipe_weight",
                "The weight of {voice} is {weight}, expected at most {most} and not 0.",
                voice=voice,
                weight=weight,
                most=MAX_WEIGHT,
            )
        )
    exponent = weight.normalize().as_tuple().exponent
    if isinstance(exponent, int) and exponent < -MAX_DECIMALS:
        raise BadRequest(
            Message(
                "recipe_decimals",
                "The weight of {voice} is {weight}, expected at most {most} decimals.",
                voice=voice,
                weight=weight,
                most=MAX_DECIMALS,
            )
        )


def _written(part: WeightedVoice) -> str:
    sign, size = "-" if part.weight < 0 else "+", abs(part.weight)
    return f"{sign}{part.voice}" if size == 1 else f"{sign}{part.voice}({size.normalize():f})"
