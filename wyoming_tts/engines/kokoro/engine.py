"""Kokoro voices: one model, and a pack of styles that are its voices.

kokoro_onnx knows the model's dialects, its vocabulary and where the pauses within a batch are; this
runs it a batch at a time. The phonemizer is used directly, in a process of its own: kokoro_onnx has it
keep the marks by which espeak-ng shows a change of language, and the model would read those out ("(en)"
as speech); and `phonemizing_process` says what it dies of.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Collection, Generator
from contextlib import ExitStack
from dataclasses import replace
from typing import Any

import numpy as np

from wyoming_tts.engines.base import EngineOptions, MixedVoice, MixedVoices, StyleTables
from wyoming_tts.engines.kokoro import ipa as kokoro_ipa
from wyoming_tts.engines.kokoro.batches import STOPS, batches, last_mark
from wyoming_tts.engines.kokoro.files import FoundFiles, KokoroFiles
from wyoming_tts.engines.kokoro.joins import CLAUSE_PAUSE, SAMPLE_RATE, joined, pause_after
from wyoming_tts.engines.kokoro.misaki import MisakiPhonemizers
from wyoming_tts.engines.kokoro.names import BY_TAG, description, named_language, spoken_language
from wyoming_tts.engines.kokoro.phonemizer import KokoroPhonemizer
from wyoming_tts.engines.onnx import NO_SAMPLES, BrokenVoice, OnnxModel, open_model, plain_text
from wyoming_tts.errors import EngineFailed, SpeechError, UnknownVoice, VoiceUnavailable
from wyoming_tts.speech import Attribution, Prosody, Samples, Segment, Voice, VoiceSpec

_LOGGER = logging.getLogger(__name__)

SLOWEST = 0.5
FASTEST = 2.0
"""The speeds the model was made for; others are brought to the nearest."""

_ATTRIBUTION = Attribution("hexgrad/Kokoro-82M", "https://huggingface.co/hexgrad/Kokoro-82M")

TYPICAL_SENTENCE = 70
"""Phonemes of a sentence of 12 words, where only its beginning is known.

