"""Mixing of style tables: precision, order independence and cycle detection."""

from __future__ import annotations

import math
from decimal import Decimal

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from wyoming_tts.errors import BadRequest, TooLong, UnknownVoice
from wyoming_tts.style_tables import StyleTable, check_style_table
from wyoming_tts.voices.blends.mixing import Blend, BlendSet, SpokenLanguage
from wyoming_tts.voices.blends.recipes import Recipe, parse_recipe

VOICES = {"af_bella": "en_US", "af_sky": "en_US", "bf_emma": "en_GB", "ff_siwis": "fr_FR"}
EMPTY = BlendSet()
SHARES = st.dictionaries(
    st.sampled_from(["a", "b", "c", "d"]), st.decimals("0.001", "1000", places=3), min_size=1, max_size=4
)


def make_table(seed: str, rows: int = 3) -> StyleTable:
    generator = np.random.default_rng([ord(letter) for letter in seed])
    return generator.normal(0, 0.5, (rows, 1, 256)).astype(np.float32)


def make_blend(recipe: str, name: str = "mine", *, spherical: bool = False, normalized: bool = True) -> Blend:
    return Blend(name, parse_recipe(recipe), spherical=spherical, normalized=normalized)


def mix(blend: Blend, book: BlendSet = EMPTY) -> StyleTable:
    return book.mix(blend, make_table)


@pytest.mark.parametrize("spherical", [False, True])
@pytest.mark.parametrize("recipe", ["a", "a(7)", "a+a", "a+b-b"])
def test_a_blend_of_one_voice_is_bit_identical_to_that_voice(recipe: str, spherical: bool) -> None:  # noqa: FBT001
    table = make_table("a")
    table[0, 0, 0] = -0.0
    result = EMPTY.mix(make_blend(recipe, spherical=spherical), lambda _: table)
    assert result.tobytes() == table.tobytes()
    assert result.shape == (3, 1, 256)


@given(SHARES, st.booleans(), st.randoms(use_true_random=False))
def test_the_order_of_the_weights_does_not_change_a_single_bit(
    shares: dict[str, Decimal],
    spherical: bool,  # noqa: FBT001
    random: object,
) -> None:
    shuffled = list(shares.items())
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    one, other = (Blend("x", Recipe.of(parts), spherical=spherical) for parts in (shares.items(), shuffled))
    assert mix(one).tobytes() == mix(other).tobytes()


@given(SHARES, st.booleans())
def test_mixing_in_float32_stays_within_a_millionth_of_float64(
    shares: dict[str, Decimal],
    normalized: bool,  # noqa: FBT001
) -> None:
    result = mix(Blend("x", Recipe.of(shares.items()), normalized=normalized))
    whole = sum(shares.values()) if normalized else Decimal(1)
    exact = sum(
        float(weight / whole) * make_table(name).astype(np.float64) for name, weight in shares.items()
    )
    size = 1.0 if normalized else float(sum(shares.values()))
    np.testing.assert_allclose(result, exact, rtol=0, atol=1e-6 * size)


@given(SHARES)
def test_normalized_weights_matter_only_in_proportion(shares: dict[str, Decimal]) -> None:
    tenth = {name: weight / 10 for name, weight in shares.items()}
    np.testing.assert_allclose(
        mix(Blend("x", Recipe.of(shares.items()))), mix(Blend("x", Recipe.of(tenth.items()))), atol=1e-6
    )


def test_a_negative_weight_subtracts_its_share_of_the_total_magnitude() -> None:
    expected = 0.75 * make_table("a").astype(np.float64) - 0.25 * make_table("b")
    np.testing.assert_allclose(mix(make_blend("a(3)-b(1)")), expected, atol=1e-6)


def test_weights_are_used_as_given_when_normalization_is_off() -> None:
    expected = 2 * make_table("a").astype(np.float64) - 0.5 * make_table("b")
    np.testing.assert_allclose(mix(make_blend("a(2)-b(0.5)", normalized=False)), expected, atol=1e-6)


