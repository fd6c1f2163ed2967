"""Voice library: the installed voices, and which of them a request gets.

The library holds the installed voices as the engines list them and resolves a `VoiceRequest` into a
`VoiceSpec`: every transport goes through `resolve`. `names.NameResolver` says what a name means. A voice that
is in the catalogue but not installed is left to the missing-voice hook: it may wait for a download. Only if
the hook allows it, another voice of the language is the fallback: the best one, the embedded one last.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

from wyoming_tts.errors import UnknownVoice, VoiceUnavailable
from wyoming_tts.languages import LanguageTag
from wyoming_tts.messages import Message
from wyoming_tts.speech import SPEAKER_MARK, UnusableVoice, Voice, VoiceReason, VoiceRequest, VoiceSpec
from wyoming_tts.voices.allowed import check_is_allowed
from wyoming_tts.voices.catalogue import UNKNOWN_QUALITY_RANK, CatalogueVoice
from wyoming_tts.voices.names import (
    NameIndex,
    NameResolver,
    NameRules,
    ResolvedName,
    fold_case,
    fold_name,
    shorten_name,
)

_LOGGER = logging.getLogger(__name__)

_MAX_SPEAKER_DIGITS = 9
"""Of a speaker's number; Python refuses to convert more than 4,300."""


class MissingVoiceHook(Protocol):
    """What is awaited for a voice of the catalogue that is requested but not installed."""

    def __call__(self, name: str, /, *, may_download: bool, patience: float | None) -> Awaitable[None]:
        """Return when the wait for the voice is over, installed or not, and a fallback is allowed.

        Raises:
            VoiceUnavailable: no fallback is allowed.
        """
        ...


_MOST_NAMED = 10
_FALLBACK_LANGUAGE = "en_US"


@dataclass(frozen=True, slots=True)
class DefaultVoice:
    """The voice for requests without a voice's name."""

    name: str
    speaker: str | None = None

    def __str__(self) -> str:
        return self.name if self.speaker is None else f"{self.name}, speaker {self.speaker}"


