from __future__ import annotations

import gc
import logging
import os
import random
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO

import pytest

from tests.support.tones import LOW, VOICES
from wyoming_tts.engines.base import EngineOptions, samples_of
from wyoming_tts.engines.phonemizer import process as phonemizer_process
from wyoming_tts.engines.phonemizer.client import KokoroPhonemizerProcess, PiperPhonemizerProcess
from wyoming_tts.engines.piper.engine import PiperEngine
from wyoming_tts.errors import EngineFailed, VoiceUnavailable
from wyoming_tts.speech import Prosody, Segment, VoiceSpec

DEADLY = "s'" * 200
"""Input that crashes version 1.52.0 of the library."""

_WORDS = """
    the front door is open kitchen lights 21 3.5 1,000,000 7:05 Dr. e.g. C++ it's O'Neill NASA naïve
    Müller Straße garçon ¿qué? Дверь 你好 ドア दरवाज़ा مرحبا 5 € 100% & + = @home #tag 😀 and-so-on a/b x_y
"""
MARKS = ["", "", "", ",", ".", "?", "!", ";", ":", "...", " -", "\n", ")"]


def varied_texts(count: int) -> list[str]:
    chosen, words = random.Random(5), _WORDS.split()
    return [
        " ".join(chosen.choice(words) + chosen.choice(MARKS) for _ in range(chosen.choice([1, 3, 8, 20])))
        for _ in range(count)
    ]


@pytest.fixture
def piper() -> Iterator[PiperPhonemizerProcess]:
    process = PiperPhonemizerProcess("en-us", None)
    yield process
    process.close()


def pid_of(process: PiperPhonemizerProcess | KokoroPhonemizerProcess) -> int:
    process.wait_ready()
    return process._child._running.pid


def phonemize(process: PiperPhonemizerProcess, text: str) -> list[list[str]]:
    return process.phonemize("en-us", text)


# Phonemes


@pytest.mark.slow
@pytest.mark.parametrize(
    ("voice", "clusters"),
    [("en-us", None), ("de", None), ("fr", {("u", "a"), ("ɔ", "̃")}), ("cmn", None), ("ru", None)],
)
def test_phonemes_for_piper_equal_those_of_the_package_itself(
    voice: str, clusters: set[tuple[str, ...]] | None
) -> None:
    from piper.phonemize_espeak import EspeakPhonemizer  # noqa: PLC0415  # heavy

    own = EspeakPhonemizer()
    process = PiperPhonemizerProcess(voice, clusters)
    for text in varied_texts(200):
        assert process.phonemize(voice, text) == own.phonemize(voice, text, vowel_clusters=clusters), text
    process.close()


@pytest.mark.parametrize("voice", ["en-us", "ru", "cmn", "ar"])
def test_the_voice_which_is_set_once_stays_the_same_after_words_of_other_languages(voice: str) -> None:
    texts = [*varied_texts(8), "hello привет 你好 مرحبا नमस्ते", "漢字 ☃ α", "...", "[[h@l'oU]] (de) <b>x</b>"]
    from piper.phonemize_espeak import EspeakPhonemizer  # noqa: PLC0415  # heavy

    own = EspeakPhonemizer()
    process = PiperPhonemizerProcess(voice, None)
    for text in [*texts, *reversed(texts)]:
        assert process.phonemize(voice, text) == own.phonemize(voice, text), text
    process.close()


@pytest.mark.parametrize("language", ["en-us", "fr-fr", "cmn", "hi"])
def test_phonemes_for_kokoro_equal_those_of_the_package_itself(language: str) -> None:
    from kokoro_onnx.tokenizer import Tokenizer  # noqa: PLC0415  # heavy
    from phonemizer.backend import EspeakBackend  # noqa: PLC0415

    Tokenizer()  # sets the path of the library
    logger = logging.getLogger("a test's phonemizer")
    logger.setLevel(logging.ERROR)
    own = EspeakBackend(
        language,
        preserve_punctuation=True,
        with_stress=True,
        language_switch="remove-flags",
        logger=logger,
    )
    process = KokoroPhonemizerProcess(language)
    for text in varied_texts(200):
        assert process.phonemes(text) == "\n".join(own.phonemize([text])), text
    process.close()


