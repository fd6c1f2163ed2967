"""Text cleaning: Markdown, HTML, code blocks, emoji and invisible characters are removed while text arrives.

Structure such as headings, lists and tables becomes sentences and paragraphs; white space and
repeated punctuation collapse. The result does not depend on the pieces that the text arrives in,
and memory is bounded however long it is.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

from wyoming_tts.offset_text import join_texts
from wyoming_tts.text.markdown.fenced_code import CodeBlockOptions
from wyoming_tts.text.markdown.stripper import MarkdownStripper
from wyoming_tts.text.markdown.tex import NO_WORDS, TexWords
from wyoming_tts.text.markup import MAX_BLOCK_CHARS
from wyoming_tts.text.plain_text import PlainTextWriter, TextPiece

CodeBlockMode = Literal["skip", "announce", "read"]
EmojiMode = Literal["drop", "name"]

_BEGINNINGS = frozenset("!:;")
"""Marks that are held back until the next character."""
_SLICE_CHARS = 1024
"""Text is processed in slices of this size, so that work on held text does not grow with the piece."""


@dataclass(frozen=True, slots=True)
class CleanupOptions:
    """What to do with Markdown, code blocks and emoji."""

    markdown: bool = True
    """False leaves asterisks, hashes and the like as they are; HTML is removed all the same."""
    code_blocks: CodeBlockMode = "skip"
    """Whether fenced code is skipped, announced or read."""
    code_block_notice: str = ""
    """Spoken in place of a code block that is announced, in the speaker's language."""
    emoji: EmojiMode = "drop"
    """Whether emoji are dropped or spoken by name."""
    line_breaks: bool = True
    """Whether a line that does not go on in the next one, as in verse or a list of values, is a sentence."""
    language: str = "en"
    """Language of the names of emoji; `de` or `de_DE`."""

    def __post_init__(self) -> None:
        if self.code_blocks not in get_args(CodeBlockMode):
            raise ValueError(f"code_blocks is {self.code_blocks!r}; it must be skip, announce or read.")
        if self.emoji not in get_args(EmojiMode):
            raise ValueError(f"emoji is {self.emoji!r}; it must be drop or name.")
        if self.code_blocks == "announce" and not self.code_block_notice.strip():
            raise ValueError("code_blocks is announce but code_block_notice is empty; say what to announce.")


class TextCleaner:
    r"""Incremental cleaner: `feed` takes any pieces, `finish` returns what was held back.

    White space collapses to one space, to `\n\n` where it contains a blank line, to `\n` where a line ends
    that is a sentence although it has no mark, and to nothing at both ends. Emoji count as white space,
    invisible characters as nothing. A `[[ … ]]` block of phonemes of up to `max_block_chars` on one line
    passes untouched; of any other the text is kept.
    """

    def __init__(
        self,
        options: CleanupOptions | None = None,
        *,
        max_block_chars: int = MAX_BLOCK_CHARS,
        tex_words: TexWords = NO_WORDS,
    ) -> None:
        options = options or CleanupOptions()
        self._writer = PlainTextWriter(
            name_emoji=options.emoji == "name", language=options.language, line_breaks=options.line_breaks
        )
        announced = options.code_block_notice if options.code_blocks == "announce" else ""
        self._stripper = MarkdownStripper(
            self._writer,
            markdown=options.markdown,
            code=CodeBlockOptions(read=options.code_blocks == "read", notice=announced),
            max_block_chars=max_block_chars,
            tex_words=tex_words,
        )

    @property
    def held(self) -> str:
        """Text that is held back until later text decides what it means."""
        return self._stripper.held + self._writer.held

    def feed(self, text: str) -> list[TextPiece]:
        """Clean more text; hold back what cannot be decided yet."""
        pieces: list[TextPiece] = []
        for start in range(0, len(text), _SLICE_CHARS):
            self._stripper.feed(text[start : start + _SLICE_CHARS])
            pieces += self._writer.take()
        return _join_plain(pieces)

    def feed_block(self, block: str) -> list[TextPiece]:
        """Add a phoneme block that the markup has; what comes before it is decided without it."""
        self._stripper.write_block(block)
        return _join_plain(self._writer.take())

    def flush(self, *, everything: bool = False) -> list[TextPiece]:
        """Return what is held back as a possible start of `![`, `:)` or a formula, none typed that slowly.

        With `everything` also what may be the start of any other markup but a tag.
        """
        if everything:
            self._stripper.release()
        elif self.held in _BEGINNINGS:
            return self.feed(" ")
        else:
            self._stripper.release_amount()
        return _join_plain(self._writer.take(final=everything))

    def finish(self) -> list[TextPiece]:
        """End the text; return what was held back."""
        self._stripper.finish()
        return _join_plain(self._writer.take(final=True))


def _join_plain(pieces: list[TextPiece]) -> list[TextPiece]:
    """The pieces, with consecutive plain ones joined."""
    joined: list[TextPiece] = []
    plain: list[str] = []
    for piece in [*pieces, TextPiece("", raw=True)]:
        if not piece.raw:
            plain.append(piece.text)
            continue
        if plain:
            joined.append(TextPiece(join_texts(plain)))
            plain = []
        joined.append(piece)
    return joined[:-1]
