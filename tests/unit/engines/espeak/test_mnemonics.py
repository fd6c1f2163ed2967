from __future__ import annotations

from pathlib import Path

import espeakng_loader
import pytest
from hypothesis import given
from hypothesis import strategies as st

from wyoming_tts.engines.espeak.mnemonics import _BOUNDARIES, _MNEMONICS, read_inventory, to_mnemonics
from wyoming_tts.ipa import BOUNDARIES, SOUNDS

DATA = Path(espeakng_loader.get_data_path())
AMERICAN, GERMAN, FRENCH, SPANISH = "gmw/en-US", "gmw/de", "roa/fr", "roa/es"
TIE = "\u0361"


@pytest.mark.parametrize(
    ("voice", "ipa", "expected"),
    [
        (AMERICAN, "ʃɪˈvɔːn", "SI'vO:n"),
        (AMERICAN, "ˈdʒiːoʊˌɡɹæfi", "'dZi:oU,grafi"),
        (AMERICAN, f"t{TIE}ʃɛk ˈrɪpʌblɪk", "tSEk 'rIpVblIk"),
        (AMERICAN, "ˈhɜːmaɪˌoʊni", "'h3:maI,oUni"),
        (AMERICAN, "'bo:g", "'bo:g"),
        (AMERICAN, "ˈbʌtl̩", "'bVt@L"),
        (AMERICAN, "bʁø.tyl", "br3:tul"),
        (GERMAN, "ˈmʏnçn̩", "'mynCn-"),
        (GERMAN, "ˈkøːln", "'kY:ln"),
        (FRENCH, "bɔ̃ʒuʁ", "bO~Zur"),
        (FRENCH, "lœ̃di", "lW~di"),
        (SPANISH, "ʃɪˈvɔːn", "Si'vOn"),
        (AMERICAN, "pʰɛn˥˩", "pEn"),
        (AMERICAN, "ˈa ˈ ˌ", "'a"),
        (AMERICAN, "", ""),
        (AMERICAN, "ˈː .", ""),
        (AMERICAN, "♥", ""),
    ],
)
def test_each_ipa_symbol_maps_to_the_nearest_mnemonic_of_the_voice(
    voice: str, ipa: str, expected: str
) -> None:
    assert to_mnemonics(ipa, read_inventory(DATA, voice)) == expected


def test_ambiguous_mnemonics_are_separated() -> None:
    known = frozenset({"a", "I", "aI", "t", "S", "tS"})
    assert to_mnemonics("aɪ a.ɪ t.ʃ", known) == "aI a|I t|S"


def test_an_overlong_ipa_word_is_split() -> None:
    words = to_mnemonics("a" * 500, read_inventory(DATA, AMERICAN)).split()
    assert max(word.count("a") for word in words) == 60
    assert sum(word.count("a") for word in words) == 500


def test_every_ipa_symbol_maps_to_a_mnemonic_or_a_boundary() -> None:
    assert {sign for sign in _MNEMONICS if len(sign) == 1} == SOUNDS
    assert _BOUNDARIES.keys() == BOUNDARIES


def test_every_voice_has_a_phoneme_inventory_of_its_own_language() -> None:
    files = [path for path in (DATA / "lang").rglob("*") if path.is_file()]
    assert len(files) > 100
    for path in files:
        known = read_inventory(DATA, str(path.relative_to(DATA / "lang")))
        assert {"p", "t", "k", "m", "n", "s", "l"} <= known, path
    assert "Y:" in read_inventory(DATA, GERMAN)
    assert "Y:" not in read_inventory(DATA, AMERICAN)


@given(st.text(alphabet="abdeifghuøœɔɑ̃ːˈˌʃʒθðŋɲɪʊɜʁt̩ ͡x.|", max_size=40))
def test_mnemonics_outside_the_inventory_of_the_voice_are_never_used(ipa: str) -> None:
    known = read_inventory(DATA, SPANISH)
    for word in to_mnemonics(ipa, known).split():
        rest = word
        while rest:
            longest = max((size for size in range(1, 5) if rest[:size] in known), default=0)
            assert longest or rest[0] in "',|", word
            rest = rest[longest or 1 :]


@given(st.text(max_size=60))
def test_any_text_gives_ascii_mnemonics_in_brackets(text: str) -> None:
    made = to_mnemonics(text, read_inventory(DATA, AMERICAN))
    assert made.isascii()
    assert "[" not in made
    assert "]" not in made
