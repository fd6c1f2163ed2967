"""Blend recipes: parsing of every notation into one canonical form."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wyoming_tts.errors import BadRequest, TooLong
from wyoming_tts.voices.blends.recipes import MAX_PARTS, Recipe, looks_like_recipe, parse_recipe

NAMES = st.from_regex(r"[a-z][fm]_[a-z]{1,8}", fullmatch=True) | st.from_regex(
    r"[A-Za-z][A-Za-z0-9_]{0,63}", fullmatch=True
)
WEIGHTS = st.decimals("-1000", "1000", places=6, allow_nan=False, allow_infinity=False)


@st.composite
def recipes(draw: st.DrawFn) -> Recipe:
    weights = draw(st.dictionaries(NAMES, WEIGHTS.filter(bool), min_size=1, max_size=MAX_PARTS))
    if all(weight < 0 for weight in weights.values()):
        weights = {name: -weight for name, weight in weights.items()}
    return Recipe.of(weights.items())


@given(recipes())
def test_parsing_a_printed_recipe_gives_the_same_recipe(recipe: Recipe) -> None:
    if len(str(recipe)) <= 1000:
        assert parse_recipe(str(recipe)) == recipe
        assert str(parse_recipe(str(recipe))) == str(recipe)


@given(recipes(), st.randoms(use_true_random=False))
def test_the_order_of_voices_in_a_recipe_does_not_matter(recipe: Recipe, random: object) -> None:
    parts = [(part.voice, part.weight) for part in recipe.parts]
    random.shuffle(parts)  # type: ignore[attr-defined]
    assert Recipe.of(parts) == recipe
    text = ",".join(f"{voice}:{weight:f}" for voice, weight in parts)
    if len(text) <= 1000:
        assert parse_recipe(text) == recipe


@pytest.mark.parametrize(
    ("recipe_text", "canonical"),
    [
        ("af_bella(2)+af_sky(1)", "af_bella(2)+af_sky"),
        ("af_sky(1)+af_bella(2)", "af_bella(2)+af_sky"),
        ("af_bella+af_sky", "af_bella+af_sky"),
        ("af_aoede+af_aoede+af_nicole", "af_aoede(2)+af_nicole"),
        ("60*af_bella+40*af_sky", "af_bella(60)+af_sky(40)"),
        ("af_bella*60 + af_sky*40", "af_bella(60)+af_sky(40)"),
        ("af_bella:60,af_sky:40", "af_bella(60)+af_sky(40)"),
        (" af_bella : .50 , af_sky ( 0.250 ) ", "af_bella(0.5)+af_sky(0.25)"),
        ("af_bella,af_sky", "af_bella+af_sky"),
        ("af_bella-af_sky(0.5)", "af_bella-af_sky(0.5)"),
        ("af_sky-af_bella(0.5)", "-af_bella(0.5)+af_sky"),
        ("-af_bella(0.5)+af_sky", "-af_bella(0.5)+af_sky"),
        ("af_sky(2)+af_bella(-1)", "-af_bella+af_sky(2)"),
        ("af_bella+af_sky-af_sky", "af_bella"),
        ("af_bella(1.0)", "af_bella"),
        ("af_bella(100)", "af_bella(100)"),
        ("zf_001(2)+Evening_2", "Evening_2+zf_001(2)"),
    ],
)
def test_every_notation_has_one_canonical_form(recipe_text: str, canonical: str) -> None:
    assert str(parse_recipe(recipe_text)) == canonical


@pytest.mark.parametrize(
    ("recipe_text", "expected_message"),
    [
        ("", "the end at column 1, expected the name of a voice"),
        ("af_bella+", "the end at column 10, expected the name of a voice"),
        ("af_bella af_sky", "'af_sky' at column 10, expected [+] or - or a comma"),
        ("af_bella(2", "the end at column 11, expected [)]"),
        ("af_bella(x)", "'x' at column 10, expected a weight"),
        ("2af_bella", "'af_bella' at column 2, expected [*]"),
        ("2*af_bella(3)", "has the weight 2 already"),
        ("af_bella+  ü", "'ü' at column 12, expected a voice"),
        ("af_bella(2)+af_sky(1e3)", "'e3' at column 21"),
        ("af_bella(0.1234567)", "too many digits"),
        ("af_bella(1001)", "weight of af_bella is 1001"),
        ("af_bella(600)+af_bella(600)", "weight of af_bella is 1200"),
        ("af_bella-af_bella", "Nothing is left"),
        ("-af_bella", "Nothing is left"),
        ("af_bella(0)", "Nothing is left"),
        (f"{'a' * 65}+af_sky", "not a valid name for a blend"),
        ("af_bella(²)", "'²' at column 10"),
    ],
)
def test_the_error_for_a_malformed_recipe_gives_the_position_and_what_was_expected(
    recipe_text: str, expected_message: str
) -> None:
    with pytest.raises(BadRequest, match=expected_message):
        parse_recipe(recipe_text)


@pytest.mark.parametrize("recipe_text", ["+".join(["af_sky"] * (MAX_PARTS + 1)), "a" * 1001])
def test_a_recipe_that_exceeds_a_limit_is_rejected(recipe_text: str) -> None:
    with pytest.raises(TooLong, match=r"more than|at most"):
        parse_recipe(recipe_text)


@given(st.text(alphabet="af_bella(2)+-*:,. 01é", max_size=60) | st.text(max_size=60))
def test_any_text_parses_as_a_recipe_or_is_a_bad_request(text: str) -> None:
    try:
        recipe = parse_recipe(text)
    except BadRequest:
        return
    assert parse_recipe(str(recipe)) == recipe


@pytest.mark.parametrize(
    ("recipe_text", "canonical"),
    [
        ("AF_Bella(2)+af-sky", "af_bella(2)+af_sky"),
        ("af-bella-af_sky", "af_bella-af_sky"),
        ("af_bella-af-sky", "af_bella-af_sky"),
        ("af-bella-0.5*AF-SKY", "af_bella-af_sky(0.5)"),
        ("bella-af_sky", "-af_sky+bella"),
        ("af_bella-af-nobody", "-af+af_bella-nobody"),
    ],
)
def test_known_voices_may_be_written_in_another_case_and_with_hyphens(
    recipe_text: str, canonical: str
) -> None:
    known = ["af_bella", "af_sky", "bella"]
    assert str(parse_recipe(recipe_text, known)) == canonical


def test_renaming_a_voice_in_a_recipe_merges_it_with_an_existing_part() -> None:
    assert str(parse_recipe("a(2)+b").renamed("a", "c")) == "b+c(2)"
    assert Recipe.of([("a", Decimal(1)), ("b", Decimal(1))]).renamed("a", "b") == parse_recipe("b(2)")


@pytest.mark.parametrize("name", ["af_bella+af_sky", "2*af_bella", "af_bella:1", "a(2)", "af_bella-af_sky"])
def test_recipe_notation_is_distinguished_from_a_voice_name(name: str) -> None:
    assert looks_like_recipe(name)


@pytest.mark.parametrize("name", ["af_bella", "en_US-lessac-medium", "de_DE-thorsten-low#2", "espeak-en-us"])
def test_a_voice_name_is_not_parsed_as_a_recipe(name: str) -> None:
    assert not looks_like_recipe(name)
