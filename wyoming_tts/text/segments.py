"""Text segmentation pipeline: arriving text becomes segments as soon as each is certain.

    text -> markup (SSML, voice tags) -> cleaning -> scripts -> normalization -> sentences -> segments

Each stage takes pieces of any size and yields what they complete; no result depends on how the text
was divided. Through all of them the text carries the offsets at which it was written (`offset_text`).
A segment is spoken in one style, so a change of style in the markup ends the segment, and so do words in
another script.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace
from functools import partial
from typing import TypeAlias

import regex  # type: ignore[import-untyped]  # the standard library knows no emoji properties

from wyoming_tts.errors import MalformedMarkup, TooLong
from wyoming_tts.languages import LanguageTag
from wyoming_tts.messages import Message
from wyoming_tts.offset_text import OffsetText
from wyoming_tts.speech import Segment, TextFormat, VoiceRequest
from wyoming_tts.text.cleaning import CleanupOptions, TextCleaner
from wyoming_tts.text.first_segment import NEVER_CUT, FirstSegmentOptions
from wyoming_tts.text.markdown.tex import NO_WORDS, TexWords
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
from wyoming_tts.text.normalization import StreamingNormalizer, TextNormalizer, protect_nothing, say_as
from wyoming_tts.text.pauses import Pauses
from wyoming_tts.text.plain_text import TextPiece
from wyoming_tts.text.scripts import ScriptedPiece, ScriptMode, ScriptSplitter
from wyoming_tts.text.sentences import SentencePart, SentenceSplitter, ends_with_word
from wyoming_tts.text.ssml.parser import SsmlParser
from wyoming_tts.text.voice_tags import VoiceTagParser

_StyledPart: TypeAlias = tuple[SpeakingStyle, SentencePart]

_GAP_BEGUN_RE = regex.compile(r"[\s\p{Emoji_Presentation}\ufe0f]$")
"""The end of a text whose last word is complete."""

_IN_A_SENTENCE = "is "
"""Before a number, so that its words do not begin with a capital."""

_BEFORE_CHARS = 48
"""Characters of context before a date, whose grammatical case may depend on the word before it."""


@dataclass(frozen=True, slots=True)
class SegmentOptions:
    """How text is processed and split."""

    auto_punctuation: str = ".?!"
    """A sentence that ends with none of these marks gets the first of them; empty: never."""
    sentence_silence: float = 0.0
    """Seconds of silence between two sentences."""
    line_silence: float = 0.0
    """Seconds of silence after a line that is a sentence without a mark, if that is more."""
    paragraph_silence: float = 0.0
    """Seconds of silence between two paragraphs, if that is more."""
    max_segment_chars: int = 500
    """Longer text without a boundary is split at a space, if there is one in its second half."""
    max_text_chars: int = 1_000_000
    """Limit of one utterance; a million characters are about 18 hours of speech."""
    first_segment: FirstSegmentOptions = field(default_factory=FirstSegmentOptions)
    """How the first sentence is split for a short time to first audio."""
    cleanup: CleanupOptions = field(default_factory=CleanupOptions)
    """What to do with Markdown, code and emoji. Its language is replaced by that of the text."""
    scripts: ScriptMode | None = ScriptMode.SWITCH
    """What to do with words in a script that the text's language is not written in; None leaves them to its
    voice."""
    voice_tags: bool = False
    """Whether `[voice:NAME]`, `[lang:CODE]`, `[rate:0.8]` and `[pause:1s]` are tags in plain text."""
    pause_tags: bool = False
    """Whether `[pause:1s]` is one even without `voice_tags`."""

    def __post_init__(self) -> None:
        if self.max_segment_chars < 1 or self.max_text_chars < 1:
            raise ValueError(
                f"max_segment_chars is {self.max_segment_chars} and max_text_chars is "
                f"{self.max_text_chars}; both must be at least 1."
            )
        if min(self.sentence_silence, self.line_silence, self.paragraph_silence) < 0:
            raise ValueError(
                f"sentence_silence is {self.sentence_silence} s, line_silence is {self.line_silence} s and "
                f"paragraph_silence is {self.paragraph_silence} s; all must be 0 or more."
            )


@dataclass(slots=True)
class TextTrace:
    """Intermediate results of the pipeline, to explain what a text becomes."""

    cleaned: list[str] = field(default_factory=list)
    normalized: list[str] = field(default_factory=list)


class Segmenter:
    """Incremental segmenter of one utterance's text.

    The segments do not depend on the pieces that the text arrives in. Time grows linearly with the
    text; at most two segments' worth of characters are held.
    """

    def __init__(
        self,
        options: SegmentOptions,
        *,
        text_format: TextFormat = TextFormat.PLAIN,
        language: str = "",
        normalizers: Callable[[str], TextNormalizer] = TextNormalizer,
        speaks: Callable[[str], bool] = lambda _: True,
        protected: Callable[[str], bool] = protect_nothing,
        trace: TextTrace | None = None,
    ) -> None:
        """Set up the pipeline.

        Args:
            options: how to process and split the text.
            text_format: plain, or SSML.
            language: the voice's, such as `en_US`; empty: not known, and the text is not normalized.
            normalizers: returns the text normalizer of a language.
            speaks: whether there is a voice for a language.
            protected: whether a word in another script is read by the text's own voice all the same.
            trace: collects the intermediate results.
        """
        self._options = options
        self._language = language
        self._normalizers = normalizers
        self._speaks = speaks
        self._protected = protected
        self._trace = trace or TextTrace()
        self._parser = _parser(options, text_format)
        self._is_plain = text_format is TextFormat.PLAIN
        self._characters = 0
        self._word_over = True
        self._has_segment = False
        self._pauses = Pauses(
            sentence=options.sentence_silence,
            line=options.line_silence,
            paragraph=options.paragraph_silence,
        )
        self._failure: MalformedMarkup | None = None
        self._run = self._new_run(NEUTRAL)

    def feed(self, piece: str) -> list[Segment]:
        """Take more text; return the segments that it completes.

        Raises:
            TooLong: the text would exceed the limit; this piece was not taken.
            MalformedMarkup: the SSML before this piece is malformed; all before the error was returned.
        """
        self._raise_failure()
        if self._characters + len(piece) > self._options.max_text_chars:
            raise TooLong(
                Message(
                    "text_over_limit",
                    "The text has more than {most} characters.",
                    most=self._options.max_text_chars,
                ),
                hint=Message("several_requests", "Send it as several requests."),
            )
        written = OffsetText.written(piece, self._characters)
        self._characters += len(piece)
        if piece:
            self._word_over = _GAP_BEGUN_RE.search(piece) is not None
        return self._segments(self._parts(written))

    def flush(self, *, everything: bool = False) -> list[Segment]:
        """Return what can be spoken already, without waiting for the end of the sentence.

        The last word is held back unless it is complete, or `everything` is to be spoken. More text may
        follow. Only a part that ends with a sentence's mark is followed by a sentence's silence, and no mark
        is added.
        """
        return [*self._to_segments(self._run.flush(word_over=self._word_over, everything=everything))]

    def finish(self) -> list[Segment]:
        """End the text; return the remaining segments.

        A break at the end of the markup is a segment without text.

        Raises:
            MalformedMarkup: the SSML is malformed; everything before the error was returned. Call `finish`
                again until it returns nothing.
        """
        self._raise_failure()
        left = self._segments(self._parts(None))
        left += self._to_segments(self._run.finish())
        if self._pauses.has_break:
            left.append(self._segment(NEUTRAL, ""))
        if not left:
            self._raise_failure()
        return left

    def _parts(self, piece: str | None) -> Iterator[MarkupPart]:
        """Parse the markup of a piece, or of the end of the text; keep an error for later."""
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
                yield from self._to_segments(self._run.feed(self._apply_say_as(text, style)))
            case PhonemeBlock(block, style):
                yield from self._switch_style(style)
                yield from self._to_segments(self._run.feed_block(block))
            case Break(seconds):
                yield from self._end_run(ends_sentence=False)
                self._pauses.add_break(seconds)
            case SentenceEnd():
                yield from self._end_run(ends_sentence=True)
            case ParagraphEnd():
                yield from self._end_run(ends_sentence=True)
                self._pauses.end_paragraph()

    def _apply_say_as(self, text: str, style: SpeakingStyle) -> str:
        if style.say_as is None:
            return text
        language = style.language or self._language
        normalizer = self._normalizers(language)
        if normalizer.language is None:
            normalizer = TextNormalizer(language)  # say-as applies even where plain text is not normalized
        return say_as.normalize_say_as(text, style.say_as, normalizer, self._run.before)

    def _switch_style(self, style: SpeakingStyle) -> Iterator[Segment]:
        """Continue in this style; a `say-as` does not begin a segment."""
        if style.say_as is not None:
            style = replace(style, say_as=None)
        if style != self._run.style:
            yield from self._end_run(ends_sentence=False, then=style)

    def _end_run(self, *, ends_sentence: bool, then: SpeakingStyle | None = None) -> Iterator[Segment]:
        """Yield what is left of the run and begin the next one, in the style `then` if given."""
        run = self._run
        yield from self._to_segments(run.finish(ends_sentence=ends_sentence))
        self._run = self._new_run(then or run.style)

    def _new_run(self, style: SpeakingStyle) -> _StyledRun:
        language = style.language or self._language
        cleanup = replace(self._options.cleanup, language=language or "en")
        if not self._is_plain:
            cleanup = replace(cleanup, markdown=False, line_breaks=False)
        normalizer = self._normalizers(language)
        return _StyledRun(
            style,
            TextCleaner(
                cleanup, max_block_chars=self._options.max_segment_chars, tex_words=_tex_words(normalizer)
            ),
            self._scripts(style, language),
            self._new_splitter,
            lambda own: StreamingNormalizer(normalizer if own is None else self._normalizers(own)),
            trace=self._trace,
        )

    def _scripts(self, style: SpeakingStyle, language: str) -> ScriptSplitter:
        if self._options.scripts is None or style.voice is not None:
            language = ""  # what the markup's own voice speaks is not known here
        return ScriptSplitter(
            language,
            self._options.scripts or ScriptMode.SWITCH,
            speaks=self._speaks,
            protected=self._protected,
        )

    def _new_splitter(self) -> SentenceSplitter:
        first = NEVER_CUT if self._has_segment else self._options.first_segment
        return SentenceSplitter(self._options.max_segment_chars, first)

    def _to_segments(self, cuts: Iterable[_StyledPart]) -> Iterator[Segment]:
        for style, cut in cuts:
            if cut.is_speakable:
                yield self._segment(style, cut.render(self._options.auto_punctuation))
            if cut.ends_sentence:
                self._pauses.end_sentence()
            if cut.ends_line:
                self._pauses.end_line()
            if cut.ends_paragraph:
                self._pauses.end_paragraph()

    def _segment(self, style: SpeakingStyle, text: str) -> Segment:
        self._has_segment = True
        return Segment(
            text,
            pause_before=self._pauses.take(),
            rate=style.rate,
            volume=style.volume,
            pitch=style.pitch,
            voice=self._voice(style),
        )

    def _voice(self, style: SpeakingStyle) -> VoiceRequest | None:
        """The voice that the style names, or one for a language that the utterance's voice does not speak."""
        if style.voice is not None:
            return style.voice
        if style.language is None:
            return None
        requested, own = LanguageTag.parse(style.language), LanguageTag.parse(self._language)
        return None if own.is_same_language(requested) else VoiceRequest(language=style.language)


