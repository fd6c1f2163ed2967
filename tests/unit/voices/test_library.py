"""Which voice a request means."""

from __future__ import annotations

import pytest

from wyoming_tts.errors import UnknownVoice, VoiceUnavailable
from wyoming_tts.speech import Attribution, Voice, VoiceRequest, VoiceSpec
from wyoming_tts.voices.library import DefaultVoice, VoiceLibrary

LESSAC = "en_US-lessac-medium"
ALIASES = {"en-us-lessac-medium": LESSAC, LESSAC: LESSAC, "de_DE-far-high": "de_DE-far-high"}


def a_voice(name: str, language: str, engine: str = "piper", *, speakers: tuple[str, ...] = ()) -> Voice:
    return Voice(
        name=name,
        engine=engine,
        language=language,
        description=name,
        sample_rate=22_050,
        model=name,
        attribution=Attribution("nobody", ""),
        speakers={speaker: number for number, speaker in enumerate(speakers)},
        default_speaker=1 if speakers else None,
    )


EMBEDDED = [a_voice(f"espeak-{tag}", tag, "espeak") for tag in ("de_DE", "en_GB", "en_US", "fi")]
NEURAL = [
    a_voice(LESSAC, "en_US"),
    a_voice("de_DE-thorsten-low", "de_DE"),
    a_voice("de_AT-wien-low", "de_AT"),
    a_voice("en_GB-vctk-medium", "en_GB", speakers=("p225", "p226", "7")),
]


def a_library(*voices: Voice, default: str = LESSAC, speaker: str | None = None) -> VoiceLibrary:
    library = VoiceLibrary(default=DefaultVoice(default, speaker), alias=ALIASES.get)
    library.replace([*EMBEDDED, *voices])
    return library


async def name_of(library: VoiceLibrary, request: VoiceRequest) -> str:
    return (await library.resolve(request)).voice.name


async def test_without_a_wish_the_default_voice_speaks() -> None:
    assert await name_of(a_library(*NEURAL), VoiceRequest()) == LESSAC


@pytest.mark.parametrize("name", [LESSAC, "EN_us-LESSAC-medium", "en-us-lessac-medium"])
async def test_a_voice_is_found_by_name_in_any_case_or_by_alias(name: str) -> None:
    assert await name_of(a_library(*NEURAL, default="de_DE-thorsten-low"), VoiceRequest(name)) == LESSAC


@pytest.mark.parametrize(
    ("language", "expected"),
    [
        ("de_DE", "de_DE-thorsten-low"),
        ("de-de", "de_DE-thorsten-low"),
        ("de_AT", "de_AT-wien-low"),
        ("de_CH", "de_AT-wien-low"),
        ("de", "de_AT-wien-low"),
        ("en_GB", LESSAC),
        ("fi", "espeak-fi"),
    ],
)
async def test_a_language_is_matched_exactly_then_by_family_the_default_first(
    language: str, expected: str
) -> None:
    assert await name_of(a_library(*NEURAL), VoiceRequest(language=language)) == expected


async def test_a_language_nobody_speaks_names_those_that_are_spoken() -> None:
    with pytest.raises(UnknownVoice, match=r"'tlh'.*de_DE, en_GB, en_US, fi"):
        await a_library().resolve(VoiceRequest(language="tlh"))


@pytest.mark.parametrize(
    "request_", [VoiceRequest("en_GB-vctk-medium", speaker="p226"), VoiceRequest("en_GB-vctk-medium#p226")]
)
async def test_a_speaker_is_found_by_name(request_: VoiceRequest) -> None:
    assert (await a_library(*NEURAL).resolve(request_)).speaker == 1


@pytest.mark.parametrize(("speaker", "number"), [("0", 0), ("2", 2), ("7", 2)])
async def test_a_speaker_is_found_by_name_before_number(speaker: str, number: int) -> None:
    spec = await a_library(*NEURAL).resolve(VoiceRequest("en_GB-vctk-medium", speaker=speaker))
    assert spec.speaker == number


