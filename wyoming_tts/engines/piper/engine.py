"""Piper engine: voices that are a `NAME.onnx` with a `NAME.onnx.json` beside it.

The piper package turns text into phoneme ids, whatever the language needs for that. The model is run here,
so that threads, errors and levels are ours. The package's peak normalization is left out on purpose: it makes
neighbouring sentences uneven in level, and a lone full stop a burst of noise.
"""

from __future__ import annotations

import logging
import re
import threading
import unicodedata
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np

from wyoming_tts.engines.base import EngineOptions, FirstCut, Rendered
from wyoming_tts.engines.model_files import (
    BrokenVoice,
    FileComplaints,
    check_complete,
    not_read,
    not_searched,
)
from wyoming_tts.engines.onnx import NO_SAMPLES
from wyoming_tts.engines.phonemizer.client import PiperPhonemizerProcess
from wyoming_tts.engines.piper.espeak_names import has_espeak_voice
from wyoming_tts.engines.piper.model import (
    IdSamples,
    PiperModel,
    TellSamples,
    model_feeds,
    open_piper_model,
)
from wyoming_tts.engines.piper.phonemizer import VoicePhonemizer
from wyoming_tts.engines.piper.phrases import Phrase
from wyoming_tts.engines.piper.voice_json import (
    Language,
    PhonemeKind,
    VoiceJson,
    read_voice_json,
    voice_json_path,
)
from wyoming_tts.engines.piper.word_timing import WordTimer
from wyoming_tts.errors import UnknownVoice, VoiceUnavailable
from wyoming_tts.languages import published_tag
from wyoming_tts.messages import Message
from wyoming_tts.speech import Attribution, Prosody, Samples, Segment, TimedSamples, Voice, VoiceSpec
from wyoming_tts.system_reasons import system_reason
from wyoming_tts.time_stretch import stretch_steps

_LOGGER = logging.getLogger(__name__)

_NAME = re.compile(r"(?P<language>[a-z]{2,3}_[A-Z0-9]{2,3})-(?P<rest>.+)")
_NAMED_LANGUAGE = re.compile(
    r"\A(?:[A-Za-z]{2,3}_[A-Za-z]{2}|[a-z]{2,3}[-_][A-Z]{2}|[a-z]{2}[-_][0-9]{3})(?=[-_.]|\Z)"
)
_CATALOGUE_NAME = re.compile(r"[a-z]{2,3}_[A-Z0-9]{2,3}-[^-]+-(x_low|low|medium|high)")
_CATALOGUE = Attribution("rhasspy/piper-voices", "https://github.com/rhasspy/piper")
_CUSTOM = Attribution("Custom voice", "")

# Calibration texts that count to five, by phoneme type.
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
            raise VoiceUnavailable(
                Message(
                    "voice_not_loaded",
                    "The voice {name} cannot be loaded: {reason}",
                    name=voice.name,
                    reason=_why_unread(error),
                )
            ) from error
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
        piper = PiperVoice(session=model, config=config.piper_config(), download_dir=self._download_dir())
        shared = config.phoneme_type.value in _GLOBAL_STATE
        lock = self._global_lock if shared else threading.Lock()
        phonemizer = VoicePhonemizer(
            voice.name, piper, lock, process, silences=config.inference.phoneme_silence
        )
        phonemizer.prepare()
        return LoadedPiper(voice.name, model, phonemizer, piper.config)

    def _search(self, directory: Path) -> Iterator[Voice | BrokenVoice]:
        files = self._options.files
        names = files.names(directory)
        if reason := files.troubles.get(directory.absolute()):
            yield BrokenVoice(directory, not_searched(reason))
        for name in sorted(name for name in names if name.endswith(".onnx")):
            if found := self._inspect(directory / name, has_json=f"{name}.json" in names):
                yield found

    def _inspect(self, path: Path, *, has_json: bool) -> Voice | BrokenVoice | None:
        if not has_json:
            # Not logged: the json may be about to be copied, or the model may be another program's.
            return None if self._is_kokoro(path) else BrokenVoice(path, _without_json(path))
        files = self._options.files
        try:
            files.read(path, check_complete)
            return files.read(voice_json_path(path), _read_voice)
        except OSError as error:
            return self._complaints.report(path, not_read(error))
        except ValueError as error:
            return self._complaints.report(path, str(error))

    def _is_kokoro(self, path: Path) -> bool:
        return path == self._options.kokoro_model or path.name.startswith("kokoro")

    def _download_dir(self) -> Path:
        return self._options.download_dir or next(iter(self._options.data_dirs), Path.cwd())


def _without_json(path: Path) -> Message:
    return Message("no_json", "{name}.json is missing: copy it too, and name it exactly so", name=path.name)


