"""Conversion of IPA to the phoneme mnemonics of espeak-ng, by which its voices speak `[[ phonemes ]]`.

The library reads mnemonics, ASCII after Kirshenbaum, of which each voice has its own set: one that the
voice lacks silences the rest of the word. So the set is read from the library's data, and each sign becomes
the nearest mnemonic that the voice has. Signs for details that no voice renders (aspiration, tone) are left
out.
"""

from __future__ import annotations

import re
import struct
import unicodedata
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path
from typing import Final

from wyoming_tts.ipa import normalize_ipa
from wyoming_tts.languages import split_subtags

MAX_WORD_PHONEMES: Final = 60
"""Most phonemes of one word; the library's buffers hold 200, with what it adds."""

# Each sign with its mnemonics, the best first; what they sound like is in the data of version 1.52.0.
_SIGNS: Final = """
p p | b b | t t | d d | k k | ɡ g | f f | v v | s s | z z | h h | m m | n n | l l | w w w# | j j
θ T t s | ð D d z | ʃ S s | ʒ Z z S | ŋ N n | ɲ n^ n | ʎ l^ l | ɹ r | r r | ʁ r | ʀ r | ɻ r | ɽ * r | ɾ * r
x x X k h | χ X x k | ç C S | ɣ Q g | β B b | ɸ f | ʋ v# v | ɱ m | ɕ S; S | ʑ Z; Z | ɧ S | ʂ s. S | ʐ z. Z
ʈ t. t | ɖ d. d | ɳ n. n | ɭ l. l | ɫ L l | ɬ l# l | ʍ w# w | ɥ y w | ɰ w | c c k | ɟ J g | ʝ J^ j | q q k
ʜ h | ʟ l | ɮ l | ɺ r | ʘ p | ɓ b | ɗ d | ʄ J g | ɠ g | ʛ g
ɢ g | ɴ N | ʔ ? | ʕ ? | ħ h | ɦ h | ʙ b | tʃ tS | dʒ dZ | ts ts | dz dz | pf pF | tɕ tS; tS | dʑ dZ; dZ
ʧ tS t | ʤ dZ d | ʦ ts s | ʣ dz z | ʨ tS; tS | ʥ dZ; dZ | n̩ n- n | m̩ m- m | l̩ @L l- l | ŋ̩ N- N | ɫ̩ @L l
i i i: I | iː i: i | ɪ I i | ɨ I2 I i | ᵻ I2# I2 I i | y y y: u | yː y: y u: u | ʏ y Y U u
e e E eI | eː e: eI e | ɛ E e | ɛː E: e@ E e | ɛə e@ | eə e@ | æ a E | æː aa a
ə @ a# V a | ɚ 3 @ e | ɝ 3: @ e | ɜ 3: 3 @ e | ɜː 3: 3 @ e | ɘ @ e | ɞ 3: @ e | ɐ a# V a | ʌ V a# a
a a | aː a: A: a | ɑ A A: a | ɑː A: a: A a | ɒ 0 O A: o a | ɒː 0 O: A: o a | ɶ a
ɔ O 0 o | ɔː O: O o: o | o o oU O | oː o: oU o | ʊ U u | u u u: | uː u: u | ʉ u u: | ʉː u: u | ɯ u u: | ɤ o V
ø Y Y: W 3: @ e | øː Y: Y 3: @ e | œ W Y Y: 3: @ e | œː W Y: Y 3: @ e | ɵ 8 @ o
ɑ̃ A~ | ã A~ | ɛ̃ E~ | ẽ E~ | ɔ̃ O~ | õ O~ | œ̃ W~ E~
eɪ eI EI | ɛɪ EI eI | ɛi EI eI | aɪ aI | aɪə aI@ | ɔɪ OI OY oI | ɔʏ OY OI | ɔø OY OI | aʊ aU | oʊ oU
əʊ oU | ɪə i@ | iə i@ | ʊə U@ | œy Wy | ʌu VU | eʊ eU
"""

_BOUNDARIES: Final = {"ˈ": "'", "ˌ": ",", " ": " ", "‿": "", ".": "", "-": "", "|": " ", "‖": " "}
_STRESSES: Final = ("'", ",")

