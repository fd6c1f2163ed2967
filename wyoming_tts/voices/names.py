"""Resolver of voice names: what a name means among the installed voices and those of the catalogue.

A name is, in this order:

1. one that the settings map to another, which is then resolved in its place;
2. a well-known name such as `alloy`, unless an installed voice has it: it means the most similar Kokoro
   voice, else the default voice; it never fails and downloads nothing, because clients that send such names
   were made for another server and cannot be configured;
3. a voice's name or alias, with or without a `#speaker` suffix;
4. a blend's name or recipe;
5. an engine and a language, `espeak-fr`: the engine's voice of that language's likely region;
6. a unique prefix of a voice's name, of the installed ones before those of the catalogue.

Names that differ only in case, in Unicode composition, or in `-` and `_` are equal, unless another voice has
the name as it is written. Nothing here touches a file.
"""

from __future__ import annotations

import difflib
import re
import unicodedata
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Generic, TypeVar

from wyoming_tts.errors import BadRequest, UnknownVoice
from wyoming_tts.languages import LanguageTag
from wyoming_tts.messages import Message
from wyoming_tts.speech import SPEAKER_MARK, Voice, VoiceAlias, VoiceRequest
from wyoming_tts.voices.catalogue import BLENDING_ENGINE, CatalogueVoice

T = TypeVar("T")

_NEAREST = 3
_MOST_NAMED = 10
_MAX_NAME_LENGTH = 80
"""Characters of an unknown name that are compared and shown; real names are shorter, attackers' longer."""
_FALLBACK_LANGUAGE = "en_US"
_NAMED_LANGUAGE = re.compile(r"[a-z]{2,3}_[A-Z]{2}(?=-)")
_ENGINE_AND_LANGUAGE = re.compile(r"(?P<engine>[a-z][a-z0-9]*)[-_](?P<tag>[a-z]{2,3}(?:[-_][a-z]{2})?)")

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


class NameIndex(Generic[T]):
    """Values by name, found by the name as written, else in another case, else with other separators."""

    def __init__(self, named: Iterable[tuple[str, T]]) -> None:
        """Index the values; of names that differ only in case the first is found by any other case."""
        pairs = [*named][::-1]
        self._exact = dict(pairs)
        self._by_case = {fold_case(name): value for name, value in pairs}
        count = Counter(fold_name(key) for key in self._by_case)
        self._similar = {key: value for name, value in pairs if count[key := fold_name(name)] == 1}

    def same(self, name: str) -> T | None:
        """The value of the name, whatever its case."""
        found = self._exact.get(name)
        return self._by_case.get(fold_case(name)) if found is None else found

    def similar(self, name: str) -> T | None:
        """The value of the only name that differs in nothing but case and separators."""
        return self._similar.get(fold_name(name))

    def find(self, name: str) -> T | None:
        """The value of the same name, else of a similar one."""
        found = self.same(name)
        return self.similar(name) if found is None else found


