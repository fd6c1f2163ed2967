"""espeak-ng engine: the embedded voices, from the library and data of the `espeakng-loader` wheel.

They need no download and cover over a hundred languages, so there is always a voice. The library runs
in a child process, one for each loaded model; `engines/espeak/process.py` says why.
"""

from __future__ import annotations

import logging
import math
import re
from collections import Counter
from collections.abc import Generator, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np

from wyoming_tts.engines.base import EngineOptions, FirstCut, Rendered
from wyoming_tts.engines.child.process import ChildProcess
from wyoming_tts.engines.espeak import process as espeak_process
from wyoming_tts.engines.espeak.han_numerals import numerals_to_digits
from wyoming_tts.engines.espeak.mnemonics import read_inventory
from wyoming_tts.engines.espeak.text import EspeakPiece, cut_text, cut_text_with_phonemes
from wyoming_tts.engines.espeak.timings import Mark, SegmentWords
from wyoming_tts.errors import EngineFailed, UnknownVoice, VoiceUnavailable
from wyoming_tts.ipa import has_phoneme_blocks
from wyoming_tts.languages import language_code, split_subtags
from wyoming_tts.messages import Message
from wyoming_tts.offset_text import OffsetText, with_offsets_of
from wyoming_tts.speech import (
    Attribution,
    Prosody,
    Samples,
    Segment,
    TimedSamples,
    Voice,
    VoiceSpec,
    WordTimings,
)
from wyoming_tts.system_reasons import underlying_reason

_LOGGER = logging.getLogger(__name__)

_MODEL = "espeak-ng"
_ATTRIBUTION = Attribution("espeak-ng", "https://github.com/espeak-ng/espeak-ng")

_NATURAL_RATE = 175
_SLOWEST, _FASTEST = 80, 449
"""The library's range, in words per minute. At 450 it speeds up finished audio, and tells only roughly where
words are in that."""
_NATURAL_PITCH = 50
_HIGHEST_PITCH = 99
_PITCH_STEPS_PER_OCTAVE = 50

# The region that Piper and Kokoro voices of a language carry, so that a language has one tag, whichever
# engine speaks it. Languages of many countries, such as Arabic, have none. Published: only ever add.
_USUAL_REGIONS = (
    "bg_BG ca_ES cs_CZ cy_GB da_DK de_DE el_GR en_GB es_ES et_EE eu_ES fa_IR fi_FI fr_FR he_IL hi_IN hr_HR "
    "hu_HU id_ID is_IS it_IT ja_JP ka_GE kk_KZ ko_KR lb_LU lt_LT lv_LV ml_IN ne_NP nl_NL pl_PL pt_PT ro_RO "
    "ru_RU sk_SK sl_SI sq_AL sr_RS sv_SE te_IN th_TH tr_TR uk_UA vi_VN"
)
_USUAL_TAGS = {language_code(tag): tag for tag in _USUAL_REGIONS.split()} | {
    "cmn": "zh_CN",
    "yue": "zh_HK",
    "nb": "no_NO",
    "piqd": "tlh",
}
_REGION = re.compile(r"[A-Z]{2}|[0-9]{3}")
_LANGUAGE = re.compile(r"[a-z]{2,3}")
_UNCODED = "mis"

# Chinese characters, of which the library knows only Chinese readings: in Japanese and Korean texts it would
# say "Chinese letter" for each.
_HAN = re.compile("[々〆\u2e80-\u2fdf\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U000323af]+")
_CHINESE = frozenset({"cmn", "hak", "yue"})

# The library's mark for a word that is read in another language: `(en)`.
_LANGUAGE_MARK = re.compile(r"\([a-z][a-z0-9-]*\)")

_CALIBRATION_TEXT = "1, 2, 3, 4, 5"
# These voices have no words for numbers.
_CALIBRATION_TEXTS = {"chr": "hello", "cv": "салам, салам", "sjn": "mae govannen, mellon"}


@dataclass(frozen=True, slots=True)
class _ListedVoice:
    """A voice as the library lists it."""

    title: str
    """`English (America)`."""
    identifier: str
    """Path of the voice's file below the data's `lang`, in the letter case of language tags: `gmw/en-US`."""
    language: str
    """The voice's main language code, in lower case: `en-us`; not unique."""


class EspeakEngine:
    """espeak-ng: a voice for each language that its library lists, all in one small process."""

    name = "espeak"

    def __init__(self, options: EngineOptions) -> None:
        del options  # Everything it needs comes with the wheel.
        self._listed: tuple[Voice, ...] = ()

    def first_cut(self, voice: Voice, prosody: Prosody) -> FirstCut:
        """As `Engine.first_cut`: the same for all."""
        del voice, prosody
        return FirstCut.AFTER_CLAUSE

    def installed(self) -> Sequence[Voice]:
        """A voice for every language of espeak-ng; none, with a warning, if the library never started.

        They come with the wheel and do not change: listed once, they stay, even if no process can be started.
        """
        if self._listed:
            return self._listed
        try:
            process = _EspeakProcess()
        except VoiceUnavailable as error:
            _LOGGER.warning("The embedded voices are unavailable: %s", error)
            return ()
        with process:
            voices = _named(process.voices)
            self._listed = tuple(_voice(name, listed, process.version) for name, listed in voices)
        return self._listed

    def load(self, voice: Voice) -> EspeakVoices:
        """Start the library's process, which takes about 50 ms and serves all voices.

        Raises:
            VoiceUnavailable: the library or its data is missing, or it does not start.
        """
        del voice  # They all share one model.
        return EspeakVoices()


