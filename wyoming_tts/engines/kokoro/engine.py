"""Kokoro engine: one model, and a pack of styles that are its voices.

kokoro_onnx knows the variants of the model, its vocabulary and where the pauses within a batch are. A model
is run in parts if it can be cut (`opening`), else a batch at a time (`model`). The phonemizer is not used
through kokoro_onnx but directly, in a child process:
kokoro_onnx has it keep espeak-ng's marks for a change of language, which the model would read out ("(en)"
as speech), and texts that crash it must not end the server (`engines/phonemizer/process.py`).
"""

from __future__ import annotations

import logging
import zipfile
from collections.abc import Collection, Iterable
from contextlib import ExitStack
from dataclasses import replace
from functools import partial
from pathlib import Path
from weakref import WeakValueDictionary

from wyoming_tts.engines.base import EngineOptions, FirstCut, StyleBlend
from wyoming_tts.engines.kokoro.files import FoundFiles, KokoroFiles
from wyoming_tts.engines.kokoro.loaded import LoadedKokoro
from wyoming_tts.engines.kokoro.misaki import MisakiPhonemizers, how_to_install, missing_parts
from wyoming_tts.engines.kokoro.model import CutModel, KokoroModel, WholeModel
from wyoming_tts.engines.kokoro.names import (
    BY_TAG,
    KokoroLanguage,
    description,
    named_language,
    named_languages,
    spoken_language,
)
from wyoming_tts.engines.kokoro.opening import OpenedDecoder, OpenedWhole, open_decoder, open_whole
from wyoming_tts.engines.kokoro.phonemes import KokoroPhonemizer
from wyoming_tts.engines.kokoro.statistics_store import StatisticsStore
from wyoming_tts.engines.kokoro.trimming import SAMPLE_RATE
from wyoming_tts.engines.model_files import BrokenVoice
from wyoming_tts.errors import VoiceUnavailable
from wyoming_tts.messages import Message
from wyoming_tts.speech import Attribution, Prosody, Samples, UnusableVoice, Voice
from wyoming_tts.style_tables import pack_names, read_packed_table
from wyoming_tts.system_reasons import underlying_reason

_LOGGER = logging.getLogger(__name__)

_ATTRIBUTION = Attribution("hexgrad/Kokoro-82M", "https://huggingface.co/hexgrad/Kokoro-82M")

_PROBED_ROW = 24
"""Of a style table: the row for the number of tokens of the probe that a model in parts is checked with."""