A style has a row for each number of phonemes, made from utterances of that length; those for very
short ones are hasty and flat. The beginning of a sentence is no short utterance, and is to sound
like what follows."""

_MAX_STYLES = 128  # of 522 kB; anybody may ask for recipes without end


class KokoroEngine:
    """Finds and loads a Kokoro model and its voice pack."""

    name = "kokoro"
    first_segment_max_words = 8

    def __init__(self, options: EngineOptions) -> None:
        self._options = options
        self._files = KokoroFiles(options)
        self._misaki = MisakiPhonemizers()

    @property
    def broken(self) -> tuple[BrokenVoice, ...]:
        """What `installed` left out when it last looked, and why."""
        return self._files.broken

    def installed(self) -> list[Voice]:
        """The voices of the pack, then the imported ones, then the blends; none without model or pack."""
        found = self._files.look()
        if found is None:
            return []
        voices = [_voice(name, found) for name in (*sorted(found.names), *found.imported)]
        return voices + self._blended(found)

    def _blended(self, found: FoundFiles) -> list[Voice]:
        blends, tables = self._options.kokoro_blends, found.names | found.imported.keys()
        return [
            blended_voice(_voice(blend.name, found, blend.made_of), blend)
            for blend in (blends.listed() if blends else ())
            if blend.made_of <= tables and blend.name not in tables and blend.language in BY_TAG
        ]

    def load(self, voice: Voice) -> LoadedKokoro:
        """Load the model; the pack's styles are read as they are asked for.

        Raises:
            VoiceUnavailable: the model or the pack is missing or broken.
        """
        with ExitStack() as on_failure:
            phonemizer = KokoroPhonemizer(self._misaki)
            on_failure.callback(phonemizer.close)
            # It starts while the model is read.
            phonemizer.start(spoken_language(voice))
            loaded = self._loaded(voice, phonemizer)
            on_failure.pop_all()
        return loaded

    def _loaded(self, voice: Voice, phonemizer: KokoroPhonemizer) -> LoadedKokoro:
        import kokoro_onnx  # noqa: PLC0415  # it imports onnxruntime

        # It prints on a handler of its own, past the format and level that the server logs with.
        logging.getLogger("kokoro_onnx").handlers.clear()
        model_path, pack = voice.files[:2]
        model = open_model(model_path, self._options)
        if not {"style", "speed"} <= model.inputs.keys() or not model.inputs.keys() & {"tokens", "input_ids"}:
            raise VoiceUnavailable(f"{model_path} is no Kokoro model: its inputs are {[*model.inputs]}.")
        try:
            kokoro = kokoro_onnx.Kokoro.from_session(model, str(pack))
            kokoro.voices.keys()
        except Exception as error:
            raise VoiceUnavailable(f"The voice pack {pack} cannot be loaded: {error}") from error
        return LoadedKokoro(
            model, kokoro, phonemizer, blends=self._options.kokoro_blends, styles=self._options.kokoro_styles
        )


class LoadedKokoro:
    """A Kokoro model in memory, for all voices of its pack."""

    shares_cores = False
    """A batch on one core would keep that from others for long."""

    def __init__(
        self,
        model: OnnxModel,
        kokoro: Any,
        phonemizer: KokoroPhonemizer,
        *,
        blends: MixedVoices | None = None,
        styles: StyleTables | None = None,
    ) -> None:
        self._model = model
        self._kokoro = kokoro
        self._phonemizer = phonemizer
        self._blends = blends
        self._imported = styles
        self._whole_speeds = model.inputs["speed"] in ("tensor(int32)", "tensor(int64)")
        self._styles: dict[tuple[str, str | None, str], Samples] = {}
        self._reading = threading.Lock()

    def __repr__(self) -> str:
        return f"<LoadedKokoro {self._model!r}, {len(self._styles)} styles>"

    def render(self, segment: Segment, spec: VoiceSpec, prosody: Prosody) -> Generator[Samples, None, None]:
        """Phonemize in the first step, then speak a batch of at most 130 phonemes a step.

        The pace is `prosody.speed / prosody.length_scale`, within SLOWEST and FASTEST. What ends
        with a mark is followed by its pause.

        Raises:
            UnknownVoice: the pack has no such voice, or a speaker is asked for.
            VoiceUnavailable: the voice's style cannot be read.
            EngineFailed: the phonemizer or the model failed.
        """
        style = self._style(spec)
        speed = self._speed(prosody)
        phonemes = self._phonemes(segment, spec.voice)
        row = min(_sentence_phonemes(phonemes), len(style))
        cut = batches(phonemes)
        yield NO_SAMPLES
        for batch in cut:
            yield self._speak(batch, style[row - 1 : row], speed)

    def phonemes(self, segment: Segment, spec: VoiceSpec) -> str:
        """Those of the segment that the model knows, one a token, and its marks.

        Raises:
            EngineFailed: the phonemizer failed.
        """
        return self._phonemes(segment, spec.voice)

    def calibration_segment(self, spec: VoiceSpec) -> Segment:  # noqa: ARG002  # the same for all voices
        """Five numbers: espeak-ng reads digits in every language."""
        return Segment("1, 2, 3, 4, 5.")

    def close(self) -> None:
        """Free the model."""
        self._phonemizer.close()
        self._styles.clear()
        self._kokoro.voices.close()
        self._model.close()

    def _speak(self, batch: str, row: Samples, speed: float) -> Samples:
        try:
            # Without a pause for full stops: within a batch they mostly end an abbreviation.
            audio, _ = self._kokoro.create(
                batch,
                row,
                speed,
                is_phonemes=True,
                trim=False,
                sentence_pause=0.0,
                clause_pause=CLAUSE_PAUSE / speed,
            )
        except SpeechError:
            raise
        except Exception as error:
            raise EngineFailed(f"Kokoro failed at {len(batch)} phonemes: {error}") from error
        samples = np.asarray(audio, dtype=np.float32).reshape(-1)
        return joined(samples, pause_after(last_mark(batch), speed))

    def _phonemes(self, segment: Segment, voice: Voice) -> str:
        """Those the model knows, one a token, `[[ IPA ]]` as it is; empty if there is nothing to say."""
        text = plain_text(segment)
        if not text:
            return ""
        language = spoken_language(voice)
        try:
            phonemes = kokoro_ipa.phonemes(
                text, lambda part: self._phonemizer.phonemes(part, language), language=language.espeak
            )
        except SpeechError:
            raise
        except Exception as error:
            raise EngineFailed(f"Kokoro could not turn a text into phonemes: {error}") from error
        known: str = self._kokoro.tokenizer.known(phonemes)
        return " ".join(known.split())

    def _speed(self, prosody: Prosody) -> float:
        wanted = prosody.speed / (prosody.length_scale or 1.0)
        speed = min(max(wanted, SLOWEST), FASTEST)
        if self._whole_speeds:
            speed = float(max(1, round(speed)))
        if speed != wanted:
            _LOGGER.debug("Kokoro speaks at speed %.2f, not %.2f as asked", speed, wanted)
        return speed

    def _style(self, spec: VoiceSpec) -> Samples:
        """The voice's style vectors, one row per number of tokens, shape (n, 1, 256)."""
        name = spec.voice.name
        if spec.speaker:
            raise UnknownVoice(f"The voice {name} has no speaker {spec.speaker}.", hint="It has one only.")
        with self._reading:
            key = name, spec.voice.version, spec.voice.fingerprint
            if key not in self._styles:
                while len(self._styles) >= _MAX_STYLES:
                    del self._styles[next(iter(self._styles))]
                self._styles[key] = self._mixed_style(name)
            return self._styles[key]

    def _mixed_style(self, name: str) -> Samples:
        if not self._has_table(name) and self._blends and (blend := self._blends.find(name)):
            return blend.mixed(self._read_style)
        return self._read_style(name)

    def _has_table(self, name: str) -> bool:
        return name in self._kokoro.voices or (self._imported is not None and name in self._imported.names())

    def _read_style(self, name: str) -> Samples:
        if not self._has_table(name):
            raise UnknownVoice(f"The voice pack has no voice {name}.")
        try:
            style = self._table(name)
        except Exception as error:
            raise VoiceUnavailable(f"The style of {name} cannot be read: {error}") from error
        if style.ndim != 3 or not style.size:  # noqa: PLR2004  # rows, one, values
            raise VoiceUnavailable(f"The style of {name} has shape {style.shape}, expected (510, 1, 256).")
        return style

    def _table(self, name: str) -> Samples:
        if name in self._kokoro.voices or self._imported is None:
            return np.asarray(self._kokoro.voices[name], dtype=np.float32)
        return self._imported.read(name)


def _sentence_phonemes(phonemes: str) -> int:
    """How many the whole sentence has; at least a typical one's where `phonemes` are only its beginning."""
    mark = last_mark(phonemes)
    return len(phonemes) if mark and mark in STOPS else max(len(phonemes), TYPICAL_SENTENCE)


def _voice(name: str, found: FoundFiles, made_of: Collection[str] = ()) -> Voice:
    """A voice of the files; for a blend the imported voices it is made of are among its own."""
    imported = (found.imported[part] for part in sorted({name, *made_of} & found.imported.keys()))
    return Voice(
        name=name,
        engine=KokoroEngine.name,
        language=named_language(name).tag,
        description=description(name),
        sample_rate=SAMPLE_RATE,
        model=str(found.model),
        attribution=_ATTRIBUTION,
        files=(found.model, found.pack, *imported),
    )


def blended_voice(pack_voice: Voice, blend: MixedVoice) -> Voice:
    """A voice of the pack's files that speaks as the blend does; its version tells when that changes."""
    named = replace(pack_voice, name=blend.name, language=blend.language)
    return replace(named, description=blend.description, version=blend.identity)