class VoiceLibrary:
    """The installed voices, replaced as a whole whenever the files change; resolves requests to them."""

    def __init__(
        self,
        *,
        default: DefaultVoice,
        embedded_engine: str = "espeak",
        catalogue: Callable[[], Sequence[CatalogueVoice]] = tuple,
        rules: NameRules | None = None,
    ) -> None:
        """Make an empty library.

        Args:
            default: The voice for requests without a voice's name.
            embedded_engine: The engine whose voices need no files and replace missing ones.
            catalogue: The voices of the catalogue; the same sequence until they change.
            rules: Names with a meaning besides the voices' own; `default` overrides theirs.
        """
        self._configured = self._default = default
        self._chosen: DefaultVoice | None = None
        self._embedded_engine = embedded_engine
        self._catalogue = catalogue
        self._rules = rules or NameRules()
        self._missing_voice_hook: MissingVoiceHook = self._refuse_missing
        self._sorted: tuple[Voice, ...] = ()
        self._unusable: tuple[UnusableVoice, ...] = ()
        self._unusable_names = NameIndex[UnusableVoice](())
        self._resolver = self._resolver_for(self._default)
        self._warned_of: set[str] = set()

    def __repr__(self) -> str:
        return f"<VoiceLibrary {len(self._sorted)} voices, default {self._default.name}>"

    @property
    def voices(self) -> tuple[Voice, ...]:
        """All installed voices, sorted by name; the same tuple until they change."""
        return self._sorted

    @property
    def downloadable(self) -> tuple[CatalogueVoice, ...]:
        """The voices of the catalogue that are not installed, sorted by name."""
        here = {voice.name for voice in self.blendable}
        absent = (voice for voice in self._catalogue() if voice.name not in here)
        return tuple(sorted(absent, key=lambda voice: voice.name))

    @property
    def names(self) -> NameResolver:
        """The resolver of names for the current voices."""
        if self._resolver.catalogue is not self._catalogue():
            self._resolver = self._resolver_for(self._default)
        return self._resolver

    @property
    def default(self) -> DefaultVoice:
        """The voice for requests without a voice's name, installed or not."""
        return self._default

    @property
    def configured_default(self) -> DefaultVoice:
        """What `default` is where no installed voice is chosen in its place."""
        return self._configured

    @property
    def default_is_installed(self) -> bool:
        """Whether requests without a voice's name get the configured voice."""
        return self.names.default().voice is not None

    @property
    def default_fallback(self) -> Voice | None:
        """The voice that speaks in place of the default one; None where that is installed, or none can."""
        if self.default_is_installed:
            return None
        try:
            return self.fallback_voice()
        except VoiceUnavailable:
            return None

    def is_installed(self, name: str) -> bool:
        """Whether the voice of that name or alias is installed."""
        found = self.names.find_exact(name)
        return found is not None and found.voice is not None

    @property
    def blendable(self) -> tuple[Voice, ...]:
        """The voices that blends can be made of: those that cannot speak by themselves included."""
        return (*self._sorted, *(each.voice for each in self._unusable))

    @property
    def unusable(self) -> tuple[UnusableVoice, ...]:
        """The voices that are installed but cannot speak."""
        return self._unusable

    def replace(self, voices: Iterable[Voice], unusable: Iterable[UnusableVoice] = ()) -> None:
        """Replace all voices; of two with one name the first stays."""
        self._unusable = tuple(unusable)
        self._unusable_names = NameIndex((each.voice.name, each) for each in self._unusable)
        installed: dict[str, Voice] = {}
        for voice in voices:
            installed.setdefault(voice.name, voice)
        self._sorted = tuple(sorted(installed.values(), key=lambda voice: voice.name))
        self._update_default()
        self._warned_of -= installed.keys()

    def change_default(self, default: DefaultVoice) -> None:
        """Use another voice for requests without a voice's name, as the settings say."""
        self._configured, self._chosen = default, None
        self._update_default()

    def choose_default(self, chosen: DefaultVoice | None) -> None:
        """Use a voice in place of the configured default for as long as it is installed; None for none."""
        self._chosen = chosen
        self._update_default()

    def _update_default(self) -> None:
        chosen = self._chosen
        is_here = chosen is not None and any(voice.name == chosen.name for voice in self._sorted)
        self._default = chosen if chosen is not None and is_here else self._configured
        self._resolver = self._resolver_for(self._default)

    def set_missing_voice_hook(self, hook: MissingVoiceHook | None) -> None:
        """Await `hook` for each requested voice that is missing; None gives only the default a fallback."""
        self._missing_voice_hook = hook or self._refuse_missing

    async def resolve(self, request: VoiceRequest) -> VoiceSpec:
        """Resolve a request to a voice and speaker; awaits the missing-voice hook if need be.

        Raises:
            UnknownVoice: no voice has the name or several begin with it, none speaks the language, or
                the voice lacks the speaker.
            VoiceUnavailable: the voice is in the catalogue but not installed, and no fallback is allowed, or
                it cannot speak.
            VoiceNotAllowed: the voice is none of those that may speak.
        """
        spec = await self._resolve(request)
        check_is_allowed(spec.voice.name, request)
        return spec

    async def _resolve(self, request: VoiceRequest) -> VoiceSpec:
        missing = self._find_missing(request)
        if missing is None or self.why_unusable(missing.name):
            return self.resolve_now(request)
        await self._missing_voice_hook(
            missing.name, may_download=request.may_download, patience=request.patience
        )
        if self.is_installed(missing.name):
            return self.resolve_now(request)
        return self._fallback_spec(missing)

    def resolve_now(self, request: VoiceRequest) -> VoiceSpec:
        """Resolve a request to a voice and speaker among those that are installed now.

        Only the default voice has a fallback.

        Raises:
            UnknownVoice, VoiceUnavailable: as for `resolve`.
        """
        if request.name is None and request.language is not None:
            voice = self._by_language(request.language)
            spec = _with_speaker(voice, request.speaker or self._default_speaker(voice))
            return replace(spec, reason=VoiceReason.LANGUAGE)
        found = self._resolve_name(request)
        if found.voice is not None:
            self._refuse_unusable(found.voice)
            speaker = found.speaker or request.speaker or self._default_speaker(found.voice)
            spec = _with_speaker(found.voice, speaker)
            return replace(spec, rate=request.rate * found.rate, reason=_reason(request, found.voice))
        if self._is_default(found.name):
            return VoiceSpec(self.fallback_voice(), reason=VoiceReason.FALLBACK)
        raise self._unavailable(found.name)

    def speaks(self, language: str) -> bool:
        """Whether an installed voice speaks the language."""
        return self._best(self._sorted, language) is not None

    def installed(self, name: str) -> Voice:
        """Return the installed voice that a name means; there is no fallback.

        Raises:
            UnknownVoice, VoiceUnavailable: as for `resolve`.
        """
        return self._require_usable(self._resolve_known(name))

    def why_unusable(self, name: str) -> str:
        """Why the voice of that name cannot speak although it is installed; empty for any other voice."""
        found = self._unusable_names.find(name)
        return found.reason if found is not None else ""

    def resolve_default(self, default: DefaultVoice) -> VoiceSpec:
        """Return the voice and speaker of another default; there is no fallback.

        Raises:
            UnknownVoice, VoiceUnavailable: as for `resolve`.
        """
        found = self._resolver_for(default).resolve(default.name)
        return _with_speaker(self._require_usable(found), found.speaker or default.speaker)

    def fallback_voice(self, language: str | None = None) -> Voice:
        """Return the voice for one of a language (None: the default voice's) that is not installed.

        It is the best one of that language, the embedded one if there is no other; else an English one.

        Raises:
            VoiceUnavailable: no voice speaks either language.
        """
        usable = (voice for voice in self._sorted if self._unusable_like(voice) is None)
        return self._first_of(sorted(usable, key=self._quality_rank), language)

    def embedded_voice(self, language: str) -> Voice:
        """Return the embedded voice of a language, which is there at once, else the English one.

        Raises:
            VoiceUnavailable: the embedded engine has no voice at all.
        """
        return self._first_of(
            [each for each in self._sorted if each.engine == self._embedded_engine], language
        )

    def _first_of(self, voices: Sequence[Voice], language: str | None) -> Voice:
        for tag in (language or self.names.default().language, _FALLBACK_LANGUAGE):
            if (voice := self._best(voices, tag)) is not None:
                return voice
        raise VoiceUnavailable(
            Message("no_voice_at_all", "No voice is installed, not even the embedded one."),
            hint=Message(
                "reinstall_espeak",
                "Reinstall the package espeakng-loader, or put a Piper voice into the data directory.",
            ),
        )

    def _quality_rank(self, voice: Voice) -> int:
        found = self.names.find_exact(voice.name)
        listed = found.catalogue_voice if found is not None else None
        return UNKNOWN_QUALITY_RANK if listed is None else listed.quality_rank

    async def _refuse_missing(
        self,
        name: str,
        *,
        may_download: bool,  # noqa: ARG002 - the hook's
        patience: float | None,  # noqa: ARG002 - the hook's
    ) -> None:
        if not self._is_default(name):
            raise self._unavailable(name)

    def _unavailable(self, name: str) -> VoiceUnavailable:
        unusable = self._unusable_names.find(name)
        return _unavailable(name) if unusable is None else _cannot_speak(name, unusable)

    def _refuse_unusable(self, voice: Voice) -> None:
        """Refuse a recipe in a language that no voice of its engine can speak."""
        if (unusable := self._unusable_like(voice)) is not None:
            raise _cannot_speak(voice.name, unusable)

    def _unusable_like(self, voice: Voice) -> UnusableVoice | None:
        """A voice of the same engine and language that cannot speak."""
        spoken = (voice.engine, voice.language)
        return next(
            (each for each in self._unusable if (each.voice.engine, each.voice.language) == spoken), None
        )

    def _require_usable(self, found: ResolvedName) -> Voice:
        if found.voice is None:
            raise self._unavailable(found.name)
        self._refuse_unusable(found.voice)
        return found.voice

    def _resolver_for(self, default: DefaultVoice) -> NameResolver:
        return NameResolver(self._sorted, self._catalogue(), replace(self._rules, default=default.name))

    def _find_missing(self, request: VoiceRequest) -> ResolvedName | None:
        """The requested voice if it is not installed."""
        if request.name is None and request.language is not None:
            return None
        found = self._resolve_name(request)
        return found if found.voice is None else None

    def _fallback_spec(self, missing: ResolvedName) -> VoiceSpec:
        voice = self.fallback_voice(missing.language)
        if missing.name not in self._warned_of:
            self._warned_of.add(missing.name)
            warning = (
                "The default voice %s is not installed: %s speaks instead."
                if self._is_default(missing.name)
                else "The voice %s was requested but is not installed: %s speaks instead."
            )
            _LOGGER.warning(warning, missing.name, voice.name)
        return VoiceSpec(voice, reason=VoiceReason.FALLBACK)

    def _resolve_name(self, request: VoiceRequest) -> ResolvedName:
        if request.name is None or fold_case(request.name) == fold_case(self._default.name):
            return replace(self.names.default(request.language), speaker=None)  # `_default_speaker` knows it
        return self._resolve_known(request.name, request.language)

    def _resolve_known(self, name: str, language: str | None = None) -> ResolvedName:
        """Resolve a name as `names` does, also that of a voice that cannot speak and is in no catalogue."""
        try:
            return self.names.resolve(name, language)
        except UnknownVoice:
            if (unusable := self._unusable_names.find(name)) is not None:
                raise _cannot_speak(name, unusable) from None
            raise

    def _is_default(self, name: str) -> bool:
        """Whether a voice that is not installed is the default one."""
        return fold_case(name) == fold_case(self.names.default().name)

    def _default_speaker(self, voice: Voice) -> str | None:
        default = self.names.default()
        return (default.speaker or self._default.speaker) if voice == default.voice else None

    def _by_language(self, language: str) -> Voice:
        if (voice := self._best(self._sorted, language)) is not None:
            return voice
        languages = sorted({voice.language for voice in self._sorted})
        raise UnknownVoice(
            Message(
                "nobody_speaks",
                "No installed voice speaks {language}.",
                language=repr(shorten_name(language)),
            ),
            hint=Message(
                "installed_languages", "Installed languages: {languages}.", languages=", ".join(languages)
            )
            if languages
            else Message("no_voice_installed", "No voice is installed."),
        )

    def _best(self, voices: Iterable[Voice], language: str) -> Voice | None:
        """The voice of the same region before others of the language; embedded ones come last."""
        wanted, default = LanguageTag.parse(language), self.names.default().voice

        def distance(voice: Voice) -> tuple[bool, bool, bool, bool]:
            tag, is_default = LanguageTag.parse(voice.language), voice is default
            embedded = voice.engine == self._embedded_engine and not is_default
            return embedded, tag.differs_in_region(wanted), not is_default, not tag.is_likely_region

        speaking = [voice for voice in voices if LanguageTag.parse(voice.language).is_same_language(wanted)]
        return min(speaking, key=distance, default=None)


