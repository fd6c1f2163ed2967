"""Resolver of voice names: what a name means among the installed voices and those of the catalogue.

A name is, in this order:

1. one that the settings map to another, which is then resolved in its place;
2. a well-known name such as `alloy`, unless an installed voice has it: it means the most similar Kokoro
   voice, else the default voice; it never fails and downloads nothing, because clients that send such names
   were made for another server and cannot be configured;
3. a voice's name or alias, with or without a `#speaker` suffix;
4. a blend's name or recipe;
5. a unique prefix of a voice's name, of the installed ones before those of the catalogue.

Names that differ only in case or in Unicode composition are equal. Nothing here touches a file.
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
"""Characters of an unknown name that are compared and shown; real names are shorter, attackers' longer."""
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
"""OpenAI's names, and `female` and `male`, each with the Kokoro voices for it, the most similar first."""


@dataclass(frozen=True, slots=True)
class ResolvedName:
    """The voice that a name means: installed, in the catalogue, or both."""

    name: str
    """The voice's own name."""
    voice: Voice | None = None
    """None while it is not installed."""
    catalogue_voice: CatalogueVoice | None = None
    """None where the catalogue has no voice of that name."""
    speaker: str | None = None
    """The speaker named with it, as written."""

    @property
    def language(self) -> str:
        """The language tag of the voice, else the one in its name, else English."""
        if voice := self.voice or self.catalogue_voice:
            return voice.language
        tag = _NAMED_LANGUAGE.match(self.name)
        return tag[0] if tag else _FALLBACK_LANGUAGE


@dataclass(frozen=True, slots=True)
class NameRules:
    """Names with a meaning besides the voices' own: mapped names, blends, and the default voice."""

    voice_map: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    """Aliases from the settings, each with the name that a client could have sent instead."""
    blend: Callable[[str], Voice | None] = lambda _: None
    """Finds the voice of a blend or a recipe such as `af_bella(2)+af_sky(1)`, None for other names; called on
    the event loop. May raise `UnknownVoice` for a recipe whose voices are not installed."""
    default: str | None = None
    """The name of the default voice; without one the well-known names are unknown."""


class NameResolver:
    """Resolves names among the installed voices and those of the catalogue, for one state of both."""

    def __init__(
        self,
        voices: Sequence[Voice] = (),
        catalogue: Sequence[CatalogueVoice] = (),
        rules: NameRules | None = None,
    ) -> None:
        """Build the indexes.

        Args:
            voices: The installed voices, sorted by name, each name once.
            catalogue: The voices of the catalogue, installed or not.
            rules: Names with a meaning besides the voices' own.
        """
        self.voices = voices
        self.catalogue = catalogue
        self._rules = rules or NameRules()
        self._mapped = {fold_name(name): target for name, target in self._rules.voice_map.items()}
        self._installed = {voice.name: voice for voice in voices}
        self._folded = {fold_name(voice.name): voice for voice in reversed(voices)}
        self._by_name = {fold_name(voice.name): voice for voice in catalogue}
        self._aliases = {fold_name(alias): voice for voice in catalogue for alias in voice.aliases}

    def __repr__(self) -> str:
        return f"<NameResolver {len(self.voices)} installed, {len(self.catalogue)} in the catalogue>"

    def resolve(self, name: str) -> ResolvedName:
        """Find the voice that a name means, installed or not.

        Raises:
            UnknownVoice: no voice has the name, or several begin with it.
            SpeechError: it is a recipe, and malformed or of voices that are not installed.
        """
        name = self._mapped.get(fold_name(name), name)
        return self._substitute(fold_name(name)) if self._is_well_known(name) else self._resolve_own(name)

    def find_exact(self, name: str) -> ResolvedName | None:
        """Find the voice with exactly this name or alias, whatever else the name may mean."""
        key = fold_name(name)
        listed = self._by_name.get(key) or self._aliases.get(key)
        voice = self._installed.get(name) or self._folded.get(key)
        if voice is None and listed is not None:
            voice = self._folded.get(fold_name(listed.name))
        if voice is not None:
            return self._of_installed(voice)
        return ResolvedName(listed.name, None, listed) if listed is not None else None

    def find_in_catalogue(self, name: str) -> CatalogueVoice | None:
        """Find the catalogue's voice with exactly this name or alias, installed or not."""
        found = self.find_exact(name)
        return found.catalogue_voice if found is not None else None

    def default(self) -> ResolvedName:
        """Resolve the default voice; an unknown name gives a voice of that name that is not installed."""
        name = self._rules.default or ""
        try:
            return self.resolve(name)
        except UnknownVoice:
            return ResolvedName(name)

    def unknown_error(self, name: str) -> UnknownVoice:
        """The error for an unknown name, with the nearest known names as a hint."""
        installed, listed = (voice.name for voice in self.voices), (voice.name for voice in self.catalogue)
        well_known = WELL_KNOWN if self._rules.default is not None else ()
        return unknown_voice_error(name, [*installed, *listed, *self._rules.voice_map, *well_known])

    def _of_installed(self, voice: Voice) -> ResolvedName:
        return ResolvedName(voice.name, voice, self._by_name.get(fold_name(voice.name)))

    def _resolve_own(self, name: str) -> ResolvedName:
        """Resolve by the names of voices and blends alone."""
        if (found := self.find_exact(name)) is not None:
            return found
        base, mark, speaker = name.partition(SPEAKER_MARK)
        if mark and (found := self.find_exact(base)) is not None:
            return replace(found, speaker=speaker or None)
        if (blend := self._rules.blend(name)) is not None:
            return ResolvedName(blend.name, blend)
        if base and (found := self._find_by_prefix(base)) is not None:
            return replace(found, speaker=speaker or None)
        raise self.unknown_error(name)

    def _find_by_prefix(self, prefix: str) -> ResolvedName | None:
        """The only voice whose name begins with the prefix, among the installed ones, else the catalogue."""
        installed, listed = [voice.name for voice in self.voices], [voice.name for voice in self.catalogue]
        name = _unique_match(prefix, installed) or _unique_match(prefix, listed)
        return self.find_exact(name) if name is not None else None

    def _is_well_known(self, name: str) -> bool:
        if self._rules.default is None or fold_name(name) not in WELL_KNOWN:
            return False
        found = self.find_exact(name)
        return found is None or found.voice is None

    def _substitute(self, name: str) -> ResolvedName:
        """The most similar Kokoro voice in the default voice's language, else the default voice."""
        default = self._literal_default()
        voice = _most_similar(name, self.voices, LanguageTag.parse(default.language))
        return default if voice is None else self._of_installed(voice)

    def _literal_default(self) -> ResolvedName:
        """The default voice without substitution: not installed where its name is a well-known one itself."""
        default = self._rules.default or ""
        name = self._mapped.get(fold_name(default), default)
        if self._is_well_known(name):
            return ResolvedName(default)
        try:
            return self._resolve_own(name)
        except UnknownVoice:
            return ResolvedName(default)


