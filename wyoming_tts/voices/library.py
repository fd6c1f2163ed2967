"""What can be spoken with, and which voice a request means.

The library holds the installed voices as the engines reported them and turns a `VoiceRequest`
into a `VoiceSpec`. It is the one place that does: every transport goes through `resolve`.

A name is, in this order: one that the settings map to another; a voice's name or alias, with `#speaker`
behind it or not; a well-known name such as `alloy`; the recipe of a blend; the beginning of one voice's name.
A voice that is known but not here is `when_missing`'s business: it may be waited for, and the embedded voice
of its language stands in only if that allows it.
"""

from __future__ import annotations

import difflib
import logging
import re
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass, field

from wyoming_tts.errors import UnknownVoice, VoiceUnavailable
from wyoming_tts.languages import LanguageTag
from wyoming_tts.speech import Voice, VoiceRequest, VoiceSpec
from wyoming_tts.voices import well_known
from wyoming_tts.voices.catalogue import CatalogueVoice

_LOGGER = logging.getLogger(__name__)

SPEAKER_MARK = "#"
"""Between a voice's name and a speaker of it, where a client can send only one name."""

WhenMissing = Callable[[str], Awaitable[None]]
"""Is awaited with the name of a known voice that is not installed. Returns when waiting for it is over,
come or not, and another may stand in; raises `VoiceUnavailable` where none may."""

_NEAREST = 3
_MOST_NAMED = 10
_LONGEST_NAME = 80
"""Characters of an unknown name that are compared and told; voices have fewer, attackers have more."""
_FALLBACK_LANGUAGE = "en_US"
_NAMED_LANGUAGE = re.compile(r"[a-z]{2,3}_[A-Z]{2}(?=-)")


@dataclass(frozen=True, slots=True)
class DefaultVoice:
    """The voice for requests that name none."""

    name: str
    speaker: str | None = None


@dataclass(frozen=True, slots=True)
class NameOptions:
    """What names mean beside the installed voices' own."""

    alias: Callable[[str], str | None] = lambda _: None
    """The canonical name of a catalogue voice, None for names the catalogue does not know."""
    known: Callable[[], Iterable[CatalogueVoice]] = tuple
    """What can be fetched."""
    blend: Callable[[str], Voice | None] = lambda _: None
    """The voice of a recipe such as `af_bella(2)+af_sky(1)`, None for what is none; called on the event loop.
    May raise `UnknownVoice` for a recipe whose voices are not here."""
    voice_map: Mapping[str, str] = field(default_factory=dict)
    """Names of the user's own for voices: each gives what a client could have sent as well."""