class KokoroEngine:
    """Finds and loads a Kokoro model and its voice pack."""

    name = "kokoro"

    def __init__(self, options: EngineOptions) -> None:
        self._options = options
        self._loaded: WeakValueDictionary[str, LoadedKokoro] = WeakValueDictionary()
        """The models in memory, by `Voice.model`."""
        self._files = KokoroFiles(options)
        self._misaki = MisakiPhonemizers()
        self._unusable: tuple[UnusableVoice, ...] = ()
        self._logged: set[str] = set()

    @property
    def broken(self) -> tuple[BrokenVoice, ...]:
        """What the last call of `installed` left out, and why."""
        return self._files.broken

    @property
    def unusable(self) -> tuple[UnusableVoice, ...]:
        """The voices that the last call of `installed` left out because their phonemizer is not installed."""
        return self._unusable

    def first_cut(self, voice: Voice, prosody: Prosody) -> FirstCut:
        """As `Engine.first_cut`: a voice in chunks needs no cut, one that waits for batches an early one."""
        loaded = self._loaded.get(voice.model)
        in_chunks = loaded is not None and loaded.speaks_in_chunks(voice, prosody)
        return FirstCut.WHILE_ARRIVING if in_chunks else FirstCut.AFTER_WORDS

    def installed(self) -> list[Voice]:
        """The voices of the pack, then imported ones, then blends; none without a model and a pack."""
        found = self._files.find()
        self._unusable = ()
        if found is None:
            return []
        voices = [_voice(name, found) for name in (*sorted(found.names), *found.imported)]
        voices += self._blend_voices(found)
        reasons = {language: _why_unusable(language) for language in set(map(spoken_language, voices))}
        self._unusable = tuple(
            UnusableVoice(voice, reason, how_to_install())
            for voice in voices
            if (reason := reasons[spoken_language(voice)])
        )
        self._log_once(reasons.values())
        return [voice for voice in voices if not reasons[spoken_language(voice)]]

    def _log_once(self, reasons: Iterable[str]) -> None:
        for reason in filter(None, {*reasons} - self._logged):
            self._logged.add(reason)
            _LOGGER.info("Some voices of Kokoro are left out: %s. %s", reason, how_to_install())

    def _blend_voices(self, found: FoundFiles) -> list[Voice]:
        blends, tables = self._options.kokoro_blends, found.names | found.imported.keys()
        return [
            blended_voice(_voice(blend.name, found, blend.made_of), blend)
            for blend in (blends.list_voices(named_languages(found.names)) if blends else ())
            if blend.made_of <= tables and blend.name not in tables and blend.language in BY_TAG
        ]

    def load(self, voice: Voice) -> LoadedKokoro:
        """Load the model; each style is read at its first use.

        Raises:
            VoiceUnavailable: the model or the pack is missing or broken.
        """
        with ExitStack() as on_failure:
            phonemizer = KokoroPhonemizer(self._misaki)
            on_failure.callback(phonemizer.close)
            # The process starts while the model is read.
            phonemizer.start(spoken_language(voice))
            loaded = self._load(voice, phonemizer)
            on_failure.pop_all()
        self._loaded[voice.model] = loaded
        return loaded

    def _load(self, voice: Voice, phonemizer: KokoroPhonemizer) -> LoadedKokoro:
        import kokoro_onnx  # noqa: PLC0415  # it imports onnxruntime

        # It adds a handler of its own, which would bypass the server's log format and level.
        logging.getLogger("kokoro_onnx").handlers.clear()
        model_path, pack = voice.files[:2]
        opened: OpenedDecoder | OpenedWhole | None = None
        if self._options.kokoro_chunked:
            opened = open_decoder(model_path, self._options, partial(_probed_style, pack))
        opened = opened or open_whole(model_path, self._options)
        model = opened.text if isinstance(opened, OpenedDecoder) else opened.model
        if not {"style", "speed"} <= model.inputs.keys() or not model.inputs.keys() & {"tokens", "input_ids"}:
            raise VoiceUnavailable(
                Message(
                    "not_kokoro",
                    "{path} is not a Kokoro model: its inputs are {inputs}.",
                    path=model_path,
                    inputs=", ".join(model.inputs),
                )
            )
        try:
            pack_names(pack)  # it may have been replaced since it was listed
            kokoro = kokoro_onnx.Kokoro.from_session(model, str(pack))
            kokoro.voices.keys()
        except Exception as error:
            raise VoiceUnavailable(
                Message(
                    "pack_not_loaded",
                    "The voice pack {path} cannot be loaded: {reason}",
                    path=pack,
                    reason=underlying_reason(error),
                )
            ) from error
        store = None
        speaker: KokoroModel
        if isinstance(opened, OpenedWhole):
            speaker = WholeModel(model, kokoro, clause_pauses=not opened.is_extended)
        else:
            store = StatisticsStore(self._options.statistics_dir, opened.digest, opened.decoder.channels)
            speaker = CutModel(opened.decoder, kokoro.tokenizer.tokenize)
        return LoadedKokoro(
            speaker,
            kokoro,
            phonemizer,
            whole_speeds=model.inputs["speed"] in ("tensor(int32)", "tensor(int64)"),
            statistics=store,
            blends=self._options.kokoro_blends,
            styles=self._options.kokoro_styles,
        )


def _probed_style(pack: Path) -> Samples:
    """A row of some voice's style table, shape (1, 256), to check a model in parts with."""
    with zipfile.ZipFile(pack) as archive:
        row: Samples = read_packed_table(archive, min(pack_names(pack)))[_PROBED_ROW]
        return row


def _why_unusable(language: KokoroLanguage) -> str:
    """Why voices of a language cannot speak; empty if they can."""
    missing = missing_parts(language)
    if not missing:
        return ""
    return Message(
        "needs_misaki",
        "{language} needs the package misaki ({missing}: not installed)",
        language=language.tag,
        missing=", ".join(missing),
    )


def _voice(name: str, found: FoundFiles, made_of: Collection[str] = ()) -> Voice:
    """A voice with its files; those of a blend include the imported voices that it is mixed from."""
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


def blended_voice(pack_voice: Voice, blend: StyleBlend) -> Voice:
    """A voice with the pack's files that speaks as the blend; its version changes with the blend's sound."""
    named = replace(pack_voice, name=blend.name, language=blend.language)
    return replace(named, description=blend.description, version=blend.identity)
