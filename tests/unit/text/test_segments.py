from __future__ import annotations

import re
from collections.abc import Iterable
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sentence_stream import SentenceBoundaryDetector

from tests.support.hypothesis_examples import scaled_examples
from wyoming_tts.errors import MalformedMarkup, TooLong
from wyoming_tts.speech import Segment, TextFormat, VoiceRequest
from wyoming_tts.text import sentences as sentences_module
from wyoming_tts.text.first_segment import FirstSegmentOptions
from wyoming_tts.text.normalization import TextNormalizer
from wyoming_tts.text.plain_text import is_speakable
from wyoming_tts.text.segments import Segmenter, SegmentOptions

WHOLE = FirstSegmentOptions(boundaries="")
AS_WRITTEN = SegmentOptions(auto_punctuation="", first_segment=WHOLE)


def segment_text(pieces: Iterable[str], options: SegmentOptions = AS_WRITTEN) -> list[Segment]:
    segmenter = Segmenter(options)
    return [segment for piece in pieces for segment in segmenter.feed(piece)] + segmenter.finish()


def texts(pieces: Iterable[str], options: SegmentOptions = AS_WRITTEN) -> list[str]:
    return [segment.text for segment in segment_text(pieces, options)]


def split_every(text: str, size: int) -> list[str]:
    return [text[start : start + size] for start in range(0, len(text), size)]


TABLE = {
    "English": ("The front door is open. Is it? Yes!", ["The front door is open.", "Is it?", "Yes!"]),
    "numbers": (
        "It is 7:05. Pay $3.50, or 3.5 % more. Go.",
        ["It is 7:05.", "Pay $3.50, or 3.5 % more.", "Go."],
    ),
    "titles": ("Dr. Smith met Mrs. Jones. They left.", ["Dr. Smith met Mrs. Jones.", "They left."]),
    "initials": ("J. R. R. Tolkien wrote it. Read it.", ["J. R. R. Tolkien wrote it.", "Read it."]),
    "small letters": ("It is approx. five, e.g. now. Fine.", ["It is approx. five, e.g. now.", "Fine."]),
    "quotes": ('He said "Stop." Then (at last.) Quiet.', ['He said "Stop."', "Then, at last.", "Quiet."]),
    "ellipsis": (
        "Well... Maybe not. Wait… What?! Go... now. Or… so.",
        ["Well...", "Maybe not.", "Wait…", "What?!", "Go, now.", "Or, so."],
    ),
    "values": ("High 25 °C\nLow -3 °C", ["High 25 °C", "Low -3 °C"]),
    "verse": (
        "Roses are red\nViolets are blue\nSugar is sweet,\nAnd so\nare you.",
        ["Roses are red", "Violets are blue", "Sugar is sweet, And so are you."],
    ),
    "a sentence before a line": ("It is late. Go to bed\nAnd rest", ["It is late.", "Go to bed", "And rest"]),
    "paragraphs": ("A title\n\nThe text\nof it.\n\n\n", ["A title", "The text of it."]),
    "lines": ("- Eggs\n- Milk", ["Eggs.", "Milk."]),
    "numbered": ("Two things. 1) Eggs. 2) Milk.", ["Two things.", "1) Eggs.", "2) Milk."]),
    "German": (
        "Die Tür ist offen. Öffne sie! Größe: 3,5 m. Übrigens…",
        ["Die Tür ist offen.", "Öffne sie!", "Größe: 3,5 m.", "Übrigens…"],
    ),
    "German abbreviations": (
        "Etwas, z. B. Butter. Sie kam 5 v. Chr. an. Es sind 3 d. Und u. U. mehr.",
        ["Etwas, z. B. Butter.", "Sie kam 5 v. Chr. an.", "Es sind 3 d.", "Und u. U. mehr."],
    ),
    "an abbreviation between equals": ("A? z. A? Bo", ["A? z. A?", "Bo"]),
    "French": ("Bonjour\u00a0! Ça va\u202f? Élise dort.", ["Bonjour !", "Ça va ?", "Élise dort."]),
    "Chinese": (
        "你好。今天25.5度！“真的吗？”他说。走吧……好",
        ["你好。", "今天25.5度！", "“真的吗？”", "他说。", "走吧……", "好"],
    ),
    "Arabic": ("كيف حالك؟ أنا بخير. شكرا", ["كيف حالك؟", "أنا بخير.", "شكرا"]),
    "Hindi": ("नमस्ते। आप कैसे हैं? मैं ठीक हूँ॥ धन्यवाद", ["नमस्ते।", "आप कैसे हैं?", "मैं ठीक हूँ॥", "धन्यवाद"]),
    "Markdown": ("**Sure!** *Here* it is. 😀 Enjoy 🎉!", ["Sure!", "Here it is.", "Enjoy!"]),
    "phonemes": ("Say [[ hə. lˈoʊ ]] now. Then go.", ["Say [[ hə. lˈoʊ ]] now.", "Then go."]),
    "phonemes alone": ("[[ həloʊ ]]", ["[[ həloʊ ]]"]),
}


