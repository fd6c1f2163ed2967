"""Settings of the group Speech: pace, loudness and pauses, and how soon a text is spoken."""

from __future__ import annotations

from functools import partial
from typing import Literal

from wyoming_tts.settings.groups.base import Group, SettingsGroup, setting
from wyoming_tts.settings.values.plain import Number, Punctuation, Whole

_setting = partial(setting, Group.SPEECH)

_CUT_MARKS = ",.;:?!—…，、。．；：？！､｡،؛؟۔"
"""Where a clause ends, in Latin, East Asian and Arabic writing."""


class SpeechSettings(SettingsGroup):
    """Fields under the heading Speech."""

    speed: Number = _setting(
        1.0, "Speed: 2 takes half the time.", unit="times the voice's own", ge=0.25, le=4.0
    )
    length_scale: Number | None = _setting(
        None,
        "Length of Piper's phonemes, divided by `speed`.",
        shown="the voice's own",
        ge=0.25,
        le=4.0,
    )
    noise_scale: Number | None = _setting(
        None, "Variation of Piper's sound.", shown="the voice's own", ge=0.0, le=2.0
    )
    noise_w_scale: Number | None = _setting(
        None,
        "Variation of the length of Piper's phonemes.",
        shown="the voice's own",
        ge=0.0,
        le=2.0,
    )
    volume: Number = _setting(
        1.0,
        "Gain on top of loudness normalization; peaks are limited.",
        unit="times",
        ge=0.0,
        le=4.0,
    )
    loudness: Number = _setting(
        -20.0, "Loudness that all voices are normalized to.", unit="LUFS", ge=-40.0, le=-10.0
    )
    sentence_silence: Number = _setting(
        0.0, "Silence added between two sentences.", unit="seconds", ge=0.0, le=10.0
    )
    line_silence: Number = _setting(
        0.0,
        "Silence added after a line that ends without a mark and does not go on in the next one, if longer "
        "than `sentence_silence`.",
        unit="seconds",
        ge=0.0,
        le=10.0,
    )
    paragraph_silence: Number = _setting(
        0.3,
        "Silence added between two paragraphs, if longer than `sentence_silence`.",
        unit="seconds",
        ge=0.0,
        le=10.0,
    )
    leading_silence: Number = _setting(
        0.0,
        "Silence added before the first word, for speakers that swallow the beginning.",
        unit="seconds",
        ge=0.0,
        le=10.0,
    )
    trailing_silence: Number = _setting(
        0.0,
        "Silence added after the last word, for players that cut it off.",
        unit="seconds",
        ge=0.0,
        le=10.0,
    )
    auto_punctuation: Punctuation = _setting(
        ".?!。？！．؟",
        "A text that ends in none of these characters gets the first one appended; `none` disables this.",
        expects="punctuation characters, or none",
        pattern=r"^(\W*|none)$",
    )
    first_segment_boundaries: Punctuation = _setting(
        _CUT_MARKS,
        "Where a long first sentence may be cut for earlier first audio; `none` cuts nowhere.",
        expects="punctuation characters, or none",
        pattern=r"^([^\w\s]*|none)$",
    )
    first_segment_min_words: Whole = _setting(
        3, "Least words of a cut first sentence.", unit="words", ge=1, le=100
    )
    first_segment_max_words: Whole | None = _setting(
        None,
        "Words after which a first sentence without a boundary is cut anyway; 0 never does.",
        unit="words",
        shown="the engine's: 8 for Kokoro, 0 for Piper",
        ge=0,
        le=100,
    )
    flush_idle_ms: Whole = _setting(
        0,
        "Speak the text received so far when no more has arrived for this long; 0 waits for the end of the "
        "sentence.",
        unit="milliseconds",
        ge=0,
        le=60_000,
    )
    start: Literal["steady", "at_once"] = _setting(
        "steady",
        "Where this machine computes slower than it speaks: `steady` holds the first audio back until the "
        "rest will arrive in time, so that there is no gap; `at_once` sends it as soon as it is made.",
    )
    max_hold: Number = _setting(
        10.0,
        "Longest time for which `start: steady` holds audio back; then it is sent all the same.",
        unit="seconds",
        ge=0.0,
        le=120.0,
    )
    patience: Number = _setting(
        0.0,
        "Time within which a listener has to hear something, for voice agents: the embedded voice speaks an "
        "utterance whose voice is still being loaded or downloaded by then, and over HTTP and the WebSocket "
        "silence is sent until there is speech. 0 waits as long as it takes. A request may say otherwise.",
        unit="seconds",
        ge=0.0,
        le=60.0,
    )
    streaming: bool = _setting(
        True, "Let clients send text in pieces and hear it while it is still arriving."
    )
    samples_per_chunk: Whole = _setting(
        1024, "Largest number of samples in one audio event.", unit="samples", ge=64, le=65536
    )
    wyoming_words: bool = _setting(
        True,
        "Tell Wyoming clients beside the audio when which word sounds, in a field of `audio-chunk` that "
        "others ignore.",
    )
