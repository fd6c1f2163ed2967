"""Fidelity of Kokoro in chunks: `python -m bench.kokoro_fidelity DIRECTORY [--recognizer DIRECTORY]`.

DIRECTORY is one of `script/real-voices`. The sentences of `sentences.yaml` are spoken by each voice whole, in
chunks with the statistics that the voice's calibration predicts, by the graph as it was, and cut after eight
words; all are compared with the whole decode. Those that a server would decode whole are left out.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from importlib.resources import files
from pathlib import Path
from random import Random

import numpy as np
import yaml

from bench.kokoro_fidelity.distances import (
    decibels,
    level_difference,
    log_spectral_distance,
    mel_distance,
    seam_ratios,
)
from bench.kokoro_fidelity.recognition import Recognizer, Words, count_errors
from bench.kokoro_fidelity.report import (
    CutFidelity,
    Fidelity,
    HeardWords,
    cut_table,
    fidelity_table,
    seams_line,
    words_table,
    worst_table,
)
from bench.kokoro_fidelity.speaking import (
    CUT_AFTER_WORDS,
    NotSpoken,
    Speaker,
    Voices,
    open_speaker,
    without_silence,
)
from wyoming_tts.engines.kokoro.model import SHORT_SECONDS
from wyoming_tts.engines.kokoro.names import named_language
from wyoming_tts.engines.kokoro.statistics import VoiceStatistics
from wyoming_tts.languages import language_code
from wyoming_tts.speech import Samples

WHOLE, CHUNKED, ORIGINAL, CUT = "whole", "in chunks", "graph as it was", "cut after 8 words"
_DEFAULT_VOICES = "af_alpha,af_gongitsune,af_nezumi,af_tebukuro,am_kumo"
_PLACES_ELSEWHERE = 20


@dataclass
class Figures:
    """All that was measured."""

    fidelity: list[Fidelity] = field(default_factory=list)
    cut: list[CutFidelity] = field(default_factory=list)
    heard: list[HeardWords] = field(default_factory=list)
    at_seams: list[float] = field(default_factory=list)
    elsewhere: list[float] = field(default_factory=list)
    joined: list[float] = field(default_factory=list)
    """Decibels of chunks joined against one pass."""
    not_predicted: list[str] = field(default_factory=list)


def main(argv: Sequence[str] | None = None) -> int:
    """Measure and print."""
    arguments = _parser().parse_args(argv)
    voices = Voices(arguments.directory)
    recognizer = Recognizer(arguments.recognizer, threads=arguments.threads) if arguments.recognizer else None
    figures = Figures()
    try:
        with open_speaker(voices, threads=arguments.threads) as speaker:
            for number, voice in enumerate(arguments.voices.split(",")):
                comparison = Comparison(speaker, voice, figures, recognizer, speed=arguments.speed)
                comparison.run(sentences(voice)[number % arguments.every :: arguments.every])
                print(f"{voice}: done", file=sys.stderr)
    except NotSpoken as error:
        print(error, file=sys.stderr)
        return 1
    print("\n\n".join(_report(figures)))
    return 0


def sentences(voice: str) -> Sequence[str]:
    """The sentences for a voice's language."""
    content = files(__package__).joinpath("sentences.yaml").read_text("utf-8")
    by_language: dict[str, list[str]] = yaml.safe_load(content)
    return by_language[language_code(named_language(voice).tag)]