class EspeakVoices:
    """All of espeak-ng's voices, ready to speak. Steps run one at a time; renders may alternate."""

    shares_cores = True

    def __init__(self) -> None:
        self._process = _EspeakProcess()
        self._listed = dict(_named(self._process.voices))

    def render(self, segment: Segment, spec: VoiceSpec, prosody: Prosody) -> Generator[Rendered, None, None]:
        """Render the segment, up to 240 letters of it in a step; float32 mono at 22,050 Hz.

        Of the prosody it uses `speed`, divided by `length_scale` if that is set, and `pitch`. The library
        speaks 80 to 449 words a minute, and within an octave around its own pitch: speed is clamped to
        0.46 to 2.57, pitch to 0.5 to 2. The same text in the same voice gives the same samples each time.

        `[[phonemes]]` are IPA, each spoken as the nearest that the voice has; double brackets around what
        cannot be IPA, such as a link, are text.

        Raises:
            UnknownVoice: a speaker was requested; each voice is a single speaker.
            EngineFailed: the library crashed on the text, and is ready for the next, or its data is gone.
        """
        if spec.speaker:
            raise UnknownVoice(
                Message(
                    "no_such_speaker",
                    "The voice {name} has no speaker {speaker}.",
                    name=spec.voice.name,
                    speaker=spec.speaker,
                ),
                hint=Message("only_one_speaker", "It has only one speaker."),
            )
        identifier = self._identifier(spec)
        rate, pitch = _rate(prosody), _pitch(prosody)
        pieces, flags = _pieces(segment, identifier)
        words, first_sample = SegmentWords(segment.text), 0
        for piece in pieces:
            piece_flags = flags | (espeak_process.END_PAUSE if piece.pause_after else 0)
            samples, marks = self._process.speak(
                identifier, piece.text, rate=rate, pitch=pitch, flags=piece_flags
            )
            timings = words.timings(piece.text, marks, first_sample, len(samples))
            yield TimedSamples(samples, WordTimings(tuple(timings))) if timings else samples
            first_sample += len(samples)

    def phonemes(self, segment: Segment, spec: VoiceSpec) -> str:
        """The segment as the library speaks it, in IPA, with spaces between words and no punctuation.

        Raises:
            EngineFailed: the library crashed on the text; it is ready for the next.
        """
        identifier = self._identifier(spec)
        pieces, flags = _pieces(segment, identifier)
        phonemes = (self._process.phonemes(identifier, piece.text, flags=flags) for piece in pieces)
        return " ".join(filter(None, phonemes))

    def calibration_segment(self, spec: VoiceSpec) -> Segment:
        """Some numbers, which almost every language of espeak-ng has words for."""
        listed = self._listed.get(spec.voice.name)
        code = _subtags(listed.identifier)[0] if listed else ""
        return Segment(_CALIBRATION_TEXTS.get(code, _CALIBRATION_TEXT))

    def close(self) -> None:
        """End the process."""
        self._process.close()

    def _identifier(self, spec: VoiceSpec) -> str:
        listed = self._listed.get(spec.voice.name)
        if listed is None:
            raise EngineFailed(
                Message("espeak_no_voice", "espeak-ng has no voice {name}.", name=repr(spec.voice.name)),
                hint=Message("list_installed", "List the installed voices."),
            )
        return listed.identifier


class _EspeakProcess(ChildProcess):
    """Client of `engines/espeak/process.py`, for any number of threads.

    Raises:
        VoiceUnavailable: the library or its data is missing, or it does not start.
    """

    def __init__(self) -> None:
        library, data = _find_library()
        hint = Message("install_espeak_again", "Install the package espeakng-loader again.")
        super().__init__(_MODEL, espeak_process.__name__, str(library), str(data), hint=hint)
        greeting = self.greeting()
        self.version: str = greeting["version"]
        self.voices = tuple(_ListedVoice(*voice) for voice in greeting["voices"])

    def speak(
        self, identifier: str, text: str, *, rate: int, pitch: int, flags: int
    ) -> tuple[Samples, list[Mark]]:
        """Samples of the text, shape (n,), float32, and the marks in them; none if all of them are silent."""
        answer = self.request(_request(identifier, text, rate=rate, pitch=pitch, flags=flags))
        (count,) = espeak_process.MARK_COUNT.unpack_from(answer)
        at = espeak_process.MARK_COUNT.size
        end = at + count * espeak_process.MARK.size
        samples = np.frombuffer(answer, "<i2", offset=end).astype(np.float32) / np.float32(32768)
        if not samples.any():
            return samples[:0], []
        return samples, list(espeak_process.MARK.iter_unpack(answer[at:end]))

    def phonemes(self, identifier: str, text: str, *, flags: int) -> str:
        """The text as `speak` speaks it, in IPA, with spaces between words and no punctuation."""
        flags |= espeak_process.RETURN_PHONEMES
        request = _request(identifier, text, rate=_NATURAL_RATE, pitch=_NATURAL_PITCH, flags=flags)
        return " ".join(_LANGUAGE_MARK.sub("", self.request(request).decode("utf-8", "replace")).split())