@pytest.mark.slow
def test_the_server_process_never_loads_the_library_of_piper() -> None:
    code = (
        "import sys\n"
        "from pathlib import Path\n"
        "from wyoming_tts.engines.base import EngineOptions\n"
        "from wyoming_tts.engines.piper.engine import PiperEngine\n"
        "from wyoming_tts.speech import Segment, VoiceSpec\n"
        "engine = PiperEngine(EngineOptions(data_dirs=(Path(sys.argv[1]),)))\n"
        "voice = next(voice for voice in engine.installed() if voice.name == sys.argv[2])\n"
        "assert engine.load(voice).phonemes(Segment('Hello [[ ˈaɪ ]]'), VoiceSpec(voice)) == 'həlˈoʊ ˈaɪ'\n"
        "assert 'piper.espeakbridge' not in sys.modules\n"
    )
    subprocess.run([sys.executable, "-c", code, str(VOICES), LOW.name], check=True)


def test_many_threads_get_the_phonemes_of_their_own_text(piper: PiperPhonemizerProcess) -> None:
    texts = ["Good morning.", "The lights are on.", "It is seven.", "Open the door."]
    alone = {text: phonemize(piper, text) for text in texts}
    results: dict[str, list[object]] = {text: [] for text in texts}

    def ask(text: str) -> None:
        results[text].extend(phonemize(piper, text) for _ in range(20))

    threads = [threading.Thread(target=ask, args=(text,)) for text in texts]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=20)
    assert results == {text: [alone[text]] * 20 for text in texts}


# Failures


@pytest.mark.parametrize(
    "make", [lambda: PiperPhonemizerProcess("elvish", None), lambda: KokoroPhonemizerProcess("elvish")]
)
def test_the_error_names_a_voice_unknown_to_espeak(
    make: Callable[[], PiperPhonemizerProcess | KokoroPhonemizerProcess],
) -> None:
    process = make()
    for _ in range(2):
        with pytest.raises(VoiceUnavailable, match="elvish"):
            process.wait_ready()
    process.close()


@pytest.mark.parametrize("voice", ["\0", "\ud800", ""])
def test_any_voice_name_is_known_or_raises_voice_unavailable(voice: str) -> None:
    process = PiperPhonemizerProcess(voice, None)
    try:
        assert phonemize(process, "5")
    except VoiceUnavailable:
        return
    finally:
        process.close()


def test_a_text_that_crashes_the_library_fails_only_its_own_sentence() -> None:
    engine = PiperEngine(EngineOptions(data_dirs=(VOICES,), intra_op_threads=1))
    voice = next(voice for voice in engine.installed() if voice.name == LOW.name)
    loaded = engine.load(voice)
    spec = VoiceSpec(voice)
    before = loaded.phonemes(Segment("Hello"), spec)
    # The engine inserts gaps into long words, so only direct input can crash the library.
    with pytest.raises(EngineFailed, match=r"espeak-ng for 'en-us' \(piper\) ended \(status -\d+\)"):
        loaded._phonemizer._package.phonemize(DEADLY)
    assert loaded.phonemes(Segment("Hello"), spec) == before
    assert sum(len(samples_of(step)) for step in loaded.render(Segment("Hello"), spec, Prosody()))
    loaded.close()


def test_words_are_phonemized_by_themselves_all_at_once(piper: PiperPhonemizerProcess) -> None:
    texts = ["of", "the", "25", "no. 5. yes", "Hello, you", "☃"]
    each = ["".join(map("".join, piper.phonemize("en-us", text))) for text in texts]
    spoken = piper.phonemize_each(texts)
    assert [phonemes.replace(" ", "") for phonemes in spoken] == [one.replace(" ", "") for one in each]
    assert piper.phonemize_each([]) == []


