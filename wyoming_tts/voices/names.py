"""Resolver of voice names: what a name means among the installed voices and those of the catalogue.

A name is, in this order:

1. one that the settings map to another, which is then resolved in its place;
2. a well-known name such as `alloy`, unless an installed voice has it: it stands for a Kokoro voice that is
   like it, else for the default voice; it never fails and fetches nothing, because the clients that send such
   names do not know this server and cannot be told to send another;
3. a voice's name or alias, with `#speaker` behind it or not;
4. a blend's name or recipe;
5. the beginning of one voice's name, of an installed one before one of the catalogue.

Names that differ in case or in how Unicode composes their letters are the same. Nothing here touches a file.
"""

from __future__ import annotations

import difflib
import re
import unicodedata
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from types import MappingProxyType

from wyoming_tts.errors import BadRequest, UnknownVoice
from wyoming_tts.languages import LanguageTag
from wyoming_tts.speech import SPEAKER_MARK, Voice
from wyoming_tts.voices.catalogue import BLENDING_ENGINE, CatalogueVoice

_NEAREST = 3
_MOST_NAMED = 10
_MAX_NAME_LENGTH = 80
"""Characters of an unknown name that are compared and told; voices have fewer, attackers have more."""
_FALLBACK_LANGUAGE = "en_US"
_NAMED_LANGUAGE = re.compile(r"[a-z]{2,3}_[A-Z]{2}(?=-)")

_FEMALE = ("af_heart", "af_bella", "af_nicole", "bf_emma", "af_aoede", "af_kore", "af_sarah")
_MALE = ("am_michael", "am_fenrir", "am_puck", "bm_fable", "bm_george", "bm_lewis", "am_echo")
"""By upstream's grades, the best first."""

WELL_KNOWN = MappingProxyType(
    {
        "alloy": ("af_alloy", *_FEMALE),
        "ash": ("am_eric", *_MALE),
        "ballad": ("bm_george", *_MALE),
        "coral": ("af_bella", *_FEMALE),
        "echo": ("am_echo", *_MALE),
        "fable": ("bm_fable", *_MALE),
        "female": _FEMALE,
        "male": _MALE,
        "nova": ("af_nova", *_FEMALE),
        "onyx": ("am_onyx", *_MALE),
        "sage": ("af_sarah", *_FEMALE),
        "shimmer": ("af_sky", *_FEMALE),
        "verse": ("am_puck", *_MALE),
    }
)
"""OpenAI's names, and `female` and `male`: the Kokoro voices that each stands for, the likest first."""


@dataclass(frozen=True, slots=True)
class ResolvedName:
    """What a name means: an installed voice, one of the catalogue, or one that is both."""

    name: str
    """The voice's own name."""
    voice: Voice | None = None
    """None while it is not installed."""
    catalogue_voice: CatalogueVoice | None = None
    """None where the catalogue has none of that name."""
    speaker: str | None = None
    """The speaker that was named with it, as it was written."""

    @property
    def language(self) -> str:
        """The tag of what it speaks; by its name where nothing else tells, else English."""
        if told := self.voice or self.catalogue_voice:
            return told.language
        tag = _NAMED_LANGUAGE.match(self.name)
        return tag[0] if tag else _FALLBACK_LANGUAGE


@dataclass(frozen=True, slots=True)
class NameRules:
    """What names mean beside the voices' own."""

    voice_map: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    """Names of the user's own for voices: each gives what a client could have sent as well."""
    blend: Callable[[str], Voice | None] = lambda _: None
    """The voice of a recipe such as `af_bella(2)+af_sky(1)`, None for what is none; called on the event loop.
    May raise `UnknownVoice` for a recipe whose voices are not here."""
    default: str | None = None
    """The name of the default voice; without one no well-known name means anything."""


