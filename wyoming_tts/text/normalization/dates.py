"""Dates, weekdays, years and decades in words."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import regex  # type: ignore[import-untyped]

from wyoming_tts.text.normalization.language_data import LanguageData, any_of
from wyoming_tts.text.normalization.rules import APART, DASH, NOT_MORE, Rule, at_sentence_end, make_rule
from wyoming_tts.text.normalization.times import TimeRules

_MONTHS = 12
_DAYS = 31
_TEN = 10
_DAY = r"0?[1-9]|[12]\d|3[01]"
_DAY_OF = rf"(?P<day>{_DAY})"
_MONTH_OF = r"(?P<month>0?[1-9]|1[0-2])"
_YEAR = r"1\d{3}|2\d{3}"
_ENDS = r"(?![\w/]|[:.,-]\d)"
_CENTURY = 2000
_NEVER = "(?!)"
_PATTERNS = {"ymd": "numeric", "md": "numeric_short", "ym": "month_year"}
"""Patterns in the data, by the parts of a date that are present."""
_PARTS = {"y": "{year}", "m": "{month}", "d": "{day}"}


class DateRules:
    """The rules for dates in one language."""

    def __init__(self, language: LanguageData, times: TimeRules) -> None:
        self._language = language
        self._times = times
        self._data = language.section("dates")
        self._months = (
            _index_by_name(language.months)
            | _index_by_name([name.split(" | ") for name in self._data.get("month_names") or []])
            | _index_by_name(self._data.get("month_forms") or [])
        )
        self._weekdays = _index_by_name(language.weekdays)
        self._ambiguous = set(self._data.get("ambiguous") or [])
        self._year_end = f"(?:{self._data['year_suffix']})?" if self._data.get("year_suffix") else ""

    def rules(self) -> list[Rule]:
        """The rules in order of precedence."""
        found = [*self._years()]
        if self._months:
            found = [*self._written_in_numbers(), *self._named(), *self._ranges(), *self._names(), *found]
        return found

    def iso_rules(self) -> list[Rule]:
        """The rules for ISO dates, which come before those for times: one may stand behind such a date."""
        if not self._months:
            return []
        zone = r"(?:Z|[+-]\d\d:?\d\d)?"
        seconds = r"(?::\d\d(?:\.\d{1,9})?)?"
        time = rf"(?:(?:T|\ (?=\d\d:\d\d))(?P<hour>[01]\d|2[0-4]):(?P<minute>[0-5]\d){seconds}{zone})?"
        date = rf"(?P<year>\d{{4}})-(?P<month>0[1-9]|1[0-2])-(?P<day>{_DAY})"
        return [make_rule(rf"{APART}{self._weekday()}{date}{time}(?![\w-])", self._verbalize_numeric)]

    def _written_in_numbers(self) -> list[Rule]:
        day, month = _DAY_OF, _MONTH_OF
        marks, weekday = self._marks(), self._weekday()
        first, second = self._in_order()
        found = [
            make_rule(
                rf"{APART}{weekday}{self._no_version()}(?P<year>{_YEAR})[{marks}]\ ?{month}[{marks}]\ ?{day}"
                rf"{self._stop()}{_ENDS}",
                self._verbalize_numeric,
            ),
            *(
                make_rule(
                    rf"{APART}{weekday}{one}[{marks}]\ ?{two}[{marks}]\ ?"
                    rf"(?P<year>{_YEAR}|\d\d){self._year_end}{_ENDS}",
                    self._verbalize_numeric,
                )
                for one, two in ((first, second), (second, first))  # a number above 12 is the day
            ),
            make_rule(  # with full stops, whatever the language, the day is the first
                rf"{APART}{weekday}{day}\.{month}\.(?P<year>{_YEAR}){_ENDS}", self._verbalize_numeric
            ),
        ]
        if self._data.get("short_alone") and "numeric_short" in self._data:
            found.append(
                make_rule(rf"{APART}{weekday}{first}[{marks}]{second}{_ENDS}", self._verbalize_numeric)
            )
        with_stop = "." in self._data.get("marks", "") and self._data.get("short_stop", True)
        if with_stop and "numeric_short" in self._data:
            one, two = (month, day) if self._data.get("order") == "ymd" else (day, month)
            found.append(make_rule(rf"{APART}{weekday}{one}\.\ ?{two}\.(?!\d)", self._verbalize_numeric))
        return found

    def short_date_rules(self) -> list[Rule]:
        """The rules that come before those for fractions: "on 1/2" is a day."""
        after = "|".join(regex.escape(str(word)) for word in self._data.get("short_after") or [])
        if not (after and self._months and "numeric_short" in self._data):
            return []
        first, second = self._in_order()
        return [
            make_rule(rf"(?<=\b(?i:{after})\ ){one}[{self._marks()}]{two}{_ENDS}", self._verbalize_numeric)
            for one, two in ((first, second), (second, first))
        ]

    def _stop(self) -> str:
        """The full stop behind the last number, where the language writes one behind each."""
        if self._data.get("order") != "ymd" or "." not in self._data.get("marks", ""):
            return ""
        return r"(?:(?<=\.\ ?\d{1,2})\.)?"

    def _no_version(self) -> str:
        """Not "2026.11.3", a release, where people write the day first."""
        return "" if self._data.get("order") == "ymd" else r"(?!\d{4}\.\ ?(?!\d\d\.\d\d))"

    def _marks(self) -> str:
        return str(regex.escape(self._data.get("marks", "/"), special_only=False))

    def _in_order(self) -> tuple[str, str]:
        return (_MONTH_OF, _DAY_OF) if self._data.get("order") == "mdy" else (_DAY_OF, _MONTH_OF)

    def _weekday(self) -> str:
        return (
            rf"(?:(?P<weekday>{any_of(self._weekdays)})\b\.?,?\ )?"
            if self._weekdays
            else "(?P<weekday>(?!))?"
        )

    def _named(self) -> list[Rule]:
        suffix = rf"(?:{self._data.get('day_suffix') or '(?!)'})?"
        day = rf"(?P<day>{_DAY}){suffix}(?:(?:{DASH})(?P<until>{_DAY}){suffix})?"
        month = rf"(?P<month>{any_of(self._months)})\b\.?"
        words = self._data.get("between") or "(?!)"
        between = rf"(?:(?:{words})\ )?"
        year = rf"(?:,?\ (?:(?P<of>{words})\ )?(?P<year>{_YEAR}){self._year_end})?"
        patterns = {
            "month_first": rf"{month}\ {day}{year}{_ENDS}(?!°|\ ?%)",
            "day_first": rf"{self._article()}{day}\ {between}{month}{year}(?!\w)",
            "month_year": rf"{month},?\ {between}(?P<year>{_YEAR}){self._year_end}{_ENDS}",
        }
        return [
            *self._year_first(day, month),
            *(
                make_rule(rf"(?<![\w.,/-]){self._weekday()}{pattern}", self._named_date_verbalizer(name))
                for name, pattern in patterns.items()
                if name in self._data
            ),
        ]

    def _year_first(self, day: str, month: str) -> list[Rule]:
        """Named dates that begin with the year: "2026. május 5."; `between` is the text behind the year."""
        data = self._data.get("year_first")
        if not data:
            return []
        date = rf"{month}(?:\ {day})?" if "month_first" in self._data else rf"(?:{day}\ )?{month}"
        return [
            make_rule(
                rf"(?<![\w.,/-])(?P<year>{_YEAR})(?:{data['between']})\ {date}{_ENDS}",
                self._verbalize_year_first,
            )
        ]

    def _verbalize_year_first(self, match: regex.Match[str]) -> str:
        date = self._month_name(match["month"])
        before = _text_before(match)
        if match["day"]:
            days = [self._day(int(day), before) for day in (match["day"], match["until"]) if day]
            name = "month_first" if "month_first" in self._data else "day_first"
            day = f" {self._language.word('range')} ".join(days)
            date = str(self._data[name]).format(month=date, day=day)
        return str(self._data["year_first"]["spoken"]).format(year=self._year(match["year"]), date=date)

    def _article(self) -> str:
        """An article whose form before the word for the first day differs from that before its number."""
        articles = self._data.get("day_articles") or {}
        return rf"(?:(?P<article>{any_of(articles)})(?=0?1(?!\d)))?" if articles else ""

    def _ranges(self) -> list[Rule]:
        """The dash between two dates, each of which has a rule of its own."""
        to = self._language.word("range")
        if not to:
            return []
        dash = r"(?P<dash>\ ?[–—]\ ?|\ -\ )"
        weekday = rf"(?:{any_of(self._weekdays)}\b\.?,?\ )?" if self._weekdays else ""
        month = rf"(?:{any_of(self._months)})\b\.?"
        suffix = rf"(?:{self._data.get('day_suffix') or '(?!)'})?"
        first = rf"{month}\ \d{{1,2}}{suffix}(?:,?\ \d{{4}})?|\d{{1,2}}{suffix}\ {month}(?:\ \d{{4}})?"
        second = rf"{weekday}(?:{month}\ \d|\d{{1,2}}{suffix}\ {month})"
        marks = self._marks()
        return [
            make_rule(rf"(?=\ ?[–—-])(?<=\b(?:{first})){dash}(?={second})", lambda _match: f" {to} "),
            make_rule(
                rf"(?=\ ?[–—-])(?<=\d[{marks}-]\d{{2,4}}){dash}(?=\d{{1,4}}[{marks}-]\d{{1,2}}[{marks}-]\d)",
                lambda _match: f" {to} ",
            ),
        ]

    def _named_date_verbalizer(self, name: str) -> Callable[[regex.Match[str]], str]:
        return lambda match: self._verbalize_named(match, name)

    def verbalize(
        self, *, year: int | None = None, month: int | None = None, day: int | None = None, before: str = ""
    ) -> str | None:
        """A date in words, or part of one; None if the numbers make no date.

        Args:
            year: with the century.
            month: 1 for January.
            day: of the month.
            before: the text before it, on whose last word the case of the day may depend.
        """
        parts = {"y": year, "m": month, "d": day}
        present = "".join(part for part, value in parts.items() if value is not None)
        pattern = _PARTS.get(present) or self._data.get(_PATTERNS.get(present, ""))
        if not pattern or month not in (None, *range(1, len(self._language.months) + 1)):
            return None
        if day not in (None, *range(1, _DAYS + 1)):
            return None
        date = _unless_said(str(pattern), before).format(
            month=self._language.months[month - 1][0] if month else "",
            day=self._day(day, before) if day else "",
            year=self._year_of_date(year) if year is not None else "",
        )
        return self._contracted(date)

    def _contracted(self, date: str) -> str:
        """The date as it is said where words meet: Catalan "d'abril"."""
        for apart, together in (self._data.get("contractions") or {}).items():
            date = date.replace(apart, together)
        return date

    def _year_of_date(self, year: int) -> str:
        """The year behind a day, which is an ordinal in some languages."""
        if self._data.get("year") == "ordinal":
            return self._language.numbers.ordinal(year, gender=self._data.get("year_gender", ""))
        return self._language.numbers.year(year)

    def _verbalize_numeric(self, match: regex.Match[str]) -> str | None:
        found = match.groupdict()
        year = _whole_year(found["year"]) if found.get("year") else None
        date = self.verbalize(
            year=year, month=int(match["month"]), day=int(match["day"]), before=_text_before(match)
        )
        if date is None:
            return None
        if found.get("hour"):
            time = self._times.verbalize(match["hour"], match["minute"])
            date = str(self._data.get("date_time", "{date}, {time}")).format(date=date, time=time)
        return self._with_weekday(match, date) + self._full_stop(match)

    def _full_stop(self, match: regex.Match[str]) -> str:
        """The full stop that an abbreviation behind the year and the sentence share."""
        return "." if self._year_end and match.group().endswith(".") and at_sentence_end(match) else ""

    def _verbalize_named(self, match: regex.Match[str], name: str) -> str:
        found = match.groupdict()
        month = self._month_name(match["month"])
        if name == "month_year":
            year = self._year_of_date(_whole_year(match["year"]))
            date = str(self._data[name]).format(month=month, year=year)
            return self._with_weekday(match, date) + self._full_stop(match)
        before = _text_before(match)
        nominative = self._is_nominative(match["month"])
        day = self._day(int(match["day"]), before, nominative=nominative)
        if found["until"]:
            until = self._day(int(found["until"]), before, nominative=nominative)
            day += f" {self._language.word('range')} {until}"
        date = self._contracted(_without_repeat(match, str(self._data[name])).format(month=month, day=day))
        if found.get("article"):
            date = f"{self._data['day_articles'][found['article']]} {date}"
        if found["year"]:
            year = self._year_of_date(_whole_year(found["year"]))
            pattern = self._data.get("with_year", "{date} {year}")
            if found["of"]:
                pattern = f"{{date}} {found['of']} {{year}}"
            date = str(pattern).format(date=date, year=year)
        spoken = self._with_weekday(match, date)
        return spoken + ("." if match.group().endswith(".") and at_sentence_end(match) else "")

    def _month_name(self, written: str) -> str:
        """The name for an abbreviation; a name in whatever case stays as it is written."""
        names = self._language.months[self._months[written]]
        return names[0] if written in names[1:] else written

    def _is_nominative(self, month: str) -> bool:
        """Whether a month is written by its name alone in a language that has another form for dates."""
        names = _index_by_name([name.split(" | ") for name in self._data.get("month_names") or []])
        return month in names and month != self._language.months[names[month]][0]

    def _with_weekday(self, match: regex.Match[str], date: str) -> str:
        found = match.groupdict().get("weekday")
        if not found:
            return date
        weekday = self._language.weekdays[self._weekdays[found]][0]
        return str(self._data.get("weekday", "{weekday}, {date}")).format(weekday=weekday, date=date)

    def _day(self, day: int, before: str, *, nominative: bool = False) -> str:
        named = (self._data.get("days") or {}).get(day)
        numbers = self._language.numbers
        if named:
            return str(named)
        if self._data.get("day") != "ordinal" or not numbers.has_ordinals:
            figure = numbers.cardinal(day, gender=self._data.get("day_gender", ""))
            stop = "." if figure.isdigit() and self._data.get("day_suffix") == r"\." else ""
            return figure + stop
        word = _last_word(before).casefold()
        usual = "" if nominative else self._data.get("day_gender", "")
        genders = self._data.get("day_gender_after") or {}
        gender = genders.get(_last_words(before), genders.get(word, usual))
        return numbers.ordinal(day, gender=gender, oblique=word in (self._data.get("oblique_after") or []))

    def _year(self, year: str) -> str:
        return self._language.numbers.year(_whole_year(year))

    def _names(self) -> list[Rule]:
        """Abbreviated names that stand alone."""
        names = {
            short: name
            for kind in self._data.get("names_alone") or []
            for short, name in _index_abbreviations(self._data.get(kind) or []).items()
        }
        sure = [name for name in names if name not in self._ambiguous]

        def say(match: regex.Match[str]) -> str | None:
            name, ends = match["name"], match.group().endswith(".") and at_sentence_end(match)
            if ends and name in self._ambiguous and name.islower():
                return None  # a word, and the full stop is that of the sentence: "J'en ai sept."
            return names[name] + ("." if ends else "")

        to = self._language.word("range")
        weekday = any_of(self._weekdays) if to else _NEVER
        return [
            make_rule(
                rf"(?<![\w-])(?P<from>{weekday})\.?(?:{DASH})(?P<to>{weekday})\b",
                lambda match: f"{self._weekday_name(match['from'])} {to} {self._weekday_name(match['to'])}",
                needs_digit=False,
            ),
            make_rule(rf"(?<![\w-])(?P<name>{any_of(names)})\.(?!\w)", say, needs_digit=False),
            make_rule(rf"(?<![\w-])(?P<name>{any_of(sure)})(?![\w-]|'\w)", say, needs_digit=False),
        ]

    def _weekday_name(self, found: str) -> str:
        return self._language.weekdays[self._weekdays[found]][0]

    def _years(self) -> list[Rule]:
        data = self._language.section("years")
        if not data:
            return []
        after = "|".join(regex.escape(str(word)) for word in data.get("after") or [])
        year = rf"(?P<year>{_YEAR})"
        if before := data.get("before"):
            return [
                make_rule(
                    rf"{APART}(?:(?P<from>{_YEAR})(?:{DASH}))?{year}(?={before})", self._verbalize_year_before
                )
            ]
        found = [
            make_rule(rf"{APART}{year}(?:{DASH})(?P<until>{_YEAR}){NOT_MORE}", self._verbalize_years),
            make_rule(rf"{APART}{year}[–/-](?P<next>\d\d){NOT_MORE}", self._verbalize_season),
            make_rule(rf"{APART}{year}{NOT_MORE}", self._verbalize_year),
        ]
        if after:
            found.insert(0, make_rule(rf"(?<=\b(?i:{after})\ ){year}{NOT_MORE}", self._verbalize_year_after))
        return found

    def decade_rules(self) -> list[Rule]:
        """The rules that come before those for units: the s of 1990s is not a second."""
        decades = self._language.section("numbers").get("decades")
        if not decades:
            return []
        after = "|".join(regex.escape(str(word)) for word in decades.get("short_after") or ["\0"])
        return [
            make_rule(rf"{APART}(?P<year>{_YEAR}){decades['suffix']}(?!\w)", self._verbalize_decade),
            make_rule(
                rf"(?:(?<=\b(?i:{after})\ )['’]?|(?<=[\s(])['’])(?P<year>[2-9]0){decades['suffix']}(?!\w)",
                lambda match: self._decade(self._language.numbers.cardinal(int(match["year"]))),
            ),
        ]

    def _verbalize_decade(self, match: regex.Match[str]) -> str | None:
        return self._decade(self._year(match["year"]))

    def _decade(self, spoken: str) -> str | None:
        for pattern, ending in self._language.section("numbers")["decades"]["endings"]:
            if regex.search(pattern, spoken):
                return str(regex.sub(pattern, ending, spoken, count=1))
        return None

    def _verbalize_years(self, match: regex.Match[str]) -> str | None:
        if not self._in_range(match["year"], "after_from"):
            return None
        return f"{self._year(match['year'])} {self._language.word('range')} {self._year(match['until'])}"

    def _verbalize_year_before(self, match: regex.Match[str]) -> str:
        start = f"{self._year(match['from'])} {self._language.word('range')} " if match["from"] else ""
        return start + self._year(match["year"])

    def _verbalize_season(self, match: regex.Match[str]) -> str | None:
        """A year and the next; with a hyphen it may be a month."""
        year, after = int(match["year"]), int(match["next"])
        month = "-" in match.group() and after <= _MONTHS
        if (year + 1) % 100 != after or month or not self._in_range(match["year"], "from"):
            return None
        spoken = (
            self._language.numbers.digits(match["next"])
            if after < _TEN
            else self._language.numbers.cardinal(after)
        )
        return f"{self._year(match['year'])} {self._language.word('range')} {spoken}"

    def _verbalize_year(self, match: regex.Match[str]) -> str | None:
        return (
            self._year(match["year"])
            if self._in_range(match["year"], "from") and not self._counts(match)
            else None
        )

    def _verbalize_year_after(self, match: regex.Match[str]) -> str | None:
        inside = self._in_range(match["year"], "after_from")
        return self._year(match["year"]) if inside and not self._counts(match) else None

    def _in_range(self, year: str, lower: str) -> bool:
        data = self._language.section("years")
        return bool(data.get(lower, 1900) <= int(year) <= data.get("to", 2099))

    def _counts(self, match: regex.Match[str]) -> bool:
        """Whether the number is a count of something."""
        pattern = self._language.section("years").get("not_before")
        rest = match.string[match.end() : match.end() + 40]
        return bool(pattern) and rest[:1] == " " and bool(regex.match(pattern, rest[1:]))


def _index_by_name(names: Sequence[Sequence[str]]) -> dict[str, int]:
    return {name: number for number, spellings in enumerate(names) for name in spellings}


def _index_abbreviations(names: Sequence[Sequence[str]]) -> dict[str, str]:
    return {short: spellings[0] for spellings in names for short in spellings[1:]}


def _whole_year(year: str) -> int:
    return int(year) + (_CENTURY if len(year) == len("26") else 0)


def _text_before(match: regex.Match[str]) -> str:
    return str(match.string[max(0, match.start() - 40) : match.start()])


def _last_word(text: str) -> str:
    words = text.split()
    return words[-1] if words else ""


def _last_words(text: str) -> str:
    return " ".join(text.casefold().split()[-2:])


def _without_repeat(match: regex.Match[str], pattern: str) -> str:
    return pattern if match["weekday"] else _unless_said(pattern, _text_before(match))


def _unless_said(pattern: str, before: str) -> str:
    """The pattern without its first word if the text has that already: "the 21st of Nov"."""
    first, _, rest = pattern.partition(" ")
    return rest if rest and _last_word(before).casefold() == first.casefold() else pattern
