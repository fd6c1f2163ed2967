from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from wyoming_tts.engines.kokoro.batches import (
    FIRST_MAX_PHONEMES,
    MAX_PHONEMES,
    MIN_PHONEMES,
    BatchLimits,
    cut_batches,
    last_mark,
)

WORD = "wˈɜːd"


def _words(count: int) -> str:
    return " ".join([WORD] * count)


def _lengths(phonemes: str) -> list[int]:
    return [len(batch) for batch in cut_batches(phonemes)]


def _clauses(*words: int, mark: str = ",") -> str:
    return f"{mark} ".join(map(_words, words)) + "."


class TestWhereItIsCut:
    @pytest.mark.parametrize("words", [1, 5, 10, 12])
    def test_a_short_sentence_is_one_batch_whatever_its_punctuation(self, words: int) -> None:
        sentence = _clauses(*[1] * words)
        assert len(sentence) <= FIRST_MAX_PHONEMES + MIN_PHONEMES
        assert cut_batches(sentence) == [sentence]

    def test_a_sentence_that_fits_is_never_split_between_words(self) -> None:
        sentence = _words(20) + "."
        assert FIRST_MAX_PHONEMES + MIN_PHONEMES < len(sentence) <= MAX_PHONEMES
        assert cut_batches(sentence) == [sentence]

    def test_the_first_batch_of_a_long_sentence_is_its_first_clause(self) -> None:
        assert cut_batches(_clauses(7, 12)) == [_words(7) + ",", _words(12) + "."]

    def test_a_first_clause_that_is_too_short_is_joined_with_the_next(self) -> None:
        assert cut_batches(_clauses(2, 6, 10)) == [_words(2) + ", " + _words(6) + ",", _words(10) + "."]

    def test_a_first_clause_is_not_split_off_when_the_remainder_is_too_short(self) -> None:
        assert cut_batches(_clauses(9, 9, 3)) == [_words(9) + ",", _clauses(9, 3)]

    def test_long_sentences_are_split_at_clause_boundaries(self) -> None:
        assert cut_batches(_clauses(6, 15, 15, 15)) == [
            _words(6) + ",",
            *[_words(15) + ","] * 2,
            _words(15) + ".",
        ]

    def test_sentences_without_clauses_are_split_evenly_between_words(self) -> None:
        lengths = _lengths(_words(35) + ".")
        assert len(lengths) == 2
        assert abs(lengths[0] - lengths[1]) <= len(WORD) + 1

    def test_no_tiny_remainder_is_left_over(self) -> None:
        sentence = _words(21) + ", " + _words(2) + "."
        assert len(sentence) > MAX_PHONEMES
        assert min(_lengths(sentence)) > FIRST_MAX_PHONEMES - len(WORD)

    @pytest.mark.parametrize("mark", [",", ";", ":", "!", "?", "…", '",', ',"', "!)"])
    def test_every_clause_mark_keeps_its_closing_quotes_and_brackets(self, mark: str) -> None:
        assert cut_batches(_clauses(8, 14, mark=mark)) == [_words(8) + mark, _words(14) + "."]

    @pytest.mark.parametrize("dash", ["—", " — ", "— "])
    def test_a_dash_without_spaces_ends_a_clause(self, dash: str) -> None:
        cut = cut_batches(_words(8) + dash + _words(14) + ".")
        assert cut == [_words(8) + dash.rstrip(), _words(14) + "."]

    def test_a_detached_mark_belongs_to_the_words_before_it(self) -> None:
        assert cut_batches(_words(8) + " : " + _words(14) + " .") == [_words(8) + " :", _words(14) + " ."]

    def test_a_full_stop_is_no_clause_boundary_but_preferred_over_a_word_boundary(self) -> None:
        assert len(cut_batches(_words(8) + ". " + _words(12) + ".")) == 1
        long = cut_batches(_words(9) + ". " + _words(20) + ".")
        assert long == [_words(9) + ".", _words(20) + "."]

    def test_marks_inside_a_word_are_no_split_points(self) -> None:
        time = "tˈɛn:θˈɜːɾi"
        for batch in cut_batches(" ".join([time] * 30)):
            assert set(batch.split(" ")) == {time}

    def test_a_word_longer_than_a_batch_is_split_evenly(self) -> None:
        assert _lengths("x" * 500) == [125] * 4

    def test_silent_phonemes_give_no_batch(self) -> None:
        assert cut_batches("") == []
        assert cut_batches(" —?! … ") == []
        assert cut_batches("—" * 500) == []