def _reason(request: VoiceRequest, voice: Voice) -> VoiceReason:
    """Why a request gets a voice that is installed."""
    if request.name is None:
        return VoiceReason.DEFAULT
    names = (request.name, request.name.partition(SPEAKER_MARK)[0])
    is_its_own = fold_name(voice.name) in map(fold_name, names)
    return VoiceReason.REQUESTED if is_its_own else VoiceReason.ALIAS


def _cannot_speak(name: str, unusable: UnusableVoice) -> VoiceUnavailable:
    return VoiceUnavailable(
        Message(
            "cannot_speak",
            "The voice {name} cannot speak: {reason}.",
            name=repr(name),
            reason=unusable.reason,
        ),
        hint=unusable.hint,
    )


def _unavailable(name: str) -> VoiceUnavailable:
    return VoiceUnavailable(
        Message("voice_not_installed", "The voice {name} is not installed.", name=repr(name)),
        hint=Message(
            "fetch_or_put",
            "Download it (`wyoming-tts voices download {name}`) or put its files into a data directory.",
            name=name,
        ),
    )


def _with_speaker(voice: Voice, speaker: str | None) -> VoiceSpec:
    if speaker is None:
        return VoiceSpec(voice, voice.default_speaker)
    if speaker in voice.speakers:
        return VoiceSpec(voice, voice.speakers[speaker])
    number = _speaker_number(speaker)
    if number in voice.speakers.values():
        return VoiceSpec(voice, number)
    if not voice.speakers and number == 0:
        return VoiceSpec(voice, voice.default_speaker)  # the only speaker, by its number
    raise UnknownVoice(
        Message(
            "no_speaker",
            "The voice {name} has no speaker {speaker}.",
            name=voice.name,
            speaker=repr(shorten_name(speaker)),
        ),
        hint=_speakers_hint(voice),
    )


def _speaker_number(speaker: str) -> int | None:
    is_number = speaker.isascii() and speaker.isdigit() and len(speaker) <= _MAX_SPEAKER_DIGITS
    return int(speaker) if is_number else None


def _speakers_hint(voice: Voice) -> str:
    if not voice.speakers:
        return Message("one_speaker_only", "It has one speaker only: leave the speaker out.")
    first = list(voice.speakers)[:_MOST_NAMED]
    speakers = ", ".join([*first, "…"] if len(voice.speakers) > len(first) else first)
    return Message("its_speakers", "Its speakers: {speakers}.", speakers=speakers)
