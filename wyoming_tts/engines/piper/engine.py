"""Piper engine: voices that are a `NAME.onnx` with a `NAME.onnx.json` beside it.

The piper package turns text into phoneme ids, whatever the language needs for that, with espeak-ng in a
child process (`engines/phonemizer/process.py` says why). The model is run here, so that threads, errors and
levels are ours. The package's peak normalization is left out on purpose: it makes neighbouring sentences
uneven in level, and a lone full stop a burst of noise.
"""

from __future__ import annotations

import logging
import re
import threading
import unicodedata
from collections.abc import Callable, Generator, Iterator, Mapping
from contextlib import ExitStack, nullcontext
from itertools import chain
from pathlib import Path
from types import FunctionType, MappingProxyType, MethodType
from typing import Any, NamedTuple, TypeVar

import numpy as np

from wyoming_tts.engines.base import EngineOptions, FirstCut
from wyoming_tts.engines.model_files import BrokenVoice, FileComplaints, check_complete
from wyoming_tts.engines.onnx import NO_SAMPLES
from wyoming_tts.engines.phonemizer.cleaning import clean_text
from wyoming_tts.engines.phonemizer.client import PiperPhonemizerProcess
from wyoming_tts.engines.piper.espeak_names import has_espeak_voice
from wyoming_tts.engines.piper.model import PiperModel, model_feeds, open_piper_model
from wyoming_tts.engines.piper.voice_json import (
    Language,
    PhonemeKind,
    VoiceJson,
    read_voice_json,
    voice_json_path,
)
from wyoming_tts.errors import EngineFailed, SpeechError, UnknownVoice, VoiceUnavailable
from wyoming_tts.languages import published_tag
from wyoming_tts.speech import Attribution, Prosody, Samples, Segment, Voice, VoiceSpec
from wyoming_tts.time_stretch import stretch_steps

_LOGGER = logging.getLogger(__name__)

T = TypeVar("T")

_NAME = re.compile(r"(?P<language>[a-z]{2,3}_[A-Z0-9]{2,3})-(?P<rest>.+)")
_NAMED_LANGUAGE = re.compile(
    r"\A(?:[A-Za-z]{2,3}_[A-Za-z]{2}|[a-z]{2,3}[-_][A-Z]{2}|[a-z]{2}[-_][0-9]{3})(?=[-_.]|\Z)"
)
_CATALOGUE_NAME = re.compile(r"[a-z]{2,3}_[A-Z0-9]{2,3}-[^-]+-(x_low|low|medium|high)")
_MARKED_BLOCK = re.compile(r"[ ]?\]\]([,;:.!?]+)")
_FINAL_ELLIPSIS = re.compile(r"(?:…|\.\.)[.…]*(?=[\"'”’»)\] ]*$)")
"""The package has no phoneme for it, so the voice would break off."""
_CATALOGUE = Attribution("rhasspy/piper-voices", "https://github.com/rhasspy/piper")
_CUSTOM = Attribution("Custom voice", "")

# By phoneme type: the extra to install, and a calibration text that counts to five.
_EXTRAS = {"pinyin": "piper-tts[zh]", "japanese": "piper-tts[ja]", "thai": "piper-tts[th]"}
_COUNTING = {
    "espeak": "1, 2, 3, 4, 5",
    "pinyin": "一，二，三，四，五。",
    "hebrew": "אחת, שתיים, שלוש, ארבע, חמש",
    "japanese": "一、二、三、四、五。",
    "thai": "หนึ่ง สอง สาม สี่ ห้า",
}

# Phoneme types whose libraries keep global state. The others keep it in the voice and get a lock each:
# fetching the dictionary of one (pinyin) must not hold up the rest.
_GLOBAL_STATE = frozenset({"japanese", "thai"})

MAX_PHONEMES = 600
"""Phonemes of a sentence that are spoken in one go; a segment of 500 characters has about as many. But signs
that a language does not know are spelled out: 480 of them made 3,300 phonemes, 35 s of work and 3 GB."""

