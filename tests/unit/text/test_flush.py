"""Flushing a text that stops arriving: what is certain is spoken first, after a longer pause all of it."""

import pytest

from wyoming_tts.speech import Segment
from wyoming_tts.text.segments import Segmenter, SegmentOptions

ENDINGS = (
    *(
        "Hello there!",
        "Hello there,",
        "partial…",
        "Hmm...",
        'He said "Yes."',
        "really?!",
        "well;",
        "partial",
        "it's",
    ),
    *(
        "Is it **bold**",
        "Use `ls`",
        "see [docs](http://x.de)",
        "see [docs",
        "end *",
        "- item",
        "# Heading",
        "b!",
    ),
    *("50%", "It is $5", "5 km", "It costs 3.", "it is 3.5", "at 12:30", "1.", "C#", "about ~5", "$x^2$"),
    *(
        "e.g.",
        "Mr. Smith",
        "<b>x</b>",
        "a_b",
        "http://example.com",
        "[[ x ]]",
        "yes 😀",
        "(c)",
        "你好",
        "今天25度",
    ),
)


def segmenter() -> Segmenter:
    return Segmenter(SegmentOptions(auto_punctuation=""), language="en_US")


def words_of(segments: list[Segment]) -> list[str]:
    return " ".join(segment.text.removesuffix(".") for segment in segments).split()


@pytest.mark.parametrize("text", ENDINGS)
def test_after_a_long_pause_nothing_is_left_whatever_the_text_ends_with(text: str) -> None:
    arriving, whole = segmenter(), segmenter()
    spoken = [*arriving.feed(text), *arriving.flush(), *arriving.flush(everything=True)]
    assert words_of(spoken) == words_of([*whole.feed(text), *whole.finish()])
    assert arriving.finish() == []


@pytest.mark.parametrize("text", ENDINGS[:7])
def test_a_word_that_ends_in_a_mark_is_spoken_after_the_first_pause(text: str) -> None:
    arriving = segmenter()
    assert words_of([*arriving.feed(text), *arriving.flush()]) == text.removesuffix(".").split()


@pytest.mark.parametrize("text", ["partial", "It costs 3.", "on 5.", "z. B"])
def test_a_word_that_may_go_on_waits_for_the_long_pause(text: str) -> None:
    arriving = segmenter()
    assert text.removesuffix(".").rsplit(maxsplit=1)[-1] not in words_of(
        [*arriving.feed(text), *arriving.flush()]
    )


def test_an_open_code_block_and_a_thought_stay_open_over_a_long_pause() -> None:
    arriving = segmenter()
    spoken = [*arriving.feed("Look:\n```\nx = 1\n"), *arriving.flush(everything=True)]
    spoken += [*arriving.feed("y = 2\n```\nDone. <think>so\n"), *arriving.flush(everything=True)]
    spoken += [*arriving.feed("secret</think> Bye. <thi"), *arriving.flush(everything=True)]
    spoken += [*arriving.feed("nk>hidden</think>"), *arriving.finish()]
    assert words_of(spoken) == ["Look:", "Done", "Bye"]


def test_text_goes_on_after_a_long_pause() -> None:
    arriving = segmenter()
    assert words_of([*arriving.feed("one tw"), *arriving.flush(everything=True)]) == ["one", "tw"]
    assert words_of([*arriving.feed("o three."), *arriving.finish()]) == ["o", "three"]
