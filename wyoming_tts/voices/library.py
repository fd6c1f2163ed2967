"""What can be spoken with, and which voice a request means.

The library holds the installed voices as the engines reported them and turns a `VoiceRequest`
into a `VoiceSpec`. It is the one place that does: every transport goes through `resolve`.

The default voice may still be on its way. While its download makes progress a request waits for it,
for a bounded time, because clients such as Home Assistant keep what they hear; after that the
embedded voice of the same language speaks. A voice asked for by name is never silently replaced.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Awaitable, Callable, Iterable, Iterator
from dataclasses import dataclass

from wyoming_tts.errors import UnknownVoice, VoiceUnavailable
from wyoming_tts.speech import Voice, VoiceRequest, VoiceSpec

SPEAKER_MARK = "#"
"""Between a voice's name and a speaker of it, where a client can send only one name."""

_NEAREST = 3
_FALLBACK_LANGUAGE = "en_US"
_NAMED_LANGUAGE = re.compile(r"[a-z]{2,3}_[A-Z]{2}(?=-)")


async def _nothing_to_wait_for() -> None:
    return


@dataclass(frozen=True, slots=True)
class DefaultVoice:
    """The voice for requests that name none."""

    name: str
    speaker: str | None = None

    @property
    def language(self) -> str:
        """The language its name tells, `de_DE` for `de_DE-thorsten-high`: that of the stand-in."""
        tag = _NAMED_LANGUAGE.match(self.name)
        return tag[0] if tag else _FALLBACK_LANGUAGE


