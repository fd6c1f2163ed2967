from __future__ import annotations

import pytest

from wyoming_tts.text.cleaning import CleanupOptions, TextCleaner
from wyoming_tts.text.emoji_names import emoji_name


@pytest.mark.parametrize(
    ("sequence", "language", "name"),
    [
        ("👍", "en", "thumbs up"),
        ("👍🏽", "en", "thumbs up"),
        ("❤", "en", "red heart"),
        ("❤️", "fr_FR", "cœur rouge"),
        ("🇩🇪", "de", "flagge deutschland"),
        ("👩‍🔬", "de-DE", "wissenschaftlerin"),
        ("👍", "nl", "thumbs up"),
        ("🇩", "en", ""),
    ],
)
def test_an_emoji_has_a_name_in_the_language(sequence: str, language: str, name: str) -> None:
    assert emoji_name(sequence, language) == name


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Good 👍🏽 morning", "Good thumbs up morning"),
        ("Done✅.", "Done check mark button."),
        ("😂😂😂 ha", "face with tears of joy ha"),
        ("🇩🇪🇫🇷 and 👩‍🔬", "Germany France and woman scientist"),
        ("press 1️⃣ or 2", "press keycap 1 or 2"),
    ],
)
def test_emoji_are_replaced_by_their_names_when_configured(text: str, expected: str) -> None:
    for pieces in ([text], list(text)):
        cleaner = TextCleaner(CleanupOptions(emoji="name"))
        found = [piece for text in pieces for piece in cleaner.feed(text)] + cleaner.finish()
        assert "".join(piece.text for piece in found) == expected