@given(st.integers(1, 999))
def test_spherical_mixing_of_two_voices_is_shoemakes_slerp(thousandths: int) -> None:
    share = thousandths / 1000
    one, other = make_table("a").astype(np.float64), make_table("b").astype(np.float64)
    lengths = np.linalg.norm(one, axis=-1, keepdims=True), np.linalg.norm(other, axis=-1, keepdims=True)
    angle = np.arccos((one / lengths[0] * (other / lengths[1])).sum(axis=-1, keepdims=True))
    parts = np.sin(share * angle) * one / lengths[0] + np.sin((1 - share) * angle) * other / lengths[1]
    expected = parts / np.sin(angle) * (share * lengths[0] + (1 - share) * lengths[1])
    result = mix(make_blend(f"a({share})+b({1 - share:.3f})", spherical=True))
    np.testing.assert_allclose(result, expected, atol=1e-6)


@given(SHARES)
def test_spherical_mixing_keeps_the_vector_length_that_linear_mixing_loses(
    shares: dict[str, Decimal],
) -> None:
    recipe = Recipe.of(shares.items())
    arcs, lines = mix(Blend("x", recipe, spherical=True)), mix(Blend("x", recipe))
    whole = float(sum(shares.values()))
    lengths = sum(
        float(weight) / whole * np.linalg.norm(make_table(name), axis=-1) for name, weight in shares.items()
    )
    np.testing.assert_allclose(np.linalg.norm(arcs, axis=-1), lengths, rtol=1e-5)
    assert (np.linalg.norm(lines, axis=-1) <= lengths * (1 + 1e-6)).all()


def test_rows_without_a_spherical_mean_are_mixed_linearly() -> None:
    tables = {"a": make_table("a"), "b": make_table("b")}
    tables["a"][0] = 0
    tables["b"][1] = -tables["a"][1]
    result = EMPTY.mix(make_blend("a+b", spherical=True), tables.__getitem__)
    np.testing.assert_allclose(result[0], tables["b"][0] / 2, atol=1e-6)
    np.testing.assert_allclose(result[1], 0, atol=1e-6)
    assert np.isfinite(result).all()


def test_spherical_mixing_refuses_negative_weights() -> None:
    with pytest.raises(BadRequest, match="spherical mixing does not support"):
        make_blend("a-b(0.5)", spherical=True)


def test_a_nested_blend_is_first_mixed_with_its_own_options() -> None:
    inner = make_blend("a+b", "inner", spherical=True)
    book = BlendSet.of([inner])
    expected = (mix(inner).astype(np.float64) * 3 + make_table("c")) / 4
    np.testing.assert_allclose(mix(make_blend("inner(3)+c"), book), expected, atol=1e-6)
    assert book.pack_voices(make_blend("inner+c")) == {"a", "b", "c"}
    assert mix(make_blend("inner"), book).tobytes() == mix(inner).tobytes()


@pytest.mark.parametrize("recipes", [{"one": "one+a"}, {"one": "two", "two": "three+a", "three": "one(2)-a"}])
def test_a_cyclic_blend_is_rejected_and_the_error_names_the_cycle(recipes: dict[str, str]) -> None:
    blends = [make_blend(recipe, name) for name, recipe in recipes.items()]
    with pytest.raises(BadRequest, match=r"contain itself: one → .*one"):
        BlendSet.of(blends)


@pytest.mark.parametrize("reverse", [False, True])
def test_blends_nested_too_deeply_are_rejected(reverse: bool) -> None:  # noqa: FBT001
    chain = [make_blend(f"b{number + 1}", f"b{number}") for number in range(1000)]
    assert len(BlendSet.of(chain[:16]).blends) == 16
    with pytest.raises(BadRequest, match="more than 16 deep"):
        BlendSet.of(chain[:17][::-1] if reverse else chain)


def test_a_blend_reached_by_many_paths_is_resolved_once() -> None:
    layers = [
        make_blend(f"x{depth + 1}+y{depth + 1}" if depth < 14 else "a+b", f"{side}{depth}")
        for depth in range(15)
        for side in "xy"
    ]
    book = BlendSet.of(layers)
    calls: list[str] = []

    def style(name: str) -> StyleTable:
        calls.append(name)
        return make_table(name)

    result = book.mix(book.blends["x0"], style)
    assert calls == ["a", "b"]
    np.testing.assert_allclose(result, (make_table("a") + make_table("b")) / 2, atol=1e-6)


