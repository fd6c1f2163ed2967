"""Script runs (Unicode's scripts): words in a script that the text's language is not written in.

A voice cannot read them: espeak-ng names their letters one by one ("Chinese letter"), and most models know
no sound for them. So they become spans of the language that is most likely written in that script. Latin
letters belong to every language: all voices read them, and nothing tells which language they are.

    He said "Привет", and left.  ->  He said | "Привет",  (ru) | and left.

White space, digits and marks have no script. Between two words of one span they belong to it; at its edges
they are divided so that each mark stays with its own word, and numbers with the language around the span.
What becomes of a text does not depend on the pieces that it arrives in. Text in the language's own script
passes at once, except for an opening quote or bracket; a span waits for its first SURE_CHARS characters or
the end of its sentence, because a letter further on may tell its language.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from functools import cache, lru_cache
from itertools import groupby
from typing import Final

import regex  # type: ignore[import-untyped]  # the standard library knows no scripts

from wyoming_tts.languages import language_code
from wyoming_tts.offset_text import OffsetBuffer, join_texts, replace_characters
from wyoming_tts.text.plain_text import TextPiece

SURE_CHARS: Final = 32
"""Characters of a span by which its language is decided."""
_MAX_GAP = 64
"""Characters without a script after which a span has ended."""


class ScriptMode(StrEnum):
    """What is done with words in another script."""

    SWITCH = "switch"
    """A voice of their language speaks them."""
    SKIP = "skip"
    """They are left out."""
    SPELL = "spell"
    """Their letters are named, but Chinese characters, which have no names, are spoken by a voice of their
    own."""


@dataclass(frozen=True, slots=True)
class _Script:
    """A script, with the languages that are written in it by CLDR's likely subtags."""

    languages: frozenset[str]
    likeliest: str
    letters: str
    """Its characters, as part of a character class."""
    telling: tuple[tuple[str, str], ...] = ()
    """Letters, as a character class, and the language that they tell; the first that is found counts."""


def _script(languages: str, letters: str, *telling: tuple[str, str]) -> _Script:
    codes = languages.split()
    return _Script(frozenset(codes), codes[0], letters, telling)


_HAN, _KANA = "Hani", "Kana"
_SCRIPTS: Final = {
    "Arab": _script("ar fa ur ckb ks ps sd ug", r"\p{Arabic}", ("ٹڈڑںےھ", "ur"), ("پچژگکی", "fa")),
    "Armn": _script("hy hyw", r"\p{Armenian}"),
    "Beng": _script("bn as bpy", r"\p{Bengali}", ("ৰৱ", "as")),
    "Cher": _script("chr", r"\p{Cherokee}"),
    "Cyrl": _script(
        "ru ab ba be bg ce cv kk ky mk mn nog os sah sr tg tt uk",
        r"\p{Cyrillic}",
        ("ўЎ", "be"),
        ("ґєїҐЄЇ", "uk"),
        ("ђћљњјџЂЋЉЊЈЏ", "sr"),
        ("ѓќѕЃЌЅ", "mk"),
        ("җҖ", "tt"),
        ("қғұһҚҒҰҺ", "kk"),
        ("іІ", "uk"),
    ),
    "Deva": _script("hi bho kok mai mr ne sa", r"\p{Devanagari}"),
    "Ethi": _script("am ti", r"\p{Ethiopic}"),
    "Geor": _script("ka", r"\p{Georgian}"),
    "Grek": _script("el grc", r"\p{Greek}"),
    "Gujr": _script("gu", r"\p{Gujarati}"),
    "Guru": _script("pa", r"\p{Gurmukhi}"),
    "Hang": _script("ko", r"\p{Hangul}"),
    _HAN: _script("zh yue hak nan wuu ja ko", r"\p{Han}\p{Bopomofo}", (r"\p{Hiragana}\p{Katakana}", "ja")),
    "Hebr": _script("he yi", r"\p{Hebrew}"),
    _KANA: _script("ja", r"\p{Hiragana}\p{Katakana}"),
    "Khmr": _script("km", r"\p{Khmer}"),
    "Knda": _script("kn", r"\p{Kannada}"),
    "Laoo": _script("lo", r"\p{Lao}"),
    "Mlym": _script("ml", r"\p{Malayalam}"),
    "Mymr": _script("my shn", r"\p{Myanmar}"),
    "Orya": _script("or", r"\p{Oriya}"),
    "Sinh": _script("si", r"\p{Sinhala}"),
    "Taml": _script("ta", r"\p{Tamil}"),
    "Telu": _script("te", r"\p{Telugu}"),
    "Thaa": _script("dv", r"\p{Thaana}"),
    "Thai": _script("th", r"\p{Thai}"),
    "Tibt": _script("bo dz", r"\p{Tibetan}"),
}
_WRITTEN_TOGETHER: Final = {_KANA: _HAN}
"""Scripts whose letters are in one span with those of another."""
_SYMBOLS = "Grek"
"""Single letters of this script are symbols in any language: 10 kΩ, α, π/2."""