class Comparison:
    """Of one voice."""

    def __init__(
        self,
        speaker: Speaker,
        voice: str,
        figures: Figures,
        recognizer: Recognizer | None,
        *,
        speed: float = 1.0,
    ) -> None:
        """Take where the figures go."""
        self._speaker = speaker
        self._voice = voice
        self._figures = figures
        self._recognizer = recognizer
        self._speed = speed
        self._language = language_code(named_language(voice).tag)
        self._words = Words(self._language)
        self._random = Random(1)  # noqa: S311  # places to compare seams with

    def run(self, texts: Sequence[str]) -> None:
        """Calibrate the voice, then compare each text."""
        statistics = self._speaker.calibrate(self._voice)
        for text in texts:
            self._compare(text, statistics)

    def _compare(self, text: str, statistics: VoiceStatistics) -> None:
        phonemes = self._speaker.phonemes(text, self._voice)
        sentence = self._speaker.sentence(phonemes, self._voice, self._speed)
        if sentence.seconds < SHORT_SECONDS:
            return
        prediction = statistics.predict(sentence.features)
        if prediction is None:
            self._figures.not_predicted.append(f"{self._voice}: {text}")
            return
        whole, _ = self._speaker.whole(sentence)
        chunked = self._speaker.chunked(sentence, prediction)
        spoken = {WHOLE: whole, CHUNKED: chunked.samples}
        if self._speed == 1.0:
            spoken[ORIGINAL] = self._speaker.original(phonemes, self._voice)
            if len(text.split()) > CUT_AFTER_WORDS:
                spoken[CUT] = self._speaker.cut(text, self._voice)
        self._add_seams(chunked.samples, chunked.seams)
        one_pass = self._speaker.in_one_pass(sentence, prediction)
        self._figures.joined.append(decibels(one_pass, chunked.samples))
        self._figures.fidelity.extend(self._distances(text, sentence.seconds, spoken))
        self._figures.cut.extend(_cut_distances(spoken))
        if self._recognizer is not None:
            self._figures.heard.extend(self._errors(text, spoken, self._recognizer))

    def _add_seams(self, samples: Samples, seams: Sequence[int]) -> None:
        self._figures.at_seams.extend(seam_ratios(samples, seams))
        elsewhere = [self._random.randrange(len(samples)) for _ in range(_PLACES_ELSEWHERE)]
        self._figures.elsewhere.extend(seam_ratios(samples, elsewhere))

    def _distances(self, text: str, seconds: float, spoken: dict[str, Samples]) -> Iterator[Fidelity]:
        whole = spoken[WHOLE]
        for way in (CHUNKED, ORIGINAL):
            if (samples := spoken.get(way)) is not None:
                spectral, level = log_spectral_distance(whole, samples), level_difference(whole, samples)
                yield Fidelity(way, self._voice, text, seconds, spectral, level)

    def _errors(self, text: str, spoken: dict[str, Samples], recognizer: Recognizer) -> Iterator[HeardWords]:
        expected = self._words.of(text)
        heard = {
            way: self._words.of(recognizer.recognize(samples, self._language))
            for way, samples in spoken.items()
        }
        whole = heard[WHOLE]
        for way, words in heard.items():
            errors, to_whole = count_errors(expected, words), count_errors(whole, words)
            yield HeardWords(way, len(expected), errors, len(whole), to_whole)


def _cut_distances(spoken: dict[str, Samples]) -> Iterator[CutFidelity]:
    if CUT not in spoken:
        return
    whole = without_silence(spoken[WHOLE])
    for way in (CHUNKED, ORIGINAL, CUT):
        samples = without_silence(spoken[way])
        yield CutFidelity(way, mel_distance(whole, samples), len(samples) / len(whole))


def _report(figures: Figures) -> Iterator[str]:
    yield fidelity_table(figures.fidelity)
    yield worst_table(figures.fidelity, CHUNKED)
    yield cut_table(figures.cut)
    if figures.heard:
        yield words_table(figures.heard)
    yield seams_line(figures.at_seams, figures.elsewhere)
    if figures.joined:
        least, mean = min(figures.joined), np.mean(figures.joined)
        yield f"Chunks joined against one pass: {least:.0f} dB at least, {mean:.0f} on average"
    for line in figures.not_predicted:
        yield f"Not predicted: {line}"


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m bench.kokoro_fidelity", description=__doc__)
    parser.add_argument("directory", type=Path)
    parser.add_argument("--voices", default=_DEFAULT_VOICES)
    parser.add_argument("--every", type=int, default=1, help="each voice speaks every n-th sentence")
    parser.add_argument("--speed", type=float, default=1.0)
    parser.add_argument("--recognizer", type=Path)
    parser.add_argument("--threads", type=int, default=2)
    return parser


if __name__ == "__main__":
    sys.exit(main())
