"""Voice library: resolving a request to a voice and speaker."""

from __future__ import annotations

import logging

import pytest

from wyoming_tts.errors import UnknownVoice, VoiceNotAllowed, VoiceUnavailable
from wyoming_tts.speech import Attribution, UnusableVoice, Voice, VoiceAlias, VoiceRequest, VoiceSpec
from wyoming_tts.voices.catalogue import Catalogue, CatalogueVoice, load_catalogue
from wyoming_tts.voices.library import DefaultVoice, VoiceLibrary
from wyoming_tts.voices.names import WELL_KNOWN, NameResolver, NameRules

LESSAC = "en_US-lessac-medium"
FAR = CatalogueVoice("de_DE-far-high", "piper", "de_DE", "high", 1, ())
KNOWN = (CatalogueVoice(LESSAC, "piper", "en_US", "medium", 1, (), aliases=("en-us-lessac-medium",)), FAR)


def make_voice(name: str, language: str, engine: str = "piper", *, speakers: tuple[str, ...] = ()) -> Voice:
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


EMBEDDED = [make_voice(f"espeak-{tag}", tag, "espeak") for tag in ("de_DE", "en_GB", "en_US", "fi")]
NEURAL = [
    make_voice(LESSAC, "en_US"),
    make_voice("de_DE-thorsten-low", "de_DE"),
    make_voice("de_AT-wien-low", "de_AT"),
    make_voice("en_GB-vctk-medium", "en_GB", speakers=("p225", "p226", "7")),
]


def make_library(*voices: Voice, default: str = LESSAC, speaker: str | None = None) -> VoiceLibrary:
    library = VoiceLibrary(default=DefaultVoice(default, speaker), catalogue=lambda: KNOWN)
    library.replace([*EMBEDDED, *voices])
    return library


async def resolved_name(library: VoiceLibrary, request: VoiceRequest) -> str:
    return (await library.resolve(request)).voice.name


async def test_a_request_gets_only_a_voice_that_is_allowed() -> None:
    library = make_library(*NEURAL, make_voice("af_bella", "en_US"), make_voice("af_bella+am_adam", "en_US"))
    for name, allowed in (
        (None, "en_US-*"),
        ("en_US-LESSAC", LESSAC),
        ("af_bella", "AF_*"),
        ("de_DE-thorsten-low", "*thorsten*"),
        ("af_bella+am_adam", "af_bella+am_adam"),
    ):
        assert await resolved_name(library, VoiceRequest(name, allowed=("other", allowed)))
    for request in (
        VoiceRequest(allowed=("af_*",)),
        VoiceRequest(language="de", allowed=("en_*",)),
        VoiceRequest("af_bella", allowed=("af_", "bella", "af.bella")),
        VoiceRequest("af_bella+am_adam", allowed=("af_*", "*")),
    ):
        with pytest.raises(VoiceNotAllowed, match="does not allow the voice"):
            await library.resolve(request)


async def test_a_resolved_voice_tells_why_it_is_the_one() -> None:
    library = make_library(*NEURAL)
    for request, reason in (
        (VoiceRequest(LESSAC), "requested"),
        (VoiceRequest("EN-us-lessac_medium"), "requested"),
        (VoiceRequest("en_GB-vctk-medium#p225"), "requested"),
        (VoiceRequest("en_US-less"), "alias"),
        (VoiceRequest("nova"), "alias"),
        (VoiceRequest(language="de"), "language"),
        (VoiceRequest(), "default"),
    ):
        assert (await library.resolve(request)).reason == reason, request
    assert (await make_library().resolve(VoiceRequest())).reason == "fallback"
    assert (await make_library().resolve(VoiceRequest(LESSAC))).reason == "fallback"


async def test_a_request_without_a_voice_uses_the_default_voice() -> None:
    assert await resolved_name(make_library(*NEURAL), VoiceRequest()) == LESSAC


@pytest.mark.parametrize("name", [LESSAC, "EN_us-LESSAC-medium", "en-us-lessac-medium"])
async def test_a_voice_is_found_by_alias_or_case_insensitive_name(name: str) -> None:
    assert (
        await resolved_name(make_library(*NEURAL, default="de_DE-thorsten-low"), VoiceRequest(name)) == LESSAC
    )