def _request(identifier: str, text: str, *, rate: int, pitch: int, flags: int) -> bytes:
    voice = identifier.encode()
    return espeak_process.REQUEST.pack(len(voice), rate, pitch, flags) + voice + text.encode()


def _find_library() -> tuple[Path, Path]:
    """Paths of the library and its data in the wheel."""
    try:
        import espeakng_loader  # noqa: PLC0415 - importing this module must stay cheap

        library, data = Path(espeakng_loader.get_library_path()), Path(espeakng_loader.get_data_path())
    except (ImportError, RuntimeError) as error:
        raise VoiceUnavailable(
            Message("no_espeak", "espeak-ng is not installed: {reason}", reason=str(error)),
            hint=Message("install_espeak", "Install the package espeakng-loader."),
        ) from error
    for path in (library, data):
        if not path.exists():
            raise VoiceUnavailable(
                Message("is_missing", "{path} is missing.", path=path),
                hint=Message("install_espeak_again", "Install the package espeakng-loader again."),
            )
    return library, data


def _rate(prosody: Prosody) -> int:
    pace = prosody.speed / (prosody.length_scale or 1.0)
    return round(min(max(_NATURAL_RATE * pace, _SLOWEST), _FASTEST))


def _pitch(prosody: Prosody) -> int:
    octaves = math.log2(min(max(prosody.pitch, 0.5), 2.0))
    return min(round(_NATURAL_PITCH + _PITCH_STEPS_PER_OCTAVE * octaves), _HIGHEST_PITCH)


def _pieces(segment: Segment, identifier: str) -> tuple[Iterator[EspeakPiece], int]:
    """The text in pieces for the library, and the flags by which it reads them."""
    if has_phoneme_blocks(segment.text):
        text = _readable_characters(OffsetText.written(segment.text), identifier)
        return cut_text_with_phonemes(text, _inventory(identifier)), espeak_process.PHONEMES
    whole = next(cut_text(segment.text), None)
    if whole is not None and whole.text == segment.text and segment.text.isascii():
        return iter((whole,)), 0  # nothing is changed: it needs no offsets
    return cut_text(_readable_characters(OffsetText.written(segment.text), identifier)), 0


def _readable_characters(text: str, identifier: str) -> str:
    """The text without the Chinese characters that a voice cannot read; numbers among them become digits."""
    if _subtags(identifier)[0] in _CHINESE:
        return text
    text = numerals_to_digits(text)
    return with_offsets_of(_HAN.sub(lambda han: " " * len(han[0]), text), text)


@lru_cache(maxsize=256)
def _inventory(identifier: str) -> frozenset[str]:
    """The phoneme mnemonics of a voice; read from files once."""
    try:
        return read_inventory(_find_library()[1], identifier)
    except (OSError, VoiceUnavailable) as error:
        raise EngineFailed(
            Message(
                "espeak_phonemes",
                "The phonemes of espeak-ng's voice {name} cannot be read: {reason}",
                name=identifier,
                reason=underlying_reason(error),
            )
        ) from error


def _named(voices: Iterable[_ListedVoice]) -> Iterator[tuple[str, _ListedVoice]]:
    """Pairs of name and voice: the language code where only one voice has it, else the file's name."""
    voices = tuple(voices)
    count = Counter(voice.language for voice in voices)
    for voice in voices:
        name = voice.language if count[voice.language] == 1 else voice.identifier.rpartition("/")[2]
        yield f"espeak-{name.lower()}", voice


def _voice(name: str, listed: _ListedVoice, version: str) -> Voice:
    return Voice(
        name=name,
        engine=EspeakEngine.name,
        language=_language_tag(listed.identifier),
        # Lower case sorts after neural voices, so that no client picks it for coming first.
        description=f"espeak-ng {listed.title}",
        sample_rate=espeak_process.SAMPLE_RATE,
        model=_MODEL,
        attribution=_ATTRIBUTION,
        version=version,
    )


def _language_tag(identifier: str) -> str:
    """The tag of a voice: `en_US` for `gmw/en-US-nyc`, the language with its own or its usual region.

    Regions differ from dialects by their letter case, as in language tags: `fr-BE` but `ca-ba`.
    """
    code, *rest = _subtags(identifier)
    usual = _USUAL_TAGS.get(code, code)
    language = split_subtags(usual)[0]
    if _LANGUAGE.fullmatch(language) is None:
        return _UNCODED
    region = next(filter(_REGION.fullmatch, rest), None)
    return f"{language}_{region}" if region else usual


def _subtags(identifier: str) -> list[str]:
    return split_subtags(identifier.rpartition("/")[2])
