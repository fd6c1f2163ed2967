"""Voice name resolution, which is the same for every caller."""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Sequence
from dataclasses import replace
from types import MappingProxyType

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from wyoming_tts.errors import BadRequest, UnknownVoice, VoiceUnavailable
from wyoming_tts.speech import Attribution, Voice, VoiceAlias, VoiceRequest
from wyoming_tts.voices.catalogue import CatalogueVoice, load_catalogue
from wyoming_tts.voices.inventory import Inventory
from wyoming_tts.voices.library import DefaultVoice, VoiceLibrary
from wyoming_tts.voices.names import (
    WELL_KNOWN,
    NameResolver,
    NameRules,
    ResolvedName,
    check_name_is_free,
    did_you_mean,
    find_catalogue_voice,
    find_name,
    fold_case,
    fold_name,
)

CATALOGUE = load_catalogue().voices
SHIPPED = NameResolver(catalogue=CATALOGUE)

# Includes letters whose case mapping or composition differs from ASCII.
NAMES = st.text("abAB12_-éÉßñİ", min_size=1, max_size=6)
ENGINES = st.sampled_from(["piper", "kokoro", "espeak"])


def make_voice(name: str, engine: str = "piper", language: str = "en_US") -> Voice:
    return Voice(
        name=name,
        engine=engine,
        language=language,
        description=name,
        sample_rate=22_050,
        model=name,
        attribution=Attribution("nobody", ""),
        speakers=MappingProxyType({"one": 0, "two": 1}),
    )


def make_catalogue_voice(name: str, *aliases: str) -> CatalogueVoice:
    return CatalogueVoice(name, "piper", "en_US", "low", 1, (), aliases=aliases)


def sorted_voices(names: Sequence[str]) -> tuple[Voice, ...]:
    return tuple(make_voice(name) for name in sorted(names))


@st.composite
def states(draw: st.DrawFn) -> tuple[NameResolver, VoiceLibrary]:
    """A resolver and its library, with installed and catalogue voices, a voice map and a default."""
    installed = draw(st.lists(NAMES, unique_by=fold_name, max_size=5))
    known = draw(st.lists(NAMES, unique_by=fold_name, max_size=5))
    default = draw(st.sampled_from([*installed, *known, "alloy", "nobody"]))
    mapped = draw(
        st.dictionaries(NAMES, st.sampled_from([*installed, *known, "male"]).map(VoiceAlias), max_size=2)
    )
    could_be = tuple(map(make_catalogue_voice, known))
    library = VoiceLibrary(
        default=DefaultVoice(default), catalogue=lambda: could_be, rules=NameRules(voice_map=mapped)
    )
    engines = draw(st.lists(ENGINES, min_size=len(installed), max_size=len(installed)))
    library.replace([make_voice("espeak-en-us", "espeak"), *map(make_voice, installed, engines)])
    return library.names, library


def resolution_of(find: Callable[[], Voice | None]) -> Voice | str | None:
    """The voice found, None if it is not installed, or the error message if there is none."""
    try:
        return find()
    except VoiceUnavailable:
        return None
    except UnknownVoice as error:
        return str(error)


# By name and alias


@pytest.mark.parametrize("name", ["en_US-lessac-medium", "EN_us-Lessac-MEDIUM", "en-us-lessac-medium"])
def test_voice_names_and_aliases_are_case_insensitive(name: str) -> None:
    voice = SHIPPED.find_in_catalogue(name)
    assert voice is not None
    assert voice.name == "en_US-lessac-medium"


def test_a_decomposed_unicode_name_is_the_same_name() -> None:
    assert SHIPPED.find_in_catalogue(unicodedata.normalize("NFD", "pt_PT-tugão-medium")) is not None


@pytest.mark.parametrize("name", ["", "en_US", "en_US-lessac", "en_US-lessac-medium.onnx"])
def test_an_unknown_name_finds_nothing(name: str) -> None:
    assert SHIPPED.find_exact(name) is None


def test_a_voice_name_takes_precedence_over_an_alias() -> None:
    named, aliased = make_catalogue_voice("a"), make_catalogue_voice("b", "A")
    for known in [(named, aliased), (aliased, named)]:
        assert NameResolver(catalogue=known).find_in_catalogue("a") is named


def test_an_installed_voice_name_takes_precedence_over_a_catalogue_alias() -> None:
    installed = make_voice("a")
    assert NameResolver((installed,), (make_catalogue_voice("b", "A"),)).resolve("A") == ResolvedName(
        "a", installed
    )


def test_among_voices_differing_only_in_case_the_exact_name_wins() -> None:
    resolver = NameResolver(sorted_voices(["Ann", "ann"]))
    assert [resolver.resolve(name).name for name in ("ann", "Ann", "ANN")] == ["ann", "Ann", "Ann"]


@given(states())
def test_every_voice_is_found_by_its_own_name(state: tuple[NameResolver, VoiceLibrary]) -> None:
    resolver, _ = state
    for voice in resolver.voices:
        found = resolver.find_exact(voice.name)
        assert found is not None
        assert found.voice is voice
    for known in resolver.catalogue:
        assert resolver.find_in_catalogue(known.name) is known


