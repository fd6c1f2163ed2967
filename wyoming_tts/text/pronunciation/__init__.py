"""Default pronunciations of a language: letters, capitals, sounds such as "shh", and heteronyms.

They apply to a finished segment, whose sentence is known on both sides of a word, and only where the user's
lexicon has nothing to say. `registry` loads them from `data/*.yaml`, for each language once.
"""

from wyoming_tts.text.pronunciation.registry import LANGUAGES, DefaultPronunciations, load_pronunciations
from wyoming_tts.text.pronunciation.tokens import Respelling

__all__ = ["LANGUAGES", "DefaultPronunciations", "Respelling", "load_pronunciations"]
