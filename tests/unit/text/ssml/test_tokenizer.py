from __future__ import annotations

import pytest

from wyoming_tts.errors import MalformedMarkup
from wyoming_tts.text.ssml.tokenizer import MAX_TAG_CHARS, SsmlToken, SsmlTokenizer, TextPosition


def tokens_of(*pieces: str) -> list[SsmlToken]:
    tokens = SsmlTokenizer()
    found = [token for piece in pieces for token in tokens.feed(piece)]
    tokens.finish()
    return found


def test_text_and_tags_have_their_positions() -> None:
    assert tokens_of('Hi\n<b c=">">there</b>\n!') == [
        SsmlToken("Hi\n", TextPosition(1, 1)),
        SsmlToken('<b c=">">', TextPosition(2, 1), is_tag=True),
        SsmlToken("there", TextPosition(2, 10)),
        SsmlToken("</b>", TextPosition(2, 15), is_tag=True),
        SsmlToken("\n!", TextPosition(2, 19)),
    ]


def test_entity_references_in_tags_become_numeric_references() -> None:
    (token,) = tokens_of("<a b='&nbsp;&quot;&#x41;'/>")

    assert token.text == "<a b='&#160;&#34;&#65;'/>"


@pytest.mark.parametrize(
    "piece",
    ["<", "</", "<b", "<b c='", "<b c='x'", "<!", "<!-", "<!--", "<!-- -", "<![CDA", "<?", "&", "&am"],
)
def test_incomplete_markup_is_buffered_and_malformed_at_the_end(piece: str) -> None:
    tokens = SsmlTokenizer()

    assert list(tokens.feed("x" + piece)) == [SsmlToken("x", TextPosition(1, 1))]
    with pytest.raises(MalformedMarkup, match="line 1, column 2: "):
        tokens.finish()


@pytest.mark.parametrize("size", [1, 7, 10_000])
def test_a_tag_may_be_as_long_as_the_limit_and_no_longer(size: int) -> None:
    longest = "<a b='" + "x" * (MAX_TAG_CHARS - 9) + "'/>"
    longer = longest.replace("x'", "xx'")

    assert len(longest) == MAX_TAG_CHARS
    (token,) = tokens_of(*(longest[at : at + size] for at in range(0, len(longest), size)))
    assert token.text == longest
    with pytest.raises(MalformedMarkup, match="more than 4096 characters"):
        tokens_of(*(longer[at : at + size] for at in range(0, len(longer), size)))


def test_comments_and_processing_instructions_of_any_length_are_skipped_without_buffering() -> None:
    tokens = SsmlTokenizer()

    for piece in ["<!--", "- >" * 30_000, ">- ->", "-->", "<?", "?" * 100_000]:
        assert list(tokens.feed(piece)) == []
        assert len("".join(tokens._held)) + len(tokens._tail) < 10
    assert [token.text for token in tokens.feed("?> on")] == [" on"]


def test_the_text_of_a_cdata_section_does_not_wait_for_its_end() -> None:
    tokens = SsmlTokenizer()

    assert [token.text for token in tokens.feed("<![CDATA[a < b]] c]")] == ["a < b]] "]
    assert [token.text for token in tokens.feed("]")] == ["c"]
    assert [token.text for token in tokens.feed(">d")] == ["d"]


def test_positions_count_lines_and_characters() -> None:
    tokens = SsmlTokenizer()
    list(tokens.feed("one\r\ntwo äöü\n\n<!-- \n --> 😀"))

    assert tokens.position == TextPosition(5, 7)
