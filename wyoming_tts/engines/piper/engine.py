"""Piper voices: any `NAME.onnx` with `NAME.onnx.json` beside it.

The piper package turns text into phoneme ids, whatever the language needs for that, with espeak-ng in a
process of its own (`phonemizing_process` says why); the model is run here, so that threads, errors and
levels are ours. Its peak normalization is left out on purpose: it makes neighbouring sentences uneven and
turns a lone full stop into a burst of noise.
"""

from __future__ import annotations

import json
import logging
import re
import threading
import unicodedata
from collections.abc import Callable, Generator, Iterator, Mapping
from contextlib import ExitStack, nullcontext
from pathlib import Path
from types import FunctionType, MappingProxyType, MethodType
from typing import Any, TypeVar

import numpy as np

from wyoming_tts.engines.base import EngineOptions
from wyoming_tts.engines.onnx import NO_SAMPLES, BrokenVoice, FileComplaints, plain_text
from wyoming_tts.engines.onnx_file_check import check_complete
from wyoming_tts.engines.phonemizer import PiperPhonemizing
from wyoming_tts.engines.piper.model import PiperModel, open_piper_model
from wyoming_tts.errors import EngineFailed, SpeechError, UnknownVoice, VoiceUnavailable
from wyoming_tts.languages import published_tag
from wyoming_tts.speech import Attribution, Prosody, Samples, Segment, Voice, VoiceSpec

_LOGGER = logging.getLogger(__name__)

T = TypeVar("T")

_NAME = re.compile(r"(?P<language>[a-z]{2,3}_[A-Z0-9]{2,3})-(?P<rest>.+)")
_NAMED_LANGUAGE = re.compile(
    r"\A(?:[A-Za-z]{2,3}_[A-Za-z]{2}|[a-z]{2,3}[-_][A-Z]{2}|[a-z]{2}[-_][0-9]{3})(?=[-_.]|\Z)"
)
_CATALOGUE_NAME = re.compile(r"[a-z]{2,3}_[A-Z0-9]{2,3}-[^-]+-(x_low|low|medium|high)")
_MARKED_BLOCK = re.compile(r"[ ]?\]\]([,;:.!?]+)")
_CATALOGUE = Attribution("rhasspy/piper-voices", "https://github.com/rhasspy/piper")
_CUSTOM = Attribution("Custom voice", "")

# Begin, end and padding: the ids that the package puts around and between phonemes.
_FRAME = ("^", "$", "_")

# By the way a voice's text becomes phonemes: what to install, and what to count to five in.
_EXTRAS = {"pinyin": "piper-tts[zh]", "japanese": "piper-tts[ja]", "thai": "piper-tts[th]"}
_COUNTING = {
    "espeak": "1, 2, 3, 4, 5",
    "pinyin": "一，二，三，四，五。",
    "hebrew": "אחת, שתיים, שלוש, ארבע, חמש",
    "japanese": "一、二、三、四、五。",
    "thai": "หนึ่ง สอง สาม สี่ ห้า",
}

# Their libraries keep state for the whole process; the others keep it in the voice, and fetching
# the dictionary of one (pinyin) must not hold up the rest.
_PROCESS_WIDE = frozenset({"japanese", "thai"})

_NO_JSON = "{0}.json is missing: copy it too, and name it exactly so"


