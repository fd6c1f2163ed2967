"""Calibration sentences: what a voice speaks, unheard, so that its statistics are learned."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.resources import files
from typing import Final

import yaml

from wyoming_tts import languages

_FILE: Final = "calibration.yaml"
_DEFAULT: Final = "en"


def calibration_sentences(language: str) -> Sequence[str]:
    """The sentences of a language, by its tag; those in English if there are none."""
    content = files(__package__).joinpath(_FILE).read_text("utf-8")
    sentences: dict[str, list[str]] = yaml.safe_load(content)
    return sentences.get(languages.language_code(language), sentences[_DEFAULT])