_OPENERS = "\"'“‘„‚«‹»›([{「『（【《〈〔¿¡"
_HELD_RE = regex.compile(rf"(?r)(?:^|(?<=\s))[{regex.escape(_OPENERS)}]{{1,8}}\Z")
"""Opening marks at the end, with nothing but white space before them; more of them open no word."""
_TERMINAL = "।॥。．！？｡…؟۔።.!?"
_INNER_TERMINAL = "।॥。．！？｡"
"""End a sentence where no space follows, too."""
_CLOSERS = "\"'”’“‘»«›‹)]}」』）】》〉〕"
_SENTENCE_END_RE = regex.compile(
    rf"[{regex.escape(_TERMINAL)}]++[{regex.escape(_CLOSERS)}]*+(?:\s++|(?<=[{_INNER_TERMINAL}][{regex.escape(_CLOSERS)}]*+))|\s*\n\s*"
)
_NUMBER_RE = regex.compile(r"[\p{N}\p{Sc}%‰+=±×÷#-]*\p{N}")
_OWN_LETTER_RE = regex.compile(r"[\p{L}--[\p{Common}\p{Inherited}]]", regex.V1)
_NAME_RE = re.compile(
    r"(?:LETTER|SYLLABLE|CHARACTER|SIGN|LIGATURE|CONSONANT|VOWEL) (?P<name>.+?)(?: WITH .+)?$"
)
_CASES = re.compile(r"\b(?:SMALL|CAPITAL|FINAL|LETTER|VOWEL SIGN|SIGN) ")
_VIRAMA = 9
_OWN = "own"


def own_scripts(language: str) -> frozenset[str]:
    """The scripts besides Latin that a language is written in: `Cyrl` for `ru`."""
    code = language_code(language)
    return frozenset(name for name, script in _SCRIPTS.items() if code in script.languages)


def languages_in(text: str) -> Iterator[str]:
    """Languages that spans of a text may have, as far as single letters tell."""
    if text.isascii():
        return
    for script in _SCRIPTS.values():
        if _class_re(script.letters).search(text):
            yield script.likeliest
            yield from (language for letters, language in script.telling if _class_re(letters).search(text))


@dataclass(frozen=True, slots=True)
class ScriptedPiece:
    """A piece of text in one language."""

    piece: TextPiece
    language: str | None = None
    """None for that of the text."""


@dataclass(slots=True)
class _Span:
    """Words in another script, as far as they were read."""

    script: str
    opening: str
    """Opening marks before them."""
    follows_letter: bool
    text: str = ""
    gap: str = ""
    """Characters without a script after them."""
    language: str | None = None
    """None until it is decided."""
    mode: ScriptMode = ScriptMode.SWITCH
    """Decided with the language."""


@dataclass(slots=True)
class _Run:
    """Consecutive characters that are decided."""

    chars: int
    language: str | None
    mode: ScriptMode