_PHONEMES = st.text(alphabet='abəˈː ,;:—.!?…"” ', max_size=700)
_SPEECH = st.lists(
    st.sampled_from(
        [WORD, "ɐ", "ˈæntaɪ", "x" * 90, "y" * 300, ",", ";", "—", ".", "?", '"', "—x", "wˌʌt,", "ðˈæt."]
    ),
    max_size=150,
).map(" ".join)


class TestForAnyText:
    @given(_PHONEMES | _SPEECH)
    @example("x" * (MAX_PHONEMES + 1))
    @example(_clauses(1, 60, 1))
    def test_no_phoneme_is_lost_and_no_batch_exceeds_the_maximum(self, phonemes: str) -> None:
        cut = cut_batches(phonemes)
        assert all(0 < len(batch) <= MAX_PHONEMES for batch in cut)
        sounds = [p for p in phonemes if p.isalpha()]
        assert [p for p in "".join(cut) if p.isalpha()] == sounds or not any(p.islower() for p in phonemes)

    @given(
        st.lists(st.sampled_from([WORD, "ɐ", "wˌʌt,", "jˈuː—ðˈæt;", "ˈæntaɪ."]), min_size=20, max_size=150)
    )
    def test_no_batch_of_ordinary_words_is_below_the_minimum(self, words: list[str]) -> None:
        cut = cut_batches(" ".join(words))
        assert len(cut) == 1 or min(map(len, cut)) >= MIN_PHONEMES
        assert " ".join(cut).split() == " ".join(words).split() or any("—" in word for word in words)

    @given(st.lists(st.integers(5, 9), min_size=2, max_size=20))
    def test_text_with_clauses_has_a_short_first_batch_and_splits_only_at_clauses(
        self, clauses: list[int]
    ) -> None:
        cut = cut_batches(_clauses(*clauses))
        assert len(cut) == 1 or len(cut[0]) <= FIRST_MAX_PHONEMES
        assert all(last_mark(batch) for batch in cut)

    @given(_PHONEMES | _SPEECH, st.integers(MIN_PHONEMES, 600))
    def test_within_other_limits_nothing_is_lost_and_what_fits_is_one_batch(
        self, phonemes: str, longest: int
    ) -> None:
        cut = cut_batches(phonemes, BatchLimits(longest, longest))
        assert all(0 < len(batch) <= longest for batch in cut)
        assert len(cut) <= 1 or len(phonemes.strip()) > longest
        sounds = [p for p in phonemes if p.isalpha()]
        assert [p for p in "".join(cut) if p.isalpha()] == sounds or not any(p.islower() for p in phonemes)

    @pytest.mark.slow
    def test_a_very_long_text_is_split_in_linear_time(self) -> None:
        # Each split point is compared only with those one batch back; comparing with all would take minutes.
        assert sum(_lengths(_clauses(*[6] * 2500))) > 2500 * 6 * len(WORD)


class TestLastMark:
    @pytest.mark.parametrize(
        ("phonemes", "mark"),
        [
            ("jˈɛs.", "."),
            ("jˈɛs", ""),
            ("jˈɛs, ", ","),
            ('"jˈɛs!"', "!"),
            ("(jˈɛs?)", "?"),
            ('jˈɛs"', ""),
            ("jˈɛs —", "—"),
            ("", ""),
            ('" "', ""),
        ],
    )
    def test_the_last_mark_is_found_before_closing_quotes_and_brackets(
        self, phonemes: str, mark: str
    ) -> None:
        assert last_mark(phonemes) == mark