_TABLE_HEAD: Final = struct.Struct("<BB2x32s")
_PHONEME: Final = struct.Struct("<4s6xBB4x")
_COMMON_TABLE: Final = "consonants"


def _signs() -> dict[str, tuple[str, ...]]:
    rows = (entry.split() for entry in re.split(r"[|\n](?=\s|\S)", _SIGNS) if entry.strip())
    return {unicodedata.normalize("NFD", sign): tuple(known) for sign, *known in rows}


_MNEMONICS: Final = _signs()
_LONGEST: Final = max(map(len, _MNEMONICS))


def to_mnemonics(ipa: str, inventory: frozenset[str]) -> str:
    """Convert IPA for a voice with these mnemonics, a space between words; empty if it holds no sound.

    A vertical bar stands between two mnemonics that would otherwise be read as a third.
    """
    words = [_convert(word, inventory) for word in _words(ipa)]
    return " ".join(word for word in words if word.strip("',"))


def _words(ipa: str) -> Iterator[str]:
    for word in normalize_ipa(ipa).replace("|", " ").replace("‖", " ").split():
        for start in range(0, len(word), MAX_WORD_PHONEMES):
            yield word[start : start + MAX_WORD_PHONEMES]


def _convert(word: str, inventory: frozenset[str]) -> str:
    converted: list[str] = []
    at = 0
    while at < len(word):
        taken, mnemonic = _next(word, at, inventory)
        at += taken
        if not mnemonic:
            continue
        if converted and _would_merge(converted[-1], mnemonic, inventory):
            converted.append("|")
        converted.append(mnemonic)
    while converted and converted[-1] in _STRESSES:
        converted.pop()
    return "".join(converted)


def _next(word: str, at: int, inventory: frozenset[str]) -> tuple[int, str]:
    """The next mnemonic, for as many signs as the voice has one for, and their number; empty for none."""
    for length in range(min(_LONGEST, len(word) - at), 0, -1):
        known = _MNEMONICS.get(word[at : at + length], ())
        mnemonic = next((candidate for candidate in known if candidate in inventory), None)
        if mnemonic is not None:
            return length, mnemonic
    return 1, _BOUNDARIES.get(word[at], "")


def _would_merge(first: str, second: str, inventory: frozenset[str]) -> bool:
    """Whether the voice has a longer mnemonic with which these two together begin."""
    if first in _STRESSES or second in _STRESSES:
        return False
    pair = first + second
    return any(pair[:length] in inventory for length in range(len(first) + 1, len(pair) + 1))


def read_inventory(data: Path, identifier: str) -> frozenset[str]:
    """Read the mnemonics of a voice from the data; those common to all voices if it names no others.

    Args:
        data: The library's data directory.
        identifier: Path of the voice's file below the data's `lang`.

    Raises:
        OSError: the data cannot be read.
    """
    tables = _read_tables(data / "phontab")
    lines = (data / "lang" / identifier).read_text(encoding="utf-8").splitlines()
    return next((tables[name] for name in _table_names(lines) if name in tables), tables[_COMMON_TABLE])


def _table_names(lines: list[str]) -> Iterator[str]:
    """Possible names of the voice's table, the likeliest first."""
    fields = [line.split() for line in lines]
    for key in ("phonemes", "language"):
        for words in fields:
            if words[:1] == [key] and len(words) > 1:
                yield words[1].lower()
                yield split_subtags(words[1].lower())[0]


@lru_cache(maxsize=2)
def _read_tables(path: Path) -> dict[str, frozenset[str]]:
    """Read the mnemonics of each phoneme table, with those of the table that it extends."""
    content = path.read_bytes()
    found: list[tuple[str, dict[int, str]]] = []
    at = 4
    for _ in range(content[0]):
        count, base, name = _TABLE_HEAD.unpack_from(content, at)
        at += _TABLE_HEAD.size
        phonemes = dict(found[base - 1][1]) if base else {}
        for _ in range(count):
            mnemonic, code, _kind = _PHONEME.unpack_from(content, at)
            at += _PHONEME.size
            phonemes[code] = mnemonic.rstrip(b"\0").decode("latin-1")
        found.append((name.split(b"\0")[0].decode(), phonemes))
    return {name: frozenset(phonemes.values()) for name, phonemes in found}