def find_catalogue_voice(catalogue: Sequence[CatalogueVoice], name: str) -> CatalogueVoice:
    """Find the catalogue's voice by name, alias or unique prefix, for a download.

    Installed voices and the settings' voice map are not considered.

    Raises:
        UnknownVoice: there is none, or several begin with the name.
    """
    found = NameResolver(catalogue=catalogue).resolve(name).catalogue_voice
    assert found is not None, "only catalogue voices were given"
    return found


def fold_name(name: str) -> str:
    """Normalize a name for comparison: case-folded, in Unicode's composed form."""
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", name).casefold())


def find_name(name: str, names: Collection[str]) -> str | None:
    """Find the name among others: as it is written, or else in another case."""
    if name in names:
        return name
    key = fold_name(name)
    return next((each for each in names if fold_name(each) == key), None)


def check_name_is_free(name: str, names: Collection[str]) -> None:
    """Refuse a name that is taken, in whatever case.

    Raises:
        BadRequest: one of the names is the same.
    """
    if (other := find_name(name, names)) is not None:
        raise BadRequest(f"The name {name} is taken by the voice {other}.", hint="Choose another one.")


def unknown_voice_error(name: str, names: Iterable[str]) -> UnknownVoice:
    """The error for an unknown name, with the nearest of the known names as a hint."""
    hint = did_you_mean(name, names) or "See `wyoming-tts voices list` for all names."
    return UnknownVoice(f"There is no voice {shorten_name(name)!r}.", hint=hint)


def did_you_mean(name: str, names: Iterable[str]) -> str:
    """A question with the nearest of the names; empty if none is similar."""
    by_folded = {fold_name(each): each for each in reversed([*names])}
    nearest = difflib.get_close_matches(fold_name(shorten_name(name)), by_folded, n=_NEAREST, cutoff=0.5)
    suggestions = " or ".join(by_folded[each] for each in nearest)
    return f"Did you mean {suggestions}?" if suggestions else ""


def shorten_name(name: str) -> str:
    """Truncate an overlong name for an error message."""
    return name if len(name) <= _MAX_NAME_LENGTH else f"{name[:_MAX_NAME_LENGTH]}…"


def _unique_match(prefix: str, names: Iterable[str]) -> str | None:
    key = fold_name(prefix)
    found = sorted(name for name in names if fold_name(name).startswith(key))
    if len(found) > 1:
        more = f" and {len(found) - _MOST_NAMED} more" if len(found) > _MOST_NAMED else ""
        raise UnknownVoice(
            f"{len(found)} voices begin with {shorten_name(prefix)!r}.",
            hint=f"Choose one of {', '.join(found[:_MOST_NAMED])}{more}.",
        )
    return next(iter(found), None)


def _most_similar(name: str, voices: Iterable[Voice], language: LanguageTag) -> Voice | None:
    """The best installed Kokoro voice for a well-known name that speaks the language.

    If none of the listed ones speaks it, one of the same gender that does; None if there is none.
    """
    speaking = {
        voice.name: voice
        for voice in voices
        if voice.engine == BLENDING_ENGINE and LanguageTag.parse(voice.language).is_same_language(language)
    }
    listed = (speaking[candidate] for candidate in WELL_KNOWN[name] if candidate in speaking)
    gender = WELL_KNOWN[name][0][1]  # of `af_heart`
    same_gender = (voice for voice in speaking.values() if voice.name[1:3] == f"{gender}_")
    return next(listed, None) or next(same_gender, None)
