"""Text as it was written for eyes, made fit for a voice, while it is still arriving.

Markup becomes words and breaks, what is not said is folded away; the result does not depend on
how the text was cut, and memory is bounded however long the text.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

from wyoming_tts.text.markdown.fenced_code import CodeBlockOptions
from wyoming_tts.text.markdown.stripper import MarkdownStripper
from wyoming_tts.text.markup import MAX_BLOCK_CHARS
from wyoming_tts.text.plain_text import PlainTextWriter, TextPiece

CodeBlockMode = Literal["skip", "announce", "read"]
EmojiMode = Literal["drop", "name"]

_SLICE_CHARS = 1024
"""Text is taken in such slices, so that work on what is held does not grow with the piece."""


@dataclass(frozen=True, slots=True)
class CleanupOptions:
    """What becomes of that which is not plain words."""

    markdown: bool = True
    """False leaves asterisks, hashes and the like as they are; HTML is cleaned all the same."""
    code_blocks: CodeBlockMode = "skip"
    """Whether fenced code is left out, mentioned or read."""
    code_block_notice: str = ""
    """What is said in the place of a code block when it is announced, in the speaker's language."""
    emoji: EmojiMode = "drop"
    """Whether emoji are left out or called by name."""
    language: str = "en"
    """Of the names of emoji; `de` or `de_DE`."""

    def __post_init__(self) -> None:
        if self.code_blocks not in get_args(CodeBlockMode):
            raise ValueError(f"code_blocks is {self.code_blocks!r}; it must be skip, announce or read.")
        if self.emoji not in get_args(EmojiMode):
            raise ValueError(f"emoji is {self.emoji!r}; it must be drop or name.")
        if self.code_blocks == "announce" and not self.code_block_notice.strip():
            raise ValueError("code_blocks is announce but code_block_notice is empty; say what to announce.")


class TextCleaner:
    r"""Drops what is not said; `feed` takes any pieces, `finish` gives what was held back.

    White space is folded to one space, to `\n\n` where it holds a blank line, to nothing at both
    ends. Emoji count as white space, invisible characters as nothing. A `[[ … ]]` block of up to
    `max_block_chars` on one line is passed untouched; any other `[[` is plain text.
    """

    def __init__(
        self, options: CleanupOptions | None = None, *, max_block_chars: int = MAX_BLOCK_CHARS
    ) -> None:
        options = options or CleanupOptions()
        self._writer = PlainTextWriter(name_emoji=options.emoji == "name", language=options.language)
        announced = options.code_block_notice if options.code_blocks == "announce" else ""
        self._reader = MarkdownStripper(
            self._writer,
            markdown=options.markdown,
            code=CodeBlockOptions(read=options.code_blocks == "read", notice=announced),
            max_block_chars=max_block_chars,
        )

    @property
    def held(self) -> str:
        """Text that is held back until it is known what it means."""
        return self._reader.held + self._writer.held

    def feed(self, text: str) -> list[TextPiece]:
        """Clean some more text; what cannot be decided yet is held back."""
        pieces: list[TextPiece] = []
        for start in range(0, len(text), _SLICE_CHARS):
            self._reader.feed(text[start : start + _SLICE_CHARS])
            pieces += self._writer.take()
        return _joined(pieces)

    def flush(self) -> list[TextPiece]:
        """Give what is held back only because a picture might follow, `![`: nobody types that so slowly."""
        return self.feed(" ") if self.held == "!" else []

    def finish(self) -> list[TextPiece]:
        """End the text."""
        self._reader.finish()
        return _joined(self._writer.take(final=True))


def _joined(pieces: list[TextPiece]) -> list[TextPiece]:
    """The same pieces, plain neighbours made one."""
    joined: list[TextPiece] = []
    plain: list[str] = []
    for piece in [*pieces, TextPiece("", raw=True)]:
        if not piece.raw:
            plain.append(piece.text)
            continue
        if plain:
            joined.append(TextPiece("".join(plain)))
            plain = []
        joined.append(piece)
    return joined[:-1]
