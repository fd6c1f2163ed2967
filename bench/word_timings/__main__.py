"""Word timings of real voices: `python -m bench.word_timings DIRECTORY --recognizer DIRECTORY`.

DIRECTORY is one of `script/real-voices`. Each voice says the texts of `sentences.yaml`, and the starts of the
words that it tells are compared with those that a recognizer (Whisper) hears and, behind pauses, with where
sound begins. A recognizer counts silence before a word to it, and is early or late by a constant; so its
differences are shown as they are, without that silence, and without their median (its bias).
"""

from __future__ import annotations

import argparse
import asyncio
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from importlib.resources import files
from pathlib import Path

import numpy as np
import yaml
from rich.console import Console
from rich.table import Table

from bench.kokoro_fidelity.recognition import Recognizer, Words
from bench.word_timings.comparison import SoundOnsets, TimedWord, WordStart, match_words, missing_seconds
from wyoming_tts import Settings, Synthesizer, Utterance, VoiceRequest, open_synthesizer
from wyoming_tts.speech import Samples

_VOICES = "en_US-joe-medium,af_alpha,am_kumo"
_WIDTH = 150
_FULL_SCALE = np.float32(32768)
_MEDIAN_TARGET, _P95_TARGET, _SUM_TARGET = 60.0, 150.0, 10.0
"""Milliseconds."""


@dataclass
class Figures:
    """What was measured of a voice."""

    voice: str
    words: int = 0
    starts: list[WordStart] = field(default_factory=list)
    texts: list[str] = field(default_factory=list)
    """Of each start: the text that it is in."""
    missing: list[float] = field(default_factory=list)
    """Of each text: seconds by which words and pauses are not the audio."""
    after_end: list[float] = field(default_factory=list)
    """Of each text: seconds from the last sound to the end of the last word."""

    @property
    def differences(self) -> dict[str, list[float]]:
        """Milliseconds by which words are told to begin after they do, by each of the measures."""
        heard = [start.told - start.heard for start in self.starts]
        after_silence = [start.told - start.heard_after_silence for start in self.starts]
        onset = [start.told - start.onset for start in self.starts if start.onset is not None]
        recognizer = [start.heard - start.onset for start in self.starts if start.onset is not None]
        return {
            "recognizer": _milliseconds(heard),
            "without its bias": _without_median(_milliseconds(heard)),
            "after silence": _milliseconds(after_silence),
            "and without bias": _without_median(_milliseconds(after_silence)),
            "sound behind pauses": _milliseconds(onset),
            "the recognizer itself": _milliseconds(recognizer),
        }


def _milliseconds(seconds: Sequence[float]) -> list[float]:
    return [1000 * each for each in seconds]


def _without_median(differences: Sequence[float]) -> list[float]:
    return [each - float(np.median(differences)) for each in differences]


def main(argv: Sequence[str] | None = None) -> int:
    """Measure and print; 1 if words and pauses are not the audio."""
    arguments = _parser().parse_args(argv)
    recognizer = Recognizer(arguments.recognizer, threads=arguments.threads)
    figures = asyncio.run(_measure(arguments, recognizer))
    console = Console(width=None if sys.stdout.isatty() else _WIDTH)
    console.print(_table(figures))
    console.print(_sums(figures))
    for each in figures:
        console.print(_worst(each, arguments.worst))
    return int(any(1000 * max(each.missing) > _SUM_TARGET for each in figures))


def sentences() -> list[str]:
    """The texts."""
    content = files(__package__).joinpath("sentences.yaml").read_text("utf-8")
    texts: list[str] = yaml.safe_load(content)
    return texts


async def _measure(arguments: argparse.Namespace, recognizer: Recognizer) -> list[Figures]:
    settings = Settings(data_dir=(arguments.directory,), cache_memory=0)
    found = []
    async with open_synthesizer(settings) as synthesizer:
        for voice in arguments.voices.split(","):
            figures = Figures(voice)
            for text in sentences()[:: arguments.every]:
                told, samples, rate = await _speak(synthesizer, voice, text)
                _compare(figures, text, told, samples, rate=rate, recognizer=recognizer)
            found.append(figures)
            print(f"{voice}: done", file=sys.stderr, flush=True)
    return found


