r"""Lexicon file format: parse and validate `lexicon.yaml`, which has entries by language and by voice.

```yaml
all:                                      # whatever the language
  Zigbee: zig bee
en:                                       # English of any region; en_GB: for one alone
  kWh: kilowatt hours                     # a respelling: the short form
  Siobhan: {ipa: ʃɪˈvɔːn}                 # phonemes
  Polish: {say: poe lish, case: exact}    # not "polish"
  Home Assistant: home assistant          # a phrase
  'v(\d+)\.(\d+)': {say: 'version \1 point \2', regex: true}
voices:
  en_US-lessac-medium:                    # for one voice
    Yosemite: yo semmity
```

An entry matches whole words, with any white space between them; with `regex: true` it is a regular
expression (of the `regex` package) and matches anywhere. `case` is `exact` or `any`; without it case
counts for a word that is all capitals (`US`) or has one inside (`mW`), and for regular expressions. A
rule of the voice wins over one of `en_US`, that over one of `en`, that over one of `all`.

All errors of a file are reported at once, up to a hundred.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Final, Literal, Self

import regex  # type: ignore[import-untyped]  # knows the scripts of characters
from pydantic import AfterValidator, BeforeValidator, ConfigDict, Field, model_validator

from wyoming_tts.languages import fallbacks, is_tag
from wyoming_tts.messages import Message
from wyoming_tts.text.lexicon.patterns import MAX_PATTERN_SIZE, PatternRule, pattern_size
from wyoming_tts.text.lexicon.places import EVERY_LANGUAGE, RulePosition, Scope
from wyoming_tts.text.lexicon.rules import Rule, WordRule, is_case_sensitive, phoneme_block
from wyoming_tts.yaml_files.models import EMPTY_IF_NONE, Flag, KeyPath, YamlModel
from wyoming_tts.yaml_files.reading import (
    InvalidYaml,
    Problem,
    ScalarMode,
    YamlDocument,
    YamlLimits,
    read_yaml,
    twice,
)

MAX_ENTRIES: Final = 20_000
MAX_PATTERNS: Final = 500
"""Each regular expression costs time, unlike a word."""
MAX_PATTERNS_SIZE: Final = 200_000
"""Limit of `pattern_size` of all of them together: a second of compiling."""
MAX_WRITTEN_CHARS: Final = 200
MAX_SAID_CHARS: Final = 1_000
MAX_IPA_CHARS: Final = 490
"""Every stage has to recognize it as a block, with its brackets."""

_VOICES = "voices"
_LIMITS = YamlLimits(depth=4)

# What people type in place of an IPA symbol, and the ties between two, which are left out.
_IPA_SUBSTITUTES = str.maketrans({"g": "ɡ", ":": "ː", "'": "ˈ", "\u0361": None, "\u035c": None})
_IPA_SYMBOL = regex.compile(
    r"[a-zæçðøħŋœβθχǀ-ǃɐ-ʯʰ-˿ᴀ-ᶿ\u0300-\u036f\u1dc0-\u1dff\ua700-\ua71fꭧⁿˡ↑↓→↗↘ꜛꜜ|‖‿.\-() ]"
)


@dataclass(frozen=True, slots=True)
class ParsedLexicon:
    """The rules in a file."""

    rules: tuple[Rule, ...] = ()
    warnings: tuple[Problem, ...] = ()
    """Suspicious entries that are used all the same."""


def parse_lexicon(content: bytes, name: str) -> ParsedLexicon:
    """Parse the content of a file.

    Args:
        content: YAML in UTF-8.
        name: the file's name in error messages.

    Raises:
        InvalidYaml: with all errors in the file.
    """
    document = read_yaml(content, name, scalars=ScalarMode.TEXT, limits=_LIMITS)
    lexicon = document.validate(_Lexicon)
    rules = _Rules(document)
    found = tuple(rules.of(lexicon)) if lexicon is not None else ()
    document.raise_problems()
    return ParsedLexicon(found, tuple(rules.warnings))


def _check_scope(key: str) -> str:
    if key != EVERY_LANGUAGE and not is_tag(key):
        raise ValueError(
            Message(
                "lexicon_scope",
                "got {key}, expected a language such as en or en_US, all or voices",
                key=repr(key),
            )
        )
    return key


def _check_written(key: str) -> str:
    if not key.strip():
        raise ValueError(
            Message("lexicon_no_word", "got an entry without a word, expected the word as it is written")
        )
    if len(key.strip()) > MAX_WRITTEN_CHARS:
        raise ValueError(
            Message(
                "lexicon_long_word",
                "got an entry of {length} characters, expected at most {most}",
                length=len(key),
                most=MAX_WRITTEN_CHARS,
            )
        )
    return key


def _check_respelling(say: str) -> str:
    say = " ".join(say.split())
    if not say:
        raise ValueError(Message("lexicon_nothing", "got nothing to say, expected a respelling or `ipa`"))
    if len(say) > MAX_SAID_CHARS:
        raise ValueError(
            Message(
                "lexicon_long_say",
                "got a respelling of {length} characters, expected at most {most}",
                length=f"{len(say):,}",
                most=f"{MAX_SAID_CHARS:,}",
            )
        )
    if say.count("[[") != say.count("]]"):
        raise ValueError(Message("lexicon_brackets", "got {say}, expected a ]] for each [[", say=repr(say)))
    return say


def _check_phonemes(written: str) -> str:
    """The phonemes without the slashes or brackets that dictionaries put around them."""
    ipa = " ".join(written.split())
    for opening, closing in ("//", "[]"):
        if len(ipa) > 1 and ipa[0] == opening and ipa[-1] == closing:
            ipa = ipa[1:-1].strip()
            break
    ipa = ipa.translate(_IPA_SUBSTITUTES)
    if not ipa:
        raise ValueError(
            Message("lexicon_no_ipa", "got no phonemes for `ipa`, expected some, such as ʃɪˈvɔːn")
        )
    if "[" in ipa or "]" in ipa or any(unicodedata.category(sign).startswith("C") for sign in ipa):
        raise ValueError(
            Message(
                "lexicon_bad_ipa", "got brackets or control characters in `ipa`, expected the phonemes alone"
            )
        )
    if len(ipa) > MAX_IPA_CHARS:
        raise ValueError(
            Message(
                "lexicon_long_ipa",
                "got {length} phonemes, expected at most {most}",
                length=len(ipa),
                most=MAX_IPA_CHARS,
            )
        )
    return ipa


class _Entry(YamlModel):
    """The replacement for a word."""

    say: Annotated[str, AfterValidator(_check_respelling)] | None = None
    ipa: Annotated[str, AfterValidator(_check_phonemes)] | None = None
    case: Literal["exact", "any"] | None = None
    regex: Flag = False

    @model_validator(mode="after")
    def _says_one_thing(self) -> Self:
        if (self.say is None) == (self.ipa is None):
            if self.say is None:
                raise ValueError(
                    Message("lexicon_neither", "got neither `say` nor `ipa`, expected one of them")
                )
            raise ValueError(Message("lexicon_both", "got both `say` and `ipa`, expected one of them"))
        return self


def _long_form(value: object) -> object:
    return {"say": value or ""} if value is None or isinstance(value, str) else value


_EntryOrSay = Annotated[
    _Entry,
    BeforeValidator(_long_form),
    Field(
        description=Message(
            "lexicon_entry", "a respelling, or a mapping with `say` or `ipa` and perhaps `case` and `regex`"
        )
    ),
]
_Section = Annotated[
    dict[Annotated[str, AfterValidator(_check_written)], _EntryOrSay],
    EMPTY_IF_NONE,
    Field(description=Message("lexicon_section", "a mapping of words to their replacements")),
]


class _Lexicon(YamlModel):
    """A file: a section for each language or `all`, and for each voice."""

    model_config = ConfigDict(
        extra="allow", title=Message("lexicon_file", "a mapping of languages, `all` and `voices`")
    )
    __pydantic_extra__: dict[Annotated[str, AfterValidator(_check_scope)], _Section]

    voices: Annotated[
        dict[str, _Section],
        EMPTY_IF_NONE,
        Field(default_factory=dict, description=Message("lexicon_voices", "a mapping of voices")),
    ]


class _Rules:
    """Makes rules of entries, and adds the errors that only show then to the document."""

    def __init__(self, document: YamlDocument) -> None:
        self._document = document
        self._first: dict[tuple[Scope, object], KeyPath] = {}
        self._entries = self._patterns = self._patterns_size = 0
        self.warnings: list[Problem] = []

    def of(self, lexicon: _Lexicon) -> Iterator[Rule]:
        sections: Mapping[str, Any] = lexicon.model_extra or {}
        for language, section in sections.items():
            yield from self._section((language,), Scope(next(fallbacks(language))), section)
        for voice, section in lexicon.voices.items():
            yield from self._section((_VOICES, voice), Scope(voice=voice), section)

    def _section(self, path: KeyPath, scope: Scope, section: Mapping[str, _Entry]) -> Iterator[Rule]:
        for written, entry in section.items():
            rule = self._rule((*path, written), scope, entry)
            if rule is not None:
                yield rule

    def _rule(self, path: KeyPath, scope: Scope, entry: _Entry) -> Rule | None:
        self._entries += 1
        if self._entries > MAX_ENTRIES:
            raise self._refused(
                path,
                Message(
                    "lexicon_entries",
                    "got more than {most} entries, the most there may be",
                    most=f"{MAX_ENTRIES:,}",
                ),
            )
        replacement = self._make_block(path, entry) if entry.say is None else entry.say
        if entry.regex:
            return self._pattern(path, scope, replacement, entry)
        return self._word(path, scope, replacement, entry)

    def _position(self, path: KeyPath) -> RulePosition:
        return RulePosition(self._document.name, self._document.key_position(path).line)

    def _word(self, path: KeyPath, scope: Scope, replacement: str, entry: _Entry) -> WordRule | None:
        written = str(path[-1]).strip()
        if "[[" in written or "]]" in written:
            self._document.add_problem(
                path,
                Message(
                    "lexicon_marks",
                    "got {written}, expected no [[ or ]], which mark phonemes",
                    written=repr(written),
                ),
            )
            return None
        exact = entry.case == "exact" if entry.case else is_case_sensitive(written)
        word = WordRule(written, replacement, exact=exact, scope=scope, position=self._position(path))
        first = self._first.setdefault((scope, word.key), path)
        if first is not path:
            line = self._document.key_position(first).line
            self._document.add_problem(path, twice(repr(written), line))
        return word

    def _pattern(self, path: KeyPath, scope: Scope, replacement: str, entry: _Entry) -> PatternRule | None:
        self._patterns += 1
        if self._patterns > MAX_PATTERNS:
            raise self._refused(
                path,
                Message(
                    "lexicon_patterns",
                    "got more than {most} regular expressions, the most there may be",
                    most=MAX_PATTERNS,
                ),
            )
        size = pattern_size(str(path[-1]))
        self._patterns_size += size if size <= MAX_PATTERN_SIZE else 0  # such a one is not compiled
        if self._patterns_size > MAX_PATTERNS_SIZE:
            raise self._refused(
                path,
                Message(
                    "lexicon_repeats",
                    "the regular expressions up to here repeat too much all together: use smaller counts",
                ),
            )
        if entry.say is None:
            replacement = replacement.replace("\\", r"\\")
        exact, position = entry.case != "any", self._position(path)
        try:
            return PatternRule(str(path[-1]), replacement, exact=exact, scope=scope, position=position)
        except ValueError as error:
            self._document.add_problem(path, str(error))
            return None

    def _make_block(self, path: KeyPath, entry: _Entry) -> str:
        ipa = entry.ipa or ""
        odd = sorted({sign for sign in ipa if not _IPA_SYMBOL.match(sign)})
        if odd:
            message = Message(
                "lexicon_odd_ipa",
                "got {signs} in the phonemes of {word}, expected IPA; voices leave out what they do not know",
                signs=" ".join(odd),
                word=repr(path[-1]),
            )
            at = self._document.key_position(path)
            self.warnings.append(Problem(at, message, self._document.name))
        return phoneme_block(ipa)

    def _refused(self, path: KeyPath, message: str) -> InvalidYaml:
        return InvalidYaml([Problem(self._document.key_position(path), message, self._document.name)])