class NameResolver:
    """Tells what names mean, for one state of the voices."""

    def __init__(
        self,
        voices: Sequence[Voice] = (),
        catalogue: Sequence[CatalogueVoice] = (),
        rules: NameRules | None = None,
    ) -> None:
        """Look at nothing but these.

        Args:
            voices: The installed ones, sorted by name, each name once.
            catalogue: Those of the catalogue, installed or not.
            rules: What names mean beside the voices' own.
        """
        self.voices = voices
        self.catalogue = catalogue
        self._rules = rules or NameRules()
        self._mapped = {fold_name(name): target for name, target in self._rules.voice_map.items()}
        self._installed = {voice.name: voice for voice in voices}
        self._folded = {fold_name(voice.name): voice for voice in reversed(voices)}
        self._known = {fold_name(voice.name): voice for voice in catalogue}
        self._aliases = {fold_name(alias): voice for voice in catalogue for alias in voice.aliases}

    def __repr__(self) -> str:
        return f"<NameResolver {len(self.voices)} installed, {len(self.catalogue)} known>"

    def resolve(self, name: str) -> ResolvedName:
        """Tell which voice a name means, installed or not.

        Raises:
            UnknownVoice: none has the name, or several begin with it.
            SpeechError: it is a blend's recipe, and malformed or of voices that are not here.
        """
        name = self._mapped.get(fold_name(name), name)
        return self._like(fold_name(name)) if self._is_well_known(name) else self._own(name)

    def find_exact(self, name: str) -> ResolvedName | None:
        """The voice that has this very name or alias, whatever else the name may mean."""
        key = fold_name(name)
        known = self._known.get(key) or self._aliases.get(key)
        voice = self._installed.get(name) or self._folded.get(key)
        if voice is None and known is not None:
            voice = self._folded.get(fold_name(known.name))
        if voice is not None:
            return self._here(voice)
        return ResolvedName(known.name, None, known) if known is not None else None

    def find_in_catalogue(self, name: str) -> CatalogueVoice | None:
        """The catalogue's voice that has this very name or alias, installed or not."""
        found = self.find_exact(name)
        return found.catalogue_voice if found is not None else None

    def default(self) -> ResolvedName:
        """The default voice; if its name means nothing, a voice of that name that is not here."""
        name = self._rules.default or ""
        try:
            return self.resolve(name)
        except UnknownVoice:
            return ResolvedName(name)

    def unknown_error(self, name: str) -> UnknownVoice:
        """The error for a name that means nothing, with the nearest names that do."""
        here, fetchable = (voice.name for voice in self.voices), (voice.name for voice in self.catalogue)
        well_known = WELL_KNOWN if self._rules.default is not None else ()
        return unknown_voice_error(name, [*here, *fetchable, *self._rules.voice_map, *well_known])

    def _here(self, voice: Voice) -> ResolvedName:
        return ResolvedName(voice.name, voice, self._known.get(fold_name(voice.name)))

    def _own(self, name: str) -> ResolvedName:
        """What the name means by the names of voices and blends alone."""
        if (found := self.find_exact(name)) is not None:
            return found
        base, mark, speaker = name.partition(SPEAKER_MARK)
        if mark and (found := self.find_exact(base)) is not None:
            return replace(found, speaker=speaker or None)
        if (blend := self._rules.blend(name)) is not None:
            return ResolvedName(blend.name, blend)
        if base and (begun := self._begun(base)) is not None:
            return replace(begun, speaker=speaker or None)
        raise self.unknown_error(name)

    def _begun(self, beginning: str) -> ResolvedName | None:
        """The only voice whose name begins so, of the installed ones or else of the catalogue's."""
        here, fetchable = [voice.name for voice in self.voices], [voice.name for voice in self.catalogue]
        name = _only_one(beginning, here) or _only_one(beginning, fetchable)
        return self.find_exact(name) if name is not None else None

    def _is_well_known(self, name: str) -> bool:
        if self._rules.default is None or fold_name(name) not in WELL_KNOWN:
            return False
        found = self.find_exact(name)
        return found is None or found.voice is None

    def _like(self, name: str) -> ResolvedName:
        """The Kokoro voice in the default voice's language that is like it, else the default voice."""
        default = self._plain_default()
        voice = _likest(name, self.voices, LanguageTag.parse(default.language))
        return default if voice is None else self._here(voice)

    def _plain_default(self) -> ResolvedName:
        """The default voice; one that is not here where it is but a well-known name itself."""
        default = self._rules.default or ""
        name = self._mapped.get(fold_name(default), default)
        if self._is_well_known(name):
            return ResolvedName(default)
        try:
            return self._own(name)
        except UnknownVoice:
            return ResolvedName(default)


