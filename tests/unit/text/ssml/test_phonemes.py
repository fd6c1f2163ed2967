from __future__ import annotations

import pytest

from wyoming_tts.text.markup import MAX_BLOCK_CHARS
from wyoming_tts.text.ssml.phonemes import parse_phonemes


@pytest.mark.parametrize(
    ("x_sampa", "ipa"),
    [
        ('h@"l@U', "həˈləʊ"),
        ('"wO:t@', "ˈwɔːtə"),
        ("fra~s@", "fra\u0303sə"),
        ("%E_~", "ˌɛ\u0303"),
        ("r\\ES3`", "ɹɛʃɝ"),
        ("ka-t@ la", "katə la"),
        ("b9", "bœ"),
        ("N=", "ŋ\u0329"),
        ("t_h", "tʰ"),
    ],
)
def test_x_sampa_becomes_ipa(x_sampa: str, ipa: str) -> None:
    assert parse_phonemes(x_sampa, "x-sampa") == f"[[ {ipa} ]]"


@pytest.mark.parametrize("ph", ["", " ", "-", "h€llo", "ä", "[[", "{|}"])
def test_invalid_x_sampa_is_rejected(ph: str) -> None:
    assert parse_phonemes(ph, "X-SAMPA") is None


@pytest.mark.parametrize("ph", ["", "//", "a]b", "[[a]]", "a|b", "{x}", "x" * MAX_BLOCK_CHARS])
def test_phonemes_that_would_break_a_raw_block_are_rejected(ph: str) -> None:
    assert parse_phonemes(ph, "ipa") is None


def test_the_longest_raw_block_passes_the_other_stages() -> None:
    block = parse_phonemes("x" * (MAX_BLOCK_CHARS - 6), "ipa")

    assert block is not None
    assert len(block) == MAX_BLOCK_CHARS
