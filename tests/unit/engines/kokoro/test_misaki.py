"""misaki as phonemizer in place of espeak-ng, with a fake package that records its input."""

from __future__ import annotations

import logging
import sys
import threading
from dataclasses import replace
from types import ModuleType

import numpy as np
import pytest

from tests.support.tones import KOKORO, VOICES
from wyoming_tts.engines.base import EngineOptions, samples_of
from wyoming_tts.engines.kokoro.engine import KokoroEngine
from wyoming_tts.engines.kokoro.misaki import (
    MisakiPhonemizer,
    MisakiPhonemizers,
    how_to_install,
    missing_parts,
)
from wyoming_tts.engines.kokoro.names import BY_TAG
from wyoming_tts.errors import VoiceUnavailable
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


PARTS = ("cn2an", "fugashi", "jaconv", "jieba", "ordered_set", "pypinyin", "unidic_lite")
_SOUNDS = {"你": "ni↓", "好": "xau↓", "一": "i→"}


@pytest.fixture
def misaki(monkeypatch: pytest.MonkeyPatch) -> None:
    """A fake package that is importable whether or not the real one is installed."""
    for module, name in {"": "", ".zh": "ZHG2P", ".cutlet": "Cutlet"}.items():
        made = ModuleType(f"misaki{module}")
        setattr(made, name or "__path__", Spells if name else [])
        monkeypatch.setitem(sys.modules, made.__name__, made)
    for part in PARTS:
        monkeypatch.setitem(sys.modules, part, ModuleType(part))


@pytest.fixture
def no_misaki(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in ("misaki", "misaki.zh", "misaki.cutlet", *PARTS):
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
    def test_voices_that_need_it_are_left_out_with_the_reason_and_what_to_install(
        self, caplog: pytest.LogCaptureFixture
    ) -> None:
        caplog.set_level(logging.INFO)
        engine = _engine()
        for _ in range(2):
            assert [voice.name for voice in engine.installed()] == [
                name for name in KOKORO.speakers if name != "zf_test"
            ]
        (unusable,) = engine.unusable
        assert (unusable.voice.name, unusable.voice.language) == ("zf_test", "zh_CN")
        assert unusable.reason == (
            "zh_CN needs the package misaki (misaki, cn2an, jieba, ordered_set, pypinyin: not installed)"
        )
        assert "pip install 'wyoming-tts[misaki]'" in unusable.hint
        assert engine.broken == ()
        (record,) = caplog.records
        assert "Some voices of Kokoro are left out: zh_CN needs the package misaki" in record.getMessage()

    def test_they_are_listed_once_it_is_installed(self, monkeypatch: pytest.MonkeyPatch) -> None:
        engine = _engine()
        engine.installed()
        for part in ("misaki", *PARTS):
            monkeypatch.setitem(sys.modules, part, ModuleType(part))
        assert "zf_test" in [voice.name for voice in engine.installed()]
        assert engine.unusable == ()

    def test_a_voice_whose_phonemizer_cannot_be_loaded_says_what_to_install(self) -> None:
        engine = _engine()
        voice = replace(engine.installed()[0], name="zf_test", language="zh_CN")
        for _ in range(2):
            with pytest.raises(VoiceUnavailable, match="cannot speak zh_CN: misaki cannot be used") as error:
                engine.load(voice)
            assert "pip install" in error.value.hint


def test_how_to_install_it_depends_on_the_version_of_python() -> None:
    command = "Install it: pip install 'wyoming-tts[misaki]'"
    assert how_to_install((3, 12)) == f"{command}."
    assert how_to_install((3, 13)) == (
        f"{command}, then pip install --no-deps --ignore-requires-python misaki."
    )


def test_what_is_missing_is_found_without_importing_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "misaki", None)
    assert missing_parts(ENGLISH) == ()
    assert missing_parts(JAPANESE)[0] == "misaki"
    assert not {*PARTS} & sys.modules.keys()


@pytest.mark.usefixtures("no_misaki")
def test_english_voices_load_without_a_log_line_about_misaki(caplog: pytest.LogCaptureFixture) -> None:
    assert _spoken_phonemes("af_test", "One.") == ["wˌʌn."]
    assert not [record for record in caplog.records if record.levelno >= logging.WARNING]


def _engine() -> KokoroEngine:
    return KokoroEngine(
        EngineOptions(
            kokoro_model=VOICES / "kokoro-tones.onnx",
            kokoro_voices=VOICES / "voices-tones.bin",
            intra_op_threads=1,
        )
    )


def _spoken_phonemes(name: str, text: str) -> list[str]:
    engine = _engine()
    voice = next(voice for voice in engine.installed() if voice.name == name)
    for _ in range(2):
        loaded = engine.load(voice)
        steps = [samples_of(step) for step in loaded.render(Segment(text), VoiceSpec(voice), Prosody())]
        loaded.close()
    return KOKORO.said(np.concatenate(steps))
