"""Words are timed by the durations of their phonemes: in every batch, exactly, and never beyond the audio."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import closing
from itertools import pairwise
from pathlib import Path

import numpy as np
import onnx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.tones import KOKORO, VOICES
from tests.unit.engines.kokoro.conftest import KokoroFile
from tests.voices.make_kokoro import KOKORO_VARIANTS, KokoroVariant, kokoro_like_model, write_kokoro
from wyoming_tts.engines.base import EngineOptions, Rendered, samples_of
from wyoming_tts.engines.kokoro import opening
from wyoming_tts.engines.kokoro.batches import BatchLimits, cut_batches
from wyoming_tts.engines.kokoro.decoder import FRAME_SAMPLES, Request
from wyoming_tts.engines.kokoro.engine import KokoroEngine
from wyoming_tts.engines.kokoro.loaded import LoadedKokoro
from wyoming_tts.engines.kokoro.opening import OpenedDecoder, open_whole
from wyoming_tts.engines.kokoro.phonemes import KokoroPhonemizer
from wyoming_tts.engines.kokoro.word_timings import (
    PAIR_SAMPLES,
    BatchTimes,
    TextWord,
    TextWords,
    edges_of,
    heard_edges,
    in_stream,
    words_with_phonemes,
)
from wyoming_tts.errors import EngineFailed
from wyoming_tts.offset_text import Span
from wyoming_tts.speech import (
    Prosody,
    Samples,
    Segment,
    TimedSamples,
    Voice,
    VoiceSpec,
    WordTiming,
    WordTimings,
)

SENTENCE = "The front door is open."
LONG = (
    "The heating in the bathroom is still running, and the window above the stairs has been standing open "
    "since the morning, which is why it's so cold."
)


def _words(phonemes: str) -> list[TextWord]:
    """A word for each group of letters; its place in the phonemes is that in the text as well."""
    words = []
    begin = 0
    for group in phonemes.split(" "):
        span = Span(begin, begin + len(group))
        if any(map(str.isalpha, group)):
            words.append(TextWord(span, span))
        begin = span.end + 1
    return words


class TestBatches:
    @given(
        st.lists(st.sampled_from(["a", "bə", "wˈɜːd", "wˈɜːd,", "…", "—", "x" * 300, "wˈɜːd."]), max_size=80),
        st.integers(30, 200),
    )
    def test_the_words_of_all_batches_are_those_of_the_text(self, groups: list[str], longest: int) -> None:
        phonemes = " ".join(groups)
        words = TextWords(phonemes, _words(phonemes))
        found: dict[Span, str] = {}
        for batch in cut_batches(phonemes, BatchLimits(longest, longest)):
            for word in words.of(batch).words:
                assert word.phonemes.begin < word.phonemes.end <= len(batch)
                found[word.text] = found.get(word.text, "") + batch[slice(*word.phonemes)]
        assert found == {word.text: phonemes[slice(*word.text)] for word in _words(phonemes)}
        assert [*found] == sorted(found)


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ([(0, 2, 3), (3, 5, 0), (6, 8, 2)], [(0, 2), (6, 8)]),  # with spaces
        ([(0, 1, 2), (1, 2, 0), (2, 3, 4)], [(0, 1), (1, 3)]),
        ([(0, 1, 0), (1, 2, 0), (2, 3, 4), (3, 4, 1)], [(0, 3), (3, 4)]),
        ([(0, 1, 2), (1, 2, 0), (2, 3, 0), (4, 5, 1)], [(0, 3), (4, 5)]),
        ([(0, 1, 2), (1, 2, 0)], [(0, 2)]),
        ([(0, 1, 0), (2, 3, 0)], []),
        ([], []),
    ],
)
def test_a_word_without_phonemes_is_part_of_one_that_touches_it(
    words: list[tuple[int, int, int]], expected: list[tuple[int, int]]
) -> None:
    spans = [Span(begin, end) for begin, end, _ in words]
    found = words_with_phonemes(spans, [Span(10, 10 + count) for *_, count in words])
    assert [word.text for word in found] == expected
    assert [word.phonemes.end - 10 for word in found] == [count for *_, count in words if count]


class TestDurations:
    def test_edges_add_up_the_durations_before_them(self) -> None:
        assert edges_of(np.array([[4, 1, 2, 1]], np.float32), 2) == pytest.approx([2400, 3000, 4200])

    def test_durations_of_other_tokens_are_none(self) -> None:
        assert edges_of(np.ones(5, np.float32), 2) is None

    @pytest.mark.parametrize(
        ("pad", "lead"), [(0, 0), (600, 0), (1500, 0), (2000, 500), (3000, 1500), (9000, 1500)]
    )
    def test_as_much_silence_as_is_taken_off_is_left_before_the_sound(self, pad: int, lead: int) -> None:
        assert heard_edges(np.array([pad, pad + 600])).tolist() == [pad - lead, pad + 600 - lead]


class TestBatchTimes:
    WORDS = TextWords("ab, cd.", [TextWord(Span(0, 2), Span(0, 2)), TextWord(Span(4, 6), Span(4, 6))])

    def _timed(self, sounding: list[int], kept: Span) -> list[tuple[int, int]]:
        frames = np.zeros(20, bool)
        frames[sounding] = True
        edges = np.array([0, 600, 3000, 3600, 4200, 4800, 5400, 6000])
        batch = TextWords("ab, cd.", self.WORDS._words).of("ab, cd.")
        timings = batch.time(BatchTimes(edges, frames, 300), kept)
        return [(word.first_sample, word.end_sample) for word in timings.words]

    def test_the_pause_after_a_word_is_not_part_of_it(self) -> None:
        sounding = [0, 1, 2, 3, 4, 14, 15, 16, 17]
        assert self._timed(sounding, Span(0, 6000)) == [(0, 1500), (4200, 5400)]

    def test_a_last_phoneme_without_sound_keeps_a_pair_of_frames(self) -> None:
        assert self._timed([0, 1], Span(0, 6000)) == [(0, 1200), (4200, 5400)]

    def test_what_is_trimmed_is_taken_off_and_nothing_lies_beyond_the_rest(self) -> None:
        assert self._timed([*range(20)], Span(300, 5000)) == [(0, 2700), (3900, 4700)]

    def test_a_word_that_is_trimmed_is_not_told(self) -> None:
        assert self._timed([*range(20)], Span(3000, 6000)) == [(1200, 2400)]

    def test_silence_has_no_words(self) -> None:
        assert self._timed([], Span(0, 0)) == []


def test_words_are_counted_from_the_first_sample_of_all_audio() -> None:
    told = WordTimings((WordTiming(0, 1, 5, 9),))
    steps: list[Rendered] = [TimedSamples(np.ones(10, np.float32), told), np.ones(5, np.float32)]
    *_, last = in_stream(iter([*steps, TimedSamples(np.ones(3, np.float32), told)]))
    assert isinstance(last, TimedSamples)
    assert last.timings.words == (WordTiming(0, 1, 20, 24),)


@pytest.fixture(scope="module")
def tones() -> Iterator[tuple[LoadedKokoro, dict[str, Voice]]]:
    engine = KokoroEngine(EngineOptions(data_dirs=(VOICES,), intra_op_threads=1))
    voices = {voice.name: voice for voice in engine.installed()}
    with closing(engine.load(voices["af_test"])) as loaded:
        yield loaded, voices


def _render(
    loaded: LoadedKokoro, voice: Voice, text: str, **prosody: float
) -> tuple[Samples, list[WordTiming]]:
    """The audio, and the words, each of which is told before its audio."""
    samples: list[Samples] = []
    words: list[WordTiming] = []
    made = 0
    for step in loaded.render(Segment(text), VoiceSpec(voice), Prosody(**prosody)):
        if isinstance(step, TimedSamples):
            words += step.timings.words
            assert step.timings.words[0].first_sample >= made
        samples.append(samples_of(step))
        made += len(samples[-1])
    assert all(one.end_sample <= two.first_sample for one, two in pairwise(words))
    assert words == sorted(words, key=lambda word: word.begin)
    assert not words or words[-1].end_sample <= made
    return np.concatenate(samples), words


def _heard(
    audio: Samples, words: list[WordTiming], text: str, *, speed: float = 1.0
) -> list[tuple[str, str]]:
    """Each word, and the tones that are heard between its begin and its end."""
    return [
        (
            text[word.begin : word.end],
            "".join(KOKORO.said(audio[word.first_sample : word.end_sample], speed=speed)),
        )
        for word in words
    ]


class TestTones:
    """A model that cannot be cut; each phoneme is a tone, without silence, so that times are exact."""

    @pytest.mark.parametrize("speed", [0.8, 1.0])
    @pytest.mark.parametrize(
        ("voice", "text", "expected"),
        [
            ("af_test", SENTENCE, "The:ðə front:fɹˈʌnt door:dˈɔːɹ is:ɪz open:ˈoʊpən"),
            ("af_test", 'Somebody, "you" – standing!', "Somebody:sˈʌmbɑːdi you:juː standing:stˈændɪŋ"),
            ("af_test", "Is [[ʃɪˈvɔːn]], the one?", "Is:ɪz [[ʃɪˈvɔːn]]:ʃɪˈvɔːn the:ðə one:wˌʌn"),
            ("af_test", "It is one of the kings.", "It:ɪɾ is:ɪz one:wˈʌn of:ʌv the:ðə kings:kˈɪŋz"),
            (
                "af_test",
                "Take 25 of 100 now.",
                "Take:tˈeɪk 25:twˈɛnti fˈaɪv of:ʌv 100:wˈʌnhˈʌndɹɪd now:nˈaʊ",
            ),
            ("ef_test", "Son las 3 de la tarde.", "Son:sˈon las:las 3:tɾˈes de:ðe la:la tarde:tˈaɾðe"),
            ("ff_test", "Il est là, bien sûr !", "Il:il est:ɛ là:lˈa bien:bjˈɛ̃ sûr:sˈyːʁ"),
        ],
    )
    def test_each_word_is_heard_exactly_when_it_is_said_to_be(
        self, tones: tuple[LoadedKokoro, dict[str, Voice]], voice: str, text: str, expected: str, speed: float
    ) -> None:
        loaded, voices = tones
        audio, words = _render(loaded, voices[voice], text, speed=speed)
        heard = [f"{word}:{said}" for word, said in _heard(audio, words, text, speed=speed)]
        assert " ".join(heard) == expected

    def test_the_words_of_later_batches_are_timed_in_the_whole_audio(
        self, tones: tuple[LoadedKokoro, dict[str, Voice]]
    ) -> None:
        loaded, voices = tones
        text = f"{LONG} {LONG}"
        audio, words = _render(loaded, voices["af_test"], text)
        heard = _heard(audio, words, text)
        assert [word for word, _ in heard] == text.replace(",", "").replace(".", "").split()
        phonemes = loaded.phonemes(Segment(text), VoiceSpec(voices["af_test"]))
        assert "".join(said for _, said in heard) == phonemes.translate(dict.fromkeys(map(ord, " ,.")))

    @pytest.mark.parametrize("speed", [0.5, 1.5, 3.0])
    def test_words_are_as_much_faster_as_the_audio(
        self, tones: tuple[LoadedKokoro, dict[str, Voice]], speed: float
    ) -> None:
        loaded, voices = tones
        own = min(max(speed, 0.8), 1.1)
        _, natural = _render(loaded, voices["af_test"], LONG, length_scale=1 / own)
        _, words = _render(loaded, voices["af_test"], LONG, speed=speed)
        assert [(word.first_sample, word.end_sample) for word in words] == [
            (round(word.first_sample * own / speed), round(word.end_sample * own / speed)) for word in natural
        ]

    @pytest.mark.parametrize("text", ["a\ud800b one \0 two", "NA\ud800SA is 5", "]] of [[ the"])
    def test_a_text_that_cannot_be_encoded_has_the_words_that_it_is_spoken_with(
        self, tones: tuple[LoadedKokoro, dict[str, Voice]], text: str
    ) -> None:
        loaded, voices = tones
        audio, words = _render(loaded, voices["af_test"], text)
        assert len(_heard(audio, words, text)) >= 2

    def test_words_that_crash_the_phonemizer_by_themselves_are_spoken_and_estimated(
        self, tones: tuple[LoadedKokoro, dict[str, Voice]], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def crash(*_: object) -> None:
            raise EngineFailed("espeak-ng ended")

        loaded, voices = tones
        text = "Gate 7 of those, however."
        monkeypatch.setattr(KokoroPhonemizer, "phonemes_of_words", crash)
        audio, words = _render(loaded, voices["af_test"], text)
        assert len(KOKORO.said(audio)) == 1
        assert [text[word.begin : word.end] for word in words] == ["Gate", "7", "of", "those", "however"]

    def test_nothing_to_say_has_no_words(self, tones: tuple[LoadedKokoro, dict[str, Voice]]) -> None:
        loaded, voices = tones
        audio, words = _render(loaded, voices["af_test"], "...")
        assert (audio.size, words) == (0, [])


class TestWholeModel:
    @pytest.mark.parametrize("variant", KOKORO_VARIANTS, ids=str)
    def test_the_durations_of_every_export_become_an_output(
        self, kokoro_file: KokoroFile, variant: KokoroVariant, caplog: pytest.LogCaptureFixture
    ) -> None:
        opened = open_whole(kokoro_file(variant), EngineOptions(intra_op_threads=1))
        assert opened.is_extended
        assert [output.name for output in opened.model.get_outputs()] == ["audio", "duration"]
        feeds = {"tokens": np.array([[0, 5, 6, 7, 0]]), "style": np.zeros((1, 256), np.float32)}
        audio, durations = opened.model.run(None, {**feeds, "speed": np.ones(1, np.float32)})
        assert durations.size == 5
        assert durations.sum() * PAIR_SAMPLES == audio.size
        assert "words are heard" not in caplog.text

    def test_a_model_that_tells_durations_stays_as_it_is(self) -> None:
        assert not open_whole(VOICES / "kokoro-tones.onnx", EngineOptions(intra_op_threads=1)).is_extended

    def test_a_model_without_durations_tells_nothing_and_the_log_says_so_once(
        self, tmp_path: Path, caplog: pytest.LogCaptureFixture
    ) -> None:
        model = onnx.ModelProto()
        model.CopyFrom(kokoro_like_model(KokoroVariant()))
        for node in model.graph.node:
            node.op_type = node.op_type.replace("Round", "Ceil")
        write_kokoro(tmp_path, KokoroVariant())
        (tmp_path / "kokoro-like.onnx").write_bytes(model.SerializeToString())
        with caplog.at_level(logging.INFO):
            audio, words = _speak_whole(tmp_path)
        assert audio.size
        assert words == []
        told = [record.getMessage() for record in caplog.records if "words are heard" in record.message]
        reason = "the durations of its phonemes were not found"
        assert told == [f"kokoro-like.onnx does not tell when words are heard: {reason}"]

    def test_its_words_last_as_long_as_their_phonemes_and_its_audio_stays_the_same(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        write_kokoro(tmp_path, KokoroVariant())
        audio, words = _speak_whole(tmp_path)
        assert [SENTENCE[word.begin : word.end] for word in words] == ["The", "front", "door", "is", "open"]
        assert all((word.end_sample - word.first_sample) % PAIR_SAMPLES == 0 for word in words[1:-1])
        monkeypatch.setattr(opening, "durations_output", lambda _: None)
        as_it_was, untold = _speak_whole(tmp_path)
        assert untold == []
        assert np.array_equal(audio, as_it_was)


def _speak_whole(directory: Path) -> tuple[Samples, list[WordTiming]]:
    options = EngineOptions(data_dirs=(directory,), intra_op_threads=1, kokoro_chunked=False)
    engine = KokoroEngine(options)
    voice = engine.installed()[0]
    with closing(engine.load(voice)) as loaded:
        return _render(loaded, voice, SENTENCE)


class TestCutModel:
    @pytest.mark.parametrize("speed", [0.8, 1.0, 1.3])
    def test_all_durations_are_all_of_the_audio(self, opened: OpenedDecoder, speed: float) -> None:
        decoder = opened.decoder
        request = Request(tuple(range(50, 90)), np.full((1, 256), 0.1, np.float32), speed)
        encoded = decoder.encode_text(request)
        times = decoder.time_phonemes(encoded)
        assert times is not None
        assert len(times.edges) == 41
        assert (np.diff(times.edges) % PAIR_SAMPLES == 0).all()
        samples, _ = decoder.decode_whole(decoder.make_sentence(encoded))
        assert len(samples) == len(times.sounding) * FRAME_SAMPLES
        last_pad = len(samples) - times.edges[-1]
        assert last_pad >= 0
        assert last_pad % (PAIR_SAMPLES // 2) == 0