class VoiceAliases:
    """Names of one utterance's own for voices, which take precedence over all others."""

    def __init__(self, aliases: Mapping[str, VoiceAlias]) -> None:
        self._aliases = NameIndex(aliases.items())

    def apply(self, request: VoiceRequest) -> VoiceRequest:
        """The request by the name that an alias stands for."""
        alias = None if request.name is None else self._aliases.find(request.name)
        return request if alias is None else replace(request, name=alias.voice, rate=alias.rate)


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
    rate: float = 1.0
    """Factor of its pace, where the settings map the name."""

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

    voice_map: Mapping[str, VoiceAlias] = field(default_factory=lambda: MappingProxyType({}))
    """Aliases from the settings."""
    blend: Callable[[str, str | None], Voice | None] = lambda _name, _language: None
    """Finds the voice of a blend or a recipe such as `af_bella(2)+af_sky(1)`, None for other names; called on
    the event loop. A recipe has no language of its own: it speaks the given one, if any. May raise
    `UnknownVoice` for a recipe whose voices are not installed."""
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
        self._mapped = NameIndex(self._rules.voice_map.items())
        self._installed = NameIndex((voice.name, voice) for voice in voices)
        self._listed = NameIndex((voice.name, voice) for voice in catalogue)
        self._aliases = NameIndex((alias, voice) for voice in catalogue for alias in voice.aliases)

    def __repr__(self) -> str:
        return f"<NameResolver {len(self.voices)} installed, {len(self.catalogue)} in the catalogue>"

    def resolve(self, name: str, language: str | None = None) -> ResolvedName:
        """Find the voice that a name means, installed or not.

        Args:
            name: As described above.
            language: The tag of the language that a recipe is to speak; nothing else has a choice.

        Raises:
            UnknownVoice: no voice has the name, or several begin with it.
            SpeechError: it is a recipe, and malformed or of voices that are not installed.
        """
        mapped = self._mapping(name)
        name = mapped.voice
        is_well_known = self._is_well_known(name)
        found = self._substitute(fold_name(name)) if is_well_known else self._resolve_own(name, language)
        return replace(found, rate=mapped.rate)

    def find_exact(self, name: str) -> ResolvedName | None:
        """Find the voice with exactly this name or alias, whatever else the name may mean."""
        return self._find_same(name) or self._find(
            self._installed.similar(name), self._listed.similar(name) or self._aliases.similar(name)
        )

    def find_in_catalogue(self, name: str) -> CatalogueVoice | None:
        """Find the catalogue's voice with exactly this name or alias, installed or not."""
        found = self.find_exact(name)
        return found.catalogue_voice if found is not None else None

    def default(self, language: str | None = None) -> ResolvedName:
        """Resolve the default voice; an unknown name gives a voice of that name that is not installed.

        The language is as for `resolve`.
        """
        name = self._rules.default or ""
        try:
            return self.resolve(name, language)
        except UnknownVoice:
            return ResolvedName(name)

    def unknown_error(self, name: str) -> UnknownVoice:
        """The error for an unknown name, with the nearest known names as a hint."""
        installed, listed = (voice.name for voice in self.voices), (voice.name for voice in self.catalogue)
        well_known = WELL_KNOWN if self._rules.default is not None else ()
        return unknown_voice_error(name, [*installed, *listed, *self._rules.voice_map, *well_known])

    def _mapping(self, name: str) -> VoiceAlias:
        """What a mapped name stands for; a voice's own name is not taken for a similar mapped one."""
        target = self._mapped.same(name)
        if target is None and self._find_same(name) is None:
            target = self._mapped.similar(name)
        return VoiceAlias(name) if target is None else target

    def _find_same(self, name: str) -> ResolvedName | None:
        """Find the voice with this name or alias, in whatever case."""
        return self._find(self._installed.same(name), self._listed.same(name) or self._aliases.same(name))

    def _find(self, voice: Voice | None, listed: CatalogueVoice | None) -> ResolvedName | None:
        if voice is None and listed is not None:
            voice = self._installed.same(listed.name)
        if voice is not None:
            return self._of_installed(voice)
        return ResolvedName(listed.name, None, listed) if listed is not None else None

    def _of_installed(self, voice: Voice) -> ResolvedName:
        return ResolvedName(voice.name, voice, self._listed.same(voice.name))

    def _resolve_own(self, name: str, language: str | None = None) -> ResolvedName:
        """Resolve by the names of voices and blends alone."""
        if (found := self.find_exact(name)) is not None:
            return found
        base, mark, speaker = name.partition(SPEAKER_MARK)
        if mark and (found := self.find_exact(base)) is not None:
            return replace(found, speaker=speaker or None)
        if (blend := self._rules.blend(name, language)) is not None:
            return ResolvedName(blend.name, blend)
        if base and (found := self._find_by_language(base) or self._find_by_prefix(base)) is not None:
            return replace(found, speaker=speaker or None)
        raise self.unknown_error(name)

    def _find_by_language(self, name: str) -> ResolvedName | None:
        """The voice for an engine and a language, `espeak-fr`, where the engine's names are made of those."""
        match = _ENGINE_AND_LANGUAGE.fullmatch(fold_name(name))
        if match is None:
            return None
        wanted, beginning = LanguageTag.parse(match["tag"]), f"{match['engine']}-"
        speaking = [
            (not tag.is_likely_region, voice.name, voice)
            for voice in self.voices
            if voice.engine == match["engine"] and fold_name(voice.name).startswith(beginning)
            if (tag := LanguageTag.parse(voice.language)).is_same_language(wanted)
            and not tag.differs_in_region(wanted)
        ]
        return self._of_installed(min(speaking)[-1]) if speaking else None

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
        name = self._mapping(default).voice
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


