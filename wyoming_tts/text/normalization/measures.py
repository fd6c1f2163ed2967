"""Measures and money in words: numbers with a unit or a currency, their ranges, and fractions."""

from __future__ import annotations

import unicodedata
from decimal import Decimal

import regex  # type: ignore[import-untyped]

from wyoming_tts.text.normalization.cldr import ALONE
from wyoming_tts.text.normalization.language_data import CountedNoun, LanguageData, any_of
from wyoming_tts.text.normalization.numerals import (
    NUMBER_AHEAD,
    SIGNS,
    Numeral,
    Numerals,
    genitive_of,
    join_count,
    name_alone,
)
from wyoming_tts.text.normalization.rules import APART, DASH, NOT_MORE, Rule, at_sentence_end, make_rule

_BEHIND = r"(?![\w²³°]|/\w)"
_NOT_ELIDED = r"(?!['’]\w)"
"""Behind a letter that may be an elided word, as in French, and no unit."""
_SIGNS_OF_MONEY = r"(?:[±~≈<>≤≥]\ ?)?[-−–+]?"
"""Signs before the sign of a currency, which its number may follow after a space: "-€ 5"."""
_CENTS = 2
_NO_CENTS = r"(?:[,.][-–—]{1,2})?"
_DENOMINATORS = frozenset([*range(2, 11), 12, 16, 20, 32, 64, 100, 1000])
_CLOCK_RE = regex.compile(r"\d{1,2}\.[0-5]\d")
_YEAR_RE = regex.compile(r"1\d{3}|20\d\d")
_LETTER_NEXT_RE = regex.compile(r"\ \p{L}")
_CODE_RE = regex.compile("[A-Z]{3}")
_NUMBER_BEFORE_RE = regex.compile(r"\d\ ?$")
_WORD_NEXT_RE = regex.compile(r"\ \p{Ll}")
_VULGAR = "¼½¾⅐⅑⅒⅓⅔⅕⅖⅗⅘⅙⅚⅛⅜⅝⅞"


