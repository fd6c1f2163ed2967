"""The embedded voice: espeak-ng, through the library and data of the `espeakng-loader` wheel.

It needs no download and speaks over a hundred languages, so there is always something to speak with.
The library runs in a process of its own, one for each loaded model; `espeak_process` says why.
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

from wyoming_tts.engines.base import EngineOptions
from wyoming_tts.engines.child import Child
from wyoming_tts.engines.espeak import process as espeak_process
from wyoming_tts.engines.espeak.ipa import inventory
from wyoming_tts.engines.espeak.text import EspeakPiece, pieces_with_phonemes, plain_pieces
from wyoming_tts.engines.phoneme_blocks import has_phonemes
from wyoming_tts.errors import EngineFailed, UnknownVoice, VoiceUnavailable
from wyoming_tts.languages import language_code, split_subtags
from wyoming_tts.speech import Attribution, Prosody, Samples, Segment, Voice, VoiceSpec

_log = logging.getLogger(__name__)

_MODEL = "espeak-ng"
_ATTRIBUTION = Attribution("espeak-ng", "https://github.com/espeak-ng/espeak-ng")

_NATURAL_RATE = 175
_SLOWEST, _FASTEST = 80, 450
"""Words per minute between which the library speaks."""
_NATURAL_PITCH = 50
_HIGHEST_PITCH = 99
_PITCH_STEPS_PER_OCTAVE = 50

# The region that Piper and Kokoro voices of a language carry, so that a language keeps one tag whichever
# engine speaks it. Languages of many countries, such as Arabic, stay without. Published: only ever add.
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

# By which the library shows that a word is read in another language: `(en)`.
_LANGUAGE_MARK = re.compile(r"\([a-z][a-z0-9-]*\)")

_CALIBRATION_TEXT = "1, 2, 3, 4, 5"
# These voices have no words for numbers.
_CALIBRATION_TEXTS = {"chr": "hello", "cv": "салам, салам", "sjn": "mae govannen, mellon"}


@dataclass(frozen=True, slots=True)
class _Found:
    """A voice as the library lists it."""

    title: str
    """`English (America)`."""
    identifier: str
    """Path of the voice's file below the data's `lang`: `gmw/en-US`, in the case of a language tag."""
    language: str
    """Main code the voice answers to, in lower case: `en-us`; not unique."""


class EspeakEngine:
    """espeak-ng: a voice for each language its library lists, all sharing one small process."""

    name = "espeak"
    first_segment_max_words = 0

    def __init__(self, options: EngineOptions) -> None:
        del options  # Everything it needs comes with the wheel.

    def installed(self) -> Sequence[Voice]:
        """Every language of espeak-ng, or nothing, with a warning, where its library does not start."""
        try:
            process = _Process()
        except VoiceUnavailable as error:
            _log.warning("The embedded voice is left out: %s", error)
            return ()
        with process:
            return tuple(_voice(name, found, process.version) for name, found in _named(process.found))

    def load(self, voice: Voice) -> EspeakVoices:
        """Start the library's process, which takes about 50 ms; `voice` may be any of its voices.

        Raises:
            VoiceUnavailable: the library or its data is missing, or it does not start.
        """
        del voice  # They all share one model.
        return EspeakVoices()


class EspeakVoices:
    """All of espeak-ng's voices, ready to speak. A call renders alone; renders share them step by step."""

    shares_cores = True

    def __init__(self) -> None:
        self._process = _Process()
        self._found = dict(_named(self._process.found))

    def render(self, segment: Segment, spec: VoiceSpec, prosody: Prosody) -> Generator[Samples, None, None]:
        """Render the segment, up to 240 letters of it a step; float32 mono at 22,050 Hz.

        Of the prosody it takes `speed`, divided by `length_scale` if that is set, and `pitch`. The library
        speaks 80 to 450 words a minute and within an octave around its own pitch: speed works from 0.46
        to 2.57 and pitch from 0.5 to 2, and what is beyond is taken as the nearest. The same text in the
        same voice gives the same samples each time.

        `[[phonemes]]` are IPA, each spoken as the nearest that the voice has; double brackets around what
        cannot be IPA, such as a link, are text.

        Raises:
            UnknownVoice: a speaker is asked for; each voice is one.
            EngineFailed: the library died of the text, and is ready for the next, or its data is gone.
        """
        if spec.speaker:
            raise UnknownVoice(
                f"The voice {spec.voice.name} has no speaker {spec.speaker}.", hint="It has one only."
            )
        found = self._found_for(spec)
        rate, pitch = _rate(prosody), _pitch(prosody)
        pieces, flags = _pieces(segment, found.identifier)
        for piece in pieces:
            asked = flags | (espeak_process.END_PAUSE if piece.pause_after else 0)
            yield self._process.speak(found.identifier, piece.text, rate=rate, pitch=pitch, flags=asked)

    def phonemes(self, segment: Segment, spec: VoiceSpec) -> str:
        """What the library speaks of the segment, in IPA, with spaces between words and no marks.

        Raises:
            EngineFailed: the library died of the text; it is ready for the next.
        """
        found = self._found_for(spec)
        pieces, flags = _pieces(segment, found.identifier)
        made = (self._process.phonemes(found.identifier, piece.text, flags=flags) for piece in pieces)
        return " ".join(filter(None, made))

    def calibration_segment(self, spec: VoiceSpec) -> Segment:
        """Some numbers, which almost every language of espeak-ng has words for."""
        found = self._found.get(spec.voice.name)
        code = _subtags(found.identifier)[0] if found else ""
        return Segment(_CALIBRATION_TEXTS.get(code, _CALIBRATION_TEXT))

    def close(self) -> None:
        """End the process."""
        self._process.close()

    def _found_for(self, spec: VoiceSpec) -> _Found:
        found = self._found.get(spec.voice.name)
        if found is None:
            raise EngineFailed(
                f"espeak-ng has no voice {spec.voice.name!r}.", hint="List the installed voices."
            )
        return found


