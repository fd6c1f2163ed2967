"""Schema of `spoken.yaml`: the format that `data/en.yaml` documents, as models that validate a user's file.

Every section and key is optional, as a user's entries are merged over the product's. So an incomplete entry
shows only when the two are merged, in `language_data`.
"""

from __future__ import annotations

from typing import Annotated, Any, TypeAlias

from pydantic import ConfigDict, Field

from wyoming_tts.yaml_files.models import YamlModel

Words: TypeAlias = Annotated[dict[Any, str], Field(description="a mapping of spellings to words")]
Texts: TypeAlias = Annotated[list[str], Field(description="a list of words")]
Names: TypeAlias = Annotated[list[list[str]], Field(description="lists of a name and its abbreviations")]


class NounEntry(YamlModel):
    """A noun that takes a number: a unit, a currency."""

    model_config = ConfigDict(title="an entry such as {one: kilometer, many: kilometers}")

    one: str | None = None
    many: str | None = None
    zero: str | None = None
    two: str | None = None
    few: str | None = None
    other: str | None = None
    gender: str | None = None
    per: str | None = None
    of: str | None = None
    alone: bool | None = None
    spaced: bool | None = None
    last: bool | None = None
    tight: Annotated[bool | int | None, Field(description="true, false or a whole number")] = None
    minor: NounEntry | None = None


Nouns: TypeAlias = Annotated[
    dict[Any, NounEntry | None], Field(description="a mapping of spellings to entries")
]
Scales: TypeAlias = Annotated[
    dict[Any, str | NounEntry], Field(description="a mapping of spellings to words or to {one: , many: }")
]


class OrdinalEntry(YamlModel):
    """A suffix that makes an ordinal of digits."""

    suffix: str | None = None
    gender: str | None = None
    noun: str | None = None
    before_units: bool | None = None


class DecadesSection(YamlModel):
    """Decades: the words for the 1990s."""

    suffix: str | None = None
    short_after: Texts | None = None
    endings: (
        Annotated[list[list[str]], Field(description="pairs of an ending and what it becomes")] | None
    ) = None


class EndingEntry(YamlModel):
    """The mark before an ending, which is not said, and how the words change before it."""

    mark: str
    changes: Annotated[list[list[str]], Field(description="pairs of a pattern and words")] | None = None


class NumbersSection(YamlModel):
    """Numbers: how they are written and spoken."""

    decimal: str | None = None
    groups: str | None = None
    singular_below: int | None = None
    singular_after: Texts | None = None
    ordinals: list[OrdinalEntry] | None = None
    sides_as_years: bool | None = None
    ordinal_plain: bool | None = None
    scales: Scales | None = None
    tight_scales: Scales | None = None
    bare_scales: Scales | None = None
    bare_before: Words | None = None
    bare_not_before: str | None = None
    bare_not_after: str | None = None
    scale_unit: str | None = None
    integers: str | None = None
    cardinals: Words | None = None
    point: str | NounEntry | None = None
    decimals: str | None = None
    parts: Annotated[list[str | NounEntry], Field(description="a list of words or entries")] | None = None
    spelling: (
        Annotated[dict[str, list[list[str]]], Field(description="pairs of a pattern and words by gender")]
        | list[list[str]]
        | None
    ) = None
    agreement: Words | None = None
    agreement_not: Texts | None = None
    genitive_after: Texts | None = None
    ordinal_words: Words | None = None
    ordinal_compound: str | None = None
    ordinal_endings: (
        Annotated[dict[str, list[list[str]]], Field(description="pairs of an ending and what it becomes")]
        | None
    ) = None
    ordinal_rules: Words | None = None
    endings: list[EndingEntry] | None = None
    phone: str | None = None
    phones: str | None = None
    lakhs: bool | None = None
    attached: bool | None = None
    locale: str | None = None
    decades: DecadesSection | None = None


class YearsSection(YamlModel):
    """Which numbers are years."""

    from_: Annotated[int | None, Field(alias="from")] = None
    to: int | None = None
    rules: str | None = None
    after_from: int | None = None
    after: Texts | None = None
    not_before: str | None = None
    before: str | None = None


class TimesAfter(YamlModel):
    """Words before a time that ask for a case, and what differs behind them."""

    model_config = ConfigDict(title="an entry such as {words: [at], hour_gender: f}")

    words: Texts
    full_hour: str | None = None
    hour_minute: str | None = None
    small_minute: str | None = None
    hour: str | None = None
    hour_gender: str | None = None
    hours: Words | None = None
    minute_gender: str | None = None


