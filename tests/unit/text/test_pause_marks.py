from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wyoming_tts.text.pause_marks import mark_pauses

ELLIPSES = [
    ("Go... now.", "Go, now."),
    ("Go … now.", "Go, now."),
    ("Go...now.", "Go, now."),
    ("Go . . . now.", "Go, now."),
    ("wait.. what", "wait, what"),
    ("“Go...” he said", "“Go,” he said"),
    ("« Go… » dit-il", "« Go, » dit-il"),
    ('He said "no" ... then', 'He said "no," then'),
    ("Really?... maybe", "Really? maybe"),
    ("so,... maybe", "so, maybe"),
    ("Go…, now", "Go, now"),
    ("It is 5 °... now", "It is 5 °, now"),
    ("a... b... c", "a, b, c"),
    ("He said (...) that [...] this", "He said, that, this"),
    ("Say \ufdd0... now", "Say \ufdd0, now"),
    ("我…我", "我, 我"),
]
BRACKETS = [
    ("He (the old man) left.", "He, the old man, left."),
    ("He left (at last).", "He left, at last."),
    ("It is a (quick) test", "It is a quick, test"),
    ("A (quick) test", "A quick, test"),
    ("Option A (the best) won", "Option A, the best, won"),
    ("He left (at last!), then", "He left, at last!, then"),
    ("(the old man) left", "the old man, left"),
    ("(Go.)", "Go."),
    ("See [the man] here", "See, the man, here"),
    ("Hall, (5 lux), dark", "Hall, 5 lux, dark"),
    ("eggs ((two) or so) here", "eggs, two, or so, here"),
    ("(1) eggs (2) milk", "1, eggs, 2, milk"),
    ('He said "(no)" twice', 'He said "no" twice'),
    ('"No" (he said) so', '"No", he said, so'),
    ("He (see below", "He, see below"),
    ("below as well) left", "below as well, left"),
    ("你好（老人）走了。", "你好，老人，走了。"),
]
KEPT = [
    *["Wait…", "Wait...", "... and so", "“Wait…”", "cd ../x", "1.5 a. b. c", "走吧……"],
    *["file(s) here", "f(x) is", "(un)likely", "a[0] is", "H(2)O", "call foo() now", "+49 (0)30 5"],
    *[
        "choose [1] or [2].",
        "press [F5] or [a]",
        "a) eggs b) milk",
        "1) eggs",
        "iv) eggs",
        "list] on",
        "no (!) way (?)",
        "(:",
    ],
]


@pytest.mark.parametrize(("text", "expected"), [*ELLIPSES, *BRACKETS, *((text, text) for text in KEPT)])
def test_ellipses_and_brackets_within_a_sentence_become_commas(text: str, expected: str) -> None:
    assert mark_pauses(text) == expected


@given(
    st.lists(st.sampled_from([*"()[]{}（）.…,!? \"'", "...", "word", "5", "你", "\ufdd0"]), max_size=30).map(
        "".join
    )
)
def test_no_letter_or_digit_is_lost_and_what_is_marked_stays(text: str) -> None:
    marked = mark_pauses(text)

    assert [char for char in marked if char.isalnum()] == [char for char in text if char.isalnum()]
    assert marked.count("\ufdd0") == text.count("\ufdd0")
    assert len(marked) <= len(text) + sum(map(text.count, "([（）])…."))
