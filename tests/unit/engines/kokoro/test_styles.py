"""Imported style tables become voices like those of the voice pack."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from tests.support.parts import join_chunks, running_parts
from tests.support.tones import KOKORO, VOICES
from wyoming_tts.assembly.parts import Parts
from wyoming_tts.engines.base import EngineOptions, samples_of
from wyoming_tts.engines.kokoro.engine import KokoroEngine
from wyoming_tts.engines.kokoro.loaded import LoadedKokoro
from wyoming_tts.errors import TooLong, UnknownVoice, VoiceUnavailable
from wyoming_tts.speech import Prosody, Segment, Utterance, Voice, VoiceRequest, VoiceSpec
from wyoming_tts.style_tables import StyleTable
from wyoming_tts.voices.blends.mixing import Blend
from wyoming_tts.voices.blends.recipes import parse_recipe
from wyoming_tts.voices.blends.store import BlendStore
from wyoming_tts.voices.blends.voices import BlendResolver
from wyoming_tts.voices.style_files import write_style_file
from wyoming_tts.voices.styles import STYLES_DIRECTORY, ImportedStyles

MODEL, PACK = VOICES / "kokoro-tones.onnx", VOICES / "voices-tones.bin"


def table(name: str) -> StyleTable:
    with np.load(PACK) as pack:
        found: StyleTable = pack[name]
    return found


@pytest.fixture
def styles(tmp_path: Path) -> ImportedStyles:
    return ImportedStyles(tmp_path / STYLES_DIRECTORY)


@pytest.fixture
def engine(styles: ImportedStyles) -> KokoroEngine:
    return KokoroEngine(
        EngineOptions(kokoro_model=MODEL, kokoro_voices=PACK, intra_op_threads=1, kokoro_styles=styles)
    )


def listed(engine: KokoroEngine) -> dict[str, Voice]:
    return {voice.name: voice for voice in engine.installed()}


def put(styles: ImportedStyles, name: str, of: str) -> Path:
    write_style_file(styles.path(name), table(of))
    return styles.path(name)


def speak(loaded: LoadedKokoro, voice: Voice) -> tuple[set[str], list[str]]:
    steps = loaded.render(Segment("The front door is open."), VoiceSpec(voice), Prosody())
    audio = np.concatenate([*map(samples_of, steps)])
    return KOKORO.speakers_of(audio), KOKORO.said(audio)


def test_imported_styles_are_listed_with_the_language_of_their_name(
    engine: KokoroEngine, styles: ImportedStyles
) -> None:
    for name in ("bf_mine", "em_mine", "narrator"):
        put(styles, name, "af_test")
    voices = listed(engine)
    assert {name: voices[name].language for name in ("bf_mine", "em_mine", "narrator")} == {
        "bf_mine": "en_GB",
        "em_mine": "es_ES",
        "narrator": "en_US",
    }
    assert voices["bf_mine"].description == "Mine (Kokoro, female)"
    assert voices["bf_mine"].files == (MODEL, PACK, styles.path("bf_mine"))
    assert voices["bf_mine"].model == voices["af_test"].model
    assert voices["af_test"].files == (MODEL, PACK)


def test_imported_styles_appear_and_disappear_with_their_files(
    engine: KokoroEngine, styles: ImportedStyles
) -> None:
    before = engine.installed()
    path = put(styles, "bf_mine", "af_test")
    assert "bf_mine" in listed(engine)
    path.unlink()
    assert engine.installed() == before


def test_an_imported_style_speaks_its_language_with_its_table(
    engine: KokoroEngine, styles: ImportedStyles
) -> None:
    put(styles, "bf_mine", "am_test")
    voice = listed(engine)["bf_mine"]
    loaded = engine.load(voice)
    try:
        assert speak(loaded, voice) == ({"am_test"}, ["ðə fɹˈʌnt dˈɔːɹ ɪz ˈəʊpən."])
    finally:
        loaded.close()


def test_a_changed_style_file_takes_effect_without_reloading_the_model(
    engine: KokoroEngine, styles: ImportedStyles
) -> None:
    put(styles, "bf_mine", "am_test")
    voice = replace(listed(engine)["bf_mine"], fingerprint="first")
    loaded = engine.load(voice)
    try:
        assert speak(loaded, voice)[0] == {"am_test"}
        put(styles, "bf_mine", "ef_test")
        assert speak(loaded, voice)[0] == {"am_test"}
        assert speak(loaded, replace(voice, fingerprint="second"))[0] == {"ef_test"}
        styles.path("bf_mine").unlink()
        with pytest.raises(UnknownVoice, match="has no voice bf_mine"):
            speak(loaded, replace(voice, fingerprint="third"))
    finally:
        loaded.close()


def test_a_style_file_corrupted_after_it_was_listed_is_reported(
    engine: KokoroEngine, styles: ImportedStyles
) -> None:
    path = put(styles, "bf_mine", "am_test")
    voice = listed(engine)["bf_mine"]
    loaded = engine.load(voice)
    path.write_bytes(b"no table")
    try:
        with pytest.raises(VoiceUnavailable, match="The style of bf_mine cannot be read"):
            speak(loaded, voice)
    finally:
        loaded.close()


def test_a_broken_style_file_is_skipped_and_its_reason_logged_once(
    engine: KokoroEngine, styles: ImportedStyles, caplog: pytest.LogCaptureFixture
) -> None:
    path = put(styles, "bf_mine", "am_test")
    whole = path.read_bytes()
    assert "bf_mine" in listed(engine)
    os.truncate(path, len(whole) // 2)
    assert "bf_mine" not in listed(engine)
    assert "bf_mine" not in listed(engine)
    (broken,) = engine.broken
    assert broken.path == path
    assert "bf_mine.npy is not a style table" in broken.reason
    assert len(caplog.records) == 1
    path.write_bytes(whole)
    assert "bf_mine" in listed(engine)
    assert engine.broken == ()


def test_a_voice_of_the_pack_takes_precedence_over_an_imported_style(
    engine: KokoroEngine, styles: ImportedStyles, caplog: pytest.LogCaptureFixture
) -> None:
    path = put(styles, "af_test", "ef_test")
    voices = listed(engine)
    assert voices["af_test"].files == (MODEL, PACK)
    assert [broken.path for broken in engine.broken] == [path]
    assert "the voice pack has a voice af_test" in caplog.text
    loaded = engine.load(voices["af_test"])
    try:
        assert speak(loaded, voices["af_test"])[0] == {"af_test"}
    finally:
        loaded.close()


def test_a_style_table_is_reread_only_when_its_file_has_changed(
    engine: KokoroEngine, styles: ImportedStyles, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(styles, "bf_mine", "am_test")
    read = list[str]()
    monkeypatch.setattr(styles, "read", read.append)
    engine.installed()
    engine.installed()
    assert read == ["bf_mine"]
    put(styles, "bf_mine", "ef_test")
    engine.installed()
    assert read == ["bf_mine"] * 2


def test_imported_styles_can_be_parts_of_blends(tmp_path: Path, styles: ImportedStyles) -> None:
    put(styles, "bf_mine", "bf_test")
    store = BlendStore(tmp_path)
    store.add(Blend("between", parse_recipe("af_test+bf_mine"), "en_US"))
    languages = {"af_test": "en_US", "bf_mine": "en_GB"}
    engine = KokoroEngine(
        EngineOptions(
            kokoro_model=MODEL,
            kokoro_voices=PACK,
            intra_op_threads=1,
            kokoro_styles=styles,
            kokoro_blends=BlendResolver(store.load, lambda: languages),
        )
    )
    voice = listed(engine)["between"]
    assert voice.files == (MODEL, PACK, styles.path("bf_mine"))
    loaded = engine.load(voice)
    try:
        # Each test voice has a higher pitch than the one before: mixing the first and third gives the second.
        assert speak(loaded, voice)[0] == {"am_test"}
    finally:
        loaded.close()
    styles.path("bf_mine").unlink()
    assert "between" not in listed(engine)


@pytest.fixture
def low_and_high(styles: ImportedStyles) -> None:
    put(styles, "af_low", "af_test")
    put(styles, "bf_high", "bf_test")


@pytest.fixture
async def parts(tmp_path: Path, low_and_high: None) -> AsyncIterator[Parts]:
    del low_and_high
    async with running_parts(data_dir=[tmp_path, VOICES]) as parts:
        yield parts


async def speakers(parts: Parts, name: str) -> set[str]:
    async with parts.synthesizer.speak(Utterance.of("One two.", voice=VoiceRequest(name))) as stream:
        chunks = [chunk async for chunk in stream]
    return KOKORO.speakers_of(join_chunks(chunks))


def test_an_imported_style_is_probed_once_for_each_row_and_a_packs_never(
    engine: KokoroEngine, styles: ImportedStyles, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(styles, "af_own", "af_test")
    voices = listed(engine)
    loaded = engine.load(voices["af_own"])
    try:
        speeds: list[float] = []
        infer = loaded._kokoro._infer

        def counting(tokens: list[int], style: StyleTable, speed: float) -> object:
            speeds.append(speed)
            return infer(tokens, style, speed)

        monkeypatch.setattr(loaded._kokoro, "_infer", counting)
        for name in ("af_test", "af_own", "af_own"):
            speak(loaded, voices[name])
    finally:
        loaded.close()
    assert speeds == [1.0, 8.0, 1.0, 1.0]


def test_an_imported_style_of_endless_phonemes_is_refused_before_it_is_spoken(
    engine: KokoroEngine, styles: ImportedStyles, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(styles, "af_own", "af_test")
    voice = listed(engine)["af_own"]
    loaded = engine.load(voice)
    speeds: list[float] = []

    def endless(tokens: list[int], style: StyleTable, speed: float) -> tuple[StyleTable, None]:
        del style
        speeds.append(speed)
        return np.ones(600 * len(tokens) * round(50 / speed), dtype=np.float32), None

    monkeypatch.setattr(loaded._kokoro, "_infer", endless)
    try:
        for _ in range(2):
            with pytest.raises(TooLong):
                speak(loaded, voice)
    finally:
        loaded.close()
    assert speeds == [8.0, 8.0]


async def test_clients_can_request_imported_styles_by_name_and_in_a_recipe(parts: Parts) -> None:
    assert await speakers(parts, "af_low") == {"af_test"}
    assert await speakers(parts, "bf_high") == {"bf_test"}
    assert await speakers(parts, "af_low+bf_high") == {"am_test"}


async def test_a_recipe_reflects_changes_to_the_files_of_its_parts(
    parts: Parts, styles: ImportedStyles
) -> None:
    assert await speakers(parts, "af_low+bf_high") == {"am_test"}
    await parts.workers.run_blocking(lambda: put(styles, "bf_high", "af_test"))
    await parts.refresh_voices()
    assert await speakers(parts, "af_low+bf_high") == {"af_test"}
