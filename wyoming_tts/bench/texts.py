"""Benchmark texts of the lengths that satellites speak, from a short reply to an assistant's answer.

A server may cache what it has spoken, and a repeated text would measure that cache. So every request gets a
variant of the same length: the last word of each clause is replaced by a made-up one.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from types import MappingProxyType

_SHORT = "The front door is open."

_SENTENCE = (
    "When you come home this evening, the heating will be on, the lights in the hallway will be dimmed "
    "to thirty percent, and the coffee machine will be waiting."
)

_CLAUSE = (
    "When you come home from the office late this evening after the long meeting, the heating will be on, "
    "and the lights in the hallway will be dimmed slightly."
)

_PARAGRAPH = (
    "Good morning, it is a quarter past seven and the sun has been up for half an hour. "
    "Today stays dry with a light wind from the west, and in the afternoon it gets as warm as twenty "
    "degrees. "
    "Your first meeting starts at nine, so leave the house before half past eight if you take the bicycle. "
    "The washing machine finished during the night and the solar panels have filled the battery. "
    "Somebody left the garage window open."
)

_LLM = (
    "That is a good question, and the answer depends a little on the house you live in. "
    "A heat pump does not burn anything. It moves warmth from one place to another, in the same way as a "
    "refrigerator, only in the opposite direction. Outside, a fan blows air over a coil of thin pipes, and "
    "the liquid in those pipes is so cold that even winter air warms it enough to boil. The vapour is then "
    "pressed together by a compressor, and because a gas gets hot when it is squeezed, it arrives in your "
    "cellar hotter than the water in your radiators. There it gives its heat away, becomes liquid again, "
    "passes a narrow valve, cools down, and the circle starts from the beginning. "
    "The important number is called the coefficient of performance. It tells you how many units of heat "
    "you get for each unit of electricity. On a mild day that may be five, on a frosty night only two and a "
    "half, and over a whole year a well planned system reaches about four. "
    "Three things decide how good it will be in your house. First, the temperature of the water in the "
    "radiators: every degree less saves roughly two percent of the electricity. Large radiators, or pipes "
    "in the floor, are therefore worth more than a bigger machine. Second, the insulation, although many "
    "old houses do surprisingly well once the windows are tight. Third, the settings. Most installers leave "
    "the heating curve far too high, because nobody complains about a warm room, but you can lower it by "
    "one step each day until the coldest room just stays comfortable. "
    "You also asked whether it is loud. Modern units make about as much noise as a quiet conversation, and "
    "at a distance of five metres you will hardly hear them through a closed window. Still, do not put it "
    "in a corner between two walls, since that doubles the sound. "
    "My suggestion would be this. Find out how much gas or oil you used last winter, then set your present "
    "boiler to fifty degrees for one cold week. If the rooms stay warm, your house is ready, and you can ask "
    "two or three companies for an offer. If they do not, begin with the radiators in the coldest rooms. "
    "Shall I put a reminder in your calendar for the first cold week in November?"
)

TEXTS: Mapping[str, str] = MappingProxyType(
    {"short": _SHORT, "sentence": _SENTENCE, "paragraph": _PARAGRAPH, "llm": _LLM}
)
"""Texts by name: a reply of 5 words, a sentence of 29, 5 sentences, and an answer of 400 words."""

LOAD_TEXTS: Mapping[str, str] = MappingProxyType({**TEXTS, "clause": _CLAUSE})
"""Those, and one for measuring alone: a sentence of 29 words whose first clause has 14."""

_CONSONANTS = "bdfgklmnprstvz"
_VOWELS = "aeiou"
_SYLLABLES = tuple(consonant + vowel for consonant in _CONSONANTS for vowel in _VOWELS)
VARIANTS = len(_SYLLABLES) ** 3
"""Number of different variants of a text."""

_LAST_WORD = re.compile(r"\w+(?=[,.;:?!])")


def vary_text(text: str, number: int) -> str:
    """Variant `number` of a text, in which the last word of each clause is replaced.

    However a server cuts the text at its punctuation, no clause is the same in two of VARIANTS consecutive
    variants.
    """
    word = _made_up_word(number % VARIANTS)
    return _LAST_WORD.sub(word, text)


def _made_up_word(number: int) -> str:
    rest, third = divmod(number, len(_SYLLABLES))
    first, second = divmod(rest, len(_SYLLABLES))
    return _SYLLABLES[first] + _SYLLABLES[second] + _SYLLABLES[third]