_NO_JSON = "{0}.json is missing: copy it too, and name it exactly so"

_SLOWEST, _FASTEST = 0.5, 1.5
"""Speeds at which a model speaks by itself. Beyond them what it makes is stretched: at three times the speed
a recognizer then missed 20 of 57 words, and 40 when each phoneme lasted a frame or none."""


class PiperEngine:
    """Finds Piper voices in `EngineOptions.data_dirs`, and loads them."""

    name = "piper"

    def __init__(self, options: EngineOptions) -> None:
        self._options = options
        self._complaints = FileComplaints()
        self._broken: tuple[BrokenVoice, ...] = ()
        self._global_lock = threading.Lock()

    @property
    def broken(self) -> tuple[BrokenVoice, ...]:
        """What the last call of `installed` left out, and why."""
        return self._broken

    def first_cut(self, voice: Voice, prosody: Prosody) -> FirstCut:
        """As `Engine.first_cut`: the first audio waits for the text part, not for the whole segment."""
        del voice, prosody
        return FirstCut.AFTER_CLAUSE

    def installed(self) -> list[Voice]:
        """The voices, by directory, then by name; the first of a name wins."""
        voices: dict[str, Voice] = {}
        broken: list[BrokenVoice] = []
        for directory in self._options.data_dirs:
            for found in self._search(directory):
                if isinstance(found, Voice):
                    voices.setdefault(found.name, found)
                else:
                    broken.append(found)
        self._broken = tuple(broken)
        return list(voices.values())

    def load(self, voice: Voice) -> LoadedPiper:
        """Load the voice's model, and the phonemizer that its language needs.

        Raises:
            VoiceUnavailable: a file is missing or broken, or a package is not installed.
        """
        try:
            config = read_voice_json(voice_json_path(Path(voice.model)))
        except (OSError, ValueError) as error:
            raise VoiceUnavailable(f"The voice {voice.name} cannot be loaded: {error}") from error
        with ExitStack() as on_failure:
            # The process starts while the model is read.
            process = _start_phonemizer(config)
            if process is not None:
                on_failure.callback(process.close)
            loaded = self._load(voice, config, process)
            on_failure.pop_all()
        return loaded

    def _load(self, voice: Voice, config: VoiceJson, process: PiperPhonemizerProcess | None) -> LoadedPiper:
        from piper import PiperVoice  # noqa: PLC0415  # it imports onnxruntime

        path = Path(voice.model)
        rate = config.audio.sample_rate
        model = open_piper_model(path, self._options, rate, hop=config.hop_length)
        phonemizer = PiperVoice(
            session=model, config=config.piper_config(), download_dir=self._download_dir()
        )
        shared = config.phoneme_type.value in _GLOBAL_STATE
        lock = self._global_lock if shared else threading.Lock()
        loaded = LoadedPiper(
            voice.name, model, phonemizer, lock, process, silences=config.inference.phoneme_silence
        )
        loaded.prepare()
        return loaded

    def _search(self, directory: Path) -> Iterator[Voice | BrokenVoice]:
        files = self._options.files
        names = files.names(directory)
        if reason := files.troubles.get(directory.absolute()):
            yield BrokenVoice(directory, f"it cannot be searched: {reason}")
        for name in sorted(name for name in names if name.endswith(".onnx")):
            if found := self._inspect(directory / name, has_json=f"{name}.json" in names):
                yield found

    def _inspect(self, path: Path, *, has_json: bool) -> Voice | BrokenVoice | None:
        if not has_json:
            # Not logged: the json may be about to be copied, or the model may be another program's.
            return None if self._is_kokoro(path) else BrokenVoice(path, _NO_JSON.format(path.name))
        files = self._options.files
        try:
            files.read(path, check_complete)
            return files.read(voice_json_path(path), _read_voice)
        except (OSError, ValueError) as error:
            return self._complaints.report(path, str(error))

    def _is_kokoro(self, path: Path) -> bool:
        return path == self._options.kokoro_model or path.name.startswith("kokoro")

    def _download_dir(self) -> Path:
        return self._options.download_dir or next(iter(self._options.data_dirs), Path.cwd())