@pytest.mark.parametrize(
    ("language", "expected"),
    [
        ("de_DE", "de_DE-thorsten-low"),
        ("de-de", "de_DE-thorsten-low"),
        ("de_AT", "de_AT-wien-low"),
        ("DE-at", "de_AT-wien-low"),
        ("de_CH", "de_DE-thorsten-low"),
        ("de", "de_DE-thorsten-low"),
        ("en_GB", "en_GB-vctk-medium"),
        ("en_AU", LESSAC),
        ("en", LESSAC),
        ("fi-FI", "espeak-fi"),
        ("fi", "espeak-fi"),
    ],
)
async def test_a_language_is_matched_exactly_then_by_family_with_the_usual_region_first(
    language: str, expected: str
) -> None:
    assert await resolved_name(make_library(*NEURAL), VoiceRequest(language=language)) == expected


async def test_the_error_for_an_unsupported_language_lists_the_supported_ones() -> None:
    with pytest.raises(UnknownVoice, match=r"'tlh'.*de_DE, en_GB, en_US, fi"):
        await make_library().resolve(VoiceRequest(language="tlh"))


@pytest.mark.parametrize(
    "request_", [VoiceRequest("en_GB-vctk-medium", speaker="p226"), VoiceRequest("en_GB-vctk-medium#p226")]
)
async def test_a_speaker_is_found_by_name(request_: VoiceRequest) -> None:
    assert (await make_library(*NEURAL).resolve(request_)).speaker == 1


@pytest.mark.parametrize(("speaker", "number"), [("0", 0), ("2", 2), ("7", 2)])
async def test_a_speaker_is_found_by_name_before_number(speaker: str, number: int) -> None:
    spec = await make_library(*NEURAL).resolve(VoiceRequest("en_GB-vctk-medium", speaker=speaker))
    assert spec.speaker == number


async def test_a_request_without_a_speaker_uses_the_default_speaker_of_the_voice() -> None:
    spec = await make_library(*NEURAL).resolve(VoiceRequest("en_GB-vctk-medium"))
    assert spec == VoiceSpec(NEURAL[3], 1)


async def test_the_configured_speaker_applies_only_to_the_default_voice() -> None:
    library = make_library(*NEURAL, default="en_GB-vctk-medium", speaker="7")
    assert (await library.resolve(VoiceRequest())).speaker == 2
    assert (await library.resolve(VoiceRequest("en_GB-vctk-medium"))).speaker == 2
    assert (await library.resolve(VoiceRequest(LESSAC))).speaker is None


@pytest.mark.parametrize("speaker", ["p999", "3", "-1", "²", "9" * 4301])
async def test_the_error_for_an_unknown_speaker_lists_the_known_ones(speaker: str) -> None:
    with pytest.raises(UnknownVoice, match=r"no speaker.*p225, p226, 7"):
        await make_library(*NEURAL).resolve(VoiceRequest("en_GB-vctk-medium", speaker=speaker))


async def test_a_single_speaker_voice_accepts_only_speaker_zero() -> None:
    library = make_library(*NEURAL)
    assert (await library.resolve(VoiceRequest(LESSAC, speaker="0"))).speaker is None
    with pytest.raises(UnknownVoice, match="one speaker only"):
        await library.resolve(VoiceRequest(LESSAC, speaker="1"))


async def test_the_error_for_an_unknown_voice_suggests_the_nearest_names() -> None:
    with pytest.raises(UnknownVoice, match=f"Did you mean {LESSAC}"):
        await make_library(*NEURAL).resolve(VoiceRequest("en_US-lesac-medium"))


async def test_a_catalogue_voice_that_is_not_installed_is_never_substituted() -> None:
    with pytest.raises(VoiceUnavailable, match="not installed"):
        await make_library(*NEURAL).resolve(VoiceRequest("de_DE-far-high"))


@pytest.mark.parametrize("request_", [VoiceRequest(), VoiceRequest(LESSAC)])
async def test_the_embedded_voice_replaces_a_missing_default_voice(request_: VoiceRequest) -> None:
    assert await resolved_name(make_library(), request_) == "espeak-en_US"


async def test_the_fallback_voice_speaks_the_language_of_the_default_voice() -> None:
    library = VoiceLibrary(default=DefaultVoice("de_DE-far-high"))
    library.replace(EMBEDDED)
    assert await resolved_name(library, VoiceRequest()) == "espeak-de_DE"