@pytest.mark.parametrize(("text", "expected"), TABLE.values(), ids=TABLE)
@pytest.mark.parametrize("size", [1, 4, 1000])
def test_sentences_are_segments(text: str, expected: list[str], size: int) -> None:
    assert texts(split_every(text, size)) == expected


@pytest.mark.parametrize(
    "text", ["", " \n\u00a0", "...", "?! … 。", "😀👍🏽 ❤️", "***\n---\n===", "@#$%^&*()", "[[ ]]"]
)
def test_unspeakable_text_gives_no_segment(text: str) -> None:
    assert segment_text([text], SegmentOptions()) == []


def test_unspeakable_sentences_are_skipped() -> None:
    assert texts(["... Hello. !!!\n\n---\n\nWorld. 😀"]) == ["Hello. !", "World."]


def test_a_sentence_is_emitted_at_the_first_letter_of_the_next_one() -> None:
    segmenter = Segmenter(AS_WRITTEN)

    assert segmenter.feed("The door is open. ") == []
    assert segmenter.feed("T") == [Segment("The door is open.")]


@pytest.mark.parametrize("lead", ["", " "])
def test_text_arriving_word_by_word_emits_each_sentence_at_the_first_word_of_the_next(lead: str) -> None:
    segmenter = Segmenter(AS_WRITTEN)
    words = ["It", "is", "late.", "Everyone", "is", "asleep.", "Good", "night."]

    emitted = [[s.text for s in segmenter.feed(f"{lead}{word}{'' if lead else ' '}")] for word in words]

    assert emitted == [[], [], [], ["It is late."], [], [], ["Everyone is asleep."], []]
    assert segmenter.finish() == [Segment("Good night.")]


@pytest.mark.parametrize(
    ("partial_text", "decider", "expected"),
    [
        ("你好。", "我", "你好。"),
        ("A title\n", "\nT", "A title"),
        ("Things. 1)", " E", "Things."),
        ("“你好。”", "我", "“你好。”"),
        ("शुभ। ", "न", "शुभ।"),
    ],
)
def test_a_sentence_boundary_is_decided_as_early_as_possible(
    partial_text: str, decider: str, expected: str
) -> None:
    segmenter = Segmenter(AS_WRITTEN)

    assert segmenter.feed(partial_text) == []
    assert [segment.text for segment in segmenter.feed(decider)] == [expected]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Hello", "Hello."),
        ("Hello!", "Hello!"),
        ("Hello,", "Hello,."),
        ('He said "Go!"', 'He said "Go!"'),
        ("(Go.)", "Go."),
        ("(Go)", "Go."),
        ("»Los!«", "»Los!«"),
        ("Wait…", "Wait…"),
        ("你好。", "你好。"),
        ("नमस्ते।", "नमस्ते।"),
        ("[[ x. ]]", "[[ x. ]]."),
        ("50 %", "50 %."),
    ],
)
def test_missing_final_punctuation_is_added_once(text: str, expected: str) -> None:
    assert texts([text], SegmentOptions(auto_punctuation=".?!")) == [expected]


def test_the_first_configured_mark_is_the_one_added() -> None:
    assert texts(["Hello\n\nWorld;"], SegmentOptions(auto_punctuation="!;")) == ["Hello!", "World;"]


