"""Text that is still arriving, made into segments as soon as each is certain.

    text -> markup (SSML, tags) -> cleaned -> spoken form -> cut into sentences -> segments

Each stage takes any pieces and gives what they complete, and none lets its result depend on how the
text was cut. Where markup changes the manner of speaking, what was said before is over: a segment is
spoken in one style.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace

import regex  # type: ignore[import-untyped]  # the standard library knows no emoji properties

from wyoming_tts.errors import MalformedMarkup, TooLong
from wyoming_tts.languages import LanguageTag
from wyoming_tts.speech import Segment, TextFormat, VoiceRequest
from wyoming_tts.text.cleaning import CleanupOptions, TextCleaner
from wyoming_tts.text.first_segment import FirstSegmentOptions
from wyoming_tts.text.markup import (
    NEUTRAL,
    Break,
    MarkupPart,
    ParagraphEnd,
    PhonemeBlock,
    SentenceEnd,
    SpeakingStyle,
    StyledText,
)
from wyoming_tts.text.normalization import StreamingNormalizer, TextNormalizer, say_as
from wyoming_tts.text.plain_text import TextPiece
from wyoming_tts.text.sentences import SentencePart, SentenceSplitter
from wyoming_tts.text.ssml.parser import SsmlParser
from wyoming_tts.text.voice_tags import VoiceTagParser

_GAP_BEGUN_RE = regex.compile(r"[\s\p{Emoji_Presentation}\ufe0f]$")
"""The end of a text whose last word is over."""

_BEFORE_CHARS = 48
"""Of a text before a date, whose last word may ask for a case."""
_NO_FIRST = FirstSegmentOptions(boundaries="", max_words=0)


@dataclass(frozen=True, slots=True)
class SegmentOptions:
    """How text is read and cut."""

    auto_punctuation: str = ".?!"
    """Marks one of which a sentence has to end with, else the first is appended; empty: never."""
    sentence_silence: float = 0.0
    """Seconds of silence between two sentences."""
    paragraph_silence: float = 0.0
    """Seconds of silence between two paragraphs, if that is more."""
    max_segment_chars: int = 500
    """Longer text without a boundary is cut at a space, if there is one in its second half."""
    max_text_chars: int = 1_000_000
    """Limit of one utterance; a million characters are about 18 hours of speech."""
    first_segment: FirstSegmentOptions = field(default_factory=FirstSegmentOptions)
    """How the first sentence is cut so that it is heard early."""
    cleanup: CleanupOptions = field(default_factory=CleanupOptions)
    """What becomes of Markdown, code and emoji. Its language is that of the text."""
    voice_tags: bool = False
    """Whether `[voice:NAME]`, `[lang:CODE]` and `[pause:1s]` in plain text are tags."""

    def __post_init__(self) -> None:
        if self.max_segment_chars < 1 or self.max_text_chars < 1:
            raise ValueError(
                f"max_segment_chars is {self.max_segment_chars} and max_text_chars is "
                f"{self.max_text_chars}; both must be at least 1."
            )
        if self.sentence_silence < 0 or self.paragraph_silence < 0:
            raise ValueError(
                f"sentence_silence is {self.sentence_silence} s and paragraph_silence is "
                f"{self.paragraph_silence} s; both must be 0 or more."
            )


@dataclass(slots=True)
class TextTrace:
    """What became of a text on its way to segments, for those who want to see it."""

    cleaned: list[str] = field(default_factory=list)
    normalized: list[str] = field(default_factory=list)


class Segmenter:
    """Makes segments of one utterance's text, given piece by piece.

    The segments do not depend on how the text was cut into pieces. Time grows linearly with the
    text; held are at most two segments' worth of characters.
    """

    def __init__(
        self,
        options: SegmentOptions,
        *,
        text_format: TextFormat = TextFormat.PLAIN,
        language: str = "",
        normalizers: Callable[[str], TextNormalizer] = TextNormalizer,
        trace: TextTrace | None = None,
    ) -> None:
        """Prepare for a text.

        Args:
            options: how to read it.
            text_format: plain, or SSML.
            language: of the voice, such as `en_US`; empty: not known, and figures stay figures.
            normalizers: gives for a language who says its figures.
            trace: is given what the stages make of the text.
        """
        self._options = options
        self._language = language
        self._normalizers = normalizers
        self._trace = trace or TextTrace()
        self._parser = _parser(options, text_format)
        self._is_plain = text_format is TextFormat.PLAIN
        self._characters = 0
        self._word_over = True
        self._has_segment = False
        self._silence = 0.0
        """Seconds due before the next segment."""
        self._has_break = False
        """Markup has asked for them, so they are due even before the first segment."""
        self._failure: MalformedMarkup | None = None
        self._run = self._new_run(NEUTRAL)

    def feed(self, piece: str) -> list[Segment]:
        """Take some more text; return the segments that it completed.

        Raises:
            TooLong: the text is now over the limit; this piece was not taken.
            MalformedMarkup: the SSML before this piece is none; all that was right of it has been returned.
        """
        self._raise_failure()
        if self._characters + len(piece) > self._options.max_text_chars:
            raise TooLong(
                f"The text has more than {self._options.max_text_chars} characters.",
                hint="Send it as several requests.",
            )
        self._characters += len(piece)
        if piece:
            self._word_over = _GAP_BEGUN_RE.search(piece) is not None
        return self._segments(self._parts(piece))

    def flush(self) -> list[Segment]:
        """Return what there is to say by now, without waiting for the end of the sentence.

        The last word is held back unless it is over. The text goes on afterwards; only a part that
        ends like a sentence is followed by a sentence's silence, and no mark is added to any.
        """
        return [*self._to_segments(self._run, self._run.flush(word_over=self._word_over))]

    def finish(self) -> list[Segment]:
        """End the text; return the segments that are left.

        A pause that markup asks for behind all text is a segment without any.

        Raises:
            MalformedMarkup: the SSML is none; all that was right of it has been returned. Call it again until
                it does not return anything.
        """
        self._raise_failure()
        left = self._segments(self._parts(None))
        left += self._to_segments(self._run, self._run.finish())
        if self._has_break:
            left.append(self._segment(NEUTRAL, ""))
        if not left:
            self._raise_failure()
        return left

    def _parts(self, piece: str | None) -> Iterator[MarkupPart]:
        """Divide a piece, or the end of the text, at its markup; note where that goes wrong."""
        if self._parser is None:
            if piece:
                yield StyledText(piece)
            return
        try:
            yield from self._parser.finish() if piece is None else self._parser.feed(piece)
        except MalformedMarkup as error:
            self._failure = error
            yield SentenceEnd()

    def _raise_failure(self) -> None:
        if self._failure is not None:
            raise self._failure

    def _segments(self, parts: Iterable[MarkupPart]) -> list[Segment]:
        return [segment for part in parts for segment in self._handle(part)]

    def _handle(self, part: MarkupPart) -> Iterator[Segment]:
        match part:
            case StyledText(text, style):
                yield from self._switch_style(style)
                yield from self._to_segments(self._run, self._run.feed(self._apply_say_as(text, style)))
            case PhonemeBlock(block, style):
                yield from self._switch_style(style)
                # Through the cleaner, which knows a block when it sees one, so that all stays in order.
                yield from self._to_segments(self._run, self._run.feed(block))
            case Break(seconds):
                yield from self._end_run(ends_sentence=False)
                self._silence += seconds
                self._has_break = True
            case SentenceEnd():
                yield from self._end_run(ends_sentence=True)
            case ParagraphEnd():
                yield from self._end_run(ends_sentence=True)
                self._require_silence(self._options.paragraph_silence)

    def _apply_say_as(self, text: str, style: SpeakingStyle) -> str:
        if style.say_as is None:
            return text
        language = style.language or self._language
        normalizer = self._normalizers(language)
        if normalizer.language is None:
            normalizer = TextNormalizer(language)  # markup asks for it, whatever is done with plain text
        return say_as.normalize_say_as(text, style.say_as, normalizer, self._run.before)

    def _switch_style(self, style: SpeakingStyle) -> Iterator[Segment]:
        """Have the run go on in this manner; how a text is to be read is none."""
        style = replace(style, say_as=None)
        if style != self._run.style:
            yield from self._end_run(ends_sentence=False, then=style)

    def _end_run(self, *, ends_sentence: bool, then: SpeakingStyle | None = None) -> Iterator[Segment]:
        """Say what is left of the run, and begin the next, in another style if one is given."""
        run = self._run
        yield from self._to_segments(run, run.finish(ends_sentence=ends_sentence))
        self._run = self._new_run(then or run.style)

    def _new_run(self, style: SpeakingStyle) -> _StyledRun:
        language = style.language or self._language
        cleanup = replace(self._options.cleanup, language=language or "en")
        if not self._is_plain:
            cleanup = replace(cleanup, markdown=False)
        first = _NO_FIRST if self._has_segment else self._options.first_segment
        return _StyledRun(
            style,
            TextCleaner(cleanup, max_block_chars=self._options.max_segment_chars),
            StreamingNormalizer(self._normalizers(language)),
            SentenceSplitter(self._options.max_segment_chars, first),
            self._trace,
        )

    def _to_segments(self, run: _StyledRun, cuts: Iterable[SentencePart]) -> Iterator[Segment]:
        for cut in cuts:
            if cut.is_speakable:
                yield self._segment(run.style, cut.render(self._options.auto_punctuation))
            if cut.ends_sentence:
                self._require_silence(self._options.sentence_silence)
            if cut.ends_paragraph:
                self._require_silence(self._options.paragraph_silence)

    def _segment(self, style: SpeakingStyle, text: str) -> Segment:
        pause = self._silence if self._has_segment or self._has_break else 0.0
        self._has_segment = True
        self._silence, self._has_break = 0.0, False
        return Segment(
            text,
            pause_before=pause,
            rate=style.rate,
            volume=style.volume,
            pitch=style.pitch,
            voice=self._voice(style),
        )

    def _require_silence(self, silence: float) -> None:
        self._silence = max(self._silence, silence)

    def _voice(self, style: SpeakingStyle) -> VoiceRequest | None:
        """Another voice, if one is named or a language that is not the own voice's."""
        if style.voice is not None:
            return style.voice
        if style.language is None:
            return None
        asked, own = LanguageTag.parse(style.language), LanguageTag.parse(self._language)
        return None if own.is_same_language(asked) else VoiceRequest(language=style.language)