class VoiceLibrary:
    """The installed voices, replaced as a whole whenever an engine's files change."""

    def __init__(
        self,
        *,
        default: DefaultVoice,
        embedded_engine: str = "espeak",
        names: NameOptions | None = None,
    ) -> None:
        """Make an empty library.

        Args:
            default: The voice for requests that name none.
            embedded_engine: The engine whose voices need no files and stand in for missing ones.
            names: What names mean beside the installed voices' own.
        """
        self._default = default
        self._embedded_engine = embedded_engine
        self._names = names or NameOptions()
        self._mapped = {name.casefold(): target for name, target in self._names.voice_map.items()}
        self._when_missing: WhenMissing = self._never_replaced
        self._voices: dict[str, Voice] = {}
        self._folded: dict[str, Voice] = {}
        self._sorted: tuple[Voice, ...] = ()
        self._stood_in_for: set[str] = set()

    def __repr__(self) -> str:
        return f"<VoiceLibrary {len(self._voices)} voices, default {self._default.name}>"

    @property
    def voices(self) -> tuple[Voice, ...]:
        """All installed voices, sorted by name; the same tuple until they change."""
        return self._sorted

    @property
    def downloadable(self) -> tuple[CatalogueVoice, ...]:
        """The voices of the catalogue that are not installed, sorted by name."""
        absent = (voice for voice in self._names.known() if voice.name not in self._voices)
        return tuple(sorted(absent, key=lambda voice: voice.name))

    @property
    def default_is_installed(self) -> bool:
        """Whether requests without a voice get the configured one."""
        return self._default_here() is not None

    def is_installed(self, name: str) -> bool:
        """Whether the voice of that name or alias is here."""
        return self._find(name) is not None

    def replace(self, voices: Iterable[Voice]) -> None:
        """Take over the voices that are installed now; of two with one name the first stays."""
        installed: dict[str, Voice] = {}
        for voice in voices:
            installed.setdefault(voice.name, voice)
        self._voices = installed
        self._sorted = tuple(sorted(installed.values(), key=lambda voice: voice.name))
        self._folded = {voice.name.casefold(): voice for voice in reversed(self._sorted)}
        self._stood_in_for -= installed.keys()

    def change_default(self, default: DefaultVoice) -> None:
        """Have another voice speak for requests that name none."""
        self._default = default

    def when_missing(self, hook: WhenMissing | None) -> None:
        """Ask `hook` about each known voice that is not here; without one only the default is replaced."""
        self._when_missing = hook or self._never_replaced

    async def resolve(self, request: VoiceRequest) -> VoiceSpec:
        """Find the voice and speaker that a request means; what to wait for is `when_missing`'s to say.

        Raises:
            UnknownVoice: no voice has the name or several begin with it, none speaks the language, or
                the voice lacks the speaker.
            VoiceUnavailable: the catalogue knows the voice, but it is not installed and none may stand in.
        """
        absent = self._absent(request)
        if absent is None:
            return self.resolve_now(request)
        await self._when_missing(absent)
        if self.is_installed(absent):
            return self.resolve_now(request)
        return self._spec_of_stand_in(absent)

    def resolve_now(self, request: VoiceRequest) -> VoiceSpec:
        """Find the voice and speaker that a request means, among those that are here now.

        Only for the default voice another one stands in.

        Raises:
            UnknownVoice, VoiceUnavailable: as for `resolve`.
        """
        if request.name is None and request.language is not None:
            voice = self._by_language(request.language)
            return _with_speaker(voice, request.speaker or self._default_speaker(voice))
        meant = self._asked_for(request)
        if isinstance(meant.voice, Voice):
            speaker = meant.speaker or request.speaker or self._default_speaker(meant.voice)
            return _with_speaker(meant.voice, speaker)
        if self._means_default(meant.voice):
            return VoiceSpec(self.stand_in())
        raise self._unavailable(meant.voice)

    def installed(self, name: str) -> Voice:
        """Return the voice that a name means; no other one stands in.

        Raises:
            UnknownVoice, VoiceUnavailable: as for `resolve`.
        """
        voice = self._meant(name).voice
        if isinstance(voice, Voice):
            return voice
        raise self._unavailable(voice)

    def language_of(self, name: str) -> str:
        """The language of a voice that may not be here, by the catalogue or its name, else English."""
        listed = (voice.language for voice in self._names.known() if voice.name == name)
        return next(listed, None) or _told_by(name)

    def stand_in(self, language: str | None = None) -> Voice:
        """Return the embedded voice of a language, the default voice's if none is told, else English.

        Raises:
            VoiceUnavailable: the embedded engine has no voice at all.
        """
        embedded = [voice for voice in self.voices if voice.engine == self._embedded_engine]
        for wanted in (language or self.language_of(self._canonical(self._default.name)), _FALLBACK_LANGUAGE):
            if (voice := self._best(embedded, wanted)) is not None:
                return voice
        raise VoiceUnavailable(
            "No voice is installed, not even the embedded one.",
            hint="Reinstall the package espeakng-loader, or put a Piper voice into the data directory.",
        )

    async def _never_replaced(self, name: str) -> None:
        if not self._means_default(name):
            raise self._unavailable(name)

    def _absent(self, request: VoiceRequest) -> str | None:
        """The name of the known voice that is asked for and not here."""
        if request.name is None and request.language is not None:
            return None
        voice = self._asked_for(request).voice
        return voice if isinstance(voice, str) else None

    def _spec_of_stand_in(self, absent: str) -> VoiceSpec:
        voice = self.stand_in(self.language_of(absent))
        if absent not in self._stood_in_for:
            self._stood_in_for.add(absent)
            _LOGGER.warning("The voice %s is asked for and not here: %s speaks instead.", absent, voice.name)
        return VoiceSpec(voice)

    def _asked_for(self, request: VoiceRequest) -> _Meant:
        if request.name is None or self._means_default(request.name):
            return _Meant(self._default_here() or self._canonical(self._default.name))
        return self._meant(request.name)

    def _default_here(self) -> Voice | None:
        try:
            voice = self._meant(self._default.name).voice
        except UnknownVoice:
            return None
        return voice if isinstance(voice, Voice) else None

    def _meant(self, name: str) -> _Meant:
        name = self._mapped.get(name.casefold(), name)
        if name.casefold() in well_known.NAMES and not self.is_installed(name):
            return _Meant(self._like(name.casefold()))
        return self._named(name)

    def _named(self, name: str) -> _Meant:
        if (voice := self._exactly(name)) is not None:
            return _Meant(voice)
        base, mark, speaker = name.partition(SPEAKER_MARK)
        if mark and (voice := self._exactly(base)) is not None:
            return _Meant(voice, speaker)
        if (blend := self._names.blend(name)) is not None:
            return _Meant(blend)
        if base and (begun := self._begun(base)) is not None:
            return _Meant(begun, speaker)
        raise self._unknown(name)

    def _exactly(self, name: str) -> Voice | str | None:
        """The voice of that name or alias; its canonical name if it is known and not here."""
        if (voice := self._find(name)) is not None:
            return voice
        return self._names.alias(name)

    def _find(self, name: str) -> Voice | None:
        if (voice := self._voices.get(name) or self._folded.get(name.casefold())) is not None:
            return voice
        canonical = self._names.alias(name)
        return None if canonical is None else self._voices.get(canonical)

    def _like(self, name: str) -> Voice | str:
        """The Kokoro voice in the default voice's language that is like it, else the default voice."""
        default = self._plain_default()
        language = default.language if isinstance(default, Voice) else self.language_of(default)
        return well_known.likest(name, self._sorted, LanguageTag.parse(language)) or default

    def _plain_default(self) -> Voice | str:
        """The default voice, or its name while it is not here or is but a well-known name itself."""
        name = self._mapped.get(self._default.name.casefold(), self._default.name)
        if name.casefold() in well_known.NAMES:
            return self._canonical(self._default.name)
        try:
            return self._named(name).voice
        except UnknownVoice:
            return self._canonical(self._default.name)

    def _begun(self, beginning: str) -> Voice | str | None:
        """The only voice whose name begins so, of the installed ones or else of the catalogue's."""
        folded = beginning.casefold()
        here = [voice for voice in self._sorted if voice.name.casefold().startswith(folded)]
        if here:
            _require_one(beginning, [voice.name for voice in here])
            return here[0]
        known = sorted(
            voice.name for voice in self._names.known() if voice.name.casefold().startswith(folded)
        )
        _require_one(beginning, known)
        return next(iter(known), None)

    def _by_language(self, language: str) -> Voice:
        if (voice := self._best(self._sorted, language)) is not None:
            return voice
        known = sorted({voice.language for voice in self._sorted})
        raise UnknownVoice(
            f"No installed voice speaks {_short(language)!r}.",
            hint=f"Languages here: {', '.join(known) or 'none'}.",
        )

    def _best(self, voices: Iterable[Voice], language: str) -> Voice | None:
        """The voice of the very region before others of the language; the embedded ones come after all."""
        wanted, default = LanguageTag.parse(language), self._default_here()

        def distance(voice: Voice) -> tuple[bool, bool, bool, bool]:
            tag, is_default = LanguageTag.parse(voice.language), voice is default
            embedded = voice.engine == self._embedded_engine and not is_default
            return embedded, tag.is_elsewhere(wanted), not is_default, not tag.is_usual

        speaking = [voice for voice in voices if LanguageTag.parse(voice.language).speaks(wanted)]
        return min(speaking, key=distance, default=None)

    def _means_default(self, name: str) -> bool:
        return self._canonical(name).casefold() == self._canonical(self._default.name).casefold()

    def _canonical(self, name: str) -> str:
        return self._names.alias(name) or name

    def _default_speaker(self, voice: Voice) -> str | None:
        return self._default.speaker if voice == self._default_here() else None

    def _unavailable(self, name: str) -> VoiceUnavailable:
        return VoiceUnavailable(
            f"The voice {name!r} is not installed.",
            hint=f"Fetch it (`wyoming-tts voices download {name}`) or put its files into a data directory.",
        )

    def _unknown(self, name: str) -> UnknownVoice:
        name = _short(name)
        names = [*self._voices, *(voice.name for voice in self._names.known()), *self._names.voice_map]
        by_folded = {name.casefold(): name for name in reversed([*names, *well_known.NAMES])}
        nearest = difflib.get_close_matches(name.casefold(), by_folded, n=_NEAREST, cutoff=0.5)
        told = " or ".join(by_folded[folded] for folded in nearest)
        hint = f"Did you mean {told}?" if told else "See `wyoming-tts voices list` for all names."
        return UnknownVoice(f"There is no voice {name!r}.", hint=hint)