def test_silence_is_added_only_between_sentences() -> None:
    silent = SegmentOptions(sentence_silence=0.5)

    pauses = [segment.pause_before for segment in segment_text(["... First. Second. !!! Third."], silent)]

    assert pauses == [0.0, 0.5, 0.5]


def test_a_long_sentence_is_split_at_a_space_without_silence_or_punctuation() -> None:
    options = SegmentOptions(sentence_silence=0.5, max_segment_chars=12)

    assert segment_text(["First. Five words of four each. Then"], options) == [
        Segment("First."),
        Segment("Five words", pause_before=0.5),
        Segment("of four"),
        Segment("each."),
        Segment("Then.", pause_before=0.5),
    ]


def test_a_sentence_that_just_fits_keeps_its_silence() -> None:
    options = SegmentOptions(sentence_silence=0.5, max_segment_chars=10)

    assert segment_text(["Ten chars. Next"], options) == [
        Segment("Ten chars."),
        Segment("Next.", pause_before=0.5),
    ]


def test_boundaries_without_a_following_letter_are_found_in_linear_time() -> None:
    assert texts(["好。5。"]) == ["好。", "5。"]
    assert texts(["1。" * 8], SegmentOptions(auto_punctuation="", max_segment_chars=5)) == ["1。"] * 8


def test_a_sentence_with_an_unspeakable_middle_keeps_the_silence_before_it() -> None:
    options = SegmentOptions(auto_punctuation="", sentence_silence=0.5, max_segment_chars=10)

    pauses = [(s.text, s.pause_before) for s in segment_text(["Hello.\n\n" + "-" * 30 + " World"], options)]

    assert pauses[0] == ("Hello.", 0.0)
    assert pauses[-1][0].endswith("World")
    assert [pause for _, pause in pauses[1:]] == [0.5]


def test_an_overlong_word_is_split_at_the_limit() -> None:
    assert texts(["x" * 25], SegmentOptions(auto_punctuation="", max_segment_chars=10)) == [
        "x" * 10,
        "x" * 10,
        "x" * 5,
    ]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("abcde\u0301f", ["abcd", "e\u0301f"]),
        ("abcक्षd", ["abc", "क्षd"]),
        ("م\u200cممم\u200cم", ["م\u200cمم", "م\u200cم"]),
    ],
)
def test_a_hard_split_does_not_break_a_grapheme(text: str, expected: list[str]) -> None:
    assert texts([text], SegmentOptions(auto_punctuation="", max_segment_chars=5)) == expected


def test_a_phoneme_block_is_never_split() -> None:
    options = SegmentOptions(auto_punctuation="", max_segment_chars=20)

    assert texts(["some words [[ ə b c d ]][[ ə f g h ]] and [[ more. A than allowed ]] on"], options) == [
        "some words",
        "[[ ə b c d ]]",
        "[[ ə f g h ]] and",
        "more.",
        "A than allowed on",
    ]


def test_text_over_the_limit_is_rejected_and_accepted_text_is_kept() -> None:
    segmenter = Segmenter(SegmentOptions(auto_punctuation="", max_text_chars=12))

    assert segmenter.feed("First. Rest") == [Segment("First.")]
    with pytest.raises(TooLong, match="more than 12 characters"):
        segmenter.feed("and more")
    assert segmenter.finish() == [Segment("Rest")]


@pytest.mark.parametrize(
    "wrong",
    [{"max_segment_chars": 0}, {"max_text_chars": 0}, {"sentence_silence": -1.0}, {"line_silence": -1.0}],
)
def test_options_out_of_range_are_rejected(wrong: dict[str, int]) -> None:
    with pytest.raises(ValueError, match=next(iter(wrong))):
        SegmentOptions(**wrong)  # type: ignore[arg-type]


def ssml(*pieces: str, chosen: SegmentOptions = AS_WRITTEN) -> list[Segment]:
    segmenter = Segmenter(chosen, text_format=TextFormat.SSML, language="en_US")
    return [segment for piece in pieces for segment in segmenter.feed(piece)] + segmenter.finish()