class LoadedPiper:
    """A Piper voice in memory: its model and its phonemizer."""

    def __init__(
        self,
        name: str,
        model: PiperModel,
        phonemizer: Any,
        phonemizer_lock: threading.Lock,
        process: PiperPhonemizerProcess | None,
        *,
        silences: Mapping[str, float],
    ) -> None:
        self._name = name
        self._model = model
        self._silences = silences
        self._phonemizer = phonemizer
        self._config = phonemizer.config
        self._phonemizer_lock = phonemizer_lock
        self._process = process
        if process is not None:
            _replace_espeak(phonemizer, process)
        self._unknown: set[str] = set()

    def __repr__(self) -> str:
        return f"<LoadedPiper {self._name} {self._model!r}>"

    @property
    def shares_cores(self) -> bool:
        """As `LoadedVoice.shares_cores`: whether its model could be cut."""
        return self._model.shares_cores

    def prepare(self) -> None:
        """Load what the phonemizer needs for the language now, not in the middle of the first sentence.

        Raises:
            VoiceUnavailable: it is not installed, cannot be downloaded, or does not exist.
        """
        kind = self._config.phoneme_type.value
        try:
            if self._process is not None:
                self._process.wait_ready()
            with self._phonemizer_lock:
                self._phonemizer.phonemize("")
        except ImportError as error:
            raise VoiceUnavailable(
                f"The voice {self._name} needs a package for {kind} text: {error}.",
                hint=f"Install it: pip install '{_EXTRAS.get(kind, 'piper-tts')}'.",
            ) from error
        except Exception as error:
            raise VoiceUnavailable(
                f"The voice {self._name} cannot turn {kind} text into phonemes: {error}"
            ) from error

    def render(self, segment: Segment, spec: VoiceSpec, prosody: Prosody) -> Generator[Samples, None, None]:
        """Phonemize in the first step, then speak each sentence in the steps its model allows.

        The silence that the voice's json asks for after a phoneme is a step of its own.

        Raises:
            UnknownVoice: the voice has no such speaker.
            EngineFailed: the phonemizer or the model failed.
        """
        scales, speaker = self._scales(prosody), self._speaker(spec)
        sentences = self._phonemize(clean_text(segment), self._phrases)
        yield NO_SAMPLES
        own_speed = min(max(prosody.speed, _SLOWEST), _FASTEST)
        spoken = (
            samples
            for phrase in chain.from_iterable(sentences)
            for samples in self._speak(phrase, scales, speaker, speed=own_speed, low_latency=segment.is_first)
        )
        yield from stretch_steps(spoken, spec.voice.sample_rate, prosody.speed / own_speed)

    def phonemes(self, segment: Segment, spec: VoiceSpec) -> str:  # noqa: ARG002  # the same for all speakers
        """The segment's phonemes that the voice has a sound for, those of `[[ ]]` blocks included.

        Raises:
            EngineFailed: the phonemizer failed.
        """
        sentences = self._phonemize(clean_text(segment), "".join)
        return " ".join(sentence.strip() for sentence in sentences)

    def calibration_segment(self, spec: VoiceSpec) -> Segment:  # noqa: ARG002  # the same for all speakers
        """Five numbers, or a few letters for a voice that was trained on letters."""
        kind = self._config.phoneme_type.value
        return Segment(_COUNTING.get(kind) or _sample_letters(self._config.phoneme_id_map))

    def close(self) -> None:
        """Free the model."""
        if self._process is not None:
            self._process.close()
        self._model.close()

    def _scales(self, prosody: Prosody) -> tuple[float, float, float]:
        config = self._config
        length = _or_default(prosody.length_scale, config.length_scale)
        noise = _or_default(prosody.noise_scale, config.noise_scale)
        return noise, length, _or_default(prosody.noise_w_scale, config.noise_w_scale)

    def _speaker(self, spec: VoiceSpec) -> int:
        speaker = spec.speaker if spec.speaker is not None else spec.voice.default_speaker or 0
        count = max(1, self._config.num_speakers)
        if not 0 <= speaker < count:
            raise UnknownVoice(
                f"The voice {self._name} has no speaker {speaker}.",
                hint=f"Its speakers are 0 to {count - 1}." if count > 1 else "It has only one speaker.",
            )
        return speaker

    def _speak(
        self,
        phrase: _Phrase,
        scales: tuple[float, float, float],
        speaker: int,
        *,
        speed: float,
        low_latency: bool,
    ) -> Iterator[Samples]:
        if phrase.ids:
            feeds = model_feeds(self._model.inputs, phrase.ids, scales, speaker)
            yield from self._model.speak(feeds, speed=speed, low_latency=low_latency)
        if phrase.silence:
            yield np.zeros(round(phrase.silence * self._config.sample_rate), dtype=np.float32)

    def _phrases(self, phonemes: list[str]) -> list[_Phrase]:
        to_ids = self._phonemizer.phonemes_to_ids
        if not self._silences:
            return [_Phrase(to_ids(phonemes))]
        return [
            # A model speaks a lone mark as noise.
            _Phrase(to_ids(part) if any(map(str.isalpha, part)) else [], silence)
            for part, silence in split_at_silences(phonemes, self._silences)
        ]

    def _phonemize(self, text: str, convert: Callable[[list[str]], T]) -> list[T]:
        """The phonemes of each sentence that has any, converted."""
        if not text:
            return []
        try:
            with self._phonemizer_lock:
                sentences = self._phonemizer.phonemize(_prepare(text))
            known = [self._known(part) for phonemes in sentences for part in cut_phonemes(phonemes)]
            return [convert(phonemes) for phonemes in known if phonemes]
        except SpeechError:
            raise
        except Exception as error:
            raise EngineFailed(
                f"The voice {self._name} could not turn a text into phonemes: {error}"
            ) from error

    def _known(self, phonemes: list[str]) -> list[str]:
        known = self._config.phoneme_id_map
        for symbol in sorted({*phonemes} - known.keys() - self._unknown):
            self._unknown.add(symbol)
            _LOGGER.warning("The voice %s has no sound for %r: left out", self._name, symbol)
        kept = [phoneme for phoneme in phonemes if phoneme in known]
        return kept if any(not phoneme.isspace() for phoneme in kept) else []


