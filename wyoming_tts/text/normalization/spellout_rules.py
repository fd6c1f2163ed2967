"""RBNF spell-out rules of languages that the CLDR has none for, in the notation of ICU.

`<<` is the number of multiples, `>>` the rest, `[]` is left out without a rest, `>%name>` says the rest by
another rule set, `=%name=` the number itself. A rule without a number is for the next one; 20/20 gives the
radix.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from types import MappingProxyType

from unicode_rbnf import RbnfEngine

_RULE_RE = re.compile(r"\s*(?:(?P<value>\d+)(?:/(?P<radix>\d+))?:\s*)?(?P<text>[^;]*[^;\s])\s*(?:;|$)")

_AND, _ALONE = "' eta =%spellout-cardinal=", "' =%spellout-cardinal="
# Counts in twenties; "eta" stands before the last part alone.
_BASQUE = {
    "spellout-cardinal": """
        0: zero; bat; bi; hiru; lau; bost; sei; zazpi; zortzi; bederatzi;
        10: hamar; hamaika; hamabi; hamahiru; hamalau; hamabost; hamasei; hamazazpi; hemezortzi; hemeretzi;
        20/20: hogei[ta >>]; 40/20: berrogei[ta >>]; 60/20: hirurogei[ta >>]; 80/20: laurogei[ta >>];
        100: ehun[ eta >>]; 200: berrehun[ eta >>]; 300: hirurehun[ eta >>]; 400: laurehun[ eta >>];
        500: bostehun[ eta >>]; 600: seiehun[ eta >>]; 700: zazpiehun[ eta >>]; 800: zortziehun[ eta >>];
        900: bederatziehun[ eta >>];
        1000: mila[>%and>]; 2000: << mila[>%and>];
        1000000: milioi bat[>%and>]; 2000000: << milioi[>%and>];
        1000000000: mila milioi[>%and>]; 2000000000: << mila milioi[>%and>];
        1000000000000: bilioi bat[>%and>]; 2000000000000: << bilioi[>%and>]
    """,
    "and": f"0: {_AND}; 101: {_ALONE};"
    + "".join(f"{hundred}: {_AND}; {_ALONE};" for hundred in range(200, 1000, 100))
    + f"1000: {_ALONE};",
}

OWN_RULES: Mapping[str, Mapping[str, str]] = MappingProxyType({"eu": _BASQUE})
"""Rule sets by language."""


def load_rules(language: str) -> RbnfEngine:
    """The engine with the rules of a language, those of the CLDR or our own.

    Raises:
        ValueError: there are none.
    """
    if language not in OWN_RULES:
        return RbnfEngine.for_language(language)
    engine = RbnfEngine(language)
    for name, rules in OWN_RULES[language].items():
        value = -1
        for rule in _RULE_RE.finditer(rules):
            value = int(rule["value"] or value + 1)
            engine.add_rule(str(value), rule["text"] + ";", name, int(rule["radix"] or 10))
    return engine