class ScriptSplitter:
    """Divides cleaned pieces by script; `feed` takes any, `finish` returns what was held back."""

    def __init__(
        self,
        language: str,
        mode: ScriptMode = ScriptMode.SWITCH,
        *,
        speaks: Callable[[str], bool] = lambda _: True,
        protected: Callable[[str], bool] = lambda _: False,
    ) -> None:
        """Begin a text.

        Args:
            language: of the text; all passes as it is if it is empty.
            mode: what to do with other scripts.
            speaks: whether there is a voice for a language.
            protected: whether a word belongs to the text's language, whatever its script.
        """
        self._is_active = bool(language)
        self._kinds = _Kinds(own_scripts(language))
        self._mode = mode
        self._speaks = speaks
        self._protected = protected
        self._unwritten = OffsetBuffer()
        """What was read and not returned: decided runs, then the opening marks or the span, which are held as
        plain text as well."""
        self._own = ""
        """Opening marks whose word has not begun."""
        self._before = ""
        """The last character before them."""
        self._span: _Span | None = None
        self._told: dict[str, str] = {}
        """The language that letters told last, by script."""
        self._after_name = False
        self._runs: list[_Run] = []

    def feed(self, piece: TextPiece) -> list[ScriptedPiece]:
        """Divide more text; hold back what cannot be decided yet."""
        if piece.raw:
            block = [*self.finish(), ScriptedPiece(piece)]
            self._before = piece.text[-1:]
            return block
        if not self._is_active:
            return [ScriptedPiece(piece)]
        self._unwritten.append(piece.text)
        text, at = str(piece.text), 0
        while at < len(text):
            at = self._read_own(text, at) if self._span is None else self._read_span(text, at)
        return self._take()

    def flush(self) -> list[ScriptedPiece]:
        """Return what is held back of a span although more of it may follow."""
        if (span := self._span) is not None:
            self._decide(span, "")
            if self._span is not None:
                self._write(span, span.gap)
                span.gap = ""
        return self._take()

    def finish(self) -> list[ScriptedPiece]:
        """End the text, or this part of it; return what was held back."""
        if (span := self._span) is not None:
            self._decide(span, "")
            if self._span is not None:
                self._write(span, span.gap)
            self._span = None
        self._write_own(len(self._own))
        return self._take()

    def _read_own(self, text: str, at: int) -> int:
        """Read text in an own script; return where other letters begin, or the end."""
        found = None if text.isascii() else self._kinds.foreign_re.search(text, at)
        end = found.start() if found else len(text)
        self._own += text[at:end]
        held = _HELD_RE.search(self._own) if self._own[-1:] in _OPENERS else None
        held_chars = len(held.group()) if held and self._may_open(held.start()) else 0
        self._write_own(len(self._own) - held_chars)
        if found:
            opening, self._own = self._own, ""
            self._span = _Span(self._kinds.of(text[end]), opening, not opening and self._before.isalpha())
        return end

    def _may_open(self, start: int) -> bool:
        before = self._own[start - 1 : start] or self._before
        return not before or before.isspace()

    def _write_own(self, chars: int) -> None:
        written, self._own = self._own[:chars], self._own[chars:]
        if written:
            self._add_run(chars, None, ScriptMode.SWITCH)
            self._before = written[-1]

    def _read_span(self, text: str, at: int) -> int:
        """Read a span; return the end of what was read, behind which it may go on or has ended."""
        span = self._span
        assert span is not None, "there is one"
        for index in range(at, len(text)):
            char = text[index]
            kind = self._kinds.of(char)
            if not kind:
                self._add_to_gap(span, char)
            elif kind != span.script:
                self._end(span, char)
            else:
                span = self._add_letter(span, char)
            if self._span is None:
                return index + (not kind or kind == span.script)
        return len(text)

    def _add_to_gap(self, span: _Span, char: str) -> None:
        span.gap += char
        if span.language is None and char in _TERMINAL:
            self._decide(span, char)
        elif len(span.gap) > _MAX_GAP:
            self._end(span, "")

    def _add_letter(self, span: _Span, char: str) -> _Span:
        if _SENTENCE_END_RE.search(span.gap):
            self._end(span, char)
            opening, self._own = self._own, ""
            span = self._span = _Span(span.script, opening, follows_letter=False)
        span.text += span.gap + char
        span.gap = ""
        if span.language is not None or len(span.text) >= SURE_CHARS:
            self._decide(span, "")
        return span

    def _end(self, span: _Span, char: str) -> None:
        """End a span before this character, which is of another script; empty: of none."""
        self._decide(span, char)
        cut = _gap_end(span.gap)
        if self._span is None:
            self._write_own(cut)
            return
        self._write(span, span.gap[:cut])
        self._own = span.gap[cut:]
        self._span = None

    def _decide(self, span: _Span, following: str) -> None:
        """Write what is held of a span in its language, or all of it as own text, which ends the span."""
        if span.language is None:
            if self._is_own(span, following):
                self._span = None
                self._own = span.opening + span.text + span.gap
                self._write_own(len(span.opening) + len(span.text))
                return
            span.language = self._language(span)
            span.mode = self._mode_of(span, span.language)
        self._write(span, span.opening + span.text)
        span.opening = span.text = ""

    def _is_own(self, span: _Span, following: str) -> bool:
        letters = [char for char in span.text if char.isalpha()]
        if span.script == _SYMBOLS and len(letters) <= len(regex.findall(r"\p{L}[\p{L}\p{M}]*", span.text)):
            return True
        is_glued = span.follows_letter or (not span.gap and following.isalpha())
        return (len(letters) == 1 and is_glued) or self._protected(span.text)

    def _language(self, span: _Span) -> str:
        script = _SCRIPTS[span.script]
        for letters, language in script.telling:
            if _class_re(letters).search(span.text):
                self._told[span.script] = language
                return language
        return self._told.get(span.script, script.likeliest)

    def _mode_of(self, span: _Span, language: str) -> ScriptMode:
        """What is done with a span: what no voice speaks is spelled, and what has no names spoken."""
        mode = self._mode
        if mode is ScriptMode.SPELL and _class_re(_SCRIPTS[_HAN].letters).search(span.text):
            mode = ScriptMode.SWITCH
        return ScriptMode.SPELL if mode is ScriptMode.SWITCH and not self._speaks(language) else mode

    def _write(self, span: _Span, text: str) -> None:
        """Write text of a span whose language is known."""
        if not text or span.language is None:
            return
        self._before = text[-1]
        self._add_run(len(text), span.language, span.mode)

    def _add_run(self, chars: int, language: str | None, mode: ScriptMode) -> None:
        last = self._runs[-1] if self._runs else None
        if last and (last.language, last.mode) == (language, mode) and mode is not ScriptMode.SKIP:
            last.chars += chars
        else:
            self._runs.append(_Run(chars, language, mode))

    def _names(self, text: str) -> Iterator[str]:
        """What is said for each character."""
        for char in text:
            name = letter_name(char) if self._kinds.of(char) else None
            if name:
                yield f" {name}" if self._after_name else name
            elif name is None:
                yield ", " if char == " " and self._after_name else char
            else:
                yield ""
            self._after_name = bool(name) or (name == "" and self._after_name)

    def _take(self) -> list[ScriptedPiece]:
        runs, self._runs = self._runs, []
        if len(runs) == 1 and runs[0].mode is ScriptMode.SWITCH:
            text, language = self._say(runs[0])
            return [ScriptedPiece(TextPiece(text), language)]
        out = [said for run in runs if (said := self._say(run))[0]]
        return [
            ScriptedPiece(TextPiece(join_texts(text for text, _ in group)), language)
            for language, group in groupby(out, key=lambda said: said[1])
        ]

    def _say(self, run: _Run) -> tuple[str, str | None]:
        """What is said for a run, and its language."""
        text = self._unwritten.take(run.chars)
        match run.mode:
            case ScriptMode.SWITCH:
                self._after_name = self._after_name and run.language is not None
                return text, run.language
            case ScriptMode.SPELL:
                return replace_characters(text, self._names(text)), None
            case ScriptMode.SKIP:
                return _structure(text), None