@pytest.mark.parametrize("size", [1, 7, 1000])
def test_an_ssml_document_is_segmented_like_text_and_at_style_changes(size: int) -> None:
    document = (
        "<speak>One is here. Two <prosody rate='200%'>runs fast</prosody> and stops."
        "<p>Three</p><break time='1s'/>Four</speak>"
    )

    assert ssml(*split_every(document, size), chosen=SegmentOptions(paragraph_silence=0.4)) == [
        Segment("One is here."),
        Segment("Two"),
        Segment("runs fast", rate=2.0),
        Segment("and stops."),
        Segment("Three.", pause_before=0.4),
        Segment("Four.", pause_before=1.4),
    ]


def test_ssml_requests_voices_and_languages_that_the_voice_does_not_speak() -> None:
    document = (
        '<speak xml:lang="en-GB">Hello. <lang xml:lang="de">Hallo.</lang> '
        '<voice name="amy">Hi.</voice></speak>'
    )

    assert [segment.voice for segment in ssml(document)] == [
        None,
        VoiceRequest(language="de"),
        VoiceRequest(name="amy"),
    ]


def test_ssml_say_as_does_not_split_its_sentence() -> None:
    document = (
        "<speak>Dial <say-as interpret-as='digits'>911</say-as> now, <sub alias='please'>pls</sub>.</speak>"
    )

    assert [segment.text for segment in ssml(document)] == ["Dial nine one one now, please."]


@pytest.mark.parametrize("size", [1, 7, 1000])
def test_a_date_in_ssml_is_inflected_in_the_case_that_the_preceding_word_requires(size: int) -> None:
    document = (
        '<speak xml:lang="de">Er kommt am <say-as interpret-as="date" format="dmy">3.5.2024</say-as> an, '
        'am <say-as interpret-as="date" format="md">5/12</say-as> nicht.</speak>'
    )
    segmenter = Segmenter(AS_WRITTEN, text_format=TextFormat.SSML, language="de_DE")
    fed = [segment for piece in split_every(document, size) for segment in segmenter.feed(piece)]

    assert " ".join(segment.text for segment in [*fed, *segmenter.finish()]) == (
        "Er kommt am dritten Mai zweitausendvierundzwanzig an, am zwölften Mai nicht."
    )


def test_a_time_in_ssml_is_read_with_the_surrounding_words() -> None:
    document = (
        '<speak xml:lang="de">Um <say-as interpret-as="time">14.30</say-as> Uhr, '
        'nach <say-as interpret-as="unit">5 km</say-as>.</speak>'
    )
    segmenter = Segmenter(AS_WRITTEN, text_format=TextFormat.SSML, language="de_DE")

    assert [segment.text for segment in [*segmenter.feed(document), *segmenter.finish()]] == [
        "Um vierzehn Uhr dreißig, nach fünf Kilometer."
    ]


def test_say_as_applies_when_normalization_is_off() -> None:
    document = '<speak>It is 5 on <say-as interpret-as="date" format="md">5/3</say-as>.</speak>'
    segmenter = Segmenter(
        AS_WRITTEN, text_format=TextFormat.SSML, language="en_US", normalizers=lambda _: TextNormalizer("")
    )

    assert [segment.text for segment in [*segmenter.feed(document), *segmenter.finish()]] == [
        "It is 5 on May third."
    ]


def test_a_pause_before_or_after_all_text_is_kept() -> None:
    document = "<speak><break time='1s'/>Hello.<break time='2s'/></speak>"

    assert ssml(document) == [Segment("Hello.", pause_before=1.0), Segment("", pause_before=2.0)]


def test_phonemes_in_ssml_stay_in_their_sentence() -> None:
    document = "<speak>Say <phoneme alphabet='ipa' ph='təˈmɑːtəʊ'>tomato</phoneme> twice.</speak>"

    assert [segment.text for segment in ssml(document)] == ["Say [[ təˈmɑːtəʊ ]] twice."]


def test_malformed_ssml_is_reported_with_its_position_after_emitting_the_text_before_it() -> None:
    segmenter = Segmenter(AS_WRITTEN, text_format=TextFormat.SSML)

    assert segmenter.feed("<speak><s>Hello.</s></b>") == [Segment("Hello.")]
    with pytest.raises(MalformedMarkup, match="line 1, column 21: "):
        segmenter.finish()


