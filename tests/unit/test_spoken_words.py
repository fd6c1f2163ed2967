"""Words of a text that is spoken: what stands between spaces, and each character of Han and kana."""

from __future__ import annotations

import pytest

from wyoming_tts.spoken_words import words_of


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('So, "you" – well-known… isn\'t!', "So|you|well-known|isn't"),
        ("It's 1,000.5 km/h (or 25 °C).", "It's|1,000.5|km/h|or|25|°C"),
        ("Is [[ʃɪ vɔːn]], the one?", "Is|[[ʃɪ vɔːn]]|the|one"),
        ("Hello、私の名前はKenです。", "Hello|私|の|名|前|は|Ken|で|す"),
        ("我用iPhone，你呢？OK！", "我|用|iPhone|你|呢|OK"),
        ("きょうは", "きょ|う|は"),
        ("a", "a"),
        ("ask @home, #garden and (@me): @ # a@b.org", "ask|@home|#garden|and|@me|a@b.org"),
        ("as said [two][three], before [two]three.", "as|said|two|three|before|two|three"),
        ("word[s] and a[0] [s]he", "word[s|and|a[0|s|he"),
        ("A我", "A|我"),
        ("... — !", ""),
    ],
)
def test_words_are_found_without_the_punctuation_around_them(text: str, expected: str) -> None:
    assert "|".join(text[begin:end] for begin, end in words_of(text)) == expected