@dataclass(frozen=True, slots=True)
class _Meant:
    """What a name means."""

    voice: Voice | str
    """The name of a known voice that is not here."""
    speaker: str | None = None


def _told_by(name: str) -> str:
    tag = _NAMED_LANGUAGE.match(name)
    return tag[0] if tag else _FALLBACK_LANGUAGE


def _short(name: str) -> str:
    return name if len(name) <= _LONGEST_NAME else f"{name[:_LONGEST_NAME]}…"


def _listed(names: list[str]) -> str:
    more = len(names) - _MOST_NAMED
    return ", ".join(names[:_MOST_NAMED]) + (f" and {more} more" if more > 0 else "")


def _require_one(beginning: str, names: list[str]) -> None:
    if len(names) > 1:
        raise UnknownVoice(
            f"{len(names)} voices begin with {_short(beginning)!r}.", hint=f"Say which: {_listed(names)}."
        )


def _with_speaker(voice: Voice, speaker: str | None) -> VoiceSpec:
    if speaker is None:
        return VoiceSpec(voice, voice.default_speaker)
    if speaker in voice.speakers:
        return VoiceSpec(voice, voice.speakers[speaker])
    number = int(speaker) if speaker.isascii() and speaker.isdigit() else -1
    if number in voice.speakers.values():
        return VoiceSpec(voice, number)
    if not voice.speakers and number == 0:
        return VoiceSpec(voice, voice.default_speaker)  # the only speaker, by its number
    raise UnknownVoice(
        f"The voice {voice.name} has no speaker {_short(speaker)!r}.", hint=_speakers_hint(voice)
    )


def _speakers_hint(voice: Voice) -> str:
    if not voice.speakers:
        return "It has one speaker only: leave the speaker out."
    some = list(voice.speakers)[:_MOST_NAMED]
    return f"Its speakers: {', '.join(some)}{', …' if len(voice.speakers) > len(some) else ''}."