def test_a_blank_ssml_document_gives_no_segment() -> None:
    assert ssml(" \n", "<speak> </speak>") == []


def test_an_ssml_document_has_the_same_limit() -> None:
    with pytest.raises(TooLong):
        ssml("<speak>hello</speak>", chosen=SegmentOptions(max_text_chars=10))


def test_voice_tags_change_the_voice_when_enabled() -> None:
    text = "One. [voice:af_bella] Two. [pause:0.5s] [voice:] Three. [lang:de] Vier."
    tagged = SegmentOptions(voice_tags=True)

    assert segment_text([text], tagged) == segment_text(text, tagged)
    assert [(s.text, s.pause_before, s.voice) for s in segment_text([text], tagged)] == [
        ("One.", 0.0, None),
        ("Two.", 0.0, VoiceRequest(name="af_bella")),
        ("Three.", 0.5, None),
        ("Vier.", 0.0, VoiceRequest(language="de")),
    ]
    assert "voice:af_bella" in " ".join(texts([text]))


def test_pause_tags_alone_can_be_enabled() -> None:
    text = "Stop. Two [voice:af_bella]. [pause:0.5s] Three."
    tagged = segment_text([text], SegmentOptions(pause_tags=True))

    assert [(s.text, s.pause_before, s.voice) for s in tagged] == [
        ("Stop.", 0.0, None),
        ("Two, voice:af_bella.", 0.0, None),
        ("Three.", 0.5, None),
    ]


def test_paragraphs_are_further_apart_than_sentences() -> None:
    apart = SegmentOptions(sentence_silence=0.2, paragraph_silence=0.5)
    text = "One is here. Two too.\n\nThree is here.\n\n- Four\n- Five"

    pauses = [segment.pause_before for segment in segment_text([text], apart)]

    assert pauses == [0.0, 0.2, 0.5, 0.5, 0.2]
    assert segment_text(text, apart) == segment_text([text], apart)


def test_the_silence_after_a_line_is_between_those_of_a_sentence_and_a_paragraph() -> None:
    apart = SegmentOptions(sentence_silence=0.1, line_silence=0.3, paragraph_silence=0.5)
    text = "One is here. Two too\nThree is here\n\nFour\nFive is\nhere. Six"

    found = segment_text([text], apart)

    assert [segment.pause_before for segment in found] == [0.0, 0.1, 0.3, 0.5, 0.3, 0.1]
    assert segment_text(text, apart) == found


def test_line_ends_in_ssml_are_only_white_space() -> None:
    assert [segment.text for segment in ssml("<speak>High 25\n  Low 3</speak>")] == [
        "High twenty-five Low three"
    ]


WORDS = st.sampled_from(
    [
        *["Hello", "world", "Dr.", "U.S.", "e.g.", "3.5", "7:05", "1)", "2.", "A.", "B.", "e\u0301"],
        *["...", "…", "Ende?!", '"Go."', "(x y)", "%", "€", "_", "-", "©", "ಠ_ಠ"],
        *["你好。", "今天", "！”", "كيف؟", "أنا", "می\u200cخ", "नमस्ते।", "क्ष"],
        *["*b*", "**", "👩\u200d🔬", "🇩🇪", "❤\ufe0f", "1\ufe0f\u20e3", "ℹ\ufe0f"],
        *["[[ ə. b ]]", "[[", "]]", "[[x", "\x00", "\ud800"],
    ]
)
SPACES = st.sampled_from([" ", "", "  ", "\n", "\n\n", "\r\n\r\n", "\u00a0", "\u200b"])
TEXTS = st.lists(st.one_of(WORDS, SPACES, SPACES, st.characters()), max_size=60).map("".join)
CIRCLED = "".join(map(chr, [*range(0x2460, 0x2500), *range(0x2776, 0x2794)]))
"""Said as what is in the circle."""
LITERAL = st.characters(exclude_characters=f":;=<$\\\x1b\x9b\ue200{CIRCLED}")
"""Begin nothing that is left out, as `:D` and `<3` are."""
LITERAL_TEXTS = st.lists(st.one_of(WORDS, SPACES, SPACES, LITERAL), max_size=60).map("".join)
SIZES = st.sampled_from([4, 9, 20, 60, 500])