class PiperEngine:
    """Finds and loads Piper voices in `EngineOptions.data_dirs`."""

    name = "piper"
    first_segment_max_words = 0
    """Its first audio does not wait for the whole segment."""

    def __init__(self, options: EngineOptions) -> None:
        self._options = options
        self._complaints = FileComplaints()
        self._broken: tuple[BrokenVoice, ...] = ()
        self._process_wide = threading.Lock()

    @property
    def broken(self) -> tuple[BrokenVoice, ...]:
        """What `installed` left out when it last looked, and why."""
        return self._broken

    def installed(self) -> list[Voice]:
        """The voices found, by directory, then by name; the first of a name wins."""
        voices: dict[str, Voice] = {}
        broken: list[BrokenVoice] = []
        for directory in self._options.data_dirs:
            for found in self._found(directory):
                if isinstance(found, Voice):
                    voices.setdefault(found.name, found)
                else:
                    broken.append(found)
        self._broken = tuple(broken)
        return list(voices.values())

    def load(self, voice: Voice) -> LoadedPiper:
        """Load the voice's model, and what its language needs to become phonemes.

        Raises:
            VoiceUnavailable: a file is missing or broken, or a package is not installed.
        """
        try:
            _, config = _read_config(Path(voice.model))
        except _BROKEN as error:
            raise VoiceUnavailable(f"The voice {voice.name} cannot be loaded: {_reason(error)}") from error
        with ExitStack() as on_failure:
            # It starts while the model is read.
            process = _process_for(config)
            if process is not None:
                on_failure.callback(process.close)
            loaded = self._loaded(voice, config, process)
            on_failure.pop_all()
        return loaded

    def _loaded(self, voice: Voice, config: Any, process: PiperPhonemizing | None) -> LoadedPiper:
        from piper import PiperVoice  # noqa: PLC0415  # it imports onnxruntime

        path = Path(voice.model)
        model = open_piper_model(path, self._options, config.sample_rate)
        if missing := {"input", "input_lengths", "scales"} - model.inputs.keys():
            raise VoiceUnavailable(f"{path} is no Piper model: it has no input {min(missing)!r}.")
        phonemizer = PiperVoice(session=model, config=config, download_dir=self._download_dir())
        shared = config.phoneme_type.value in _PROCESS_WIDE
        lock = self._process_wide if shared else threading.Lock()
        loaded = LoadedPiper(voice.name, model, phonemizer, lock, process)
        loaded.prepare()
        return loaded

    def _found(self, directory: Path) -> Iterator[Voice | BrokenVoice]:
        try:
            models = sorted(directory.glob("*.onnx"))
        except OSError as error:
            yield self._complaints.tell(directory, f"it cannot be searched: {error.strerror}")
            return
        for path in models:
            if found := self._described(path):
                yield found

    def _described(self, path: Path) -> Voice | BrokenVoice | None:
        try:
            if not _config_path(path).is_file():
                # No complaint in the log: the json may be about to be copied, or another program's model.
                return None if self._is_kokoro(path) else BrokenVoice(path, _NO_JSON.format(path.name))
            check_complete(path)
            return _voice(path, *_read_config(path))
        except _BROKEN as error:
            return self._complaints.tell(path, _reason(error))

    def _is_kokoro(self, path: Path) -> bool:
        return path == self._options.kokoro_model or path.name.startswith("kokoro")

    def _download_dir(self) -> Path:
        return self._options.download_dir or next(iter(self._options.data_dirs), Path.cwd())