def _parser(options: SegmentOptions, text_format: TextFormat) -> SsmlParser | VoiceTagParser | None:
    if text_format is TextFormat.SSML:
        return SsmlParser()
    if options.voice_tags or options.pause_tags:
        return VoiceTagParser(voices=options.voice_tags)
    return None


def _tex_words(normalizer: TextNormalizer) -> TexWords:
    if normalizer.language is None:
        return NO_WORDS
    return TexWords(
        signs=normalizer.language.section("words"),
        exponents=normalizer.language.section("exponents"),
        commands=normalizer.language.section("tex"),
        number=partial(normalizer.normalize, before=_IN_A_SENTENCE),
    )


class _StyledRun:
    """The stages behind the markup, for consecutive text of one style.

    Words in another script are read as text of their language, in the same style otherwise.
    """

    def __init__(
        self,
        style: SpeakingStyle,
        cleaner: TextCleaner,
        scripts: ScriptSplitter,
        new_splitter: Callable[[], SentenceSplitter],
        new_normalizer: Callable[[str | None], StreamingNormalizer],
        *,
        trace: TextTrace,
    ) -> None:
        self.style = style
        self._cleaner = cleaner
        self._scripts = scripts
        self._new_splitter = new_splitter
        self._normalizers = _Normalizers(new_normalizer)
        self._trace = trace
        self._language: str | None = None
        """That of the words read last, if they are in another script than the text."""
        self._normalizer = self._normalizers[None]
        self._splitter = new_splitter()
        self.before = ""
        """The end of the text so far, as it was written."""

    def feed(self, text: str) -> Iterator[_StyledPart]:
        self.before = (self.before + str(text))[-_BEFORE_CHARS:]
        yield from self._clean(self._cleaner.feed(text))

    def feed_block(self, block: str) -> Iterator[_StyledPart]:
        self.before = (self.before + str(block))[-_BEFORE_CHARS:]
        yield from self._clean(self._cleaner.feed_block(block))

    def flush(self, *, word_over: bool, everything: bool) -> Iterator[_StyledPart]:
        yield from self._clean(self._cleaner.flush(everything=everything))
        yield from self._read(self._scripts.flush())
        word_over |= everything
        if word_over or ends_with_word(self._normalizer.held):
            yield from self._split(self._normalizer.flush())
        yield from self._styled(self._splitter.flush(word_over=word_over))

    def finish(self, *, ends_sentence: bool = True) -> Iterator[_StyledPart]:
        yield from self._clean(self._cleaner.finish())
        yield from self._read(self._scripts.finish())
        yield from self._finish_language(ends_sentence=ends_sentence)

    def _clean(self, cleaned: Iterable[TextPiece]) -> Iterator[_StyledPart]:
        for piece in cleaned:
            self._trace.cleaned.append(str(piece.text))
            yield from self._read(self._scripts.feed(piece))
        yield from self._styled(self._splitter.lookahead(self._normalizer.begun))

    def _read(self, pieces: Iterable[ScriptedPiece]) -> Iterator[_StyledPart]:
        for scripted in pieces:
            if scripted.language != self._language:
                yield from self._finish_language(ends_sentence=None)
                self._language = scripted.language
                self._normalizer = self._normalizers[scripted.language]
                self._splitter = self._new_splitter()
            yield from self._split(self._normalizer.feed(scripted.piece))

    def _finish_language(self, *, ends_sentence: bool | None) -> Iterator[_StyledPart]:
        """Yield what is left; `ends_sentence` as in `SentenceSplitter.finish`."""
        yield from self._split(self._normalizer.finish())
        yield from self._styled(self._splitter.finish(ends_sentence=ends_sentence))

    def _split(self, normalized: Iterable[TextPiece]) -> Iterator[_StyledPart]:
        for piece in normalized:
            self._trace.normalized.append(str(piece.text))
            yield from self._styled(self._splitter.add(piece))

    def _styled(self, parts: Iterable[SentencePart]) -> Iterator[_StyledPart]:
        language = self._language
        style = self.style if language is None else replace(self.style, language=language)
        return ((style, part) for part in parts)


class _Normalizers(dict[str | None, StreamingNormalizer]):
    """Normalizers by language, each made when it is first needed; None is the language of the text."""

    def __init__(self, make: Callable[[str | None], StreamingNormalizer]) -> None:
        super().__init__()
        self._make = make

    def __missing__(self, language: str | None) -> StreamingNormalizer:
        made = self[language] = self._make(language)
        return made
