"""Tone codec of the test voices: phonemes as tones, and a decoder that turns audio back into phonemes.

A tone voice speaks every phoneme id as a tone of one slot, `base + spacing * id + shift * speaker` hertz.
From its audio, even after a gain, a limiter and conversion to int16, `spoken` and `said` decode what was said
and by which speaker, so that tests check words instead of the mere presence of sound.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib.resources import files
from itertools import pairwise
from pathlib import Path

import numpy as np
import numpy.typing as npt

VOICES = Path(__file__).parent.parent / "voices"
"""The directory of the test voices: a data directory for engines."""

NOISE = 0.05
"""Standard deviation of the noise at a noise scale of 1."""
WIDTH_NOISE = 0.5
"""How much longer slots become at a noise width scale of 1, times a drawn number."""
ROW_LEVEL = 0.0002
"""How much the row of a Kokoro style adds to the amplitude: row 100 speaks 0.02 louder."""
KOKORO_ROWS = 510

_SPECTRUM = 16384
# A tone of 400 Hz or more is near zero for fewer consecutive samples than this.
_GAP = 48


@dataclass(frozen=True, slots=True)
class Tone:
    """One decoded slot of audio."""

    id: int
    speaker: int


@dataclass(frozen=True, slots=True)
class ToneVoice:
    """A test voice, with the decoder of its audio."""

    name: str
    rate: int
    slot: int
    """Samples per phoneme id at speed 1."""
    spacing: int
    shift: int
    symbols: Mapping[str, int]
    speakers: Sequence[str] = ("only",)
    base: int = 400
    level: float = 0.25
    length_scale: float = 1.0
    hop: int = 0
    """Samples of a frame, if the voice has durations: then the end of each slot is rounded to one."""
    silent_pad: bool = False
    """Whether the padding at both ends is silence (Kokoro) instead of tones (Piper)."""

    def spoken(self, audio: npt.ArrayLike, *, speed: float = 1.0) -> list[list[Tone]]:
        """Decode the tones of each stretch of sound between silences.

        Args:
            audio: samples of any type and level, shape (n,).
            speed: the pace it was spoken at.

        Raises:
            AssertionError: a stretch is not a whole number of slots: something was lost or added.
        """
        return [self._tones(stretch, speed) for stretch in stretches(audio)]

    def said(self, audio: npt.ArrayLike, *, speed: float = 1.0) -> list[str]:
        """Decode the phonemes of each sentence, without the ids that frame and pad it."""
        tones = [tone for stretch in self.spoken(audio, speed=speed) for tone in stretch]
        names = {number: symbol for symbol, number in self.symbols.items()}
        if self.silent_pad:
            return ["".join(names[tone.id] for tone in tones)] if tones else []
        text = "".join(names[tone.id] for tone in tones if tone.id != self.symbols["_"])
        assert text.count("^") == text.count("$"), f"a sentence is torn: {text!r}"
        return [sentence.removeprefix("^") for sentence in text.split("$")[:-1]]

    def speakers_of(self, audio: npt.ArrayLike, *, speed: float = 1.0) -> set[str]:
        """Decode which speakers are heard."""
        stretches_ = self.spoken(audio, speed=speed)
        return {self.speakers[tone.speaker] for stretch in stretches_ for tone in stretch}

    def slot_begin(self, number: int, speed: float = 1.0) -> int:
        """The first sample of a slot, of a sentence at that pace."""
        if self.hop:
            return round(number * (self.slot // self.hop) / speed) * self.hop
        return number * round(self.slot / speed)

    def _tones(self, stretch: npt.NDArray[np.float64], speed: float) -> list[Tone]:
        count = round(len(stretch) * speed / self.slot)
        edges = [self.slot_begin(number, speed) for number in range(count + 1)]
        # A last sample near zero may have been counted as silence; each sentence is rounded by itself.
        lost, rounded = edges[-1] - len(stretch), self.hop if speed != 1.0 else 0
        assert -rounded <= lost < _GAP + rounded, (
            f"{len(stretch)} samples are no whole number of slots of {self.slot}"
        )
        slots = np.zeros((count, max(np.diff(edges), default=0)))
        for row, (begin, end) in zip(slots, pairwise(edges), strict=True):
            slot = stretch[begin:end]
            row[: len(slot)] = slot * np.hanning(end - begin + 1)[: len(slot)]
        return [self._tone(pitch) for pitch in _pitches(slots, self.rate)]

    def _tone(self, pitch: float) -> Tone:
        above = pitch - self.base
        number = int((above + self.shift / 2) // self.spacing) if self.shift else round(above / self.spacing)
        speaker = round((above - number * self.spacing) / self.shift) if self.shift else 0
        off = above - number * self.spacing - speaker * self.shift
        assert abs(off) < (self.shift or self.spacing) * 0.45, f"{pitch:.1f} Hz is no tone of {self.name}"
        assert 0 <= speaker < len(self.speakers), f"{pitch:.1f} Hz is no speaker of {self.name}"
        return Tone(number, speaker)


def stretches(audio: npt.ArrayLike) -> list[npt.NDArray[np.float64]]:
    """Stretches of sound between silences, as float samples at their original level."""
    samples = np.asarray(audio, dtype=np.float64)
    return [samples[start:end] for start, end in _edges(samples)]


def silences(audio: npt.ArrayLike) -> list[int]:
    """Samples of silence before, between and after the stretches of sound."""
    samples = np.asarray(audio, dtype=np.float64)
    cuts = [0, *(edge for edges in _edges(samples) for edge in edges), len(samples)]
    return [int(end - start) for start, end in zip(cuts[::2], cuts[1::2], strict=True)]


def _edges(samples: npt.NDArray[np.float64]) -> Iterator[tuple[int, int]]:
    """Start and end of each stretch; sound begins with its loudest sample, so a start is exact."""
    if not len(samples) or not (peak := np.abs(samples).max()):
        return
    loud = np.flatnonzero(np.abs(samples) > peak * 0.01)
    breaks = np.flatnonzero(np.diff(loud) > _GAP)
    starts = loud[np.concatenate(([0], breaks + 1))]
    ends = loud[np.concatenate((breaks, [len(loud) - 1]))] + 1
    yield from zip(starts.tolist(), ends.tolist(), strict=True)


def _pitches(slots: npt.NDArray[np.float64], rate: int) -> list[float]:
    """The frequency of each row, which is windowed, by a parabola through the peak of its log spectrum."""
    spectrum = np.log(np.abs(np.fft.rfft(slots, _SPECTRUM)) + 1e-12)
    peak = spectrum.argmax(axis=1).clip(1, spectrum.shape[1] - 2)
    row = np.arange(len(slots))
    low, mid, high = (spectrum[row, peak + step] for step in (-1, 0, 1))
    offset = (low - high) / (2 * (low - 2 * mid + high))
    return [float(bin_) * rate / _SPECTRUM for bin_ in peak + offset]


def _ipa_symbols() -> dict[str, int]:
    """The phonemes of Piper's espeak voices, numbered in their order there."""
    text = (
        "_^$ !'(),-.:;?abcdefhijklmnopqrstuvwxyzæçðøħŋœǀǁǂǃɐɑɒɓɔɕɖɗɘəɚɛɜɞɟɠɡɢɣɤɥɦɧɨɪɫɬɭɮɯɰɱɲɳɴɵɶɸɹɺɻɽɾ"
        "ʀʁʂʃʄʈʉʊʋʌʍʎʏʐʑʒʔʕʘʙʛʜʝʟʡʢʲˈˌːˑ˞βθχᵻⱱ0123456789"
    )
    combining = "\u0327\u0303\u032a\u032f\u0329"
    return {symbol: number for number, symbol in enumerate(text + combining)}