def _parser(options: SegmentOptions, text_format: TextFormat) -> SsmlParser | VoiceTagParser | None:
    if text_format is TextFormat.SSML:
        return SsmlParser()
    return VoiceTagParser() if options.voice_tags else None


class _StyledRun:
    """Text in one style, on its way through the stages."""

    def __init__(
        self,
        style: SpeakingStyle,
        cleaner: TextCleaner,
        normalizer: StreamingNormalizer,
        splitter: SentenceSplitter,
        trace: TextTrace,
    ) -> None:
        self.style = style
        self._cleaner = cleaner
        self._normalizer = normalizer
        self._splitter = splitter
        self._trace = trace
        self.before = ""
        """The end of what has been fed, as it was written."""

    def feed(self, text: str) -> Iterator[SentencePart]:
        self.before = (self.before + text)[-_BEFORE_CHARS:]
        yield from self._normalize(self._cleaner.feed(text))

    def flush(self, *, word_over: bool) -> Iterator[SentencePart]:
        yield from self._normalize(self._cleaner.flush())
        if word_over:
            yield from self._split(self._normalizer.flush())
        yield from self._splitter.flush(word_over=word_over)

    def finish(self, *, ends_sentence: bool = True) -> Iterator[SentencePart]:
        yield from self._normalize(self._cleaner.finish())
        yield from self._split(self._normalizer.finish())
        yield from self._splitter.finish(ends_sentence=ends_sentence)

    def _normalize(self, cleaned: Iterable[TextPiece]) -> Iterator[SentencePart]:
        for piece in cleaned:
            self._trace.cleaned.append(piece.text)
            yield from self._split(self._normalizer.feed(piece))
        yield from self._splitter.lookahead(self._normalizer.begun)

    def _split(self, normalized: Iterable[TextPiece]) -> Iterator[SentencePart]:
        for piece in normalized:
            self._trace.normalized.append(piece.text)
            yield from self._splitter.add(piece)
