from __future__ import annotations

from bench.said_right.__main__ import Heard, rows


def test_there_are_forty_texts_each_with_the_words_that_it_is_said_in() -> None:
    texts = [row.text for row in rows()]
    assert len(texts) == len(set(texts)) == 40
    assert not any(sign.isdigit() for row in rows() for sign in row.words)


def test_errors_are_words_that_were_replaced_left_out_or_added() -> None:
    assert Heard("a", "3 km", ["three", "kilometers"], ["three", "k", "m"]).errors == 2