class TimesSection(YamlModel):
    """Words and patterns of times and durations."""

    marks: str | None = None
    suffix: str | None = None
    before: str | None = None
    full_hour: str | None = None
    full_hour_late: str | None = None
    hour_minute: str | None = None
    small_minute: str | None = None
    hour_suffix: str | None = None
    half_day: str | None = None
    half_day_full: str | None = None
    half_day_marks: str | None = None
    hour: str | None = None
    hour_gender: str | None = None
    minute_gender: str | None = None
    after: Annotated[list[TimesAfter], Field(description="a list of entries")] | None = None
    hours: Words | None = None
    named: Words | None = None
    half_days: Words | None = None
    clock_after: Texts | None = None
    minutes_before: Texts | None = None
    minutes_after: Texts | None = None
    with_seconds: str | None = None
    duration: str | None = None
    duration_short: str | None = None
    duration_units: Texts | None = None


class DatesSection(YamlModel):
    """Words and patterns of dates."""

    order: str | None = None
    marks: str | None = None
    months: Names | None = None
    month_names: Texts | None = None
    month_forms: Names | None = None
    weekdays: Names | None = None
    ambiguous: Texts | None = None
    names_alone: Texts | None = None
    day: str | None = None
    days: Words | None = None
    day_gender: str | None = None
    day_gender_after: Words | None = None
    day_articles: Words | None = None
    oblique_after: Texts | None = None
    day_suffix: str | None = None
    year: str | None = None
    year_gender: str | None = None
    year_suffix: str | None = None
    between: str | None = None
    year_first: Words | None = None
    contractions: Words | None = None
    numeric: str | None = None
    numeric_short: str | None = None
    short_after: Texts | None = None
    short_alone: bool | None = None
    short_stop: bool | None = None
    month_first: str | None = None
    day_first: str | None = None
    with_year: str | None = None
    month_year: str | None = None
    weekday: str | None = None
    date_time: str | None = None


class FractionsSection(YamlModel):
    """Words and patterns of fractions."""

    named: Words | None = None
    pattern: str | None = None
    counted: dict[Any, Words] | None = None
    mixed: str | None = None
    mixed_counted: dict[Any, Words] | None = None
    mixed_named: Words | None = None
    part_of: str | None = None


class RomanNumeralsSection(YamlModel):
    """When Roman numerals are read as numbers, and in what form."""

    number_after: Texts | None = None
    regnal: str | None = None
    gender: str | None = None
    names: Texts | None = None


class AbbreviationEntry(YamlModel):
    """The words for an abbreviation, and the context that it requires."""

    model_config = ConfigDict(title="an entry such as {spoken: Doctor, before: name}")

    spoken: str
    before: str | None = None
    after: str | None = None
    not_before: str | None = None
    not_after: str | None = None
    ends: bool | None = None


Abbreviations: TypeAlias = Annotated[
    dict[Any, AbbreviationEntry | list[AbbreviationEntry]],
    Field(description="a mapping of spellings to entries such as {spoken: Doctor, before: name}"),
]


class LanguageEntries(YamlModel):
    """All sections of one language."""

    model_config = ConfigDict(title="entries as en.yaml has them")

    numbers: NumbersSection | None = None
    years: YearsSection | None = None
    words: Words | None = None
    characters: Words | None = None
    capitals: Words | None = None
    tex: Words | None = None
    compass: Words | None = None
    compass_after: str | None = None
    compass_before: str | None = None
    exponents: Words | None = None
    digits_after: str | None = None
    digits_not_before: str | None = None
    postal_after: str | None = None
    versions_after: str | None = None
    of_after: str | None = None
    letter_minus: str | None = None
    length_marks: Words | None = None
    length_after: str | None = None
    length_before: str | None = None
    powers: Words | None = None
    units: Nouns | None = None
    noun_genders: Words | None = None
    per_words: Texts | None = None
    degrees_before: Texts | None = None
    currencies: Nouns | None = None
    amount: str | None = None
    feet_inches: str | None = None
    times: TimesSection | None = None
    dates: DatesSection | None = None
    fractions: FractionsSection | None = None
    romans: RomanNumeralsSection | None = None
    abbreviations: Abbreviations | None = None
    phrases: Words | None = None
    addresses: Words | None = None


class UserEntries(YamlModel):
    """A user's file: entries by language."""

    model_config = ConfigDict(
        extra="allow", title="languages such as `en:`, each with entries as en.yaml has them"
    )
    __pydantic_extra__: dict[str, LanguageEntries | None]


class ShippedLanguage(LanguageEntries):
    """A language's file: its entries, and those that territories have otherwise."""

    model_config = ConfigDict(title="entries as en.yaml has them")

    regions: dict[str, LanguageEntries] | None = None


class ShippedEntries(YamlModel):
    """The files of the product, by language."""

    model_config = ConfigDict(extra="allow", title="languages, each with the entries of its file")
    __pydantic_extra__: dict[str, ShippedLanguage | None]