async def test_the_best_voice_of_its_language_replaces_a_missing_one_and_the_embedded_one_comes_last() -> (
    None
):
    listed = [
        CatalogueVoice(name, engine, "de_DE", quality, 1, (), grade=grade)
        for name, engine, quality, grade in (
            ("de_DE-far-high", "piper", "high", None),
            ("de_DE-anna-low", "piper", "low", None),
            ("de_DE-karl-x_low", "piper", "x_low", None),
            ("df_otto", "kokoro", "int8", "D"),
            ("df_zoe", "kokoro", "int8", "B-"),
        )
    ]
    better_first = ["df_zoe", "de_DE-anna-low", "de_DE-karl-x_low", "df_otto"]
    voices = [make_voice(each.name, each.language, each.engine) for each in listed[1:]]
    for default in ("de_DE-far-high", LESSAC):
        library = VoiceLibrary(default=DefaultVoice(default), catalogue=lambda: listed)
        for count in range(len(better_first)):
            left = [voice for voice in voices if voice.name in better_first[count:]]
            library.replace([*EMBEDDED, *left, make_voice("de_AT-wien-high", "de_AT")])
            missing = VoiceRequest("de_DE-far-high")
            library.set_missing_voice_hook(allow_a_fallback)
            spec = await library.resolve(missing)
            assert (spec.voice.name, spec.reason) == (better_first[count], "fallback")
        library.replace([*EMBEDDED, make_voice("de_AT-wien-high", "de_AT")])
        assert await resolved_name(library, missing) == "de_AT-wien-high"
        library.replace(EMBEDDED)
        assert await resolved_name(library, missing) == "espeak-de_DE"


async def allow_a_fallback(_: str, *, may_download: bool, patience: float | None) -> None:
    pass


def test_the_voice_that_speaks_for_a_missing_default_is_told() -> None:
    library = make_library(*NEURAL, default="de_DE-far-high")
    fallback = library.default_fallback
    assert fallback is not None
    assert fallback is library.resolve_now(VoiceRequest()).voice
    assert fallback.name == "de_DE-thorsten-low"
    assert make_library(*NEURAL).default_fallback is None
    assert VoiceLibrary(default=DefaultVoice(LESSAC)).default_fallback is None


def test_the_embedded_voice_is_at_hand_whichever_others_are_installed() -> None:
    library = make_library(*NEURAL)
    assert [library.embedded_voice(tag).name for tag in ("de_AT", "tlh")] == ["espeak-de_DE", "espeak-en_US"]


async def test_the_configured_speaker_does_not_apply_to_the_fallback_voice() -> None:
    assert (await make_library(speaker="p225").resolve(VoiceRequest())).speaker is None


async def test_requests_wait_for_a_default_voice_that_is_downloading() -> None:
    async def arrive(_: str, *, may_download: bool, patience: float | None) -> None:
        library.replace([*EMBEDDED, *NEURAL])

    library = VoiceLibrary(default=DefaultVoice(LESSAC))
    library.set_missing_voice_hook(arrive)
    library.replace(EMBEDDED)
    assert await resolved_name(library, VoiceRequest()) == LESSAC


async def test_requests_do_not_wait_for_an_installed_default_voice() -> None:
    async def arrive(_: str, *, may_download: bool, patience: float | None) -> None:
        pytest.fail("waited")

    library = VoiceLibrary(default=DefaultVoice(LESSAC))
    library.set_missing_voice_hook(arrive)
    library.replace(NEURAL)
    assert await resolved_name(library, VoiceRequest()) == LESSAC


async def test_without_any_voice_the_error_gives_a_remedy() -> None:
    with pytest.raises(VoiceUnavailable, match="Reinstall"):
        await VoiceLibrary(default=DefaultVoice(LESSAC)).resolve(VoiceRequest())


def test_of_two_voices_with_one_name_the_first_is_kept() -> None:
    library = make_library(make_voice("twin", "de_DE"), make_voice("twin", "fr_FR"))
    assert [voice.language for voice in library.voices if voice.name == "twin"] == ["de_DE"]


CATALOGUE = Catalogue((FAR, CatalogueVoice("jf_alpha", "kokoro", "ja_JP", "fp32", 1, ())))
KOKORO = [
    make_voice("af_alloy", "en_US", "kokoro"),
    make_voice("am_onyx", "en_US", "kokoro"),
    make_voice("bm_lewis", "en_GB", "kokoro"),
    make_voice("ff_siwis", "fr_FR", "kokoro"),
]


