"""Latency breakdown: times the stages of the first audio of the benchmark's sentences, and draws them.

Usage: python -m bench.latency_breakdown VOICE.onnx [--rounds 15] [--picture docs/images/latency.svg]
The stages run one after the other in this process, as a server with nothing else to do runs them.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from xml.sax.saxutils import escape

from wyoming_tts import audio
from wyoming_tts.bench.texts import LOAD_TEXTS
from wyoming_tts.engines.base import EngineOptions, LoadedVoice, Rendered, samples_of
from wyoming_tts.engines.piper.engine import PiperEngine
from wyoming_tts.speech import Prosody, Segment, Voice, VoiceSpec
from wyoming_tts.text.first_segment import FirstSegmentOptions
from wyoming_tts.text.normalization import NormalizerRegistry
from wyoming_tts.text.segments import Segmenter, SegmentOptions

_LANGUAGES = NormalizerRegistry()
WHOLE = SegmentOptions(first_segment=FirstSegmentOptions(boundaries="", max_words=0))
STAGES = ("read text", "phonemes", "text encoder", "first chunk", "level, int16")
_COLOURS = ("#9aa5b1", "#7b8794", "#3e7cb1", "#f2a541", "#52606d", "#e4e7eb")


@dataclass(frozen=True, slots=True)
class LatencyRow:
    """One way to speak the sentence: milliseconds of each stage, and of everything after the first audio."""

    name: str
    stages: tuple[float, ...]
    rest: float
    first_audio: float
    """Seconds of audio in the first chunk."""


def main() -> int:
    """Measure, print, draw."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model", type=Path)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--picture", type=Path)
    arguments = parser.parse_args()
    engine = PiperEngine(EngineOptions(data_dirs=(arguments.model.parent,)))
    voice = next(voice for voice in engine.installed() if voice.name == arguments.model.stem)
    loaded = engine.load(voice)
    rows = [
        _measure(name, partial(_run, LOAD_TEXTS[text], options, loaded, voice), arguments.rounds)
        for name, text, options in (
            ("default settings", "sentence", SegmentOptions()),
            ("14 words first", "clause", SegmentOptions()),
            ("no text cut", "sentence", WHOLE),
        )
    ]
    for row in rows:
        _print(row)
    if arguments.picture:
        arguments.picture.write_text(_draw(rows), "utf-8")
    return 0


def _measure(name: str, run: Callable[[], list[float]], rounds: int) -> LatencyRow:
    runs = [run() for _ in range(rounds + 2)][2:]
    medians = [1000 * statistics.median(each) for each in zip(*(run[:-1] for run in runs), strict=True)]
    return LatencyRow(name, tuple(medians[:-1]), medians[-1], statistics.median(run[-1] for run in runs))


def _run(text: str, options: SegmentOptions, loaded: LoadedVoice, voice: Voice) -> list[float]:
    lap = _laps()
    next(lap)
    segmenter = Segmenter(options, language="en_US", normalizers=_LANGUAGES.normalizer)
    segments = [*segmenter.feed(text), *segmenter.finish()]
    times = [next(lap)]
    spec = VoiceSpec(voice, voice.default_speaker)
    steps = loaded.render(segments[0], spec, Prosody())
    for _ in range(3):
        samples = samples_of(next(steps))
        times.append(next(lap))
    audio.to_pcm(samples, 1.0)
    times.append(next(lap))
    for segment in [None, *segments[1:]]:
        for rest in steps if segment is None else _render(loaded, segment, spec):
            audio.to_pcm(samples_of(rest), 1.0)
    return [*times, next(lap), len(samples) / voice.sample_rate]


def _render(loaded: LoadedVoice, segment: Segment, spec: VoiceSpec) -> Iterator[Rendered]:
    yield from loaded.render(replace(segment, is_first=False), spec, Prosody())


def _laps() -> Iterator[float]:
    """Yield the seconds since the previous item; the first item starts the clock."""
    last = time.perf_counter()
    yield 0.0
    while True:
        now = time.perf_counter()
        yield now - last
        last = now


def _print(row: LatencyRow) -> None:
    total = sum(row.stages)
    print(f"{row.name}: first {row.first_audio:.2f} s of audio after {total:.1f} ms")
    for stage, milliseconds in zip(STAGES, row.stages, strict=True):
        print(f"  {stage:14s} {milliseconds:7.2f} ms  {100 * milliseconds / total:4.0f} %")
    print(f"  {'the rest':14s} {row.rest:7.1f} ms, while it plays")


def _draw(rows: list[LatencyRow]) -> str:
    width, left, bar, gap = 760, 130, 34, 26
    scale = (width - left - 20) / max(sum(row.stages) + row.rest for row in rows)
    parts = []
    for number, row in enumerate(rows):
        x, y = float(left), 20 + number * (bar + gap)
        parts.append(f'<text x="0" y="{y + 22}">{escape(row.name)}</text>')
        for colour, milliseconds in zip(_COLOURS, (*row.stages, row.rest), strict=True):
            bar_width = milliseconds * scale
            parts.append(
                f'<rect x="{x:.1f}" y="{y}" width="{bar_width:.1f}" height="{bar}" fill="{colour}"/>'
            )
            x += bar_width
        first = left + sum(row.stages) * scale
        parts.append(f'<path d="M{first:.1f} {y - 5}v{bar + 10}" stroke="#d64545" stroke-width="2"/>')
        label = f"{sum(row.stages):.0f} ms: first audio"
        parts.append(f'<text x="{first + 6:.1f}" y="{y + 22}" class="mark">{label}</text>')
    y = 20 + len(rows) * (bar + gap)
    for number, (name, colour) in enumerate(
        zip((*STAGES, "the rest, while it plays"), _COLOURS, strict=True)
    ):
        x = left + (number % 3) * 200
        row_y = y + (number // 3) * 22
        parts.append(f'<rect x="{x}" y="{row_y}" width="12" height="12" fill="{colour}"/>')
        parts.append(f'<text x="{x + 18}" y="{row_y + 11}">{escape(name)}</text>')
    height = y + 50
    style = "text{font:14px system-ui,sans-serif;fill:#323f4b}.mark{font-weight:600;fill:#a61b1b}"
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}">'
        f"<title>How the first audio of sentences of 29 words comes about</title><style>{style}</style>"
        f'<rect width="{width}" height="{height}" fill="#fff"/>{"".join(parts)}</svg>\n'
    )


if __name__ == "__main__":
    sys.exit(main())
