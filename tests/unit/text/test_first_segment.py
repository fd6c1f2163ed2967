from __future__ import annotations

import string
from collections.abc import Iterable
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.hypothesis_examples import scaled_examples
from wyoming_tts.speech import Segment, TextFormat
from wyoming_tts.text.first_segment import DEFAULT_BOUNDARIES, FirstSegmentFinder, FirstSegmentOptions
from wyoming_tts.text.plain_text import is_speakable
from wyoming_tts.text.segments import Segmenter, SegmentOptions

BY_WORDS = FirstSegmentOptions(max_words=5)
OFF = FirstSegmentOptions(boundaries="")


def options(first: FirstSegmentOptions = FirstSegmentOptions()) -> SegmentOptions:  # noqa: B008 frozen
    return SegmentOptions(auto_punctuation="", first_segment=first)


def segment_text(pieces: Iterable[str], chosen: SegmentOptions) -> list[Segment]:
    segmenter = Segmenter(chosen)
    return [segment for piece in pieces for segment in segmenter.feed(piece)] + segmenter.finish()


def texts(pieces: Iterable[str], first: FirstSegmentOptions = FirstSegmentOptions()) -> list[str]:  # noqa: B008
    return [segment.text for segment in segment_text(pieces, options(first))]


CUT = {
    "comma": "I think that is so,| but I am not sure.",
    "second comma": "Well, yes, and that is fine,| is it not?",
    "colon": "Here is the list:| eggs and milk",
    "dash": "I know that much —| it is late",
    "dash without spaces": "I think so—| no, I know it is",
    "question": '"Is it open yet?"| he asked and went',
    "ellipsis": "So it would seem...| but it is not",
    "small letter behind a stop": "hello my dear friend.| how are you",
    "quotes": 'He said, "I know that one,"| and left the room',
    "spaced quotes": "« Bonjour à tous, »| dit-il à la foule",
    "spaced mark": "Bonjour à tous les amis !| dit-il à la foule",
    "thousands": "The bill is 1,000 euros today,| or so they say",
    "decimal": "It was 3.5 or 3,5 degrees,| which is cold",
    "time": "At 3:45 or 12.30 we meet,| or so they say",
    "date": "On July 4, 2025 we met,| and it was fun",
    "numbers": "Rooms 5, 6 and 7 are cold,| others are not",
    "German abbreviation": "Das ist z. B. ein Fall,| der oft vorkommt.",
    "title": "Please ask Dr. Smith or Mrs. Jones,| they know it",
    "country": "In the U.S. economy of today,| nobody knows that",
    "introduced": "Take the round ones, |e.g., apples or pears",
    "nothing behind what introduces": "You may, e.g., take any apples,| or some pears",
    "before noon": "We open at 10 a.m. every day,| and close early",
    "number sign": "Look at No. 5 or no. 6,| they are fine",
    "ordinal": "am 3. des Monats kommt er,| so sagt man",
    "approximately": "It is approx. five metres long,| as they say",
    "address": "See https://a.b/c,d?e=f:g for it,| or ask me",
    "e-mail": "Write to a.b@c.org or call,| as you like",
    "phonemes": "Look at [[ ɑ, b. ]] and more,| or at this",
    "also known as": "He is the one a.k.a. the boss,| as they say",
    "dash before a closing quote": '"I know it was—"| he said to us',
    "two words around a dash": "I think—so,| but no, not really",
    "unclosed phonemes": "Now [[ this is plain,| or so they say",
    "Chinese": "今天天气非常好，|我们去公园玩吧。",
    "Chinese quotes": "他说：“今天很好，”|然后走了很远。",
    "Chinese opening quotes": "他昨天对我说：|“今天很好。”",
    "Japanese": "この品の価格は1，000円です、|買いますか。",
    "Chinese time": "今天的比赛在3：45开始，|我们快去看。",
    "Thai": "สวัสดีครับ,| เราไปเที่ยวกัน",
    "Korean": "안녕하세요 저는 민수이고,| 학생 입니다",
    "Arabic": "مرحبا بكم جميعا،| كيف حالكم اليوم؟",
    "Urdu": "یہ ایک بات ہے،| کیا آپ نے سنا",
    "after a lone sign": "... !!! So it is now,| and so it was",
}