def make_library_with_voices(
    *voices: Voice, default: DefaultVoice | None = None, catalogue: Catalogue = CATALOGUE, **names: object
) -> VoiceLibrary:
    library = VoiceLibrary(
        default=default or DefaultVoice(LESSAC),
        catalogue=lambda: catalogue.voices,
        rules=NameRules(**names),  # type: ignore[arg-type]
    )
    library.replace([*EMBEDDED, *voices])
    return library


@pytest.mark.parametrize("language", ["en", "fr"])
async def test_the_default_voice_is_preferred_for_its_language_in_every_region(language: str) -> None:
    french = make_voice("fr_CA-jean-low", "fr_CA")
    library = make_library_with_voices(*NEURAL, *KOKORO, french, default=DefaultVoice("fr_CA-jean-low"))
    expected = {"fr": "fr_CA-jean-low", "en": "af_alloy"}[language]
    assert await resolved_name(library, VoiceRequest(language=language)) == expected


async def test_a_neural_voice_of_another_region_precedes_the_embedded_voice_of_the_exact_region() -> None:
    library = make_library(NEURAL[0])
    assert await resolved_name(library, VoiceRequest(language="en_GB")) == LESSAC


@pytest.mark.parametrize(
    ("beginning", "expected"),
    [("de_DE-th", "de_DE-thorsten-low"), ("DE_at", "de_AT-wien-low"), ("espeak-fi", "espeak-fi")],
)
async def test_a_unique_prefix_of_a_voice_name_is_enough(beginning: str, expected: str) -> None:
    assert await resolved_name(make_library_with_voices(*NEURAL), VoiceRequest(beginning)) == expected


async def test_a_name_prefix_can_be_combined_with_a_speaker() -> None:
    assert (await make_library_with_voices(*NEURAL).resolve(VoiceRequest("en_GB-v#p225"))).speaker == 0


async def test_an_ambiguous_prefix_lists_the_candidates() -> None:
    with pytest.raises(
        UnknownVoice, match=r"2 voices begin with 'de_'.*de_AT-wien-low, de_DE-thorsten-low\."
    ):
        await make_library_with_voices(*NEURAL).resolve(VoiceRequest("de_"))


async def test_a_long_list_of_candidates_is_truncated() -> None:
    many = [make_voice(f"xx-{number:02}", "en_US") for number in range(15)]
    with pytest.raises(UnknownVoice, match=r"xx-09 and 5 more"):
        await make_library_with_voices(*many).resolve(VoiceRequest("xx"))


async def test_a_full_name_is_not_treated_as_a_prefix_of_longer_ones() -> None:
    twins = [make_voice("ann", "en_US"), make_voice("ann-marie", "en_US")]
    assert await resolved_name(make_library_with_voices(*twins), VoiceRequest("ann")) == "ann"


async def test_a_unique_prefix_finds_a_catalogue_voice() -> None:
    with pytest.raises(VoiceUnavailable, match="'de_DE-far-high' is not installed"):
        await make_library_with_voices(make_voice("de_AT-wien-low", "de_AT")).resolve(VoiceRequest("de_DE-f"))


@pytest.mark.parametrize("name", ["", "#", "#3"])
async def test_a_name_without_letters_is_not_a_prefix_of_every_voice(name: str) -> None:
    with pytest.raises(UnknownVoice):
        await make_library_with_voices().resolve(VoiceRequest(name))


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("alloy", "af_alloy"),
        ("Onyx", "am_onyx"),
        ("nova", "af_alloy"),
        ("female", "af_alloy"),
        ("male", "bm_lewis"),
        ("echo", "bm_lewis"),
    ],
)
async def test_an_openai_voice_name_maps_to_the_most_similar_kokoro_voice(name: str, expected: str) -> None:
    assert await resolved_name(make_library_with_voices(*NEURAL, *KOKORO), VoiceRequest(name)) == expected


@pytest.mark.parametrize("name", sorted(WELL_KNOWN))
async def test_without_kokoro_every_openai_voice_name_maps_to_the_default_voice(name: str) -> None:
    library = make_library_with_voices(*NEURAL, default=DefaultVoice("en_GB-vctk-medium", "p226"))
    spec = await library.resolve(VoiceRequest(name))
    assert (spec.voice.name, spec.speaker) == ("en_GB-vctk-medium", 1)