@given(st.lists(NAMES, unique_by=fold_name, min_size=1, max_size=6), st.data())
def test_case_and_unicode_composition_do_not_change_a_name(names: list[str], data: st.DataObject) -> None:
    name = data.draw(st.sampled_from(names))
    assume("İ" not in name)  # its lower case is two characters, which have no single upper case
    resolver = NameResolver(sorted_voices(names))
    similar = (name.replace("-", "_"), name.replace("_", "-").upper())
    for written in (name.upper(), name.lower(), unicodedata.normalize("NFD", name), *similar):
        assert resolver.resolve(written).name == name
        assert find_name(written, names) is not None


@pytest.mark.parametrize("name", ["en-us-lessac_medium", "EN-US_LESSAC-MEDIUM", "en_US_lessac_medium"])
def test_hyphens_and_underscores_are_equal(name: str) -> None:
    voice = SHIPPED.find_in_catalogue(name)
    assert voice is not None
    assert voice.name == "en_US-lessac-medium"


def test_a_name_as_written_wins_over_one_with_other_separators() -> None:
    resolver = NameResolver(sorted_voices(["my-ann", "my_ann"]), (make_catalogue_voice("my-bob"),))
    assert [resolver.resolve(name).name for name in ("my-ann", "my_ann", "MY_ANN")] == [
        "my-ann",
        "my_ann",
        "my_ann",
    ]
    assert NameResolver((make_voice("my_bob"),), resolver.catalogue).resolve("my-bob").voice is None


def test_a_name_that_differs_in_separators_from_several_voices_means_none_of_them() -> None:
    resolver = NameResolver(sorted_voices(["my-old_ann", "my_old-ann"]))
    with pytest.raises(UnknownVoice, match="2 voices begin with 'my-old-ann'") as error:
        resolver.resolve("my-old-ann")
    assert error.value.hint == "Choose one of my-old_ann, my_old-ann."


def test_a_mapped_name_may_be_written_alike_unless_it_is_that_of_a_voice() -> None:
    rules = NameRules(voice_map={"the_butler": VoiceAlias("ann")})
    assert NameResolver(sorted_voices(["ann"]), rules=rules).resolve("The-Butler").name == "ann"
    assert (
        NameResolver(sorted_voices(["ann", "the-butler"]), rules=rules).resolve("The-Butler").name
        == "the-butler"
    )


def test_a_prefix_as_written_wins_over_one_with_other_separators() -> None:
    assert NameResolver(sorted_voices(["my-ann", "my_bob"])).resolve("my_").name == "my_bob"


# By engine and language

ESPEAK = [
    make_voice(f"espeak-{name}", "espeak", tag)
    for name, tag in {
        "cmn": "zh_CN",
        "en-029": "en_029",
        "en-gb": "en_GB",
        "en-gb-x-rp": "en_GB",
        "en-us": "en_US",
        "en-us-nyc": "en_US",
        "fr-be": "fr_BE",
        "fr-ch": "fr_CH",
        "fr-fr": "fr_FR",
        "nb": "no_NO",
        "pt": "pt_PT",
        "pt-br": "pt_BR",
    }.items()
]


@pytest.mark.parametrize(
    ("name", "voice"),
    [
        ("espeak-fr", "espeak-fr-fr"),
        ("espeak_FR", "espeak-fr-fr"),
        ("espeak-fr-BE", "espeak-fr-be"),
        ("espeak-en", "espeak-en-us"),
        ("espeak-en_GB", "espeak-en-gb"),
        ("espeak-pt", "espeak-pt"),
        ("espeak-pt_PT", "espeak-pt"),
        ("espeak-zh", "espeak-cmn"),
        ("espeak-no", "espeak-nb"),
    ],
)
def test_an_engine_and_a_language_mean_its_voice_of_the_likely_region(name: str, voice: str) -> None:
    resolver = NameResolver([*ESPEAK, make_voice("fr_FR-siwis-low", language="fr_FR")])
    assert resolver.resolve(name).name == voice


@pytest.mark.parametrize(
    "name", ["espeak-fr-ca", "espeak-xx", "espeak-en-g", "piper-fr", "espeak-", "espeak"]
)
def test_other_beginnings_of_an_engines_voices_mean_none_of_them(name: str) -> None:
    with pytest.raises(UnknownVoice):
        NameResolver(ESPEAK).resolve(name)


# By prefix


@given(st.lists(NAMES, unique_by=fold_name, min_size=1, max_size=6), st.data())
def test_every_unique_prefix_resolves_to_its_voice(names: list[str], data: st.DataObject) -> None:
    name = data.draw(st.sampled_from(names))
    beginning = name[: data.draw(st.integers(1, len(name)))]
    installed = data.draw(st.sampled_from([(), sorted_voices(names)]))
    resolver = NameResolver(installed, tuple(map(make_catalogue_voice, names)))
    found = next(
        filter(
            None,
            (
                [other for other in names if is_match(fold(other), fold(beginning))]
                for is_match in (str.__eq__, str.startswith)
                for fold in (fold_case, fold_name)
            ),
        )
    )
    if len(found) == 1:
        assert resolver.resolve(beginning).name == found[0]
    else:
        with pytest.raises(UnknownVoice, match="Choose one of"):
            resolver.resolve(beginning)