class _Kinds:
    """Kinds of characters, for a language by its own scripts."""

    def __init__(self, own: frozenset[str]) -> None:
        self._own = own
        self.foreign_re = _foreign_re(own)
        """A letter of a script that is not its own."""

    def of(self, char: str) -> str:
        """A script that is not its own, or "own" for other letters; empty for characters of no script."""
        return _kind(self._own, char)


@cache
def _any_script() -> regex.Pattern[str]:
    """A letter of any script; compiled when there is a letter, as its classes are large."""
    return regex.compile("|".join(f"(?P<{name}>[{script.letters}])" for name, script in _SCRIPTS.items()))


@lru_cache(maxsize=8192)
def _kind(own: frozenset[str], char: str) -> str:
    found = _any_script().match(char)
    if found is None or found.lastgroup in own:
        return _OWN if _OWN_LETTER_RE.match(char) else ""
    script: str = found.lastgroup
    together = _WRITTEN_TOGETHER.get(script, script)
    return script if together in own else together


@cache
def _foreign_re(own: frozenset[str]) -> regex.Pattern[str]:
    letters = "".join(script.letters for name, script in _SCRIPTS.items() if name not in own)
    return regex.compile(rf"[\p{{L}}&&[{letters}]--[\p{{Common}}]]", regex.V1)


@cache
def _class_re(letters: str) -> regex.Pattern[str]:
    return regex.compile(f"[{letters}]")


def letter_name(char: str) -> str:
    """What a letter is called in Unicode, `pe` for `п`; empty for one without a name, and for a virama."""
    found = _NAME_RE.search(unicodedata.name(char, ""))
    if found is None or unicodedata.combining(char) == _VIRAMA:
        return ""
    return _CASES.sub("", f"{found['name']} ").strip().replace("-", " ").lower()


def _gap_end(gap: str) -> int:
    """Where a span ends in what is between its last letter and one of another script."""
    if found := _SENTENCE_END_RE.search(gap):
        return int(found.end())
    if number := _NUMBER_RE.search(gap):
        spaces = gap.find(" ", 0, number.start() + 1)
        return spaces + 1 if spaces >= 0 else int(number.start())
    after_space = max(gap.rfind(" "), gap.rfind("\n")) + 1
    return after_space or len(gap.rstrip(_OPENERS.replace('"', "").replace("'", "")))


def _structure(text: str) -> str:
    """What is left of words that are left out: the ends of sentences and paragraphs."""
    kept = "".join(char for char in text if char in _TERMINAL or char == "\n")
    return f"{kept} " if kept and text[-1] == " " else kept
