from __future__ import annotations

from collections.abc import Iterator

import pytest
from kokoro_onnx.config import DEFAULT_VOCAB

from wyoming_tts.engines.kokoro.misaki import MisakiPhonemizers
from wyoming_tts.engines.kokoro.names import BY_TAG
from wyoming_tts.engines.kokoro.phonemes import KokoroPhonemizer, phonemize_around_blocks


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
def test_phoneme_blocks_are_kept_and_the_rest_is_phonemized(text: str, expected: str) -> None:
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
def test_phonemes_use_only_the_symbols_of_the_model(language: str, ipa: str, expected: str) -> None:
    assert made(f"[[{ipa}]]", language) == expected


@pytest.fixture(scope="module")
def phonemizer() -> Iterator[KokoroPhonemizer]:
    made = KokoroPhonemizer(MisakiPhonemizers())
    yield made
    made.close()


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["of", "the", "house"], ["ʌv", "ðə", "hˈaʊs"]),
        (["[[ʃɪˈvɔːn]]", "in", "25"], ["ʃɪˈvɔːn", "ˈɪn", "twˈɛnti fˈaɪv"]),
        (["in", "a¿b"], ["ˈɪn", "ˈeɪ¿bˈiː"]),
        (["~"], ["tˈɪldə"]),
        ([], []),
    ],
)
def test_words_are_phonemized_by_themselves(
    phonemizer: KokoroPhonemizer, words: list[str], expected: list[str]
) -> None:
    found = phonemizer.phonemes_of_words(words, BY_TAG["en_US"])
    assert [phonemes.strip() for phonemes in found] == expected


def test_every_ipa_symbol_maps_to_a_symbol_of_the_model() -> None:
    vowels = "iyɨʉɯuɪʏʊeøɘɵɤoəɛœɜɞʌɔæɐaɶɑɒɚɝ"
    consonants = "pbtdʈɖcɟkɡqɢʔmɱnɳɲŋɴʀɾɽɸβfvθðszʃʒʂʐçʝxɣχʁħʕhɦɬɮʋɹɻjɰlɭʎʟʍwɥɕʑɺɫɓɗʄɠgr"
    lost = {sign for sign in vowels + consonants if not set(made(f"[[{sign}]]")) <= set(DEFAULT_VOCAB)}
    assert lost == {"ɭ"}