class LoadedPiper:
    """A Piper model in memory."""

    def __init__(
        self,
        name: str,
        model: PiperModel,
        phonemizer: Any,
        phonemizing: threading.Lock,
        process: PiperPhonemizing | None,
    ) -> None:
        self._name = name
        self._model = model
        self._phonemizer = phonemizer
        self._config = phonemizer.config
        self._phonemizing = phonemizing
        self._process = process
        if process is not None:
            _ask_instead(phonemizer, process)
        self._unknown: set[str] = set()

    def __repr__(self) -> str:
        return f"<LoadedPiper {self._name} {self._model!r}>"

    @property
    def shares_cores(self) -> bool:
        """As `LoadedVoice.shares_cores`: if its model could be cut."""
        return self._model.shares_cores

    def prepare(self) -> None:
        """Load what the language needs now, not in the middle of the first sentence.

        Raises:
            VoiceUnavailable: it is not installed, cannot be fetched, or does not exist.
        """
        kind = self._config.phoneme_type.value
        try:
            if self._process is not None:
                self._process.wait()
            with self._phonemizing:
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

        Raises:
            UnknownVoice: the voice has no such speaker.
            EngineFailed: the phonemizer or the model failed.
        """
        manner = self._manner(spec, prosody)
        text = plain_text(segment)
        sentences = self._made_of(text, self._phonemizer.phonemes_to_ids)
        yield NO_SAMPLES
        for ids in sentences:
            yield from self._speak(ids, manner, soon=segment.is_first)

    def phonemes(self, segment: Segment, spec: VoiceSpec) -> str:  # noqa: ARG002  # the same for all speakers
        """Those of the segment's sentences that the voice has a sound for, `[[ ]]` blocks among them.

        Raises:
            EngineFailed: the phonemizer failed.
        """
        sentences = self._made_of(plain_text(segment), "".join)
        return " ".join(sentence.strip() for sentence in sentences)

    def calibration_segment(self, spec: VoiceSpec) -> Segment:  # noqa: ARG002  # the same for all speakers
        """Five numbers, or for voices trained on letters some of those."""
        kind = self._config.phoneme_type.value
        return Segment(_COUNTING.get(kind) or _letters_of(self._config.phoneme_id_map))

    def close(self) -> None:
        """Free the model."""
        if self._process is not None:
            self._process.close()
        self._model.close()

    def _speak(self, ids: list[int], manner: Mapping[str, Any], *, soon: bool) -> Iterator[Samples]:
        """Phoneme ids to the chunks of their sound."""
        feeds = {
            "input": np.array([ids], dtype=np.int64),
            "input_lengths": np.array([len(ids)], dtype=np.int64),
            **manner,
        }
        yield from self._model.speak(feeds, soon=soon)

    def _manner(self, spec: VoiceSpec, prosody: Prosody) -> dict[str, Any]:
        """The model's inputs other than the phonemes."""
        config = self._config
        length = _first(prosody.length_scale, config.length_scale) / prosody.speed
        noise = _first(prosody.noise_scale, config.noise_scale)
        noise_w = _first(prosody.noise_w_scale, config.noise_w_scale)
        manner = {"scales": np.array([noise, length, noise_w], dtype=np.float32)}
        speaker = self._speaker(spec)
        if "sid" in self._model.inputs:
            manner["sid"] = np.array([speaker], dtype=np.int64)
        return manner

    def _speaker(self, spec: VoiceSpec) -> int:
        speaker = spec.speaker if spec.speaker is not None else spec.voice.default_speaker or 0
        count = max(1, self._config.num_speakers)
        if not 0 <= speaker < count:
            raise UnknownVoice(
                f"The voice {self._name} has no speaker {speaker}.",
                hint=f"Its speakers are 0 to {count - 1}." if count > 1 else "It has one speaker only.",
            )
        return speaker

    def _made_of(self, text: str, make: Callable[[list[str]], T]) -> list[T]:
        """What `make` makes of the phonemes of each sentence that has any."""
        if not text:
            return []
        try:
            with self._phonemizing:
                sentences = self._phonemizer.phonemize(_with_marks_in_blocks(_without_unclosed_block(text)))
            known = [self._known(phonemes) for phonemes in sentences]
            return [make(phonemes) for phonemes in known if phonemes]
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


def _process_for(config: Any) -> PiperPhonemizing | None:
    """Where the voice's text becomes phonemes, if that takes espeak-ng."""
    if config.phoneme_type.value != "espeak":
        return None
    return PiperPhonemizing(config.espeak_voice, config.vowel_clusters)


def _ask_instead(phonemizer: Any, process: PiperPhonemizing) -> None:
    """Have the package ask the process for what it would ask espeak-ng for in this one.

    Its way of raw phonemes and of Arabic stays. It keeps its phonemizer in the module, for all voices; this
    voice gets a method that sees another.
    """
    own = type(phonemizer).phonemize
    seen = {**own.__globals__, "_ESPEAK_PHONEMIZER": process, "_ESPEAK_PHONEMIZER_LOCK": nullcontext()}
    phonemizer.phonemize = MethodType(FunctionType(own.__code__, seen), phonemizer)


# What reading a voice's files may raise when they are broken.
_BROKEN = (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError)


def _reason(error: BaseException) -> str:
    if isinstance(error, KeyError):
        return f"its json has no {error.args[0]!r}"
    if isinstance(error, json.JSONDecodeError):
        return f"its json is broken: {error}"
    return str(error) or type(error).__name__


def _config_path(model: Path) -> Path:
    return model.with_name(f"{model.name}.json")