async def _speak(synthesizer: Synthesizer, voice: str, text: str) -> tuple[list[TimedWord], Samples, int]:
    utterance = Utterance.of(text, voice=VoiceRequest(name=voice))
    async with synthesizer.speak(utterance) as stream:
        chunks = [chunk async for chunk in stream]
    words = [word for chunk in chunks for word in chunk.words]
    told = [TimedWord(word.text, word.start_time, word.end_time) for word in words]
    pcm = b"".join(chunk.pcm for chunk in chunks)
    return told, np.frombuffer(pcm, "<i2").astype(np.float32) / _FULL_SCALE, chunks[0].format.rate


def _compare(
    figures: Figures,
    text: str,
    told: Sequence[TimedWord],
    samples: Samples,
    *,
    rate: int,
    recognizer: Recognizer,
) -> None:
    heard = [TimedWord(*word) for word in recognizer.word_times(samples, "en", rate=rate)]
    starts = match_words(told, heard, Words("en").of, samples, rate)
    figures.words += len(told)
    figures.starts += starts
    figures.texts += [text] * len(starts)
    figures.missing.append(missing_seconds(told, len(samples) / rate))
    if told:
        figures.after_end.append(told[-1].end - SoundOnsets(samples, rate).last_end)


def _table(figures: Sequence[Figures]) -> Table:
    shown = Table("voice", "against", "words", "median", "95 %", "on average", box=None)
    for each in figures:
        for number, (measure, differences) in enumerate(each.differences.items()):
            name = "" if number else each.voice
            count = f"{len(differences)} of {each.words}"
            shown.add_row(name, measure, count, *_spread(differences))
    shown.caption = f"Targets: median under {_MEDIAN_TARGET:.0f} ms, 95 % under {_P95_TARGET:.0f} ms."
    return shown


def _sums(figures: Sequence[Figures]) -> Table:
    shown = Table(
        "voice", "words and pauses are not the audio by", "last word ends after the sound by", box=None
    )
    for each in figures:
        missing, after = 1000 * max(each.missing, default=0.0), 1000 * float(np.median(each.after_end))
        shown.add_row(each.voice, f"{missing:.1f} ms", f"{after:+.0f} ms")
    shown.caption = f"Target: words and pauses within {_SUM_TARGET:.0f} ms of the audio."
    return shown


def _worst(figures: Figures, number: int) -> Table:
    """Those words whose starts differ most from what the recognizer heard, silence and bias left out."""
    shown = Table(figures.voice, "told", "heard", "difference", "onset", "in", box=None)
    bias = np.median([start.told - start.heard_after_silence for start in figures.starts] or [0.0])
    pairs = sorted(
        zip(figures.starts, figures.texts, strict=True),
        key=lambda pair: abs(pair[0].told - pair[0].heard_after_silence - bias),
        reverse=True,
    )
    for start, text in pairs[:number]:
        shown.add_row(
            start.text,
            f"{start.told:.3f}",
            f"{start.heard_after_silence:.3f}",
            f"{1000 * (start.told - start.heard_after_silence):+.0f} ms",
            "" if start.onset is None else f"{start.onset:.3f}",
            text,
        )
    return shown


def _spread(differences: Sequence[float]) -> tuple[str, ...]:
    """Median and 95th percentile of the absolute differences, and the median with its sign."""
    if not differences:
        return ()
    absolute = np.abs(differences)
    middle, most, bias = np.median(absolute), np.percentile(absolute, 95), np.median(differences)
    return f"{middle:.0f} ms", f"{most:.0f} ms", f"{bias:+.0f} ms"


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m bench.word_timings", description=__doc__)
    parser.add_argument("directory", type=Path)
    parser.add_argument("--recognizer", type=Path, required=True)
    parser.add_argument("--voices", default=_VOICES, help="names, separated by commas")
    parser.add_argument("--every", type=int, default=1, help="say only every n-th text")
    parser.add_argument("--worst", type=int, default=8, help="how many of the largest differences to show")
    parser.add_argument("--threads", type=int, default=2)
    return parser


if __name__ == "__main__":
    sys.exit(main())