class VoiceLibrary:
    """The installed voices, replaced as a whole whenever an engine's files change."""

    def __init__(
        self,
        *,
        default: DefaultVoice,
        embedded_engine: str = "espeak",
        alias: Callable[[str], str | None] = lambda _: None,
    ) -> None:
        """Make an empty library.

        Args:
            default: The voice for requests that name none.
            embedded_engine: The engine whose voices need no files and stand in for the default.
            alias: The canonical name of a catalogue voice, None for names it does not know.
        """
        self._default = default
        self._embedded_engine = embedded_engine
        self._alias = alias
        self._arrival: Callable[[], Awaitable[None]] = _nothing_to_wait_for
        self._voices: dict[str, Voice] = {}
        self._sorted: tuple[Voice, ...] = ()

    def __repr__(self) -> str:
        return f"<VoiceLibrary {len(self._voices)} voices, default {self._default.name}>"

    @property
    def voices(self) -> tuple[Voice, ...]:
        """All installed voices, sorted by name; the same tuple until they change."""
        return self._sorted

    @property
    def default_is_installed(self) -> bool:
        """Whether requests without a voice get the configured one."""
        return self._find(self._default.name) is not None

    def replace(self, voices: Iterable[Voice]) -> None:
        """Take over the voices that are installed now; of two with one name the first stays."""
        installed: dict[str, Voice] = {}
        for voice in voices:
            installed.setdefault(voice.name, voice)
        self._voices = installed
        self._sorted = tuple(sorted(installed.values(), key=lambda voice: voice.name))

    async def resolve(self, request: VoiceRequest) -> VoiceSpec:
        """Find the voice and speaker that a request means; wait for the default voice if it is coming.

        Raises:
            UnknownVoice: no voice has the name, none speaks the language, or the voice lacks the speaker.
            VoiceUnavailable: the catalogue knows the voice, but it is not installed.
        """
        if self._asks_for_default(request) and not self.default_is_installed:
            await self._arrival()
        return self.resolve_now(request)

    def resolve_now(self, request: VoiceRequest) -> VoiceSpec:
        """Find the voice and speaker that a request means, among those that are here now.

        Raises:
            UnknownVoice, VoiceUnavailable: as for `resolve`.
        """
        if request.name is not None:
            return self._by_name(request.name, request.speaker)
        if request.language is not None:
            voice = self._by_language(request.language)
            return _with_speaker(voice, request.speaker or self._default_speaker(voice))
        return self._by_default(request.speaker)

    def installed(self, name: str) -> Voice:
        """Return the voice of that name or alias; no other one stands in.

        Raises:
            UnknownVoice, VoiceUnavailable: as for `resolve`.
        """
        voice = self._find(name) or self._find(name.partition(SPEAKER_MARK)[0])
        if voice is None:
            raise self._not_installed(name)
        return voice

    def expect_default(self, arrival: Callable[[], Awaitable[None]]) -> None:
        """Let requests for the missing default voice await `arrival`; it returns when waiting is over."""
        self._arrival = arrival

    def stand_in(self) -> Voice:
        """Return the embedded voice of the default voice's language, English where there is none.

        Raises:
            VoiceUnavailable: the embedded engine has no voice at all.
        """
        embedded = [voice for voice in self.voices if voice.engine == self._embedded_engine]
        for wanted in (self._default.language, _FALLBACK_LANGUAGE):
            if (voice := _best_for_language(embedded, wanted)) is not None:
                return voice
        raise VoiceUnavailable(
            "No voice is installed, not even the embedded one.",
            hint="Reinstall the package espeakng-loader, or put a Piper voice into the data directory.",
        )

    def _by_name(self, name: str, speaker: str | None) -> VoiceSpec:
        base, mark, named_speaker = name.partition(SPEAKER_MARK)
        if not mark and self._means_default(base):
            return self._by_default(speaker)
        if (voice := self._find(name)) is not None:
            return _with_speaker(voice, speaker or self._default_speaker(voice))
        if mark and (voice := self._find(base)) is not None:
            return _with_speaker(voice, named_speaker)
        raise self._not_installed(name)

    def _by_default(self, speaker: str | None) -> VoiceSpec:
        voice = self._find(self._default.name)
        if voice is None:
            return _with_speaker(self.stand_in(), None)
        return _with_speaker(voice, speaker or self._default.speaker)

    def _by_language(self, language: str) -> Voice:
        default = self._find(self._default.name)
        if default is not None and _same_language(default.language, language):
            return default
        if (voice := _best_for_language(self._neural_first(), language)) is not None:
            return voice
        known = sorted({voice.language for voice in self._voices.values()})
        raise UnknownVoice(
            f"No installed voice speaks {language!r}.", hint=f"Languages here: {', '.join(known) or 'none'}."
        )

    def _neural_first(self) -> list[Voice]:
        return sorted(self.voices, key=lambda voice: voice.engine == self._embedded_engine)

    def _find(self, name: str) -> Voice | None:
        if (voice := self._voices.get(name)) is not None:
            return voice
        folded = name.casefold()
        same = (voice for voice in self._voices.values() if voice.name.casefold() == folded)
        if (voice := next(same, None)) is not None:
            return voice
        canonical = self._alias(name)
        return None if canonical is None else self._voices.get(canonical)

    def _asks_for_default(self, request: VoiceRequest) -> bool:
        if request.name is not None:
            return self._means_default(request.name.partition(SPEAKER_MARK)[0])
        return request.language is None

    def _means_default(self, name: str) -> bool:
        return self._canonical(name) == self._canonical(self._default.name)

    def _canonical(self, name: str) -> str:
        return (self._alias(name) or name).casefold()

    def _default_speaker(self, voice: Voice) -> str | None:
        return self._default.speaker if self._means_default(voice.name) else None

    def _not_installed(self, name: str) -> UnknownVoice | VoiceUnavailable:
        if self._alias(name) is not None:
            return VoiceUnavailable(
                f"The voice {name!r} is not installed.",
                hint="Make it the default voice to have it fetched, or put its files into a data directory.",
            )
        nearest = difflib.get_close_matches(name, self._voices, n=_NEAREST, cutoff=0.5)
        hint = (
            f"Did you mean {' or '.join(nearest)}?" if nearest else "See `wyoming-tts voices` for all names."
        )
        return UnknownVoice(f"There is no voice {name!r}.", hint=hint)


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
    raise UnknownVoice(f"The voice {voice.name} has no speaker {speaker!r}.", hint=_speakers_hint(voice))


def _speakers_hint(voice: Voice) -> str:
    if not voice.speakers:
        return "It has one speaker only: leave the speaker out."
    some = list(voice.speakers)[:10]
    return f"Its speakers: {', '.join(some)}{', …' if len(voice.speakers) > len(some) else ''}."


def _best_for_language(voices: Iterable[Voice], language: str) -> Voice | None:
    candidates = [voice for voice in voices if _same_language(voice.language, language)]
    return next(iter(_by_closeness(candidates, language)), None)


def _by_closeness(voices: list[Voice], language: str) -> Iterator[Voice]:
    wanted = _parts(language)
    yield from (voice for voice in voices if _parts(voice.language) == wanted)
    yield from (voice for voice in voices if _parts(voice.language) != wanted)


def _same_language(one: str, other: str) -> bool:
    return _parts(one)[0] == _parts(other)[0]


def _parts(language: str) -> list[str]:
    return language.replace("-", "_").casefold().split("_")
