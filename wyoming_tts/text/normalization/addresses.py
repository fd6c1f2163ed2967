"""Internet addresses in words: URLs, e-mail addresses, domains, file names and IP addresses."""

from __future__ import annotations

from collections.abc import Mapping

import regex  # type: ignore[import-untyped]

from wyoming_tts.text.normalization.language_data import LanguageData
from wyoming_tts.text.normalization.numerals import Numerals
from wyoming_tts.text.normalization.rules import Rule, make_rule
from wyoming_tts.text.unspaced_scripts import UNSPACED_LETTERS

_ENDINGS = (
    "com|org|net|io|dev|app|gov|edu|info|local|ai|tv|me|co|uk|us|de|at|ch|fr|es|it|nl|be|eu|pl|se|no|dk|fi"
    "|yaml|yml|json|txt|py|js|ts|md|pdf|csv|xml|html|toml|log|conf|sh|zip|png|jpg|mp3|wav|flac"
)
"""Endings of domains and files, before which a dot is spoken."""
_NO_ADDRESS = rf"\s<>\"«»{UNSPACED_LETTERS}，。、；：！？（）「」『』【】《》"
"""Within brackets of a pattern: what ends an address."""
_CLOSING = r".,;:!?'’”)\]}"
"""Likewise what an address does not end with: it is of the sentence around it."""
_MAX_OCTET = 255


class AddressRules:
    """The rules for addresses in one language."""

    def __init__(self, language: LanguageData, numerals: Numerals) -> None:
        self._language = language
        self._numerals = numerals
        self._marks: Mapping[str, str] = language.section("addresses")

    def rules(self) -> list[Rule]:
        """The rules for addresses made of words, which come before those for abbreviations and numbers."""
        if not self._marks:
            return []
        return [
            make_rule(
                r"(?<![\w@])(?:[a-z][a-z+]{1,9}://|www\.)"
                rf"[^{_NO_ADDRESS}]{{0,299}}[^{_NO_ADDRESS}{_CLOSING}]",
                self._verbalize_url,
                ignore_case=True,
                needs_digit=False,
            ),
            make_rule(
                r"(?<![\w.+-])[\w.+-]{1,64}@[\w-]{1,63}(?:\.[\w-]{1,63}){0,8}(?!\w)",
                lambda match: self._spell(match.group()),
                needs_digit=False,
            ),
            make_rule(
                rf"(?<![\w.@/-])[a-z_][\w-]{{0,62}}(?:\.[a-z_0-9][\w-]{{0,62}}){{0,6}}\.(?:{_ENDINGS})(?::\d{{1,5}})?(?![\w-]|\.\w)"
                r"(?:/[\w./~%-]{0,200}\w)?",
                lambda match: self._spell(match.group()),
                needs_digit=False,
            ),
        ]

    def ip_address_rules(self) -> list[Rule]:
        """The rules for addresses made of numbers, which come before those for versions."""
        if not self._marks:
            return []
        return [
            make_rule(
                r"(?<![\w.,:/-])\d{1,3}(?:\.(?:0|[1-9]\d{0,2})){3}(?::\d{1,5})?(?:/\d{1,2})?(?![\w/:]|\.\d)",
                self._verbalize_ip_address,
            )
        ]

    def _verbalize_url(self, match: regex.Match[str]) -> str:
        url = match.group()
        address = regex.sub(r"^(?:\w[\w+]*://)?(?:www\.)?", "", url, flags=regex.IGNORECASE)
        address = regex.split(r"[?#]", address)[0].rstrip("/")
        return self._spell(address) if address else url

    def _spell(self, address: str) -> str:
        """Letters as they stand, marks as words; a hyphen inside a word is not spoken."""
        words = []
        for part in regex.findall(r"(?:[^\W\d_]|(?<=[^\W\d_])-(?=[^\W\d_]))+|\d+|.", address):
            if part.isascii() and part.isdigit():
                words.append(self._numerals.verbalize_identifier(part))
            else:
                words.append(str(self._marks.get(part, part)))
        return " ".join(word for word in words if word)

    def _verbalize_ip_address(self, match: regex.Match[str]) -> str | None:
        numbers = regex.findall(r"\d+", match.group())
        if any(int(number) > _MAX_OCTET for number in numbers[:4]):
            return None
        return " ".join(
            self._language.numbers.digits(part) if part.isdigit() else str(self._marks.get(part, part))
            for part in regex.findall(r"\d+|\D", match.group())
        )
