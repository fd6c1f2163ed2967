"""Kokoro voices: one model, and a pack of styles that are its voices.

kokoro_onnx knows the model's dialects, its vocabulary and where the pauses within a batch are; this
runs it a batch at a time. The phonemizer is used directly, in a process of its own: kokoro_onnx has it
keep the marks by which espeak-ng shows a change of language, and the model would read those out ("(en)"
as speech); and `phonemizing_process` says what it dies of.
"""

from __future__ import annotations

import logging
import re
import threading
import zipfile
from collections.abc import Generator, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from wyoming_tts.engines import kokoro_ipa
from wyoming_tts.engines.base import EngineOptions, MixedVoice, MixedVoices
from wyoming_tts.engines.kokoro_batches import STOPS, batches, last_mark
from wyoming_tts.engines.kokoro_joins import CLAUSE_PAUSE, SAMPLE_RATE, joined, pause_after
from wyoming_tts.engines.neural import NO_SAMPLES, Complaints, Model, open_model, plain_text
from wyoming_tts.engines.phonemizing import KokoroPhonemizing
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

_VOICE_NAME = re.compile(r"(?P<language>[abefhijpz])(?P<gender>[fm])(_(?P<name>.+))?")
_GENDERS = {"f": "female", "m": "male"}

_MAX_STYLES = 128  # of 522 kB; anybody may ask for recipes without end
_MODEL_FILES = ("kokoro*.onnx",)
_PACK_FILES = ("voices*.bin", "voices*.npz")
_EXACT_NAMES = frozenset({"kokoro-v1.0.onnx", "voices-v1.0.bin"})


@dataclass(frozen=True, slots=True)
class _Language:
    tag: str
    """As clients are shown it."""
    espeak: str
    """As espeak-ng calls it."""


_LANGUAGES = {
    "a": _Language("en_US", "en-us"),
    "b": _Language("en_GB", "en-gb"),
    "e": _Language("es_ES", "es"),
    "f": _Language("fr_FR", "fr-fr"),
    "h": _Language("hi_IN", "hi"),
    "i": _Language("it_IT", "it"),
    "j": _Language("ja_JP", "ja"),
    "p": _Language("pt_BR", "pt-br"),
    "z": _Language("zh_CN", "cmn"),
}

_BY_TAG = {language.tag: language for language in _LANGUAGES.values()}

# Of Chinese, Japanese and Hindi, the languages of Kokoro that do not write with Latin marks.
_LATIN_MARKS = str.maketrans(
    {
        **dict.fromkeys("，、､", ", "),
        **dict.fromkeys("。｡।॥", ". "),
        "；": "; ",
        "：": ": ",
        "！": "! ",
        "？": "? ",
    }
)
_SPACED_HYPHEN = re.compile(r"(?<=\s)[-–](?=\s)")