@pytest.mark.parametrize("marked", CUT.values(), ids=CUT)
@pytest.mark.parametrize("size", [1, 5, 1000])
def test_a_long_first_sentence_is_split_at_its_first_clause_boundary(marked: str, size: int) -> None:
    text = marked.replace("|", "")
    pieces = [text[start : start + size] for start in range(0, len(text), size)]
    first, _, rest = marked.removeprefix("... !!! ").partition("|")

    assert texts(pieces) == [first.strip(), rest.strip()]


def test_a_first_sentence_is_split_behind_brackets_which_are_pauses() -> None:
    pieces = ["The old door (the blue one,) is now open"]
    assert texts(pieces) == ["The old door, the blue one,", "is now open"]


@pytest.mark.parametrize(
    "text",
    [
        "Hello, my friend.",
        "Yes, no.",
        "Good morning to all, Robert.",
        "今天天气很好，再见",
        "你好，我们去公园玩",
        "There are ten of 1,000 and more",
        "She went to see Dr. Smith",
        "We met around 5, 6 people",
        "It is late,",
        "It is now 3: 4 people came",
        "这里一共有房间5， 6间是新的",
        "今天天气非常好，\u0301我们去公园玩吧",
    ],
)
def test_a_sentence_is_kept_whole(text: str) -> None:
    assert texts([text]) == [text]


def test_only_the_first_sentence_is_split() -> None:
    text = "It is late. I think that is so, but I am not sure at all."

    assert texts([text]) == ["It is late.", "I think that is so, but I am not sure at all."]


def test_the_remainder_of_the_first_sentence_is_not_split_again() -> None:
    assert texts(["I think it is, but as you know, I may be, as ever, wrong."]) == [
        "I think it is,",
        "but as you know, I may be, as ever, wrong.",
    ]


def test_a_split_adds_neither_silence_nor_punctuation() -> None:
    chosen = SegmentOptions(sentence_silence=0.5, first_segment=FirstSegmentOptions(max_words=3))

    assert segment_text(["One two three four five\n\nSix"], chosen) == [
        Segment("One two three"),
        Segment("four five."),
        Segment("Six.", pause_before=0.5),
    ]


def test_the_split_is_made_at_the_second_word_after_the_boundary() -> None:
    segmenter = Segmenter(options())
    words = ["I ", "think ", "that ", "is ", "so, ", "but ", "I"]

    emitted = [segmenter.feed(word) for word in words]

    assert emitted == [*[[]] * 6, [Segment("I think that is so,")]]


def test_a_sentence_that_ends_before_the_split_is_kept_whole() -> None:
    segmenter = Segmenter(options())

    assert segmenter.feed("I think that is so, Robert. ") == []
    assert segmenter.feed("T") == [Segment("I think that is so, Robert.")]


def test_a_number_after_a_full_stop_does_not_belong_to_the_previous_sentence() -> None:
    assert texts(["I need all of these, thanks. 1) Eggs"]) == ["I need all of these, thanks.", "1) Eggs"]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("The quick brown fox jumps over the dog", ["The quick brown fox jumps", "over the dog"]),
        ("The quick brown fox, as ever, jumps", ["The quick brown fox,", "as ever, jumps"]),
        ("one two three four five six seven, eight", ["one two three four five", "six seven, eight"]),
        ("one two three four five six", ["one two three four five six"]),
        ("one two three four Dr. Smith and more", ["one two three four Dr. Smith", "and more"]),
        ("we have one and 10 000 people and more", ["we have one and 10 000 people", "and more"]),
        ("one two three four five 6 seven eight", ["one two three four five 6 seven eight"]),
        ("one two three four five % or nine", ["one two three four five % or nine"]),
        ("one two three um 12 Uhr und acht", ["one two three um 12 Uhr", "und acht"]),
        ("one two three four [[ ɑ b c ]] six seven", ["one two three four [[ ɑ b c ]]", "six seven"]),
        ("one two three four five [[ a ]] seven", ["one two three four five", "[[ a ]] seven"]),
        ('one two three four five "six seven"', ["one two three four five", '"six seven"']),
        ("今天天气非常好我们去公园玩吧好不好呀", ["今天天气非常好我们去公园玩吧好不好呀"]),
    ],
)
def test_without_an_early_boundary_the_first_sentence_is_split_between_words(
    text: str, expected: list[str]
) -> None:
    assert texts([text], BY_WORDS) == expected


