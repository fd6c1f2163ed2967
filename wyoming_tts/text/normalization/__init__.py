"""Text normalization: numbers, units, dates and symbols in words, `25 °C` as "twenty-five degrees Celsius".

`stream` normalizes text that is still arriving, window by window, with the `normalizer` of its
language, which `registry` loads once. A normalizer applies rules, grouped by what they read: `dates`,
`times`, `measures`, `abbreviations`, `addresses`, `identifiers`, `roman_numerals`, `contexts` and
`plain_numbers`. They take all their words from a language's data: those of the CLDR (`cldr`) under
those of its file (`data/*.yaml`), merged by `language_data`; `schema` validates a user's
`spoken.yaml`. Numbers as they are written come from `numerals`, and number words from `number_words`
or, where it has no grammar for a language, from `generic_numbers`. `say_as` does the same for SSML's
`say-as`.
"""

from wyoming_tts.text.normalization.normalizer import TextNormalizer, protect_nothing
from wyoming_tts.text.normalization.registry import FILE_NAME, NormalizerRegistry, load_user_entries
from wyoming_tts.text.normalization.stream import StreamingNormalizer

__all__ = [
    "FILE_NAME",
    "NormalizerRegistry",
    "StreamingNormalizer",
    "TextNormalizer",
    "load_user_entries",
    "protect_nothing",
]