class KokoroEngine:
    """Finds and loads a Kokoro model and its voice pack."""

    name = "kokoro"
    first_segment_max_words = 8

    def __init__(self, options: EngineOptions) -> None:
        self._options = options
        self._complaints = Complaints()

    def installed(self) -> list[Voice]:
        """The voices of the pack, by name; none if the model or the pack is missing."""
        model = self._file(self._options.kokoro_model, _MODEL_FILES)
        pack = self._file(self._options.kokoro_voices, _PACK_FILES)
        if not model or not pack:
            self._complain_of_half(model, pack)
            return []
        try:
            voices = [_voice(name, model, pack) for name in _names(pack)]
        except (OSError, zipfile.BadZipFile) as error:
            self._complaints.tell(pack, f"it is no voice pack: {error}")
            return []
        return voices + self._blended({voice.name for voice in voices}, model, pack)

    def _blended(self, pack_names: set[str], model: Path, pack: Path) -> list[Voice]:
        blends = self._options.kokoro_blends
        return [
            blended_voice(_voice(blend.name, model, pack), blend)
            for blend in (blends.listed() if blends else ())
            if blend.made_of <= pack_names and blend.name not in pack_names and blend.language in _BY_TAG
        ]

    def load(self, voice: Voice) -> LoadedKokoro:
        """Load the model; the pack's styles are read as they are asked for.

        Raises:
            VoiceUnavailable: the model or the pack is missing or broken.
        """
        with ExitStack() as on_failure:
            phonemizer = _Phonemizer()
            on_failure.callback(phonemizer.close)
            # It starts while the model is read.
            phonemizer.start(_spoken(voice).espeak)
            loaded = self._loaded(voice, phonemizer)
            on_failure.pop_all()
        return loaded

    def _loaded(self, voice: Voice, phonemizer: _Phonemizer) -> LoadedKokoro:
        import kokoro_onnx  # noqa: PLC0415  # it imports onnxruntime

        # It prints on a handler of its own, past the format and level that the server logs with.
        logging.getLogger("kokoro_onnx").handlers.clear()
        model_path, pack = voice.files
        model = open_model(model_path, self._options)
        if not {"style", "speed"} <= model.inputs.keys() or not model.inputs.keys() & {"tokens", "input_ids"}:
            raise VoiceUnavailable(f"{model_path} is no Kokoro model: its inputs are {[*model.inputs]}.")
        try:
            kokoro = kokoro_onnx.Kokoro.from_session(model, str(pack))
            kokoro.voices.keys()
        except Exception as error:
            raise VoiceUnavailable(f"The voice pack {pack} cannot be loaded: {error}") from error
        return LoadedKokoro(model, kokoro, phonemizer, self._options.kokoro_blends)

    def _complain_of_half(self, model: Path | None, pack: Path | None) -> None:
        if model and not pack:
            self._complaints.tell(model, "there is no voice pack (voices-v1.0.bin) to go with it")
        if pack and not model:
            self._complaints.tell(pack, "there is no model (kokoro-v1.0.onnx) to go with it")

    def _file(self, given: Path | None, patterns: tuple[str, ...]) -> Path | None:
        if given is None:
            found = [
                path for directory in self._options.data_dirs for path in self._found(directory, patterns)
            ]
            return min(found, key=lambda path: path.name not in _EXACT_NAMES, default=None)
        if given.is_file():
            return given
        self._complaints.tell(given, "there is no such file")
        return None

    def _found(self, directory: Path, patterns: tuple[str, ...]) -> Iterator[Path]:
        try:
            for path in sorted(path for pattern in patterns for path in directory.glob(pattern)):
                # With a json beside it, it is a Piper voice of that name.
                if not path.with_name(f"{path.name}.json").exists() and path.stat().st_size:
                    yield path
        except OSError as error:
            self._complaints.tell(directory, f"it cannot be searched: {error.strerror}")


class LoadedKokoro:
    """A Kokoro model in memory, for all voices of its pack."""

    shares_cores = False
    """A batch on one core would keep that from others for long."""

    def __init__(
        self, model: Model, kokoro: Any, phonemizer: _Phonemizer, blends: MixedVoices | None = None
    ) -> None:
        self._model = model
        self._kokoro = kokoro
        self._phonemizer = phonemizer
        self._blends = blends
        self._whole_speeds = model.inputs["speed"] in ("tensor(int32)", "tensor(int64)")
        self._styles: dict[tuple[str, str | None], Samples] = {}
        self._reading = threading.Lock()

    def __repr__(self) -> str:
        return f"<LoadedKokoro {self._model!r}, {len(self._styles)} styles>"

    def render(self, segment: Segment, spec: VoiceSpec, prosody: Prosody) -> Generator[Samples, None, None]:
        """Phonemize in the first step, then speak a batch of at most 130 phonemes a step.

        The pace is `prosody.speed / prosody.length_scale`, within SLOWEST and FASTEST. What ends
        with a mark is followed by its pause.

        Raises:
            Unsupported: the segment is SSML.
            UnknownVoice: the pack has no such voice, or a speaker is asked for.
            VoiceUnavailable: the voice's style cannot be read.
            EngineFailed: the phonemizer or the model failed.
        """
        style = self._style(spec)
        speed = self._speed(prosody)
        phonemes = self._phonemes(segment, spec.voice)
        row = min(self._sentence_phonemes(segment, phonemes, spec.voice), len(style))
        cut = batches(phonemes)
        yield NO_SAMPLES
        for batch in cut:
            yield self._speak(batch, style[row - 1 : row], speed)

    def phonemes(self, segment: Segment, spec: VoiceSpec) -> str:
        """Those of the segment that the model knows, one a token, and its marks.

        Raises:
            Unsupported: the segment is SSML.
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
        text = plain_text(segment, engine="Kokoro")
        if not text:
            return ""
        language = _spoken(voice).espeak
        try:
            phonemes = kokoro_ipa.phonemes(
                text, lambda part: self._phonemizer.phonemes(part, language), language=language
            )
        except SpeechError:
            raise
        except Exception as error:
            raise EngineFailed(f"Kokoro could not turn a text into phonemes: {error}") from error
        known: str = self._kokoro.tokenizer.known(phonemes)
        return " ".join(known.split())

    def _sentence_phonemes(self, segment: Segment, phonemes: str, voice: Voice) -> int:
        """How many the whole sentence has; at least a typical one's where only its beginning is known."""
        if segment.sentence:
            sentence = self._phonemes(replace(segment, text=segment.sentence), voice)
            return max(len(sentence), len(phonemes))
        mark = last_mark(phonemes)
        return len(phonemes) if mark and mark in STOPS else max(len(phonemes), TYPICAL_SENTENCE)

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
            key = name, spec.voice.version
            if key not in self._styles:
                while len(self._styles) >= _MAX_STYLES:
                    del self._styles[next(iter(self._styles))]
                self._styles[key] = self._mixed_style(name)
            return self._styles[key]

    def _mixed_style(self, name: str) -> Samples:
        if name not in self._kokoro.voices and self._blends and (blend := self._blends.find(name)):
            return blend.mixed(self._read_style)
        return self._read_style(name)

    def _read_style(self, name: str) -> Samples:
        if name not in self._kokoro.voices:
            raise UnknownVoice(f"The voice pack has no voice {name}.")
        try:
            style: Samples = np.asarray(self._kokoro.voices[name], dtype=np.float32)
        except Exception as error:
            raise VoiceUnavailable(f"The style of {name} cannot be read: {error}") from error
        if style.ndim != 3 or not style.size:  # noqa: PLR2004  # rows, one, values
            raise VoiceUnavailable(f"The style of {name} has shape {style.shape}, expected (510, 1, 256).")
        return style


