"""Cutting of text into pieces that libespeak-ng can render in one step.

The library renders the text of a call in one go, in clause buffers of fixed size: long text would make a
step of any length, and words that no dictionary foresaw overrun the buffers. So text is cut by how long it
takes to say rather than by its length, and words are broken where version 1.52.0 is known to fail: between
scripts, after runs of symbols, when they do not end. What still crashes it is contained by
`engines/espeak/process.py`.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache

from wyoming_tts.engines.espeak.mnemonics import to_mnemonics
from wyoming_tts.ipa import split_phoneme_blocks
from wyoming_tts.offset_text import group, join_texts, standing_for, with_offsets_of

PIECE_WEIGHT = 240
"""Most that one call of the library gets, in letters: about 15 s of speech."""
WORD_WEIGHT = 120
"""Most that a word may have, in letters; longer ones get gaps."""

_SYMBOL_WEIGHT = 8
_DIGIT_WEIGHT = 4
_IDEOGRAPH_WEIGHT = 3

# Written without spaces between them, and read by one voice.
_EAST_ASIAN = frozenset({"CJK", "HIRAGANA", "KATAKANA", "HANGUL", "BOPOMOFO", "IDEOGRAPHIC"})
# Scripts that some voice reads. Letters of others are spelled out as names or code points.
_SCRIPT_NAMES = (
    "LATIN CYRILLIC GREEK ARABIC HEBREW ARMENIAN GEORGIAN ETHIOPIC CHEROKEE SHAVIAN THAI MYANMAR SINHALA "
    "TAMIL TELUGU KANNADA MALAYALAM DEVANAGARI BENGALI GUJARATI GURMUKHI ORIYA FULLWIDTH HALFWIDTH "
    "COMBINING VARIATION ZERO"
)
_READ_SCRIPTS = frozenset(_SCRIPT_NAMES.split())
_EAST_ASIAN_STOPS = "。，！？；：、"
_CLAUSE_END = re.compile(rf"[.,;:!?…{_EAST_ASIAN_STOPS}][\"'’”»)\]]*$")


@dataclass(frozen=True, slots=True)
class EspeakPiece:
    """Text for one call of the library."""

    text: str
    pause_after: bool = False
    """Whether it ends with punctuation and more follows, so that its pause has to be spoken."""


@dataclass(frozen=True, slots=True)
class _Token:
    """A word or a gap."""

    text: str
    weight: int = 1
    ends_clause: bool = False


_GAP = _Token(" ")


def cut_text(text: str) -> Iterator[EspeakPiece]:
    """Cut a text lazily into pieces of bounded weight, at punctuation if there is any, else between words.

    Characters that are commands to the library (controls, its private marks) become spaces, lone
    surrogates vanish.
    """
    return _cut(_words(text))


def cut_text_with_phonemes(text: str, inventory: frozenset[str]) -> Iterator[EspeakPiece]:
    """Cut as `cut_text` does, for a call of the library with its flag for phonemes in double brackets.

    IPA becomes mnemonics of the voice, all of which are in `inventory`; other double brackets become
    spaces, so that the library does not take their content for phonemes.
    """
    return _cut(_words_and_phonemes(text, inventory))


def _cut(tokens: Iterable[_Token]) -> Iterator[EspeakPiece]:
    held: list[_Token] = []
    weight = 0
    for token in tokens:
        while held and weight + token.weight > PIECE_WEIGHT:
            at = _best_cut(held)
            yield _piece(held[:at], more=True)
            held = held[at:]
            weight = _weight_of(held)
        held.append(token)
        weight += token.weight
    if any(not token.text.isspace() for token in held):
        yield _piece(held, more=False)


def _weight_of(tokens: Iterable[_Token]) -> int:
    return sum(token.weight for token in tokens)


def _best_cut(tokens: list[_Token]) -> int:
    """Where to cut: after the last clause of the second half, else after the last gap, else at the end."""
    gap = 0
    weight = _weight_of(tokens)
    for at in range(len(tokens), 0, -1):
        if tokens[at - 1].ends_clause and weight >= PIECE_WEIGHT // 2:
            return at
        if tokens[at - 1].text.isspace():
            gap = gap or at
        weight -= tokens[at - 1].weight
    return gap or len(tokens)


def _piece(tokens: list[_Token], *, more: bool) -> EspeakPiece:
    spoken = [token for token in tokens if not token.text.isspace()]
    text = join_texts(token.text for token in tokens)
    return EspeakPiece(text, pause_after=more and bool(spoken) and spoken[-1].ends_clause)


def _words_and_phonemes(text: str, inventory: frozenset[str]) -> Iterator[_Token]:
    is_glued = False
    for part in split_phoneme_blocks(text):
        if part.is_ipa:
            if is_glued:  # behind a bracket the library would say nothing of it
                yield _GAP
            yield from _phonemes(part.text, inventory)
        else:
            yield from _words(_without_double_brackets(part.text))
        is_glued = not part.is_ipa and not part.text[-1].isspace()


def _without_double_brackets(text: str) -> str:
    return with_offsets_of(text.replace("[[", "  ").replace("]]", "  "), text)


def _phonemes(ipa: str, inventory: frozenset[str]) -> Iterator[_Token]:
    for number, word in enumerate(to_mnemonics(ipa, inventory).split()):
        if number:
            yield _GAP
        yield _Token(standing_for(f"[[{word}]]", ipa), len(word))


def _words(text: str) -> Iterator[_Token]:
    for match in re.finditer(r"\s+|\S+", text):
        if match[0].isspace():
            yield _GAP
        else:
            yield from _break_word(group(match))


def _break_word(word: str) -> Iterator[_Token]:
    """The word, with gaps where the library would otherwise fail."""
    start = weight = marks = 0
    script = ""
    for at, character in enumerate(word):
        own_script, own_weight = _traits(character)
        foreign = bool(own_script and script and own_script != script)
        glued = bool(own_script) and marks > 1
        ended = at > start and word[at - 1] in _EAST_ASIAN_STOPS and character not in _EAST_ASIAN_STOPS
        if at > start and (foreign or glued or ended or weight + own_weight > WORD_WEIGHT):
            yield _word(word[start:at], weight)
            yield _GAP
            start, weight = at, 0
        weight += own_weight
        marks = marks + 1 if own_weight == _SYMBOL_WEIGHT else 0
        script = own_script or script
    yield _word(word[start:], weight)


def _word(word: str, weight: int) -> _Token:
    text = _readable_text(word)
    if _CLAUSE_END.search(text) is None:
        return _Token(text, weight)
    # The mark at the end is not said but heard as a pause.
    return _Token(text, weight - _SYMBOL_WEIGHT + 1, ends_clause=True)


@lru_cache(maxsize=4096)
def _traits(character: str) -> tuple[str, int]:
    """Script of a letter ("" for anything else), and the weight of the character."""
    if character.isdecimal():
        return "", _DIGIT_WEIGHT
    script = unicodedata.name(character, "UNKNOWN").split()[0].partition("-")[0]
    weight = 1 if script in _READ_SCRIPTS else _SYMBOL_WEIGHT
    if unicodedata.category(character).startswith("M"):
        return "", weight
    if not character.isalpha():
        return "", _SYMBOL_WEIGHT
    return ("CJK", _IDEOGRAPH_WEIGHT) if script in _EAST_ASIAN else (script, weight)


def _readable_text(word: str) -> str:
    text = "".join(map(_readable, word))
    if len(text) == len(word):
        return with_offsets_of(text, word)
    return join_texts(
        with_offsets_of(_readable(character), word[at : at + 1])
        for at, character in enumerate(word)
        if _readable(character)
    )


@lru_cache(maxsize=4096)
def _readable(character: str) -> str:
    """The character, a space for one that is a command to the library, nothing for a lone surrogate."""
    category = unicodedata.category(character)
    if category == "Cs":
        return ""
    return " " if category in {"Cc", "Co", "Cn"} else character