class LoadedPiper:
    """A Piper voice in memory: its model and its phonemizer."""

    def __init__(self, name: str, model: PiperModel, phonemizer: VoicePhonemizer, config: Any) -> None:
        """Take what belongs to the voice, and close it in the end.

        Args:
            name: of the voice, for messages.
            model: of the voice.
            phonemizer: of the voice.
            config: the package's, as the voice's json says.
        """
        self._name = name
        self._model = model
        self._phonemizer = phonemizer
        self._config = config

    def __repr__(self) -> str:
        return f"<LoadedPiper {self._name} {self._model!r}>"

    @property
    def shares_cores(self) -> bool:
        """As `LoadedVoice.shares_cores`: whether its model could be cut."""
        return self._model.shares_cores

    def render(self, segment: Segment, spec: VoiceSpec, prosody: Prosody) -> Generator[Rendered, None, None]:
        """Phonemize in the first step, then speak each sentence in the steps its model allows.

        The silence that the voice's json asks for after a phoneme is a step of its own.

        Raises:
            UnknownVoice: the voice has no such speaker.
            EngineFailed: the phonemizer or the model failed.
        """
        scales, speaker = self._scales(prosody), self._speaker(spec)
        phrases = self._phonemizer.phrases(segment)
        yield NO_SAMPLES
        own_speed = min(max(prosody.speed, _SLOWEST), _FASTEST)
        speak = partial(
            self._speak, scales=scales, speaker=speaker, speed=own_speed, low_latency=segment.is_first
        )
        spoken = _timed(phrases, speak, WordTimer(segment.text, phrases, self._phonemizer))
        yield from stretch_steps(spoken, spec.voice.sample_rate, prosody.speed / own_speed)

    def phonemes(self, segment: Segment, spec: VoiceSpec) -> str:  # noqa: ARG002  # the same for all speakers
        """The segment's phonemes that the voice has a sound for, those of `[[ ]]` blocks included.

        Raises:
            EngineFailed: the phonemizer failed.
        """
        return " ".join(sentence.strip() for sentence in self._phonemizer.sentences(segment))

    def calibration_segment(self, spec: VoiceSpec) -> Segment:  # noqa: ARG002  # the same for all speakers
        """Five numbers, or a few letters for a voice that was trained on letters."""
        return Segment(_COUNTING.get(self._phonemizer.kind) or _sample_letters(self._config.phoneme_id_map))

    def close(self) -> None:
        """Free the model."""
        self._phonemizer.close()
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
                Message(
                    "no_such_speaker",
                    "The voice {name} has no speaker {speaker}.",
                    name=self._name,
                    speaker=speaker,
                ),
                hint=Message("speakers_to", "Its speakers are 0 to {last}.", last=count - 1)
                if count > 1
                else Message("only_one_speaker", "It has only one speaker."),
            )
        return speaker

    def _speak(
        self,
        phrase: Phrase,
        tell: TellSamples,
        *,
        scales: tuple[float, float, float],
        speaker: int,
        speed: float,
        low_latency: bool,
    ) -> Iterator[Samples]:
        if phrase.ids:
            feeds = model_feeds(self._model.inputs, phrase.ids, scales, speaker)
            yield from self._model.speak(feeds, speed=speed, low_latency=low_latency, tell=tell)
        if phrase.silence:
            yield np.zeros(round(phrase.silence * self._config.sample_rate), dtype=np.float32)


def _timed(
    phrases: Iterable[Phrase], speak: Callable[[Phrase, TellSamples], Iterator[Samples]], timer: WordTimer
) -> Iterator[Rendered]:
    """Speak phrases, and time their words in the step that tells how long phonemes last."""
    spoken = 0
    for number, phrase in enumerate(phrases):
        told: list[IdSamples] = []
        for samples in speak(phrase, told.append):
            timings = timer.timings(number, told.pop(), spoken) if told else None
            if timings is None:
                yield samples
            else:
                yield TimedSamples(samples, timings) if len(samples) else timings
            spoken += len(samples)


def _start_phonemizer(config: VoiceJson) -> PiperPhonemizerProcess | None:
    """Start the phonemizer process, if the voice needs espeak-ng."""
    if config.phoneme_type is not PhonemeKind.ESPEAK:
        return None
    return PiperPhonemizerProcess(config.espeak.voice, config.vowel_clusters)


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


def _why_unread(error: Exception) -> str:
    """Why a json cannot be read, with the file that the system's reason leaves out."""
    if not isinstance(error, OSError):
        return str(error)
    reason = system_reason(error)
    return Message("at_address", "{address}: {reason}", address=str(error.filename), reason=reason)


def _or_default(value: float | None, default: float) -> float:
    return default if value is None else value
