"""Captions of speech: timed words and the text that they were written in become SRT, WebVTT or JSON.

`caption_text` decides which characters are shown, `cues` which words are shown together and for how long,
`formats` how that is written. All of it works while the words still arrive.
"""

from wyoming_tts.captions.caption_text import BreakStrength, CaptionText, CaptionWord
from wyoming_tts.captions.cues import Cue, CueMaker, columns
from wyoming_tts.captions.formats import CaptionFormat, CaptionWriter, word_fields

__all__ = [
    "BreakStrength",
    "CaptionFormat",
    "CaptionText",
    "CaptionWord",
    "CaptionWriter",
    "Cue",
    "CueMaker",
    "columns",
    "word_fields",
]