def test_style_tables_of_different_lengths_are_rejected() -> None:
    with pytest.raises(BadRequest, match="a 3, b 4 rows"):
        EMPTY.mix(make_blend("a+b"), lambda name: make_table(name, 3 if name == "a" else 4))


@pytest.mark.parametrize("shape", [(0, 1, 256), (510, 2, 256), (510, 255), (256,), ()])
def test_a_style_table_of_the_wrong_shape_is_rejected(shape: tuple[int, ...]) -> None:
    with pytest.raises(BadRequest, match="expected"):
        check_style_table(np.zeros(shape, np.float32), "x")


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_a_style_table_with_non_finite_values_is_rejected(value: float) -> None:
    with pytest.raises(BadRequest, match="no finite"):
        check_style_table(np.full((2, 256), value, np.float32), "x")


@pytest.mark.parametrize(
    ("recipe", "spoken"),
    [
        ("af_bella+af_sky", SpokenLanguage("en_US", is_certain=True)),
        ("af_bella+bf_emma(2)", SpokenLanguage("en_GB", is_certain=False)),
        ("af_bella+bf_emma", SpokenLanguage("en_US", is_certain=False)),
        ("french+ff_siwis", SpokenLanguage("fr_FR", is_certain=True)),
        ("unsure+af_bella", SpokenLanguage("en_US", is_certain=False)),
    ],
)
def test_a_blend_speaks_the_language_of_its_voices(recipe: str, spoken: SpokenLanguage) -> None:
    book = BlendSet.of(
        [
            Blend("french", parse_recipe("af_bella+bf_emma"), language="fr-fr"),
            make_blend("af_bella(2)+ff_siwis", "unsure"),
        ]
    )
    assert book.language(make_blend(recipe), VOICES) == spoken


def test_a_blend_speaks_the_language_it_names() -> None:
    blend = Blend("x", parse_recipe("af_bella+bf_emma"), language="en-gb")
    assert EMPTY.language(blend, VOICES) == SpokenLanguage("en_GB", is_certain=True)


def test_an_unknown_voice_error_suggests_the_nearest_name() -> None:
    with pytest.raises(UnknownVoice, match=r"af_bela.*Did you mean af_bella"):
        EMPTY.language(make_blend("af_bela+af_sky"), VOICES)


def test_the_identity_of_a_blend_changes_with_its_sound_but_not_with_its_name() -> None:
    def identity(inner: str, recipe: str = "inner+a", name: str = "x", *, spherical: bool = False) -> str:
        book = BlendSet.of([make_blend(inner, "inner")])
        return book.identity(make_blend(recipe, name, spherical=spherical))

    assert identity("b+c") == identity("b+c", name="y") == identity("c+b", "a+inner")
    changed = [identity("b+c(2)"), identity("b+c", "inner(2)+a"), identity("b+c", spherical=True)]
    assert len({identity("b+c"), *changed}) == 4


@pytest.mark.parametrize("name", ["", "a b", "a-b", "1a", "a+b", "ä", "../a", "a" * 65])
def test_a_blend_name_that_could_be_a_recipe_or_a_path_is_rejected(name: str) -> None:
    with pytest.raises(BadRequest, match="is not a valid name"):
        make_blend("a", name)


def test_blend_descriptions_and_languages_are_validated() -> None:
    with pytest.raises(BadRequest, match="one line"):
        Blend("x", parse_recipe("a"), description="two\nlines")
    with pytest.raises(TooLong, match="201 characters"):
        Blend("x", parse_recipe("a"), description="d" * 201)
    with pytest.raises(BadRequest, match="The title has 65 characters"):
        Blend("x", parse_recipe("a"), title="t" * 65)
    with pytest.raises(BadRequest, match="one line"):
        Blend("x", parse_recipe("a"), title="two\nlines")
    with pytest.raises(BadRequest, match="is not a language tag"):
        Blend("x", parse_recipe("a"), language="english")