@settings(max_examples=scaled_examples(300))
@given(text=TEXTS, size=SIZES, cuts=st.lists(st.integers(0, 200), max_size=12))
def test_the_segments_do_not_depend_on_chunk_boundaries(text: str, size: int, cuts: list[int]) -> None:
    options = SegmentOptions(sentence_silence=0.5, max_segment_chars=size)
    edges = [0, *sorted(cuts), len(text)]
    pieces = [text[start:end] for start, end in pairwise(edges)]
    whole = segment_text([text], options)

    assert segment_text(text, options) == whole
    assert segment_text(pieces if max(cuts, default=0) <= len(text) else [text], options) == whole


@given(text=LITERAL_TEXTS, size=SIZES)
def test_no_text_is_lost_or_duplicated(text: str, size: int) -> None:
    emitted_text = "".join(texts(split_every(text, 3), SegmentOptions(max_segment_chars=size)))

    assert letters_and_digits(emitted_text) == letters_and_digits(without_emoji_presentation(text))


@given(text=TEXTS, size=SIZES)
def test_segments_are_short_and_speakable_with_collapsed_white_space(text: str, size: int) -> None:
    for segment in texts([text], SegmentOptions(max_segment_chars=size)):
        assert 0 < len(segment) <= size + len(".")
        assert segment == segment.strip()
        assert "\n" not in segment
        assert is_speakable(segment) or "[[" in segment


def letters_and_digits(text: str) -> str:
    return "".join(filter(str.isalnum, text))


def without_emoji_presentation(text: str) -> str:
    """Remove keycaps and letters that a variation selector turns into emoji."""
    return re.sub(r"[0-9]\ufe0f?\u20e3|ℹ\ufe0f", "", text)


FLOODS = {
    "normal": "The light is on, and the door of the garage is open. ",
    "no boundary": "lorem ipsum dolor sit amet ",
    "no space": "x",
    "Chinese commas": "今天天气很好，",
    "stops": "!",
    "spaced stops": ". ",
    "decimals": "1.",
    "initials": "A. ",
    "small letters": "a. ",
    "abbreviations": "a.",
    "ellipses": "…",
    "open blocks": "[[",
    "blocks": "[[ x ]] ",
    "line ends": "\n",
    "asterisks": "*",
}


@pytest.mark.slow
@pytest.mark.parametrize("flood", FLOODS.values(), ids=FLOODS)
def test_the_work_grows_linearly_with_the_text(flood: str, monkeypatch: pytest.MonkeyPatch) -> None:
    searched = 0

    class Counting(SentenceBoundaryDetector):
        def add_chunk(self, chunk: str) -> Iterable[str]:
            nonlocal searched
            searched += len(self.remaining_text) + len(chunk)
            return super().add_chunk(chunk)

    monkeypatch.setattr(sentences_module, "SentenceBoundaryDetector", Counting)

    def work(length: int) -> int:
        nonlocal searched
        searched = 0
        segment_text(split_every((flood * length)[:length], 5))
        return searched

    once, twice = work(4_000), work(8_000)

    assert twice <= 2.1 * once + 1000
    assert twice <= 100 * 8_000


@pytest.mark.parametrize("flood", FLOODS.values(), ids=FLOODS)
def test_the_buffered_text_does_not_grow_with_the_input(flood: str) -> None:
    segmenter = Segmenter(SegmentOptions(max_segment_chars=100))

    for piece in split_every((flood * 5_000)[:5_000], 7):
        segmenter.feed(piece)
        splitter = segmenter._run._splitter
        detector = splitter._detector
        assert len(splitter._pending) + len(segmenter._run._cleaner.held) <= 220
        assert len(detector.remaining_text) + len(detector.current_sentence) <= 110


def test_200_kilobytes_without_a_boundary_are_emitted_completely() -> None:
    text = "lorem ipsum dolor " * 11_200

    result = texts(split_every(text, 4_096))

    assert " ".join(result) == text.strip()
    assert max(map(len, result)) <= 500