def fold_case(name: str) -> str:
    """Normalize a name for comparison: case-folded, in Unicode's composed form."""
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", name).casefold())


def fold_name(name: str) -> str:
    """Normalize a name for comparison: as `fold_case`, and with `-` for `_`."""
    return fold_case(name).replace("_", "-")


def find_name(name: str, names: Collection[str]) -> str | None:
    """Find the name among others: as it is written, else in another case, else with other separators."""
    return name if name in names else NameIndex((each, each) for each in names).find(name)


def check_name_is_free(name: str, names: Collection[str]) -> None:
    """Refuse a name that is taken, in whatever case and with whatever separators.

    Raises:
        BadRequest: one of the names is the same.
    """
    key = fold_name(name)
    other = find_name(name, names) or next((each for each in names if fold_name(each) == key), None)
    if other is not None:
        raise BadRequest(
            Message("name_taken", "The name {name} is taken by the voice {other}.", name=name, other=other),
            hint=Message("choose_other_name", "Choose another one."),
        )


def unknown_voice_error(name: str, names: Iterable[str]) -> UnknownVoice:
    """The error for an unknown name, with the nearest of the known names as a hint."""
    hint = did_you_mean(name, names) or Message("list_voices", "See `wyoming-tts voices list` for all names.")
    return UnknownVoice(
        Message("no_voice", "There is no voice {name}.", name=repr(shorten_name(name))), hint=hint
    )


def did_you_mean(name: str, names: Iterable[str]) -> str:
    """A question with the nearest of the names; empty if none is similar."""
    by_folded = {fold_name(each): each for each in reversed([*names])}
    nearest = difflib.get_close_matches(fold_name(shorten_name(name)), by_folded, n=_NEAREST, cutoff=0.5)
    if not nearest:
        return ""
    first, *others = (by_folded[each] for each in nearest)
    suggested: str = first
    for each in others:
        suggested = Message("either", "{one} or {other}", one=suggested, other=each)
    return Message("did_you_mean", "Did you mean {names}?", names=suggested)


def shorten_name(name: str) -> str:
    """Truncate an overlong name for an error message."""
    return name if len(name) <= _MAX_NAME_LENGTH else f"{name[:_MAX_NAME_LENGTH]}…"


def _unique_match(prefix: str, names: Iterable[str]) -> str | None:
    names = [*names]
    found = _beginning_with(prefix, names, fold_case) or _beginning_with(prefix, names, fold_name)
    if len(found) > 1:
        named, others = ", ".join(found[:_MOST_NAMED]), len(found) - _MOST_NAMED
        raise UnknownVoice(
            Message(
                "many_begin_with",
                "{count} voices begin with {prefix}.",
                count=len(found),
                prefix=repr(shorten_name(prefix)),
            ),
            hint=Message(
                "choose_of_more", "Choose one of {names} and {count} more.", names=named, count=others
            )
            if others > 0
            else Message("choose_of", "Choose one of {names}.", names=named),
        )
    return next(iter(found), None)


def _beginning_with(prefix: str, names: Iterable[str], fold: Callable[[str], str]) -> list[str]:
    key = fold(prefix)
    return sorted(name for name in names if fold(name).startswith(key))


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