class MeasureRules:
    """The rules for measures, money and fractions in one language."""

    def __init__(self, language: LanguageData, numerals: Numerals) -> None:
        self._language = language
        has_endings = bool(language.section("numbers").get("endings"))  # behind a hyphen or apostrophe
        self._behind = _BEHIND if has_endings else _BEHIND + _NOT_ELIDED
        self._hyphen = "" if has_endings else "|-"
        self._numerals = numerals
        self._data = language.section("fractions")
        self._units = language.units
        self._from_scales = {**language.tight_scales, **language.scales}
        self._currencies = language.currencies
        self._per_words = {str(word): str(word) for word in language.section("per_words") or []}
        self._unit = any_of(language.units)
        self._denominator = any_of([*language.units, *self._per_words])

    def rules(self) -> list[Rule]:
        """The rules in order of precedence."""
        found: list[Rule] = []
        if self._currencies:
            found += self._money()
        if self._language.data.get("feet_inches"):
            found.append(
                make_rule(
                    r"(?<![\w.,/])(?:(?P<feet>\d)['′]\ ?(?P<inches>\d{1,2})(?:[\"″]|'')"
                    r"|(?P<feet>\d{1,2})\ ?ft\.?\ ?(?P<inches>\d{1,2})\ ?in\b)",
                    self._verbalize_height,
                )
            )
        found += self._fractions()
        return found + self._with_units() if self._units else found

    def _verbalize_height(self, match: regex.Match[str]) -> str:
        feet, inches = (self._numerals.verbalize(Numeral(match[part])) for part in ("feet", "inches"))
        return str(self._language.data["feet_inches"]).format(feet=feet, inches=inches)

    def _money(self) -> list[Rule]:
        number, sign = self._numerals.measured, any_of(self._currencies)
        tight = rf"(?:(?P<tight>{any_of(self._language.tight_scales)})(?!\w))?"
        scale = rf"(?:\ ?(?P<scale>{any_of(self._language.scales)})(?!\w))?"
        per = rf"(?:/(?P<per>{self._denominator})(?!\w))?"
        from_scale = any_of(self._from_scales)
        codes = any_of([sign for sign in self._currencies if _CODE_RE.fullmatch(sign)])
        range_in_front = (
            rf"(?P<from>{number})(?:\ ?(?P<from_scale>{from_scale})(?!\w))?(?:{DASH})(?:{sign}\ ?)?"
        )
        less_than_one = rf"(?<!\w){self._numerals.decimal_mark}\d{{2}}(?!\d)"
        range_behind = rf"(?P<from>{number})(?:\ ?{sign})?(?:{DASH})"
        return [
            make_rule(
                rf"(?P<signs>{APART}{_SIGNS_OF_MONEY})(?<!\w)(?P<unit>{sign})\ ?"
                rf"(?:(?P<minus>[-−–](?=\d))|{range_in_front})?"
                rf"(?P<number>{number}|{less_than_one}){_NO_CENTS}(?:{tight}{scale})(?:\ (?P<code>{codes}))?"
                rf"{per}(?!\w)",
                self._verbalize_money,
            ),
            make_rule(
                rf"{NUMBER_AHEAD}(?P<signs>{APART}{SIGNS})(?:{range_behind})?"
                rf"(?P<number>{number}){_NO_CENTS}(?:{tight}{scale})\ ?(?P<unit>{sign}){per}(?!\w)",
                self._verbalize_money,
            ),
        ]

    def _verbalize_money(self, match: regex.Match[str]) -> str | None:
        minus = match.groupdict().get("minus") or ""
        if minus and _NUMBER_BEFORE_RE.search(match.string, max(0, match.start() - 2), match.start()):
            return None  # "5 €-10 €"
        noun = self._currencies[match.groupdict().get("code") or match["unit"]]
        numeral = self._numerals.parse(match["number"])
        scale = self._scale(match)
        parts = [self._numerals.verbalize_signs(match["signs"] + minus)]
        if match["from"]:
            parts.append(self._from(match["from"], noun, match.groupdict().get("from_scale")))
        describes, genitive = self._describes(match), self._takes_genitive(match)
        if scale is None:
            parts.append(self._amount(numeral, noun, describes=describes, genitive=genitive))
        else:
            parts.append(self._scaled(numeral, scale, noun, describes=describes, genitive=genitive))
        if match["per"]:
            parts.append(self._per(match["per"], price=True))
        stop = "." if match.group().endswith(".") and at_sentence_end(match) else ""
        return _without_repeat("".join(parts), noun, match.string[match.end() : match.end() + 40]) + stop

    def _scale(self, match: regex.Match[str]) -> CountedNoun | None:
        if match["tight"]:
            return self._language.tight_scales[match["tight"]]
        return self._language.scales[match["scale"]] if match["scale"] else None

    def _scaled(
        self,
        numeral: Numeral,
        scale: CountedNoun,
        noun: CountedNoun,
        *,
        describes: bool = False,
        genitive: bool = False,
    ) -> str:
        amount = self._numerals.verbalize_count(numeral, scale, genitive=genitive)
        unit = noun.of or (noun.one if describes else self._after_scale(noun))
        if "{number}" in unit:
            return join_count(amount, unit)
        pattern = self._language.section("numbers").get("scale_unit", "{amount} {unit}")
        return str(pattern).format(amount=amount, unit=unit)

    def _takes_genitive(self, match: regex.Match[str]) -> bool:
        in_range = match["from"] and self._numerals.range_takes_genitive
        return bool(in_range) or self._numerals.takes_genitive(match)

    def _after_scale(self, noun: CountedNoun) -> str:
        return noun.form(self._language.plural_category(Decimal(1000)))

    def _amount(self, numeral: Numeral, noun: CountedNoun, *, describes: bool, genitive: bool = False) -> str:
        if describes and not numeral.decimals.strip("0"):
            return join_count(self._numerals.verbalize(Numeral(numeral.whole), noun.gender), noun.one)
        major = Numeral(numeral.whole)
        if numeral.decimals == "00":
            return self._numerals.verbalize_count(major, noun, genitive=genitive)
        if noun.minor is None or len(numeral.decimals) != _CENTS:
            return self._numerals.verbalize_count(numeral, noun, genitive=genitive)
        minor = Numeral(numeral.decimals.lstrip("0"))
        if not numeral.whole.strip("0"):
            return self._numerals.verbalize_count(minor, noun.minor, genitive=genitive)
        return str(self._language.data.get("amount", "{major} {minor_number}")).format(
            major=self._numerals.verbalize_count(major, noun, genitive=genitive),
            minor=self._numerals.verbalize_count(minor, noun.minor, genitive=genitive),
            minor_number=self._numerals.verbalize(minor),
        )

    def _from(self, number: str, noun: CountedNoun, scale: str | None = None) -> str:
        numeral = self._numerals.parse(number)
        if scale:
            spoken = self._numerals.verbalize_count(numeral, self._from_scales[scale])
        else:
            spoken = self._numerals.verbalize(numeral, noun.gender)
        return f"{spoken} {self._language.word('range') or '–'} "

    def _per(self, denominator: str, *, price: bool = False) -> str:
        noun, word = self._units.get(denominator), self._language.word
        if noun and noun.per.startswith(ALONE):
            return f" {noun.per.removeprefix(ALONE)}"
        per = (word("price_per") if price else "") or word("slash_per") or word("per")
        return f" {per} {(noun.per or noun.one) if noun else denominator}"

    def _with_units(self) -> list[Rule]:
        number = self._numerals.measured
        compound = rf"(?P<unit>{self._unit})(?:/(?P<per>{self._denominator}))?"
        scale = rf"(?:\ ?(?P<scale>{any_of(self._language.scales)})(?!\w))?"
        compass = self._language.section("compass")
        minus = r"[-−–]"
        return [
            make_rule(
                rf"{APART}(?P<number>{number})°\ ?(?P<point>{any_of(compass)})\b", self._verbalize_compass
            ),
            make_rule(
                rf"{NUMBER_AHEAD}(?P<signs>{APART}{SIGNS})"
                rf"(?:(?P<from>{number})(?:\ ?{self._unit})?(?:{DASH})(?P<second>{minus}?))?"
                rf"(?P<number>{number}){scale}(?P<gap>\ ?{self._hyphen}){compound}{self._behind}"
                r"(?:(?<=\w)(?P<stop>\.)(?=\ (?!\p{Georgian})\p{Ll}))?",
                self._verbalize_measure,
            ),
            make_rule(  # as Turkish and Basque write it: %25
                rf"(?=[−%+-])(?P<signs>{APART}[−+-]?)%\ ?(?:(?P<from>{number})(?:{DASH})%?\ ?)?"
                rf"(?P<number>[−-]?{number}){NOT_MORE}",
                self._verbalize_percent,
            ),
            self._with_unit_words(),
            make_rule(
                rf"(?<![\w/])(?P<unit>{any_of(self._alone())})(?:/(?P<per>{self._denominator}))?{self._behind}",
                lambda match: name_alone(self._unit_name(match, self._noun(match["unit"]).many)),
                needs_digit=False,
            ),
            make_rule(
                rf"(?<![\w/])(?P<unit>{self._unit})/(?P<per>{any_of(self._units)}){self._behind}",
                self._verbalize_compound_alone,
                needs_digit=False,
            ),
        ]

    def _with_unit_words(self) -> Rule:
        """The number before a unit that is written out, whose words stay as they are."""
        number, words = self._numerals.measured, any_of(self._language.unit_words)
        return make_rule(
            rf"{NUMBER_AHEAD}(?P<signs>{APART}{SIGNS})(?:(?P<from>{number})(?:{DASH})(?P<second>[-−–]?))?"
            rf"(?P<number>{number})(?=\ ?(?P<word>{words})(?!\w))",
            self._verbalize_before_unit_word,
        )

    def _verbalize_before_unit_word(self, match: regex.Match[str]) -> str | None:
        noun = self._language.unit_words[match["word"]]
        numeral = self._numerals.parse(match["number"])
        gendered = self._language.numbers.has_gender(noun.gender)
        if not (gendered or numeral.decimals or match["signs"]):
            return None
        if self._is_time(match["number"], match["word"]):
            return None
        signs = self._numerals.verbalize_signs(match["signs"])
        second = self._numerals.verbalize_signs(match["second"] or "")
        between = self._from(match["from"], noun) if match["from"] else ""
        genitive = self._takes_genitive(match) and not numeral.decimals
        gender = genitive_of(noun.gender) if genitive else noun.gender
        return f"{signs}{between}{second}{self._numerals.verbalize(numeral, gender)}"

    def _verbalize_percent(self, match: regex.Match[str]) -> str | None:
        noun = self._units.get("%")
        number = match["number"].lstrip("-−")
        if noun is None:
            return None
        numeral = self._numerals.parse(number)
        signs = self._numerals.verbalize_signs(match["signs"] + match["number"][: -len(number)])
        between = self._from(match["from"], noun) if match["from"] else ""
        spoken = between + signs + self._numerals.verbalize(numeral, noun.gender)
        return join_count(spoken, self._numerals.noun_form(noun, numeral))

    def _alone(self) -> list[str]:
        return [
            unit
            for unit, noun in self._units.items()
            if noun.alone
            or (not unit.isalnum() and " " not in unit and "." not in unit and unit not in "″\"'")
        ]

    def _noun(self, unit: str) -> CountedNoun:
        return self._units[unit] if unit in self._units else self._units[unit.replace(" ", "")]

    def _verbalize_compass(self, match: regex.Match[str]) -> str:
        spoken = self._numerals.verbalize(self._numerals.parse(match["number"]))
        return (
            f"{spoken} {self._language.word('degrees')} {self._language.section('compass')[match['point']]}"
        )

    def _verbalize_measure(self, match: regex.Match[str]) -> str | None:
        noun = self._noun(match["unit"])
        if self._is_time(match["number"], match["unit"]) or self._is_year(match):
            return None
        if noun.last and _LETTER_NEXT_RE.match(match.string, match.end()):
            return None
        numeral = self._numerals.parse(match["number"])
        tight = noun.tight is True or bool(noun.tight and numeral.value >= noun.tight)
        if (match["gap"] == "" and not tight) or (match["gap"] == " " and not noun.spaced):
            return None
        signs = self._numerals.verbalize_signs(match["signs"])
        between = (
            self._from(match["from"], noun) + self._numerals.verbalize_signs(match["second"])
            if match["from"]
            else ""
        )
        if match["scale"]:
            return signs + between + self._scaled(numeral, self._language.scales[match["scale"]], noun)
        describes = match["gap"] == "-" or self._describes(match)
        form = noun.one if describes else self._numerals.noun_form(noun, numeral)
        gender = noun.gender
        if self._takes_genitive(match) and not numeral.decimals:
            gender, form = genitive_of(gender), self._numerals.genitive_form(noun, numeral)
        stop = "." if match["unit"].endswith(".") and at_sentence_end(match) else ""
        number = self._numerals.verbalize(numeral, gender)
        return join_count(between + number, self._unit_name(match, form), sign=signs) + stop

    def _is_time(self, number: str, unit: str) -> bool:
        """Whether the point in the number separates hours from minutes: "7.30 h"."""
        times = self._language.section("times")
        if not _CLOCK_RE.fullmatch(number) or "." not in times.get("marks", ""):
            return False
        return bool(times.get("suffix")) and bool(regex.match(times["suffix"], unit))

    def _is_year(self, match: regex.Match[str]) -> bool:
        """Whether the unit is an abbreviation of the word for a year: "2026 г." are no grams."""
        suffix = self._language.section("dates").get("year_suffix")
        if not suffix or not _YEAR_RE.fullmatch(match["number"]):
            return False
        return bool(regex.compile(suffix, regex.VERBOSE).match(match.string, match.end("number")))

    def _describes(self, match: regex.Match[str]) -> bool:
        """Whether the amount is used like an adjective: "a 5 km run"."""
        articles = self._language.section("numbers").get("singular_after") or []
        word = match.string[max(0, match.start() - 8) : match.start()].split()[-1:]
        return (
            bool(word)
            and word[0].casefold() in articles
            and bool(_WORD_NEXT_RE.match(match.string, match.end()))
        )

    def _verbalize_compound_alone(self, match: regex.Match[str]) -> str | None:
        if len(match["unit"]) + len(match["per"]) <= len("m/s") and match["per"] not in "sh":
            return None
        return name_alone(self._unit_name(match, self._noun(match["unit"]).many))

    def _unit_name(self, match: regex.Match[str], form: str) -> str:
        return form + (self._per(match["per"]) if match["per"] else "")

    def _fractions(self) -> list[Rule]:
        unit = rf"(?:\ ?(?P<unit>{self._unit}){self._behind})?"
        return [
            make_rule(
                rf"{APART}(?:(?P<whole>\d{{1,4}})\ )?(?P<over>\d{{1,3}})[/⁄](?P<under>\d{{1,4}})"
                rf"(?![\w/]|[.,]\d){unit}",
                lambda match: self._verbalize_fraction(match, int(match["over"]), int(match["under"])),
            ),
            make_rule(
                rf"(?<![\w.,/])(?:(?P<whole>\d{{1,4}})\ ?)?(?P<vulgar>[{_VULGAR}])(?!\w){unit}",
                self._verbalize_vulgar,
                needs_digit=False,
            ),
        ]

    def _verbalize_vulgar(self, match: regex.Match[str]) -> str | None:
        over, _, under = unicodedata.normalize("NFKC", match["vulgar"]).partition("⁄")
        return self._verbalize_fraction(match, int(over), int(under))

    def _verbalize_fraction(self, match: regex.Match[str], over: int, under: int) -> str | None:
        if under not in _DENOMINATORS or not 0 < over < under:
            return None
        if not self._part(over, under, mixed=bool(match["whole"])):
            return None
        noun = self._noun(match["unit"]) if match["unit"] else None
        if noun is None:
            return self.verbalize_fraction(over, under, match["whole"])
        if not match["whole"]:
            return self._part_of(f"{over}/{under}", self.verbalize_fraction(over, under), noun)
        if f"{over}/{under}" in (self._data.get("mixed_counted") or {}):
            return self._mixed(Numeral(match["whole"]), f"{over}/{under}", noun)
        return join_count(self.verbalize_fraction(over, under, match["whole"], noun.gender), noun.many)

    def verbalize_fraction(self, over: int, under: int, whole: str | None = None, gender: str = "") -> str:
        """A common fraction, alone or after a whole number in digits, which takes the gender."""
        if not whole:
            return self._part(over, under, mixed=False)
        pattern = self._data.get("mixed", "{whole} {fraction}")
        return str(pattern).format(
            whole=self._numerals.verbalize(Numeral(whole), gender),
            bare=self._numerals.verbalize(Numeral(whole), "m"),
            fraction=self._part(over, under, mixed=True),
        )

    def _part_of(self, key: str, fraction: str, noun: CountedNoun) -> str:
        """A fraction of one unit, with `counted` in the gender of the unit."""
        counted = (self._data.get("counted") or {}).get(key)
        if counted:
            return str(counted.get(noun.gender, counted["m"])).format(unit=noun.one)
        if "{number}" in noun.one:
            return join_count(fraction, noun.one)
        return str(self._data.get("part_of", "{fraction} {unit}")).format(fraction=fraction, unit=noun.one)

    def _mixed(self, whole: Numeral, key: str, noun: CountedNoun) -> str:
        """A whole number and a fraction of a unit, where the fraction agrees with the unit or follows it."""
        patterns = self._data["mixed_counted"][key]
        return str(patterns.get(noun.gender, patterns["m"])).format(
            whole=self._numerals.verbalize(whole, noun.gender),
            bare=self._numerals.verbalize(whole, "m"),
            unit=self._numerals.noun_form(noun, whole),
            units=noun.many,
        )

    def _part(self, over: int, under: int, *, mixed: bool) -> str:
        data = self._data
        key = f"{over}/{under}"
        named = (data.get("mixed_named") or {}) if mixed else {}
        named = {**(data.get("named") or {}), **named}
        if found := named.get(key):
            return str(found)
        if pattern := data.get("pattern"):
            verbalize = self._numerals.verbalize
            return str(pattern).format(
                over=verbalize(Numeral(str(over))), under=verbalize(Numeral(str(under)))
            )
        return self._language.numbers.fraction(over, under)


def _without_repeat(amount: str, noun: CountedNoun, rest: str) -> str:
    """The amount without its currency where that follows in the text as a word: "$5 dollars"."""
    for form in (noun.one, noun.many, *noun.forms.values()):
        if rest.startswith(f" {form}") and not rest[len(form) + 1 : len(form) + 2].isalpha():
            shorter = [
                amount.removesuffix(f" {each}") for each in (noun.one, noun.many, *noun.forms.values())
            ]
            return min(shorter, key=len)
    return amount