class _Phrase(NamedTuple):
    """Phonemes that are spoken in one go, as ids."""

    ids: list[int]
    silence: float = 0.0
    """Seconds of silence after it."""


def split_at_silences(
    phonemes: list[str], silences: Mapping[str, float]
) -> Iterator[tuple[list[str], float]]:
    """Split a sentence after each phoneme that a silence follows; each part with its seconds of silence."""
    start = 0
    for index, phoneme in enumerate(phonemes, start=1):
        if phoneme in silences:
            yield phonemes[start:index], silences[phoneme]
            start = index
    if start < len(phonemes):
        yield phonemes[start:], 0.0


def cut_phonemes(phonemes: list[str]) -> Iterator[list[str]]:
    """Cut the phonemes of a sentence into parts of at most MAX_PHONEMES, after a space where there is one."""
    start = 0
    while len(phonemes) - start > MAX_PHONEMES:
        end = start + MAX_PHONEMES
        space = next((at for at in range(end, start, -1) if phonemes[at - 1].isspace()), end)
        yield phonemes[start:space]
        start = space
    yield phonemes[start:]


def _start_phonemizer(config: VoiceJson) -> PiperPhonemizerProcess | None:
    """Start the phonemizer process, if the voice needs espeak-ng."""
    if config.phoneme_type is not PhonemeKind.ESPEAK:
        return None
    return PiperPhonemizerProcess(config.espeak.voice, config.vowel_clusters)


