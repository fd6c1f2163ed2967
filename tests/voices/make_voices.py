"""Makes the voices the tests speak with: `python -m tests.voices.make_voices [DIRECTORY]`.

They have the inputs and outputs of real exports, but each phoneme is a tone of its own, so that
`tests.support.tones` can tell from audio alone what was said, and by whom. What a tone means is
said there once; the graphs here are made from it.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnx.parser

from tests.support.tones import (
    KOKORO,
    KOKORO_ROWS,
    LETTERS,
    LOW,
    NOISE,
    ROW_LEVEL,
    TONES,
    WIDTH_NOISE,
    ToneVoice,
)

_PITCH = """
  tau = Constant<value = float {{6.283185307179586}}> ()
  rate = Constant<value = float {{{rate}.0}}> ()
  base = Constant<value = float {{{base}.0}}> ()
  spacing = Constant<value = float {{{spacing}.0}}> ()
  shift = Constant<value = float {{{shift}.0}}> ()
  level = Constant<value = float {{{level}}}> ()
  from_zero = Constant<value = float {{0.0}}> ()
  by_one = Constant<value = float {{1.0}}> ()
  column = Constant<value = int64[2] {{-1, 1}}> ()
  row = Constant<value = int64[2] {{1, -1}}> ()
  own_pitch = Mul(id, spacing)
  speaker_pitch = Mul(speaker, shift)
  lifted = Add(own_pitch, base)
  pitch = Add(lifted, speaker_pitch)
"""

# cos makes the first sample of a slot its loudest: a decoder sees exactly where sound begins.
_TONES = """
{pitch}
  pitches = Reshape(pitch, column)
  steps = Range(from_zero, slot, by_one)
  seconds = Div(steps, rate)
  angles = Mul(seconds, tau)
  angle_row = Reshape(angles, row)
  phase = Mul(pitches, angle_row)
  wave = Cos(phase)
"""

# The same for slots of any whole number of frames each.
_TIMED_TONES = """
{pitch}
  flat = Constant<value = int64[1] {{-1}}> ()
  axis = Constant<value = int64 {{0}}> ()
  from_first = Constant<value = int64[1] {{0}}> ()
  to_last = Constant<value = int64[1] {{-1}}> ()
  past_last = Constant<value = int64[1] {{9223372036854775807}}> ()
  one_more = Constant<value = int64[1] {{1}}> ()
  hop = Constant<value = float {{{hop}.0}}> ()
  pitches = Reshape(pitch, flat)
  frames_each = Reshape(frames, flat)
  samples_each = Mul(frames_each, hop)
  ends = CumSum(samples_each, axis)
  begins = CumSum<exclusive = 1>(samples_each, axis)
  last_end = Slice(ends, to_last, past_last)
  total = Reshape(last_end, scalar)
  edges = Cast<to = 7>(ends)
  size_1 = Cast<to = 7>(last_end)
  size = Add(size_1, one_more)
  none = ConstantOfShape<value = int64[1] {{0}}>(size)
  edge_shape = Shape(edges)
  one_each = ConstantOfShape<value = int64[1] {{1}}>(edge_shape)
  ending = ScatterElements<axis = 0, reduction = "add">(none, edges, one_each)
  ended = CumSum(ending, axis)
  place = Slice(ended, from_first, to_last)
  steps = Range(from_zero, total, by_one)
  begin = Gather<axis = 0>(begins, place)
  since = Sub(steps, begin)
  seconds = Div(since, rate)
  angles = Mul(seconds, tau)
  own = Gather<axis = 0>(pitches, place)
  phase = Mul(own, angles)
  wave = Cos(phase)