class _Phonemizer:
    """espeak-ng by language, each in a process of its own, which starts when it is first wanted."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._languages: dict[str, KokoroPhonemizing] = {}

    def start(self, language: str) -> None:
        """Have the language ready soon."""
        self._of(language)

    def phonemes(self, text: str, language: str) -> str:
        return self._of(language).phonemes(_with_latin_marks(text))

    def close(self) -> None:
        with self._lock:
            for process in self._languages.values():
                process.close()
            self._languages.clear()

    def _of(self, language: str) -> KokoroPhonemizing:
        with self._lock:
            if language not in self._languages:
                self._languages[language] = KokoroPhonemizing(language)
            return self._languages[language]


def _with_latin_marks(text: str) -> str:
    """The marks of other scripts and spaced hyphens as those the model knows; else they would be lost."""
    return _SPACED_HYPHEN.sub("—", text.translate(_LATIN_MARKS))


def _names(pack: Path) -> list[str]:
    """The names in a voice pack, from its directory alone."""
    with zipfile.ZipFile(pack) as archive:
        return sorted(name.removesuffix(".npy") for name in archive.namelist() if name.endswith(".npy"))


def _voice(name: str, model: Path, pack: Path) -> Voice:
    return Voice(
        name=name,
        engine=KokoroEngine.name,
        language=_language(name).tag,
        description=_description(name),
        sample_rate=SAMPLE_RATE,
        model=str(model),
        attribution=_ATTRIBUTION,
        files=(model, pack),
    )


def blended_voice(pack_voice: Voice, blend: MixedVoice) -> Voice:
    """A voice of the pack's files that speaks as the blend does; its version tells when that changes."""
    named = replace(pack_voice, name=blend.name, language=blend.language)
    return replace(named, description=blend.description, version=blend.identity)


def _spoken(voice: Voice) -> _Language:
    return _BY_TAG.get(voice.language) or _language(voice.name)


def _language(name: str) -> _Language:
    """By the first letter of `af_heart`; a name of another form is taken for American English."""
    match = _VOICE_NAME.fullmatch(name)
    return _LANGUAGES[match["language"] if match else "a"]


def _description(name: str) -> str:
    """`Bella (Kokoro, female)` for `af_bella`."""
    match = _VOICE_NAME.fullmatch(name)
    words = ((match["name"] if match else None) or name).replace("_", " ")
    kind = f"Kokoro, {_GENDERS[match['gender']]}" if match else "Kokoro"
    return f"{words[:1].upper()}{words[1:]} ({kind})"