def test_only_configured_boundaries_are_used() -> None:
    text = "I think that is so, but no; it is / or so"

    assert texts([text], FirstSegmentOptions(boundaries=";")) == [
        "I think that is so, but no;",
        "it is / or so",
    ]
    assert texts([text], FirstSegmentOptions(boundaries="/")) == [
        "I think that is so, but no; it is /",
        "or so",
    ]


def test_without_configured_boundaries_the_split_is_between_words() -> None:
    first = FirstSegmentOptions(boundaries="", max_words=4)

    assert texts(["one two, three, four five six, seven"], first) == [
        "one two, three, four",
        "five six, seven",
    ]


def test_no_split_comes_before_the_minimum_number_of_words() -> None:
    first = FirstSegmentOptions(min_words=6, max_words=2)

    assert texts(["one, two, three, four, five, six seven, eight, nine"], first) == [
        "one, two, three, four, five, six",
        "seven, eight, nine",
    ]


def test_splitting_the_first_sentence_can_be_disabled() -> None:
    text = "I think that is so, but I am not sure at all, am I?"

    assert texts([text], OFF) == [text]


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"min_words": 0}, "min_words is 0"),
        ({"max_words": -1}, "max_words is -1"),
        ({"boundaries": ",a"}, "boundaries has 'a'"),
        ({"boundaries": ", ;"}, "boundaries has ' '"),
    ],
)
def test_options_out_of_range_are_rejected(wrong: dict[str, int], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        FirstSegmentOptions(**wrong)  # type: ignore[arg-type]


def test_a_sentence_longer_than_a_segment_is_still_split() -> None:
    chosen = SegmentOptions(auto_punctuation="", max_segment_chars=12)

    assert [segment.text for segment in segment_text(["Five words of four each, and more."], chosen)] == [
        "Five words",
        "of four",
        "each, and",
        "more.",
    ]


WORDS = st.sampled_from(
    [
        *["Hello", "you,", "there;", "so—no", "—", "Dr.", "U.S.", "e.g.,", "3.5", "1,000", "7:05,", "5,"],
        *[
            "...",
            "…",
            "Ende?!",
            '"Go,"',
            "(x),",
            "%",
            "z.",
            "B.",
            "d.",
            "https://a.b/c,d",
            "e\u0301",
            ",\u0301",
        ],
        *[
            "你好。",
            "今天",
            "天气很好，",
            "！”",
            "：“",
            "3：4",
            "كيف،",
            "أنا",
            "สวัสดี",
            "नमस्ते।",
            "，\u0301",
            "»",
            "«",
        ],
        *["*b*", "👩\u200d🔬", "1\ufe0f\u20e3", "[[ a, B ]]", "[[ ]]", "[[", "]]"],
    ]
)
SPACES = st.sampled_from([" ", " ", " ", "", "\n\n"])
TEXTS = st.lists(st.one_of(WORDS, SPACES, SPACES, st.characters()), max_size=60).map("".join)
FIRSTS = st.builds(
    FirstSegmentOptions,
    boundaries=st.sampled_from([DEFAULT_BOUNDARIES, "", ",", "…，-"]),
    min_words=st.integers(1, 5),
    max_words=st.integers(0, 6),
)
OPTIONS = st.builds(
    SegmentOptions,
    auto_punctuation=st.sampled_from(["", ".?!"]),
    sentence_silence=st.just(0.5),
    max_segment_chars=st.sampled_from([4, 20, 60, 500]),
    first_segment=FIRSTS,
)


def split_at(text: str, cuts: Iterable[int]) -> list[str]:
    edges = [0, *sorted(cut for cut in cuts if cut <= len(text)), len(text)]
    return [text[start:end] for start, end in pairwise(edges)]


@settings(max_examples=scaled_examples(300))
@given(text=TEXTS, chosen=OPTIONS, cuts=st.lists(st.integers(0, 200), max_size=12))
def test_the_segments_do_not_depend_on_chunk_boundaries(
    text: str, chosen: SegmentOptions, cuts: list[int]
) -> None:
    whole = segment_text([text], chosen)

    assert segment_text(text, chosen) == whole
    assert segment_text(split_at(text, cuts), chosen) == whole


@given(text=TEXTS, chosen=OPTIONS)
def test_splitting_moves_text_between_segments_without_changing_it(text: str, chosen: SegmentOptions) -> None:
    uncut = SegmentOptions("", 0.5, chosen.max_segment_chars, first_segment=OFF)
    cut = SegmentOptions("", 0.5, chosen.max_segment_chars, first_segment=chosen.first_segment)

    assert speakable_text(segment_text([text], cut)) == speakable_text(segment_text([text], uncut))


@given(text=TEXTS, chosen=OPTIONS)
def test_segments_are_speakable_and_within_their_limit(text: str, chosen: SegmentOptions) -> None:
    for segment in segment_text([text], chosen):
        assert 0 < len(segment.text) <= chosen.max_segment_chars + len(".")
        assert segment.text == segment.text.strip()
        assert is_speakable(segment.text) or "[[" in segment.text


def speakable_text(segments: list[Segment]) -> str:
    """Speakable text only: unspeakable characters may be in a segment or be dropped between two."""
    return "".join(filter(str.isalnum, "".join(segment.text for segment in segments)))


FLOODS = ["x, ", "x", ", ", "今天，", "[[ ]], ", "a. b, ", "5, ", "— ", "» ", "x) ", "z. B"]


@pytest.mark.parametrize("flood", FLOODS)
def test_the_boundary_finder_reads_each_character_once(flood: str, monkeypatch: pytest.MonkeyPatch) -> None:
    read = 0
    real = FirstSegmentFinder._read_char

    def counting(self: FirstSegmentFinder, text: str, index: int, char: str) -> None:
        nonlocal read
        read += 1
        real(self, text, index, char)

    monkeypatch.setattr(FirstSegmentFinder, "_read_char", counting)
    text = (flood * 5_000)[:5_000]

    texts(text, FirstSegmentOptions(min_words=1))

    assert read <= 1.2 * len(text)


@pytest.mark.parametrize("flood", FLOODS)
def test_the_buffered_text_does_not_grow_with_the_input(flood: str) -> None:
    first = FirstSegmentOptions(min_words=10_000, max_words=0)
    segmenter = Segmenter(SegmentOptions(max_segment_chars=100, first_segment=first))

    for start in range(0, 5_000, 7):
        segmenter.feed((flood * 5_000)[start : start + 7])
        assert len(segmenter._run._splitter._pending) + len(segmenter._run._cleaner.held) <= 220


def segments_with_flushes(*pieces: str, chosen: SegmentOptions | None = None) -> list[list[str]]:
    """Segments emitted for each piece followed by a flush, and those emitted at the end."""
    segmenter = Segmenter(chosen or options())
    emitted = [[*segmenter.feed(piece), *segmenter.flush()] for piece in pieces]
    return [[segment.text for segment in each] for each in [*emitted, segmenter.finish()]]


@pytest.mark.parametrize(
    ("first_piece", "second_piece", "expected"),
    [
        ("I will look ", "it up.", [["I will look"], ["it up."], []]),
        ("I will loo", "k it up.", [["I will"], ["look it up."], []]),
        ("The light is on.", " Good", [["The light is on."], [], ["Good"]]),
        ("It costs 3.", "5 euros", [["It costs"], ["3.5"], ["euros"]]),
        ("See www.example.", "com", [["See"], [], ["www.example.com"]]),
        ("Let me see:", " here", [["Let me see:"], [], ["here"]]),
        ("He said (so)", " now", [["He said, so"], [], ["now"]]),
        ('He said "no."', " Then", [['He said "no."'], [], ["Then"]]),
        ("Wait here 😀", "now", [["Wait here"], [], ["now"]]),
        ("Say [[ ɑ ", "b ]] now", [["Say"], ["[[ ɑ b ]]"], ["now"]]),
        ("Say [[ a ]]", " now", [["Say [[ a ]]"], [], ["now"]]),
        ("今天很好，我们", "走吧", [["今天很好，"], [], ["我们走吧"]]),
        ("今天很好。我们", "走吧", [["今天很好。"], [], ["我们走吧"]]),
        ("好。5 ", "元", [["好。", "5"], [], ["元"]]),
        ("3：", "45", [[], [], ["3：45"]]),
        ("word", "s go", [[], ["words"], ["go"]]),
        ("Oh ! ", "No", [["Oh !"], [], ["No"]]),
        ("Oh !", " No", [["Oh !"], [], ["No"]]),
        ("— ", "so", [[], [], ["so."]]),
    ],
)
def test_a_flush_emits_everything_but_an_unfinished_word(
    first_piece: str, second_piece: str, expected: list[list[str]]
) -> None:
    assert segments_with_flushes(first_piece, second_piece, chosen=options(OFF)) == expected


def test_a_flush_adds_no_punctuation_and_silence_only_after_a_sentence() -> None:
    segmenter = Segmenter(SegmentOptions(sentence_silence=0.5))

    assert segmenter.feed("It is. Let me ") + segmenter.flush() == [
        Segment("It is."),
        Segment("Let me", pause_before=0.5),
    ]
    assert segmenter.feed("see now. ") + segmenter.flush() == [Segment("see now.")]
    assert segmenter.feed("A title ") + segmenter.flush() == [Segment("A title", pause_before=0.5)]
    assert segmenter.feed("\n\nText") + segmenter.finish() == [Segment("Text.", pause_before=0.5)]


def test_a_flush_without_new_text_emits_nothing() -> None:
    segmenter = Segmenter(options())

    assert segmenter.flush() == []
    assert segmenter.feed("It is late ") == []
    assert segmenter.feed("") == []
    assert segmenter.flush() == [Segment("It is late")]
    assert segmenter.flush() == segmenter.flush() == segmenter.finish() == []


def test_a_flushed_text_is_the_first_segment() -> None:
    text = "I think that is so, but I am not sure at all"

    assert segments_with_flushes("Well ", text) == [["Well"], [text.removesuffix(" all")], ["all"]]


@pytest.mark.parametrize("pieces", [["abcd efgh ij"], ["abcd", " efgh ", "ij"]])
def test_the_space_after_a_flush_takes_no_room(pieces: list[str]) -> None:
    segmenter = Segmenter(SegmentOptions(auto_punctuation="", max_segment_chars=9))

    assert segmenter.feed("Hello ") + segmenter.flush() == [Segment("Hello")]
    rest = [segment for piece in pieces for segment in segmenter.feed(piece)] + segmenter.finish()
    assert rest == [Segment("abcd efgh"), Segment("ij")]


def test_an_ssml_document_is_flushed_like_text() -> None:
    segmenter = Segmenter(SegmentOptions(), text_format=TextFormat.SSML)

    assert segmenter.feed("<speak>One is. Two ") + segmenter.flush() == [Segment("One is."), Segment("Two")]
    assert [segment.text for segment in segmenter.feed("</speak>") + segmenter.finish()] == []


def segment_with_flushes(
    text: str, chosen: SegmentOptions, flushes: set[int], cuts: Iterable[int]
) -> list[Segment]:
    segmenter = Segmenter(chosen)
    segments = segmenter.flush() if 0 in flushes else []
    at = 0
    for part in split_at(text, {*flushes, *cuts}):
        segments += segmenter.feed(part)
        at += len(part)
        if part and at in flushes:
            segments += segmenter.flush()
    return segments + segmenter.finish()


PLACES = st.sets(st.integers(0, 150), max_size=12)


@settings(max_examples=scaled_examples(300))
@given(text=TEXTS, chosen=OPTIONS, flushes=PLACES, cuts=PLACES)
def test_flushes_neither_lose_nor_duplicate_text_whatever_the_chunks(
    text: str, chosen: SegmentOptions, flushes: set[int], cuts: set[int]
) -> None:
    segments = segment_with_flushes(text, chosen, flushes, cuts)

    assert segments == segment_with_flushes(text, chosen, flushes, range(len(text)))
    assert speakable_text(segments) == speakable_text(segment_text([text], chosen))


PLAIN_WORDS = st.text(string.ascii_letters, min_size=1, max_size=8)
PLAIN_TEXTS = st.lists(st.builds(str.__add__, PLAIN_WORDS, st.sampled_from(["", "", ",", ".", "?!"]))).map(
    " ".join
)


@given(text=PLAIN_TEXTS, chosen=st.builds(options, FIRSTS), flushes=PLACES)
def test_flushes_split_no_word(text: str, chosen: SegmentOptions, flushes: set[int]) -> None:
    segments = segment_with_flushes(text, chosen, flushes, ())

    words = [word.strip(",.?!") for segment in segments for word in segment.text.split()]
    assert [word for word in words if word] == [word.strip(",.?!") for word in text.split()]
