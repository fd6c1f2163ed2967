from __future__ import annotations

import pytest
from kokoro_onnx.config import DEFAULT_VOCAB

from wyoming_tts.engines.kokoro.phonemes import phonemize_around_blocks


def made(text: str, language: str = "en-us") -> str:
    return phonemize_around_blocks(text, lambda part: f"<{part}>", language=language)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("no phonemes [[Main Page]] here", "<no phonemes [[Main Page]] here>"),
        ("Ask [[ʃɪˈvɔːn]].", "<Ask> ʃɪˈvɔːn."),
        ("Ask [[ʃɪˈvɔːn]], please", "<Ask> ʃɪˈvɔːn<, please>"),
        ("[[biː]] [[biː]]", "biː biː"),
        ("a[[biː]]c [[Link]] d", "<a>biː<c [[Link]] d>"),
        ("[[ two  wɜːdz ]]", "two wɜːdz"),
    ],
)
def test_blocks_are_kept_and_the_rest_is_phonemized(text: str, expected: str) -> None:
    assert made(text) == expected


@pytest.mark.parametrize(
    ("language", "ipa", "expected"),
    [
        ("en-us", "ˈrɪvər", "ˈɹɪvəɹ"),
        ("it", "ˈrana", "ˈrana"),
        ("en-us", "'go:", "ˈɡoː"),
        ("en-us", "t͡ʃɛk", "tʃɛk"),
        ("en-us", "ˈbʌtl̩", "ˈbʌtəl"),
        ("fr-fr", "bɔ\u0303ʒuʁ", "bɔ\u0303ʒuʁ"),
        ("fr-fr", "ãç", "a\u0303ç"),
        ("en-us", "hɝt.ʏ", "hɜːty"),
    ],
)
def test_signs_are_those_of_the_model(language: str, ipa: str, expected: str) -> None:
    assert made(f"[[{ipa}]]", language) == expected


def test_every_sign_of_ipa_is_one_the_model_knows() -> None:
    vowels = "iyɨʉɯuɪʏʊeøɘɵɤoəɛœɜɞʌɔæɐaɶɑɒɚɝ"
    consonants = "pbtdʈɖcɟkɡqɢʔmɱnɳɲŋɴʀɾɽɸβfvθðszʃʒʂʐçʝxɣχʁħʕhɦɬɮʋɹɻjɰlɭʎʟʍwɥɕʑɺɫɓɗʄɠgr"
    lost = {sign for sign in vowels + consonants if not set(made(f"[[{sign}]]")) <= set(DEFAULT_VOCAB)}
    assert lost == {"ɭ"}