@pytest.mark.parametrize("voice", CATALOGUE, ids=lambda voice: voice.name)
def test_each_catalogue_voice_resolves_from_its_shortest_unique_prefix(voice: CatalogueVoice) -> None:
    others = [fold_name(other.name) for other in CATALOGUE if other is not voice]
    name = fold_name(voice.name)
    unique = next(
        (name[:end] for end in range(1, len(name)) if not any(o.startswith(name[:end]) for o in others)), name
    )
    assert SHIPPED.resolve(unique).catalogue_voice is voice


def test_a_prefix_prefers_an_installed_voice_over_catalogue_voices() -> None:
    resolver = NameResolver(
        (make_voice("ann-low"),), (make_catalogue_voice("ann-high"), make_catalogue_voice("ann-medium"))
    )
    assert resolver.resolve("ann").name == "ann-low"


# All rules combined


@given(states(), NAMES | st.sampled_from([*WELL_KNOWN, "nobody", "espeak-en-us#two"]))
def test_a_name_resolves_alike_on_the_server_and_on_the_command_line(
    state: tuple[NameResolver, VoiceLibrary], name: str
) -> None:
    resolver, library = state
    resolved = resolution_of(lambda: Inventory(resolver, (), ()).find(name).voice)
    assert resolved == resolution_of(lambda: library.installed(name))
    if isinstance(resolved, Voice):
        assert library.resolve_now(VoiceRequest(name)).voice is resolved


@given(states(), st.sampled_from([*WELL_KNOWN]))
def test_an_openai_voice_name_always_resolves(state: tuple[NameResolver, VoiceLibrary], name: str) -> None:
    resolver, _ = state
    assume(name not in {voice.name for voice in resolver.voices})
    resolver.resolve(name)


@given(states(), NAMES)
def test_a_speaker_can_be_appended_to_every_voice_name(
    state: tuple[NameResolver, VoiceLibrary], speaker: str
) -> None:
    resolver, _ = state
    for voice in resolver.voices:
        if (plain := resolver.find_exact(voice.name)) is not None:
            unmapped = NameResolver(resolver.voices, resolver.catalogue)
            assert unmapped.resolve(f"{voice.name}#{speaker}") == replace(plain, speaker=speaker)


def test_a_default_voice_given_by_map_alias_or_prefix_is_known_by_its_own_name() -> None:
    known = (make_catalogue_voice("en_GB-alan-low", "butler"),)
    for name in ("mapped", "butler", "en_GB-al"):
        rules = NameRules(voice_map={"mapped": VoiceAlias("en_GB-alan-low")}, default=name)
        assert NameResolver(catalogue=known, rules=rules).default().name == "en_GB-alan-low"


def test_an_unresolvable_default_voice_counts_as_not_installed() -> None:
    default = NameResolver(rules=NameRules(default="de_DE-gone-low")).default()
    assert (default, default.language) == (ResolvedName("de_DE-gone-low"), "de_DE")


def test_a_speaker_given_with_the_default_voice_is_used() -> None:
    library = VoiceLibrary(default=DefaultVoice("ann#two"))
    library.replace([make_voice("ann")])
    assert library.resolve_now(VoiceRequest()).speaker == 1
    assert library.resolve_now(VoiceRequest(speaker="one")).speaker == 0


# Names to download


def test_names_to_download_resolve_in_the_catalogue_only() -> None:
    known = (make_catalogue_voice("ann-high"), make_catalogue_voice("bob-low"))
    assert find_catalogue_voice(known, "ann").name == "ann-high"
    assert find_catalogue_voice(known, "bob-low#3").name == "bob-low"
    for name in ("alloy", "carl", ""):
        with pytest.raises(UnknownVoice):
            find_catalogue_voice(known, name)


# Suggestions


def test_a_name_that_differs_from_another_only_in_case_is_rejected() -> None:
    check_name_is_free("ann", ["bob"])
    with pytest.raises(BadRequest, match="The name ANN is taken by the voice ann"):
        check_name_is_free("ANN", ["ann", "bob"])


def test_a_name_that_differs_from_others_only_in_separators_is_rejected() -> None:
    with pytest.raises(BadRequest, match="The name my_old_ann is taken by the voice my-old_ann"):
        check_name_is_free("my_old_ann", ["my-old_ann", "my_old-ann"])


def test_suggested_names_keep_their_original_spelling() -> None:
    assert did_you_mean("dwan", ["Dawn", "noon"]) == "Did you mean Dawn?"
    assert did_you_mean("zzz", ["Dawn", "noon"]) == ""