def test_a_process_killed_between_two_texts_is_restarted_unnoticed(piper: PiperPhonemizerProcess) -> None:
    before = phonemize(piper, "Hello")
    os.kill(pid_of(piper), signal.SIGKILL)
    piper._child._running.wait()
    assert phonemize(piper, "Hello") == before


def test_a_process_killed_while_phonemizing_fails_only_one_text(piper: PiperPhonemizerProcess) -> None:
    before = phonemize(piper, "Hello")
    pid = pid_of(piper)
    os.kill(pid, signal.SIGSTOP)
    stdin = piper._child._running.stdin
    assert stdin is not None
    given = threading.Event()

    class NotifyingPipe:
        """The pipe to the process, signalling when the text has been written."""

        def __init__(self, pipe: IO[bytes]) -> None:
            self._pipe = pipe

        def write(self, content: bytes) -> int:
            return self._pipe.write(content)

        def flush(self) -> None:
            self._pipe.flush()
            given.set()

        def close(self) -> None:
            self._pipe.close()

    piper._child._running.stdin = NotifyingPipe(stdin)  # type: ignore[assignment]
    failures: list[EngineFailed] = []

    def ask() -> None:
        with pytest.raises(EngineFailed, match="status -9") as raised:
            phonemize(piper, "Good morning")
        failures.append(raised.value)

    asking = threading.Thread(target=ask)
    asking.start()
    assert given.wait(timeout=20)
    os.kill(pid, signal.SIGKILL)
    asking.join(timeout=20)
    assert len(failures) == 1
    assert phonemize(piper, "Hello") == before
    assert pid_of(piper) != pid


def test_an_exception_of_the_package_is_reported_and_the_process_survives() -> None:
    def broken(text: str) -> object:
        raise RuntimeError(f"no {text}")

    assert phonemizer_process._answer(broken, "dictionary") == {"error": "no dictionary"}


# Process


@pytest.mark.parametrize(
    "make", [lambda: PiperPhonemizerProcess("en-us", None), lambda: KokoroPhonemizerProcess("en-us")]
)
def test_the_process_is_small_and_leaves_no_files_behind(
    make: Callable[[], PiperPhonemizerProcess | KokoroPhonemizerProcess],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    before = set(os.listdir("/proc/self/fd"))  # noqa: PTH208
    process = make()
    pid = pid_of(process)
    status = Path(f"/proc/{pid}/status").read_text(encoding="utf-8")
    resident = next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmRSS"))
    assert resident < 40_000
    process.close()
    assert not Path(f"/proc/{pid}").exists()
    assert set(os.listdir("/proc/self/fd")) == before  # noqa: PTH208
    assert list(tmp_path.iterdir()) == []
    process.close()


@pytest.mark.parametrize(
    "make", [lambda: PiperPhonemizerProcess("en-us", None), lambda: KokoroPhonemizerProcess("en-us")]
)
def test_the_process_maps_no_executable_from_a_temporary_directory(
    make: Callable[[], PiperPhonemizerProcess | KokoroPhonemizerProcess],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Containers and hardened services mount /tmp with noexec."""
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    process = make()
    maps = Path(f"/proc/{pid_of(process)}/maps").read_text(encoding="utf-8")
    process.close()
    assert "espeak" in maps
    assert str(tmp_path) not in maps


def test_a_closed_phonemizer_refuses_further_texts() -> None:
    process = PiperPhonemizerProcess("en-us", None)
    process.close()
    with pytest.raises(EngineFailed, match="closed"):
        phonemize(process, "Hello")
    with pytest.raises(EngineFailed, match="closed"):
        process.wait_ready()


def test_garbage_collecting_the_phonemizer_ends_its_process() -> None:
    process = PiperPhonemizerProcess("en-us", None)
    pid = pid_of(process)
    del process
    gc.collect()
    assert not Path(f"/proc/{pid}").exists()