"""

_PIPER = """
<ir_version: 8, opset_import: ["": 17], producer_name: "wyoming-tts test voices">
piper_tones (int64[batch_size, phonemes] input, int64[batch_size] input_lengths, float[3] scales{sid})
    => (float[batch_size, 1, one, time] output)
{{
  zero = Constant<value = int64[1] {{0}}> ()
  one_id = Constant<value = int64[1] {{1}}> ()
  two_id = Constant<value = int64[1] {{2}}> ()
  scalar = Constant<value_ints: ints = []> ()
  used = Slice(input, zero, input_lengths, one_id)
  id = Cast<to = 1>(used)
  noise_scale_1 = Slice(scales, zero, one_id)
  noise_scale = Reshape(noise_scale_1, scalar)
  length_scale_1 = Slice(scales, one_id, two_id)
  length_scale = Reshape(length_scale_1, scalar)
  width_scale = Gather<axis = 0>(scales, two_id)
  speaker = Cast<to = 1>({speaker})
  drawn = RandomNormalLike(width_scale)
  drawn_size = Abs(drawn)
  width_noise = Constant<value = float {{{width_noise}}}> ()
  drawn_width = Mul(drawn_size, width_noise)
  extra = Mul(drawn_width, width_scale)
  whole = Constant<value = float {{1.0}}> ()
  stretched = Add(extra, whole)
  neutral_frames = Constant<value = float {{{frames}.0}}> ()
  scaled_frames = Mul(neutral_frames, length_scale)
  wide_frames = Mul(scaled_frames, stretched)
  nothing = Sub(id, id)
  frames_of_each = Add(nothing, wide_frames)
  frames = Ceil(frames_of_each)
{tones}
  levelled = Mul(wave, level)
  hiss = RandomNormalLike(levelled)
  hiss_level = Constant<value = float {{{noise}}}> ()
  soft_hiss = Mul(hiss, hiss_level)
  noise = Mul(soft_hiss, noise_scale)
  audio = Add(levelled, noise)
  four = Constant<value = int64[4] {{1, 1, 1, -1}}> ()
  output = Reshape(audio, four)
}}
"""

_KOKORO = """
<ir_version: 8, opset_import: ["": 17], producer_name: "wyoming-tts test voices">
kokoro_tones ({tokens_type}[1, n] {tokens}, {float_type}[1, 256] style, {speed_type}[1] speed)
    => ({float_type}[samples] audio, int64[n_durations] duration)
{{
  zero = Constant<value = int64[1] {{0}}> ()
  one_id = Constant<value = int64[1] {{1}}> ()
  two_id = Constant<value = int64[1] {{2}}> ()
  axis = Constant<value = int64[1] {{1}}> ()
  scalar = Constant<value_ints: ints = []> ()
  flat = Constant<value = int64[1] {{-1}}> ()
  id = Cast<to = 1>({tokens})
  style_32 = Cast<to = 1>(style)
  speed_32 = Cast<to = 1>(speed)
  speaker_1 = Slice(style_32, zero, one_id, axis)
  speaker = Reshape(speaker_1, flat)
  style_row_1 = Slice(style_32, one_id, two_id, axis)
  style_row = Reshape(style_row_1, scalar)
  neutral_slot = Constant<value = float {{{slot}.0}}> ()
  scaled_slot = Div(neutral_slot, speed_32)
  slot_1 = Round(scaled_slot)
  slot = Reshape(slot_1, scalar)
{tones}
  row_level = Constant<value = float {{{row_level}}}> ()
  extra_level = Mul(style_row, row_level)
  row_loudness = Add(level, extra_level)
  sign = Sign(id)
  sounding = Reshape(sign, column)
  loudness = Mul(sounding, row_loudness)
  levelled = Mul(wave, loudness)
  audio_32 = Reshape(levelled, flat)
  audio = Cast<to = {float_code}>(audio_32)
  ids = Reshape(id, flat)
  nothing = Sub(ids, ids)
  frames = Cast<to = 7>(nothing)
  duration = Add(frames, one_id)
}}
"""


def _tone_nodes(voice: ToneVoice, tones: str = _TONES) -> str:
    pitch = _PITCH.format(
        rate=voice.rate, base=voice.base, spacing=voice.spacing, shift=voice.shift, level=voice.level
    )
    return tones.format(pitch=pitch, hop=voice.hop)


def piper_model(voice: ToneVoice, *, multi_speaker: bool) -> onnx.ModelProto:
    """A graph with the inputs and the output of a Piper export."""
    text = _PIPER.format(
        sid=", int64[batch_size] sid" if multi_speaker else "",
        speaker="sid" if multi_speaker else "zero",
        frames=round(voice.slot / voice.length_scale / voice.hop),
        tones=_tone_nodes(voice, _TIMED_TONES),
        noise=NOISE,
        width_noise=WIDTH_NOISE,
    )
    return _checked(onnx.parser.parse_model(text))


def kokoro_model(
    *, tokens: str = "tokens", tokens_type: str = "int64", speed_type: str = "float", half: bool = False
) -> onnx.ModelProto:
    """A graph with the inputs and outputs of a Kokoro export, in any of the dialects there are."""
    text = _KOKORO.format(
        tokens=tokens,
        tokens_type=tokens_type,
        speed_type=speed_type,
        float_type="float16" if half else "float",
        float_code=10 if half else 1,
        slot=KOKORO.slot,
        tones=_tone_nodes(KOKORO),
        row_level=ROW_LEVEL,
    )
    return _checked(onnx.parser.parse_model(text))


def _checked(model: onnx.ModelProto) -> onnx.ModelProto:
    onnx.checker.check_model(model, full_check=True)
    return model


def piper_config(voice: ToneVoice, *, language: str, espeak: str, phonemes: str) -> dict[str, Any]:
    """The json beside a Piper voice; without noise, so that what it says is repeatable."""
    return {
        "audio": {"sample_rate": voice.rate, "quality": "low"},
        "espeak": {"voice": espeak},
        "inference": {"noise_scale": 0.0, "length_scale": voice.length_scale, "noise_w": 0.0},
        **({"hop_length": voice.hop} if voice.hop else {}),
        "phoneme_type": phonemes,
        "phoneme_id_map": {symbol: [number] for symbol, number in voice.symbols.items()},
        "num_symbols": 256,
        "num_speakers": max(1, len(voice.speakers)),
        "speaker_id_map": {name: number for number, name in enumerate(voice.speakers)},
        "language": {"code": language},
        "dataset": "tones",
        "piper_version": "1.0.0",
    }


def voice_pack() -> dict[str, np.ndarray[Any, np.dtype[np.float32]]]:
    """Styles that say whose they are (column 0) and for how many tokens (column 1)."""
    pack = {}
    for number, name in enumerate(KOKORO.speakers):
        pack[name] = np.zeros((KOKORO_ROWS, 1, 256), dtype=np.float32)
        pack[name][:, 0, 0] = number
        pack[name][:, 0, 1] = np.arange(KOKORO_ROWS)
    return pack


def _write_piper(directory: Path, voice: ToneVoice, config: dict[str, Any]) -> None:
    model = piper_model(voice, multi_speaker=len(voice.speakers) > 1)
    (directory / f"{voice.name}.onnx").write_bytes(model.SerializeToString(deterministic=True))
    text = json.dumps(config, ensure_ascii=False, indent=1) + "\n"
    (directory / f"{voice.name}.onnx.json").write_text(text, encoding="utf-8")


def write_voices(directory: Path) -> None:
    """Write all of them; the same bytes every time."""
    directory.mkdir(parents=True, exist_ok=True)
    _write_piper(directory, LOW, piper_config(LOW, language="en_US", espeak="en-us", phonemes="espeak"))
    _write_piper(directory, TONES, piper_config(TONES, language="de_DE", espeak="de", phonemes="espeak"))
    _write_piper(directory, LETTERS, piper_config(LETTERS, language="en_US", espeak="en-us", phonemes="text"))
    model = kokoro_model().SerializeToString(deterministic=True)
    (directory / f"{KOKORO.name}.onnx").write_bytes(model)
    with (directory / "voices-tones.bin").open("wb") as file:
        np.savez_compressed(file, allow_pickle=False, **voice_pack())


if __name__ == "__main__":
    write_voices(Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parent)