def find_catalogue_voice(catalogue: Sequence[CatalogueVoice], name: str) -> CatalogueVoice:
    """The voice of the catalogue that a name, an alias or the beginning of one name means.

    What is installed and what the settings map has no say: this is for who fetches.

    Raises:
        UnknownVoice: there is none, or several begin so.
    """
    found = NameResolver(catalogue=catalogue).resolve(name).catalogue_voice
    assert found is not None, "there is nothing else to be found"
    return found


def fold_name(name: str) -> str:
    """The form in which names that are the same are equal."""
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", name).casefold())


def find_name(name: str, names: Collection[str]) -> str | None:
    """The one of the names that is this one: as it is written, or else in another case."""
    if name in names:
        return name
    key = fold_name(name)
    return next((each for each in names if fold_name(each) == key), None)


def check_name_is_free(name: str, names: Collection[str]) -> None:
    """Refuse a name that a voice has already, in whatever case.

    Raises:
        BadRequest: one of the names is the same.
    """
    if (other := find_name(name, names)) is not None:
        raise BadRequest(f"The name {name} is taken by the voice {other}.", hint="Choose another one.")


def unknown_voice_error(name: str, names: Iterable[str]) -> UnknownVoice:
    """The error for a name that is none, with the nearest of those that are."""
    hint = did_you_mean(name, names) or "See `wyoming-tts voices list` for all names."
    return UnknownVoice(f"There is no voice {shorten_name(name)!r}.", hint=hint)


def did_you_mean(name: str, names: Iterable[str]) -> str:
    """A question that tells the nearest of the names; empty where none is near."""
    by_folded = {fold_name(each): each for each in reversed([*names])}
    nearest = difflib.get_close_matches(fold_name(shorten_name(name)), by_folded, n=_NEAREST, cutoff=0.5)
    told = " or ".join(by_folded[each] for each in nearest)
    return f"Did you mean {told}?" if told else ""


def shorten_name(name: str) -> str:
    """A name as an error tells it: one without end is cut."""
    return name if len(name) <= _MAX_NAME_LENGTH else f"{name[:_MAX_NAME_LENGTH]}…"


def _only_one(beginning: str, names: Iterable[str]) -> str | None:
    key = fold_name(beginning)
    found = sorted(name for name in names if fold_name(name).startswith(key))
    if len(found) > 1:
        more = f" and {len(found) - _MOST_NAMED} more" if len(found) > _MOST_NAMED else ""
        raise UnknownVoice(
            f"{len(found)} voices begin with {shorten_name(beginning)!r}.",
            hint=f"Say which: {', '.join(found[:_MOST_NAMED])}{more}.",
        )
    return next(iter(found), None)


def _likest(name: str, voices: Iterable[Voice], language: LanguageTag) -> Voice | None:
    """The installed Kokoro voice that a well-known name stands for and that speaks the language.

    Where none of its own speaks it, one of the same gender that does; None where there is none.
    """
    speaking = {
        voice.name: voice
        for voice in voices
        if voice.engine == BLENDING_ENGINE and LanguageTag.parse(voice.language).is_same_language(language)
    }
    own = (speaking[wanted] for wanted in WELL_KNOWN[name] if wanted in speaking)
    gender = WELL_KNOWN[name][0][1]  # of `af_heart`
    alike = (voice for voice in speaking.values() if voice.name[1:3] == f"{gender}_")
    return next(own, None) or next(alike, None)