async def test_without_a_wish_the_voices_own_default_speaker_speaks() -> None:
    spec = await a_library(*NEURAL).resolve(VoiceRequest("en_GB-vctk-medium"))
    assert spec == VoiceSpec(NEURAL[3], 1)


async def test_the_configured_speaker_goes_with_the_default_voice_alone() -> None:
    library = a_library(*NEURAL, default="en_GB-vctk-medium", speaker="7")
    assert (await library.resolve(VoiceRequest())).speaker == 2
    assert (await library.resolve(VoiceRequest("en_GB-vctk-medium"))).speaker == 2
    assert (await library.resolve(VoiceRequest(LESSAC))).speaker is None


@pytest.mark.parametrize("speaker", ["p999", "3", "-1", "²"])
async def test_an_unknown_speaker_names_the_known_ones(speaker: str) -> None:
    with pytest.raises(UnknownVoice, match=r"no speaker.*p225, p226, 7"):
        await a_library(*NEURAL).resolve(VoiceRequest("en_GB-vctk-medium", speaker=speaker))


async def test_a_voice_of_one_speaker_takes_number_zero_and_no_other() -> None:
    library = a_library(*NEURAL)
    assert (await library.resolve(VoiceRequest(LESSAC, speaker="0"))).speaker is None
    with pytest.raises(UnknownVoice, match="one speaker only"):
        await library.resolve(VoiceRequest(LESSAC, speaker="1"))


async def test_an_unknown_name_is_an_error_with_the_nearest_names() -> None:
    with pytest.raises(UnknownVoice, match=f"Did you mean {LESSAC}"):
        await a_library(*NEURAL).resolve(VoiceRequest("en_US-lesac-medium"))


async def test_a_catalogue_voice_that_is_not_installed_is_never_replaced() -> None:
    with pytest.raises(VoiceUnavailable, match="not installed"):
        await a_library(*NEURAL).resolve(VoiceRequest("de_DE-far-high"))


@pytest.mark.parametrize("request_", [VoiceRequest(), VoiceRequest(LESSAC)])
async def test_the_embedded_voice_stands_in_for_a_default_that_is_not_there(request_: VoiceRequest) -> None:
    assert await name_of(a_library(), request_) == "espeak-en_US"


async def test_the_stand_in_speaks_the_default_voices_language() -> None:
    library = VoiceLibrary(default=DefaultVoice("de_DE-far-high"))
    library.replace(EMBEDDED)
    assert await name_of(library, VoiceRequest()) == "espeak-de_DE"


async def test_the_configured_speaker_is_not_asked_of_the_stand_in() -> None:
    assert (await a_library(speaker="p225").resolve(VoiceRequest())).speaker is None


async def test_a_default_voice_on_its_way_is_waited_for() -> None:
    async def arrive() -> None:
        library.replace([*EMBEDDED, *NEURAL])

    library = VoiceLibrary(default=DefaultVoice(LESSAC))
    library.expect_default(arrive)
    library.replace(EMBEDDED)
    assert await name_of(library, VoiceRequest()) == LESSAC


async def test_nobody_waits_for_a_default_voice_that_is_there() -> None:
    async def arrive() -> None:
        pytest.fail("waited")

    library = VoiceLibrary(default=DefaultVoice(LESSAC))
    library.expect_default(arrive)
    library.replace(NEURAL)
    assert await name_of(library, VoiceRequest()) == LESSAC


async def test_without_any_voice_the_error_says_what_to_do() -> None:
    with pytest.raises(VoiceUnavailable, match="Reinstall"):
        await VoiceLibrary(default=DefaultVoice(LESSAC)).resolve(VoiceRequest())


def test_of_two_voices_with_one_name_the_first_stays() -> None:
    library = a_library(a_voice("twin", "de_DE"), a_voice("twin", "fr_FR"))
    assert [voice.language for voice in library.voices if voice.name == "twin"] == ["de_DE"]
