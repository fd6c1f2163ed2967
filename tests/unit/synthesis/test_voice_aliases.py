"""Names of a user's own for voices, each with a pace of its own: of the settings, and of one utterance."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from dataclasses import replace

import numpy as np
import numpy.typing as npt
import pytest

from tests.support.parts import join_chunks, running_parts
from tests.support.tones import LETTERS, TONES
from wyoming_tts.assembly.options import voice_map
from wyoming_tts.assembly.parts import Parts
from wyoming_tts.errors import UnknownVoice
from wyoming_tts.settings import Settings, SettingsError
from wyoming_tts.speech import Prosody, Utterance, VoiceAlias, VoiceRequest

Audio = npt.NDArray[np.int16]


@pytest.fixture
async def parts() -> AsyncIterator[Parts]:
    async with running_parts(voice_map=(f"quick={LETTERS.name}@2",), voice_tags=True) as parts:
        yield parts


async def speak(
    parts: Parts,
    text: str,
    voice: str = LETTERS.name,
    *,
    speed: float = 1.0,
    aliases: Mapping[str, VoiceAlias] | None = None,
    named: tuple[str, ...] = (),
) -> Audio:
    utterance = Utterance.of(text, voice=VoiceRequest(voice), prosody=Prosody(speed=speed))
    utterance = replace(
        utterance,
        voice_aliases=aliases or {},
        named_voices=tuple(VoiceRequest(name) for name in named),
    )
    async with parts.synthesizer.speak(utterance) as stream:
        return join_chunks([chunk async for chunk in stream])


@pytest.mark.parametrize(
    ("entry", "alias"),
    [
        ("butler=en_GB-alan-low", VoiceAlias("en_GB-alan-low")),
        ("butler = en_GB-alan-low @ 0.9", VoiceAlias("en_GB-alan-low", 0.9)),
        ("butler=af_bella(2)+af_sky@2", VoiceAlias("af_bella(2)+af_sky", 2.0)),
        ("butler=ann@home", VoiceAlias("ann@home")),
        ("butler=ann@home@4", VoiceAlias("ann@home", 4.0)),
        ("butler=@2", VoiceAlias("@2")),
    ],
)
def test_an_alias_of_the_settings_may_have_a_rate(entry: str, alias: VoiceAlias) -> None:
    assert voice_map(Settings(voice_map=(entry,))) == {"butler": alias}


@pytest.mark.parametrize("entry", ["butler=ann@0.1", "butler=ann@5"])
def test_the_rate_of_an_alias_has_limits(entry: str) -> None:
    with pytest.raises(SettingsError, match=r"expected 0\.25 to 4"):
        voice_map(Settings(voice_map=(entry,)))


async def test_a_voice_speaks_at_the_rate_of_the_alias_that_it_is_requested_by(parts: Parts) -> None:
    quick = await speak(parts, "One two.", "quick")
    assert np.array_equal(quick, await speak(parts, "One two.", speed=2.0))
    assert np.array_equal(
        await speak(parts, "One two.", "quick", speed=0.5), await speak(parts, "One two.", speed=1.0)
    )


async def test_an_alias_of_an_utterance_precedes_those_of_the_settings(parts: Parts) -> None:
    slow = {"Quick": VoiceAlias(LETTERS.name, 0.5)}
    assert np.array_equal(
        await speak(parts, "One two.", "quick", aliases=slow), await speak(parts, "One two.", speed=0.5)
    )


async def test_a_rate_in_the_text_scales_that_of_the_alias(parts: Parts) -> None:
    aliases = {"Narrator": VoiceAlias(LETTERS.name, 0.5)}
    tagged = await speak(parts, "[voice:narrator][rate:2]One two.", TONES.name, aliases=aliases)
    plain = await speak(parts, f"[voice:{LETTERS.name}]One two.", TONES.name)
    assert np.array_equal(tagged, plain)


async def test_the_rate_of_an_alias_does_not_outlast_its_voice(parts: Parts) -> None:
    text = "[voice:{}]One. [voice:]Two. [voice:{}]Six."
    slow = {"slow": VoiceAlias(LETTERS.name, 0.5)}
    mixed = await speak(parts, text.format("slow", LETTERS.name), aliases=slow)
    plain = await speak(parts, text.format(LETTERS.name, LETTERS.name))
    assert len(mixed) - len(plain) == len(await speak(parts, "One."))


async def test_an_unknown_voice_that_a_text_is_known_to_name_is_refused_before_any_sound(
    parts: Parts,
) -> None:
    aliases = {"narrator": VoiceAlias(TONES.name)}
    await speak(parts, "One.", aliases=aliases, named=("narrator", "quick"))
    with pytest.raises(UnknownVoice, match="nobody"):
        await speak(parts, "One.", named=("nobody",))