@pytest.mark.parametrize(
    ("name", "expected"), [("shimmer", "ff_siwis"), ("alloy", "ff_siwis"), ("onyx", "fr_FR-tom-medium")]
)
async def test_an_openai_voice_name_uses_the_language_of_the_default_voice(name: str, expected: str) -> None:
    default = DefaultVoice("fr_FR-tom-medium")
    library = make_library_with_voices(*KOKORO, make_voice(default.name, "fr_FR"), default=default)
    assert await resolved_name(library, VoiceRequest(name)) == expected


async def test_a_voice_with_an_openai_voice_name_keeps_it() -> None:
    assert (
        await resolved_name(
            make_library_with_voices(*KOKORO, make_voice("echo", "en_US")), VoiceRequest("echo")
        )
        == "echo"
    )


@pytest.mark.parametrize("name", ["alloy", "male"])
async def test_the_default_voice_may_be_an_openai_voice_name(name: str) -> None:
    library = make_library_with_voices(*KOKORO, default=DefaultVoice(name))
    assert library.default_is_installed
    assert await resolved_name(library, VoiceRequest()) == {"alloy": "af_alloy", "male": "bm_lewis"}[name]


async def test_without_kokoro_an_openai_voice_name_as_default_falls_back() -> None:
    library = make_library_with_voices(
        *NEURAL,
        default=DefaultVoice("alloy"),
        voice_map={"x": VoiceAlias("alloy"), "alloy": VoiceAlias("nova")},
    )
    assert not library.default_is_installed
    assert await resolved_name(library, VoiceRequest("x")) == LESSAC


@pytest.mark.parametrize("name", sorted({name for names in WELL_KNOWN.values() for name in names}))
def test_each_openai_voice_name_maps_to_an_existing_voice_of_its_gender(name: str) -> None:
    voice = NameResolver(catalogue=load_catalogue().voices).find_in_catalogue(name)
    assert voice is not None
    assert voice.gender is not None
    like = [known for known, names in WELL_KNOWN.items() if name in names]
    assert {WELL_KNOWN[known][0][1] for known in like} == {voice.gender.value[0]}


@pytest.mark.parametrize(
    ("target", "expected"),
    [
        ("de_AT-wien-low", "de_AT-wien-low"),
        ("en_GB-vctk-medium#p226", "en_GB-vctk-medium"),
        ("onyx", "am_onyx"),
        ("de_DE", "de_DE-thorsten-low"),
    ],
)
async def test_names_of_the_users_voice_map_take_precedence(target: str, expected: str) -> None:
    library = make_library_with_voices(
        *NEURAL, *KOKORO, voice_map={"Alloy": VoiceAlias(target), LESSAC: VoiceAlias("af_alloy")}
    )
    assert await resolved_name(library, VoiceRequest("alloy")) == expected
    assert await resolved_name(library, VoiceRequest(LESSAC)) == "af_alloy"


async def test_a_recipe_resolves_to_the_voice_of_the_blend_factory() -> None:
    recipe = "af_bella(2)+af_sky(1)"
    blend = make_voice(recipe, "en_US", "kokoro")
    library = make_library_with_voices(*KOKORO, blend={recipe: blend}.get, default=DefaultVoice(recipe))
    assert library.default_is_installed
    assert (await library.resolve(VoiceRequest(recipe))).voice is blend
    assert library.installed(recipe) is blend
    with pytest.raises(UnknownVoice, match="nobody"):
        await library.resolve(VoiceRequest("nobody(2)"))


async def test_an_overlong_name_is_abbreviated_in_the_error() -> None:
    with pytest.raises(UnknownVoice) as caught:
        await make_library_with_voices().resolve(VoiceRequest("x" * 1_000_000))
    assert len(str(caught.value)) < 300


async def test_suggestions_include_downloadable_voices_and_the_users_own_names() -> None:
    library = make_library_with_voices(*NEURAL, voice_map={"butler": VoiceAlias(LESSAC)})
    for typed, suggested in [("de_DE-fra-hihg", FAR.name), ("buttler", "butler"), ("allloy", "alloy")]:
        with pytest.raises(UnknownVoice, match=f"Did you mean {suggested}"):
            await library.resolve(VoiceRequest(typed))