def _read_config(model: Path) -> tuple[dict[str, Any], Any]:
    """The voice's json, as it stands and as a checked piper.PiperConfig."""
    from piper import PiperConfig  # noqa: PLC0415  # it imports onnxruntime

    document = json.loads(_config_path(model).read_text(encoding="utf-8"))
    config = PiperConfig.from_dict(document)
    if not isinstance(config.sample_rate, int) or config.sample_rate <= 0:
        raise ValueError(f"its json gives a sample rate of {config.sample_rate!r}")
    if not isinstance(config.num_speakers, int):
        raise TypeError(f"its json gives {config.num_speakers!r} as number of speakers")
    for mark in _FRAME:
        if mark not in config.phoneme_id_map:
            raise ValueError(f"its phoneme_id_map has no {mark!r}")
    for scale in (config.noise_scale, config.length_scale, config.noise_w_scale):
        float(scale)
    return document, config


def _voice(path: Path, document: dict[str, Any], config: Any) -> Voice:
    quality = document["audio"].get("quality")
    speakers = _speakers(config)
    return Voice(
        name=path.stem,
        engine=PiperEngine.name,
        language=_language(path.stem, document, config),
        description=_description(path.stem, quality if isinstance(quality, str) else ""),
        sample_rate=config.sample_rate,
        model=str(path),
        attribution=_CATALOGUE if _CATALOGUE_NAME.fullmatch(path.stem) else _CUSTOM,
        speakers=MappingProxyType(speakers),
        default_speaker=_default_speaker(config) if speakers else None,
        version=str(config.piper_version) if config.piper_version else None,
        files=(path, _config_path(path)),
    )


def _speakers(config: Any) -> dict[str, int]:
    if config.num_speakers <= 1:
        return {}
    named = {str(name): int(number) for name, number in config.speaker_id_map.items()}
    if not named:
        return {str(number): number for number in range(config.num_speakers)}
    return {name: number for name, number in named.items() if 0 <= number < config.num_speakers}


def _default_speaker(config: Any) -> int:
    number = config.default_speaker_id
    return number if number in range(config.num_speakers) else 0


def _language(name: str, document: dict[str, Any], config: Any) -> str:
    """The json's language, else the name's, else what its phonemizer speaks; as clients know it."""
    tags = (*_declared(document.get("language")), *_NAMED_LANGUAGE.findall(name), config.espeak_voice)
    known = filter(None, map(published_tag, tags))
    return next(known, str(config.espeak_voice))


def _declared(language: object) -> Iterator[object]:
    """What a json says of its language: a mapping as the catalogue's, or a bare tag."""
    if not isinstance(language, dict):
        yield language
        return
    yield language.get("code")
    if language.get("family") and language.get("region"):
        yield f"{language['family']}_{language['region']}"
    yield language.get("family")


def _description(name: str, quality: str) -> str:
    """`Lessac medium (Piper)` for `en_US-lessac-medium`."""
    match = _NAME.fullmatch(name)
    words = re.sub(r"[-_\s]+", " ", match["rest"] if match else name).strip()
    level = quality.replace("_", " ")
    if level and not words.casefold().endswith(level.casefold()):
        words = f"{words} {level}"
    return f"{words[:1].upper()}{words[1:]} (Piper)"


def _letters_of(known: Mapping[str, Any]) -> str:
    """A few words out of a voice's own letters, vowels first."""
    letters = [symbol for symbol in known if len(symbol) == 1 and symbol.isalpha()]
    # The package decomposes text: a letter that is stored composed would never be met.
    usable = [letter for letter in letters if unicodedata.is_normalized("NFD", letter)]
    usable.sort(key=lambda letter: letter.casefold() not in "aeiouаеиоу")
    return " ".join("".join(usable[start : start + 4]) for start in range(0, min(len(usable), 12), 4))


def _without_unclosed_block(text: str) -> str:
    """The package would take it for phonemes, less its last two letters."""
    head, close, tail = text.rpartition("]]")
    return head + close + tail.replace("[[", " ")


def _with_marks_in_blocks(text: str) -> str:
    """The package would lose a mark behind a block, and the pause with it."""
    return _MARKED_BLOCK.sub(r"\1]]", text)


def _first(wanted: float | None, own: float) -> float:
    return own if wanted is None else wanted
