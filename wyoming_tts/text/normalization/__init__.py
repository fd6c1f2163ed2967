"""Signs and figures as they are said: `25 °C` as "twenty-five degrees Celsius"."""

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