async def test_the_fallback_voice_speaks_the_language_given_by_the_catalogue() -> None:
    library = make_library_with_voices(
        make_voice("espeak-ja", "ja_JP", "espeak"), default=DefaultVoice("jf_alpha")
    )
    assert await resolved_name(library, VoiceRequest()) == "espeak-ja"


async def test_a_default_voice_that_is_missing_is_told_of_without_a_request_for_it(
    caplog: pytest.LogCaptureFixture,
) -> None:
    assert await resolved_name(make_library(default=LESSAC), VoiceRequest()) == "espeak-en_US"
    assert caplog.messages == [f"The default voice {LESSAC} is not installed: espeak-en_US speaks instead."]


async def test_a_missing_voice_is_used_once_downloaded_and_otherwise_replaced_by_the_fallback(
    caplog: pytest.LogCaptureFixture,
) -> None:
    library, requested_names = make_library_with_voices(), list[str]()

    async def hook(name: str, *, may_download: bool, patience: float | None) -> None:
        assert may_download
        requested_names.append(name)

    library.set_missing_voice_hook(hook)
    with caplog.at_level(logging.WARNING):
        for _ in range(3):
            spec = await library.resolve(VoiceRequest("DE_de-far-high", speaker="9"))
            assert spec == VoiceSpec(EMBEDDED[0])
    assert caplog.messages == [
        "The voice de_DE-far-high was requested but is not installed: espeak-de_DE speaks instead."
    ]
    assert requested_names == [FAR.name] * 3
    library.replace([*EMBEDDED, make_voice(FAR.name, "de_DE")])
    assert await resolved_name(library, VoiceRequest(FAR.name)) == FAR.name
    assert len(requested_names) == 3


def make_library_with_an_unusable_voice(*, default: str = LESSAC) -> VoiceLibrary:
    """The voice is in the catalogue, and another one is not."""
    library = make_library_with_voices(default=DefaultVoice(default), blend=blends.get)
    unusable = [
        UnusableVoice(make_voice(name, "ja_JP", "kokoro"), "it needs the package misaki", "Install it.")
        for name in ("jf_alpha", "jf_own")
    ]
    library.replace([*EMBEDDED, *KOKORO], unusable)
    return library


blends = {"jf_alpha+jf_own": make_voice("jf_alpha+jf_own", "ja_JP", "kokoro")}


@pytest.mark.parametrize("name", ["jf_alpha", "JF-alpha", "jf_alpha#1", "jf_own", "jf_alpha+jf_own"])
async def test_a_voice_that_cannot_speak_is_refused_with_the_reason_and_what_to_do(name: str) -> None:
    library = make_library_with_an_unusable_voice()

    async def hook(name: str, *, may_download: bool, patience: float | None) -> None:
        raise AssertionError(f"{name} is asked for, {may_download}")

    library.set_missing_voice_hook(hook)
    with pytest.raises(VoiceUnavailable, match=r"cannot speak: it needs the package misaki\.") as error:
        await library.resolve(VoiceRequest(name))
    assert error.value.hint == "Install it."
    with pytest.raises(VoiceUnavailable, match="cannot speak"):
        library.resolve_now(VoiceRequest(name))


async def test_a_default_voice_that_cannot_speak_has_a_fallback() -> None:
    library = make_library_with_an_unusable_voice(default="jf_alpha")
    assert (await library.resolve(VoiceRequest())).reason == "fallback"
    assert library.why_unusable("jf_alpha")


def test_voices_that_cannot_speak_are_not_listed_but_can_be_blended() -> None:
    library = make_library_with_an_unusable_voice()
    assert "jf_alpha" not in [voice.name for voice in library.voices]
    assert "jf_alpha" not in [voice.name for voice in library.downloadable]
    assert {"jf_alpha", "jf_own", "af_alloy"} <= {voice.name for voice in library.blendable}
    library.replace([*EMBEDDED, *KOKORO])
    assert not library.why_unusable("jf_alpha")


def test_the_downloadable_voices_are_those_not_installed() -> None:
    assert [voice.name for voice in make_library_with_voices().downloadable] == ["de_DE-far-high", "jf_alpha"]
    assert [voice.name for voice in make_library_with_voices(make_voice(FAR.name, "de_DE")).downloadable] == [
        "jf_alpha"
    ]