class _Process(Child):
    """`espeak_process`, for any number of threads.

    Raises:
        VoiceUnavailable: the library or its data is missing, or it does not start.
    """

    def __init__(self) -> None:
        library, data = _wheel()
        command = (espeak_process.__file__, str(library), str(data))
        super().__init__(_MODEL, command, hint="Install the package espeakng-loader again.")
        greeting = self.greeting()
        self.version: str = greeting["version"]
        self.found = tuple(_Found(*voice) for voice in greeting["voices"])

    def speak(self, identifier: str, text: str, *, rate: int, pitch: int, flags: int) -> Samples:
        """Samples of the text, shape (n,), float32; none if all of them are silent and the text is plain."""
        samples = self.ask(_request(identifier, text, rate=rate, pitch=pitch, flags=flags))
        heard = np.frombuffer(samples, "<i2").astype(np.float32) / np.float32(32768)
        return heard if heard.any() else heard[:0]

    def phonemes(self, identifier: str, text: str, *, flags: int) -> str:
        """What `speak` speaks, in IPA, with spaces between words; the marks are lost."""
        flags |= espeak_process.TELL_PHONEMES
        asked = _request(identifier, text, rate=_NATURAL_RATE, pitch=_NATURAL_PITCH, flags=flags)
        return " ".join(_LANGUAGE_MARK.sub("", self.ask(asked).decode("utf-8", "replace")).split())


def _request(identifier: str, text: str, *, rate: int, pitch: int, flags: int) -> bytes:
    voice, content = identifier.encode(), text.encode()
    return espeak_process.REQUEST.pack(len(voice), len(content), rate, pitch, flags) + voice + content


def _wheel() -> tuple[Path, Path]:
    """Where the library and its data are."""
    try:
        import espeakng_loader  # noqa: PLC0415 - importing this module must stay cheap

        library, data = Path(espeakng_loader.get_library_path()), Path(espeakng_loader.get_data_path())
    except (ImportError, RuntimeError) as error:
        raise VoiceUnavailable(
            f"espeak-ng is not installed: {error}", hint="Install the package espeakng-loader."
        ) from error
    for path in (library, data):
        if not path.exists():
            raise VoiceUnavailable(f"{path} is missing.", hint="Install the package espeakng-loader again.")
    return library, data


def _rate(prosody: Prosody) -> int:
    pace = prosody.speed / (prosody.length_scale or 1.0)
    return round(min(max(_NATURAL_RATE * pace, _SLOWEST), _FASTEST))


def _pitch(prosody: Prosody) -> int:
    octaves = math.log2(min(max(prosody.pitch, 0.5), 2.0))
    return min(round(_NATURAL_PITCH + _PITCH_STEPS_PER_OCTAVE * octaves), _HIGHEST_PITCH)


def _pieces(segment: Segment, identifier: str) -> tuple[Iterator[EspeakPiece], int]:
    """What to give the library, and how it is to read that."""
    if has_phonemes(segment.text):
        known = _inventory(identifier)
        return pieces_with_phonemes(segment.text, known), espeak_process.PHONEMES
    return plain_pieces(segment.text), 0


@lru_cache(maxsize=256)
def _inventory(identifier: str) -> frozenset[str]:
    """The phonemes of a voice; read from files once."""
    try:
        return inventory(_wheel()[1], identifier)
    except (OSError, VoiceUnavailable) as error:
        raise EngineFailed(
            f"The phonemes of espeak-ng's voice {identifier} cannot be read: {error}"
        ) from error


def _named(found: Iterable[_Found]) -> Iterator[tuple[str, _Found]]:
    """The voices by names that stay the same whatever else the library lists."""
    found = tuple(found)
    answering = Counter(voice.language for voice in found)
    for voice in found:
        own = voice.language if answering[voice.language] == 1 else voice.identifier.rpartition("/")[2]
        yield f"espeak-{own.lower()}", voice


def _voice(name: str, found: _Found, version: str) -> Voice:
    return Voice(
        name=name,
        engine=EspeakEngine.name,
        language=_language_tag(found.identifier),
        # In lower case it sorts behind neural voices, so that nothing prefers it by the alphabet.
        description=f"espeak-ng {found.title}",
        sample_rate=espeak_process.SAMPLE_RATE,
        model=_MODEL,
        attribution=_ATTRIBUTION,
        version=version,
    )


def _language_tag(identifier: str) -> str:
    """`en_US` of `gmw/en-US-nyc`: the language, and its own or its usual region.

    The identifier tells regions from dialects by their case, as language tags do: `fr-BE` but `ca-ba`.
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