def _letter_symbols() -> dict[str, int]:
    printable = [chr(code) for code in range(0x20, 0x7F) if chr(code) not in "_^$"]
    return {symbol: number for number, symbol in enumerate(["_", "^", "$", *printable])}


def _kokoro_symbols() -> dict[str, int]:
    config = json.loads(files("kokoro_onnx").joinpath("config.json").read_text(encoding="utf-8"))
    vocabulary: dict[str, int] = config["vocab"]
    return vocabulary


LOW = ToneVoice(
    "en_US-tone-low",
    rate=22050,
    slot=512,
    hop=64,
    spacing=40,
    shift=0,
    symbols=_ipa_symbols(),
)
"""A Piper voice of one speaker that speaks espeak's English phonemes."""

TONES = ToneVoice(
    "de_DE-tones-low",
    rate=16000,
    slot=640,
    hop=64,
    spacing=40,
    shift=13,
    symbols=_ipa_symbols(),
    speakers=("anna", "bert", "clara"),
    length_scale=1.25,
)
"""A Piper voice of three speakers, German phonemes, and a length scale of its own."""

LETTERS = ToneVoice(
    "en_US-letters-low",
    rate=22050,
    slot=512,
    hop=64,
    spacing=90,
    shift=0,
    symbols=_letter_symbols(),
)
"""A Piper voice whose phonemes are the letters of the text: `said` returns the text."""

KOKORO = ToneVoice(
    "kokoro-tones",
    rate=24000,
    slot=600,
    spacing=60,
    shift=8,
    symbols=_kokoro_symbols(),
    speakers=("af_test", "am_test", "bf_test", "ef_test", "ff_test", "zf_test"),
    silent_pad=True,
)
"""A Kokoro model with a pack of voices, one for each language or gender."""
