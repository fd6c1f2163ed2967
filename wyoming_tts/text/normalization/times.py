"""Times of day and durations in words."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import regex  # type: ignore[import-untyped]

from wyoming_tts.text.normalization.language_data import LanguageData, any_of
from wyoming_tts.text.normalization.numerals import Numeral, Numerals
from wyoming_tts.text.normalization.rules import DASH, Rule, at_sentence_end, make_rule

_LATE = 13
_TEN = 10
_HOUR = r"[01]?\d|2[0-4]"
_MINUTE = r"[0-5]\d"
_APART = r"(?<![\w:.,/+-])"
_OVER = r"(?![\w:]|[.,/]\d)"
_NEVER = "(?!)"


class TimeRules:
    """The rules for times in one language."""

    def __init__(self, language: LanguageData, numerals: Numerals) -> None:
        self._language = language
        self._numerals = numerals
        self._data = language.section("times")
        self._half_days = self._data.get("half_days") or {}
        self._half_day_marks = self._data.get("half_day_marks") or ""
        self._needs = self._data.get("before") or ""

    def rules(self) -> list[Rule]:
        """The rules in order of precedence."""
        if not self._data:
            return []
        half, suffix = self._half(), self._suffix()
        mark = f"(?P<mark>{self._marks()})"
        earlier = (
            rf"(?:(?P<hour1>{_HOUR})(?:{self._marks()}(?P<minute1>{_MINUTE}))?(?:\ ?{half % 1})?(?:{DASH}))?"
        )
        either = rf"(?:\ ?(?:{half % 2}|{suffix % ''}))"
        before = f"(?P<before>{self._needs})?" if self._needs else "(?P<before>(?!))?"
        return [
            make_rule(
                rf"{_APART}{before}{earlier}(?P<hour>{_HOUR}){mark}(?P<minute>{_MINUTE})"
                rf"(?:{either}(?!\w)|(?={_OVER}))",
                self._verbalize_clock,
            ),
            make_rule(rf"{_APART}{earlier}(?P<hour>{_HOUR})\ ?{half % 2}(?!\w)", self._verbalize_half_day),
            make_rule(rf"{_APART}{earlier}(?P<hour>{_HOUR})\ ?{suffix % ''}(?!\w)", self._verbalize_hour),
        ]

    def _marks(self) -> str:
        marks = self._data.get("marks", ":") + self._half_day_marks
        letters = "".join(mark for mark in marks if mark.isalpha())
        others = regex.escape("".join(mark for mark in marks if not mark.isalpha()), special_only=False)
        return rf"(?:[{others}]|\ ?[{letters}]\ ?)" if letters else f"[{others}]"

    def _half(self) -> str:
        halves = "|".join(self._half_days) or _NEVER
        return "(?P<half%s>(?i:" + halves.replace("%", "%%") + "))"

    def _suffix(self) -> str:
        return "(?P<suffix%s>" + (self._data.get("suffix") or _NEVER).replace("%", "%%") + ")"

    def duration_rules(self) -> list[Rule]:
        """The rules that come before those for units: the m of 2h 30m is not a meter."""
        units = self._data.get("duration_units") or []
        if not units or any(unit not in self._language.units for unit in units):
            return []
        if not self._data.get("duration"):
            clock_seconds = rf"(?P<h>{_HOUR}):(?P<m>{_MINUTE}):(?P<s>{_MINUTE})"
            return [make_rule(f"{_APART}{clock_seconds}{_OVER}", self._verbalize_clock_seconds)]
        clock = "|".join(self._data.get("clock_after") or [_NEVER])
        return [
            *self._lettered(),
            make_rule(
                rf"(?=\d)(?<=\b(?i:{clock})\ )(?P<h>{_HOUR}):(?P<m>{_MINUTE}):(?P<s>{_MINUTE}){_OVER}",
                self._verbalize_clock_seconds,
            ),
            make_rule(
                rf"{_APART}(?P<h>\d{{1,3}}):(?P<m>{_MINUTE}):(?P<s>{_MINUTE}){_OVER}",
                self._verbalize_duration,
            ),
            make_rule(
                rf"{_APART}(?:(?P<h>\d{{1,3}})h\ ?(?P<m>\d{{1,2}})m(?:in)?(?:\ ?(?P<s>\d{{1,2}})s)?"
                rf"|(?P<m>\d{{1,3}})m\ ?(?P<s>\d{{1,2}})s)(?!\w)",
                self._verbalize_duration,
            ),
            *self._minutes(units[1]),
        ]

    def _lettered(self) -> list[Rule]:
        """`7 h 05`, which is not a duration, as that would have a unit after the minutes."""
        letters = "".join(mark for mark in self._data.get("marks", ":") if mark.isalpha())
        if not letters:
            return []
        return [
            make_rule(
                rf"{_APART}(?P<hour>{_HOUR})\ ?[{letters}]\ ?(?P<minute>{_MINUTE})"
                rf"(?!\w|[.,:/-]\d|\ ?{any_of(self._language.units)}(?!\w))",
                lambda match: self.verbalize(match["hour"], match["minute"]),
            ),
            make_rule(
                rf"{_APART}(?P<from>{_HOUR})\ ?[{letters}](?P<past>{_MINUTE})?(?:{DASH})"
                rf"(?P<hour>{_HOUR})\ ?[{letters}](?P<minute>{_MINUTE})?(?!\w)",
                lambda match: (
                    f"{self.verbalize(match['from'], match['past'] or '00')} {self._language.word('range')} "
                    f"{self.verbalize(match['hour'], match['minute'] or '00')}"
                ),
            ),
        ]

    def _minutes(self, unit: str) -> list[Rule]:
        """`5m left`, which is no length."""
        before, after = (
            "|".join(regex.escape(str(word)) for word in self._data.get(key) or [])
            for key in ("minutes_before", "minutes_after")
        )
        minutes = rf"(?P<number>{self._numerals.pattern})\ ?m"

        def say(match: regex.Match[str]) -> str:
            number = self._numerals.parse(match["number"])
            return self._numerals.verbalize_count(number, self._language.units[unit])

        found = [make_rule(rf"{_APART}(?=\d){minutes}(?=\ (?i:{before})\b)", say)] if before else []
        if after:
            found.append(make_rule(rf"(?=\d)(?<=\b(?i:{after})\ ){minutes}(?![\w²³/-]|\ of\b)", say))
        return found

    def _verbalize_clock_seconds(self, match: regex.Match[str]) -> str:
        time = self.verbalize(match["h"], match["m"])
        if not int(match["s"]):
            return time
        seconds = self._numerals.verbalize_count(
            Numeral(str(int(match["s"]))), self._language.units[self._data["duration_units"][-1]]
        )
        return str(self._data["with_seconds"]).format(time=time, seconds=seconds)

    def _verbalize_duration(self, match: regex.Match[str]) -> str | None:
        counts = [match[part] or "0" for part in "hms"]
        spoken = [
            self._numerals.verbalize_count(Numeral(str(int(count))), self._language.units[unit])
            for count, unit in zip(counts, self._data["duration_units"], strict=True)
            if int(count)
        ]
        if len(spoken) == len(counts):
            return str(self._data["duration"]).format(hours=spoken[0], minutes=spoken[1], seconds=spoken[2])
        if len(spoken) > 1:
            return str(self._data["duration_short"]).format(first=spoken[0], second=spoken[1])
        return spoken[0] if spoken else None

    def _verbalize_clock(self, match: regex.Match[str]) -> str | None:
        data = self._data_after(match)
        needed = (match["suffix"], match["half2"], match["before"])
        certain = any(found is not None for found in needed) or data is not self._data
        if match["mark"] == "." and not certain:
            return None
        if match["mark"] in self._half_day_marks and not match["half2"]:
            return None
        half = self._half_word(match["half2"])
        spoken = self._verbalize(data, match["hour"], match["minute"], half)
        if match["suffix"] and match["minute"] == "00" and not half and data.get("hour_suffix"):
            spoken = self._hour_with_suffix(match["hour"])
        bare_earlier = match["hour1"] and not match["minute1"] and not (match["half1"] or half)
        earlier = (
            f"{self._verbalize(data, match['hour1'], '00')} {self._language.word('range')} "
            if bare_earlier
            else ""
        )
        return (
            (match["before"] or "")
            + (earlier or self._earlier(match, data))
            + spoken
            + self._stop(match, match["half2"] or match["suffix"])
        )

    def verbalize(self, hour: str, minute: str, half: str = "") -> str:
        """A time of day in words; `half` is the word for its half of the day."""
        return self._verbalize(self._data, hour, minute, half)

    def _data_after(self, match: regex.Match[str]) -> Mapping[str, Any]:
        """The data for a time behind the word before it, which may ask for a case; so may that of a range."""
        before = match.string[max(0, match.start() - 40) : match.start()].split()[-1:]
        words = {word.casefold().rstrip(".") for word in before}
        if match["hour1"]:
            words.add(self._language.word("range"))
        for entry in self._data.get("after") or []:
            if not words.isdisjoint(entry["words"]):
                return {**self._data, **entry}
        return self._data

    def _verbalize(self, data: Mapping[str, Any], hour: str, minute: str, half: str = "") -> str:
        named = (data.get("named") or {}).get(f"{int(hour)}:{minute}")
        if named and not half:
            return str(named)
        if minute == "00" and half:
            return self._full_hour(hour, half, data)
        name = self._pattern(int(hour), int(minute))
        time = str(data[name]).format(
            hour=self._hour(hour, data),
            hours=self._hours(hour),
            minute=self._language.numbers.cardinal(int(minute), gender=data.get("minute_gender", "")),
            zero=self._language.numbers.digits("0"),
        )
        return self._with_half(time, half)

    def _full_hour(self, hour: str, half: str, data: Mapping[str, Any] | None = None) -> str:
        """An hour of a half of the day, where there is one."""
        pattern = self._data.get("half_day_full")
        spoken = self._hour(hour, data)
        return (
            str(pattern).format(hour=spoken, half=half) if half and pattern else self._with_half(spoken, half)
        )

    def _with_half(self, time: str, half: str) -> str:
        return str(self._data.get("half_day", "{time} {half}")).format(time=time, half=half) if half else time

    def _pattern(self, hour: int, minute: int) -> str:
        if minute == 0:
            late = hour >= _LATE and "full_hour_late" in self._data
            return "full_hour_late" if late else "full_hour"
        small = minute < _TEN and "small_minute" in self._data
        return "small_minute" if small else "hour_minute"

    def _hour(self, hour: str, data: Mapping[str, Any] | None = None) -> str:
        data = data or self._data
        if named := (data.get("hours") or {}).get(int(hour)):
            return str(named)
        numbers = self._language.numbers
        spell = numbers.ordinal if data.get("hour") == "ordinal" else numbers.cardinal
        return spell(int(hour), gender=data.get("hour_gender", "m"))

    def _hours(self, hour: str) -> str:
        """The hour with its unit, "two o'clock" as "two hours"."""
        unit = self._language.units.get((self._data.get("duration_units") or ["h"])[0])
        return self._numerals.verbalize_count(Numeral(str(int(hour))), unit) if unit else self._hour(hour)

    def _hour_with_suffix(self, hour: str) -> str:
        return str(self._data["hour_suffix"]).format(hour=self._hour(hour), hours=self._hours(hour))

    def _half_word(self, found: str | None) -> str:
        if not found:
            return ""
        for pattern, word in self._half_days.items():
            if regex.fullmatch(pattern, found, regex.IGNORECASE):
                return str(word)
        return found

    def _stop(self, match: regex.Match[str], half: str | None) -> str:
        return "." if half and half.endswith(".") and at_sentence_end(match) else ""

    def _verbalize_half_day(self, match: regex.Match[str]) -> str:
        spoken = self._full_hour(match["hour"], self._half_word(match["half2"]))
        return self._earlier(match) + spoken + self._stop(match, match["half2"])

    def _earlier(self, match: regex.Match[str], data: Mapping[str, Any] | None = None) -> str:
        if not match["hour1"]:
            return ""
        half = self._half_word(match["half1"])
        if match["minute1"]:
            spoken = self._verbalize(data or self._data, match["hour1"], match["minute1"], half)
        else:
            spoken = self._full_hour(match["hour1"], half)
        return f"{spoken} {self._language.word('range')} "

    def _verbalize_hour(self, match: regex.Match[str]) -> str | None:
        if not self._data.get("hour_suffix"):
            return None
        return self._earlier(match) + self._hour_with_suffix(match["hour"])
