"""Signs and figures as they are said: `25 °C` as "twenty-five degrees Celsius"."""

from wyoming_tts.text.spoken.languages import FILE_NAME, SpokenLanguages, read_extra
from wyoming_tts.text.spoken.speller import Speller, nothing_protected
from wyoming_tts.text.spoken.stream import SpokenStream

__all__ = [
    "FILE_NAME",
    "Speller",
    "SpokenLanguages",
    "SpokenStream",
    "nothing_protected",
    "read_extra",
]
