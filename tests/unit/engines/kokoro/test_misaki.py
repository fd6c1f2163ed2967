"""misaki as phonemizer in place of espeak-ng, with a fake package that records its input."""

from __future__ import annotations

import logging
import sys
import threading
from types import ModuleType

import numpy as np
import pytest

from tests.support.tones import KOKORO, VOICES
from wyoming_tts.engines.base import EngineOptions
from wyoming_tts.engines.kokoro.engine import KokoroEngine
from wyoming_tts.engines.kokoro.misaki import MisakiPhonemizer, MisakiPhonemizers
from wyoming_tts.engines.kokoro.names import BY_TAG
from wyoming_tts.speech import Prosody, Segment, VoiceSpec

MANDARIN, JAPANESE, ENGLISH = BY_TAG["zh_CN"], BY_TAG["ja_JP"], BY_TAG["en_US"]


class Spells:
    """A phonemizer that knows a few characters and fails on one of them."""

    def __init__(self) -> None:
        self.lock = threading.Lock()

    def __call__(self, text: str) -> tuple[str, None]:
        assert self.lock.acquire(blocking=False), "two threads are in misaki at a time"
        try:
            if "坏" in text:
                raise AssertionError(text)
            return "".join(_SOUNDS.get(each, each) for each in text), None
        finally:
            self.lock.release()


_SOUNDS = {"你": "ni↓", "好": "xau↓", "一": "i→"}


@pytest.fixture
def misaki(monkeypatch: pytest.MonkeyPatch) -> None:
    """A fake package that is importable whether or not the real one is installed."""
    for module, name in {"": "", ".zh": "ZHG2P", ".cutlet": "Cutlet"}.items():
        made = ModuleType(f"misaki{module}")
        setattr(made, name or "__path__", Spells if name else [])
        monkeypatch.setitem(sys.modules, made.__name__, made)


@pytest.fixture
def no_misaki(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in ("misaki", "misaki.zh", "misaki.cutlet"):
        monkeypatch.setitem(sys.modules, module, None)


def foreign(text: str) -> str:
    return f"<{text}>"


def fallback(text: str) -> str:
    return f"[{text}]"


def made(text: str) -> str:
    return MisakiPhonemizer("zh").phonemes(text, foreign=foreign, fallback=fallback)


@pytest.mark.usefixtures("misaki")
class TestWithMisaki:
    @pytest.mark.parametrize(
        ("text", "expected"),
        [
            ("你好!", "ni↓xau↓!"),
            ("你好, iPhone 15 Pro, 你好.", "ni↓xau↓, <iPhone 15 Pro>, ni↓xau↓."),
            ("Hello, 你好 world's end!", "<Hello>, ni↓xau↓ <world's end>!"),
            ("Да 你", "<Да> ni↓"),
            ("OK. 3", "<OK>. 3"),
            ("—", "—"),
            ("", ""),
        ],
    )
    def test_foreign_letters_are_phonemized_by_the_fallback(self, text: str, expected: str) -> None:
        assert made(text) == expected

    def test_text_on_which_misaki_fails_is_phonemized_by_the_fallback(
        self, caplog: pytest.LogCaptureFixture
    ) -> None:
        assert made("坏, OK 你") == "[坏, ] <OK> ni↓"
        assert "misaki failed on 3 characters (AssertionError)" in caplog.text
        assert "坏" not in caplog.text

    def test_only_languages_that_need_misaki_use_it(self, caplog: pytest.LogCaptureFixture) -> None:
        phonemizers = MisakiPhonemizers()
        assert phonemizers.find(ENGLISH) is None
        assert phonemizers.find(JAPANESE)
        assert phonemizers.find(MANDARIN) is phonemizers.find(MANDARIN)
        assert phonemizers.find(MANDARIN) is not phonemizers.find(JAPANESE)
        assert not caplog.records

    def test_misaki_is_used_by_one_thread_at_a_time(self) -> None:
        phonemizer, found = MisakiPhonemizer("zh"), list[str]()

        def speak() -> None:
            found.append(phonemizer.phonemes("你好" * 200, foreign=foreign, fallback=fallback))

        threads = [threading.Thread(target=speak) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert found == ["ni↓xau↓" * 200] * 8

    def test_a_mandarin_voice_speaks_the_phonemes_of_misaki(self) -> None:
        assert _spoken_phonemes("zf_test", "你好，Hello！") == ["ni↓xau↓, həlˈoʊ!"]


@pytest.mark.usefixtures("no_misaki")
class TestWithoutMisaki:
    def test_the_use_of_misaki_is_logged_once_per_language(self, caplog: pytest.LogCaptureFixture) -> None:
        phonemizers = MisakiPhonemizers()
        for language in (MANDARIN, JAPANESE, MANDARIN, ENGLISH, JAPANESE):
            assert phonemizers.find(language) is None
        chinese, japanese = (record.getMessage() for record in caplog.records)
        assert "pronunciation of zh_CN is poor" in chinese
        assert "pronunciation of ja_JP is poor" in japanese
        assert "Install wyoming-tts[misaki]" in chinese

    def test_without_misaki_a_voice_uses_espeak_and_loading_logs_it(
        self, caplog: pytest.LogCaptureFixture
    ) -> None:
        assert _spoken_phonemes("zf_test", "你好！") == ["niχˈɑu!"]
        (record,) = (record for record in caplog.records if record.levelno == logging.WARNING)
        assert "zh_CN is poor" in record.getMessage()


@pytest.mark.usefixtures("no_misaki")
def test_english_voices_load_without_a_log_line_about_misaki(caplog: pytest.LogCaptureFixture) -> None:
    assert _spoken_phonemes("af_test", "One.") == ["wˌʌn."]
    assert not [record for record in caplog.records if record.levelno >= logging.WARNING]


def _spoken_phonemes(name: str, text: str) -> list[str]:
    engine = KokoroEngine(
        EngineOptions(
            kokoro_model=VOICES / "kokoro-tones.onnx",
            kokoro_voices=VOICES / "voices-tones.bin",
            intra_op_threads=1,
        )
    )
    voice = next(voice for voice in engine.installed() if voice.name == name)
    for _ in range(2):
        loaded = engine.load(voice)
        steps = list(loaded.render(Segment(text), VoiceSpec(voice), Prosody()))
        loaded.close()
    return KOKORO.said(np.concatenate(steps))