def _replace_espeak(phonemizer: Any, process: PiperPhonemizerProcess) -> None:
    """Have the package's phonemizer call the child process where it would call espeak-ng in this one.

    What it does besides, for raw phonemes and for Arabic, stays. It keeps its espeak phonemizer in a global
    of its module, for all voices; so this voice gets a copy of the method with other globals.
    """
    method = type(phonemizer).phonemize
    replaced = {"_ESPEAK_PHONEMIZER": process, "_ESPEAK_PHONEMIZER_LOCK": nullcontext()}
    function = FunctionType(method.__code__, method.__globals__ | replaced)
    phonemizer.phonemize = MethodType(function, phonemizer)


def _read_voice(json: Path) -> Voice:
    path, config = json.with_suffix(""), read_voice_json(json)
    if config.phoneme_type is PhonemeKind.ESPEAK and not has_espeak_voice(config.espeak.voice):
        raise ValueError(f"its json has espeak.voice {config.espeak.voice!r}, a voice that espeak-ng lacks")
    speakers = config.speakers()
    return Voice(
        name=path.stem,
        engine=PiperEngine.name,
        language=_language(path.stem, config),
        description=_description(path.stem, config.audio.quality or ""),
        sample_rate=config.audio.sample_rate,
        model=str(path),
        attribution=_CATALOGUE if _CATALOGUE_NAME.fullmatch(path.stem) else _CUSTOM,
        speakers=MappingProxyType(speakers),
        default_speaker=_default_speaker(config) if speakers else None,
        version=config.piper_version or None,
        files=(path, json),
    )


def _default_speaker(config: VoiceJson) -> int:
    number = config.default_speaker_id
    return number if number in range(config.num_speakers) else 0


def _language(name: str, config: VoiceJson) -> str:
    """The published tag of the json's language, else of the name's, else of the phonemizer's."""
    espeak_voice = config.espeak.voice
    tags = (*_declared_languages(config.language), *_NAMED_LANGUAGE.findall(name), espeak_voice)
    return next(filter(None, map(published_tag, tags)), espeak_voice)


def _declared_languages(language: Language) -> Iterator[str | None]:
    yield language.code
    if language.family and language.region:
        yield f"{language.family}_{language.region}"
    yield language.family


def _description(name: str, quality: str) -> str:
    """A voice's description by its name: `Lessac medium (Piper)` for `en_US-lessac-medium`."""
    match = _NAME.fullmatch(name)
    words = re.sub(r"[-_\s]+", " ", match["rest"] if match else name).strip()
    level = quality.replace("_", " ")
    if level and not words.casefold().endswith(level.casefold()):
        words = f"{words} {level}"
    return f"{words[:1].upper()}{words[1:]} (Piper)"


def _sample_letters(symbols: Mapping[str, Any]) -> str:
    """A few words made of a voice's own letters, vowels first."""
    letters = [symbol for symbol in symbols if len(symbol) == 1 and symbol.isalpha()]
    # The package decomposes text: a letter stored in composed form would never be found.
    usable = [letter for letter in letters if unicodedata.is_normalized("NFD", letter)]
    usable.sort(key=lambda letter: letter.casefold() not in "aeiouаеиоу")
    return " ".join("".join(usable[start : start + 4]) for start in range(0, min(len(usable), 12), 4))


def _prepare(text: str) -> str:
    """The text as the package can take it without losing sounds or pauses."""
    return _FINAL_ELLIPSIS.sub(".", _move_marks_into_blocks(_drop_unclosed_block(text)))


def _drop_unclosed_block(text: str) -> str:
    """Blank brackets that open and do not close: the package would read phonemes and lose two letters."""
    head, close, tail = text.rpartition("]]")
    return head + close + tail.replace("[[", " ")


def _move_marks_into_blocks(text: str) -> str:
    """Move punctuation after a block into it: the package would lose it, and its pause."""
    return _MARKED_BLOCK.sub(r"\1]]", text)


def _or_default(value: float | None, default: float) -> float:
    return default if value is None else value
