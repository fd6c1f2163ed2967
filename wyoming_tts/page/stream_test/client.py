"""Recorder of one stream-test client: its events, player buffer and underruns, in bounded memory.

Events go into a ring buffer; values to plot are downsampled evenly; of arriving audio only times and lengths
are kept, except for the one client whose audio is recorded. Whose fault an underrun is, `gaps` finds.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Generic, TypeAlias, TypeVar

from wyoming_tts.bench.playback import simulate_playback
from wyoming_tts.bench.targets.listener import ListenerReport, RequestOutcome, RequestTimeline
from wyoming_tts.client import ClientError
from wyoming_tts.client.audio_output import wav_header
from wyoming_tts.messages import Message
from wyoming_tts.page.stream_test.gaps import Gap, GapCount, GapOwner, GapRecorder, SentText, count_gaps
from wyoming_tts.speech import AudioFormat, SpokenWord

MAX_LOG_LINES = 4000
MAX_CHUNKS = 10_000
"""Per client: 16 of them stay below 32 MiB, whatever a server sends."""
MAX_TOLD_WORDS = 10_000
"""Per client; the longest text has fewer."""
MAX_SAID = 500
"""Characters of an error, or of a part of it, that a server may make as long as it likes."""
MAX_RECORDED_SECONDS = 60.0
MAX_RECORDED_BYTES = 12 << 20
MAX_WORDS = 400
"""Of the client whose audio is recorded: more than two minutes of speech."""
_MAX_PIECE = 32
"""Characters of a piece of text that are shown."""
_MAX_MARKS = 60
"""Per kind and client: a screen shows few more, and encoding frames of 16 clients holds up the loop."""

_T = TypeVar("_T")


class ClientEventKind(StrEnum):
    """The kinds of events in the log."""

    CONNECTED = "connected"
    TEXT = "text"
    TEXT_END = "text_end"
    AUDIO_START = "audio_start"
    FIRST_AUDIO = "first_audio"
    CHUNK = "chunk"
    UNDERRUN = "underrun"
    ENDED = "ended"


class ClientState(StrEnum):
    """The progress of a client, or how it ended."""

    CONNECTING = "connecting"
    ASKING = "asking"
    SPEAKING = "speaking"
    SPOKEN = "spoken"
    REFUSED = "refused"
    """The server answered with an error event."""
    FAILED = "failed"
    """No connection, a broken one, or a malformed answer."""
    TIMED_OUT = "timed_out"
    """The run reached its time limit first."""
    STOPPED = "stopped"
    """The user stopped the run."""


_OUTCOMES = {
    ClientState.SPOKEN: RequestOutcome.SPOKEN,
    ClientState.REFUSED: RequestOutcome.REFUSED,
    ClientState.TIMED_OUT: RequestOutcome.HUNG,
}


@dataclass(frozen=True, slots=True)
class ClientEvent:
    """One event of one client."""

    at: float
    """Seconds after the start of the run."""
    client: int
    what: ClientEventKind
    detail: str


class EventLog:
    """A ring buffer of the events of all clients, in order."""

    def __init__(self, limit: int = MAX_LOG_LINES) -> None:
        self._lines: deque[ClientEvent] = deque(maxlen=limit)
        self.count = 0
        """Events so far, including those no longer kept."""

    def add(self, event: ClientEvent) -> None:
        """Append an event."""
        self._lines.append(event)
        self.count += 1

    def newest(self, limit: int = MAX_LOG_LINES) -> tuple[ClientEvent, ...]:
        """Return the last events, oldest first."""
        return tuple(self._lines)[-limit:]


class EvenSample(Generic[_T]):
    """Evenly spaced downsampling of a sequence to a limited number of items."""

    def __init__(self, limit: int = _MAX_MARKS) -> None:
        self._limit = limit
        self._kept: list[_T] = []
        self._every = 1
        self._count = 0

    def add(self, item: _T) -> None:
        """Add the next item; it is kept if its index is a multiple of the spacing."""
        if self._count % self._every == 0:
            self._kept.append(item)
        self._count += 1
        if len(self._kept) > self._limit:
            del self._kept[1::2]
            self._every *= 2

    def __iter__(self) -> Iterator[_T]:
        return iter(self._kept)


SentPiece: TypeAlias = float | tuple[float, str]
"""When a piece of text was sent, and perhaps its beginning."""


@dataclass(frozen=True, slots=True)
class ClientSnapshot:
    """A snapshot of a client to plot; all times in seconds after the start of the run."""

    client: int
    state: ClientState
    error: str
    text: tuple[SentPiece, ...]
    """When pieces of text were sent, and which, of the client whose audio is recorded."""
    starts: tuple[float, ...]
    """Times of `audio-start` events: one for each part that the server sends separately."""
    first_audio: float | None
    buffer: tuple[tuple[float, float], ...]
    """Time of each chunk, and the seconds of audio in the player's buffer after it."""
    gaps: tuple[Gap, ...]
    """Underruns of the player, sampled evenly."""
    gap_counts: dict[GapOwner, GapCount]
    """All of them, by whose they are."""
    words: tuple[tuple[float, str], ...]
    """When each word is heard, of the client whose audio is recorded; only servers of this kind tell."""
    ended: float | None
    chunks: int
    audio: float
    """Seconds."""
    ttfa: float | None
    recorded: float
    """Seconds of recorded audio; 0 if none were recorded."""


class ClientRecorder:
    """Records the events of one client and simulates its player."""

    def __init__(
        self,
        client: int,
        log: EventLog,
        now: Callable[[], float],
        *,
        records: bool,
        sends: SentText | None = None,
    ) -> None:
        """`sends` is what the client will send; only one that `records` keeps its audio and its words."""
        self._client = client
        self._log = log
        self._now = now
        self._records = records
        self.state = ClientState.CONNECTING
        self._error = ""
        self._asked: float | None = None
        self._ended: float | None = None
        self._text = EvenSample[SentPiece]()
        self._starts = EvenSample[float]()
        self._buffer = EvenSample[tuple[float, float]]()
        self._sent = sends or SentText("")
        self._gaps = GapRecorder(self._sent)
        self._shown_gaps = EvenSample[Gap]()
        self._told_words = 0
        self._coming_words: list[SpokenWord] = []
        self._words: list[tuple[float, str]] = []
        self._arrivals: list[tuple[float, float]] = []
        self._audio = 0.0
        self._playing: tuple[float, float] | None = None
        self._format: AudioFormat | None = None
        self._pcm = bytearray()

    def connected(self) -> None:
        """Record that the client is connected."""
        self.state = ClientState.ASKING
        self._log_event(ClientEventKind.CONNECTED)

    def text_sent(self, piece: str) -> None:
        """Record that a piece of text is sent."""
        at = self._log_event(ClientEventKind.TEXT, piece)
        self._text.add((round(at, 3), _shortened(piece)) if self._records else round(at, 3))
        self._sent.add(piece, at)
        if self._asked is None:
            self._asked = at

    def text_ended(self) -> None:
        """Record that all of the text was sent."""
        self._sent.finish(self._log_event(ClientEventKind.TEXT_END))

    async def on_audio(self, audio_format: AudioFormat, pcm: bytes) -> None:
        """Record a chunk of audio; one without bytes stands for an `audio-start` event.

        Raises:
            ClientError: the server has sent more than MAX_CHUNKS chunks.
        """
        self._format = audio_format
        if not pcm:
            detail = f"{audio_format.rate} Hz, {audio_format.channels} × {audio_format.width * 8} bit"
            self._gaps.begin_part()
            self._starts.add(round(self._log_event(ClientEventKind.AUDIO_START, detail), 3))
            return
        if len(self._arrivals) >= MAX_CHUNKS:
            raise ClientError(
                Message(
                    "too_many_chunks", "The server sent more than {most} chunks of audio.", most=MAX_CHUNKS
                )
            )
        self._record_arrival(len(pcm) / (audio_format.rate * audio_format.frame_bytes), len(pcm))
        self._record_audio(audio_format, pcm)

    def on_words(self, words: tuple[SpokenWord, ...]) -> None:
        """Record which words begin in the audio that arrives next.

        Raises:
            ClientError: the server has told more than MAX_TOLD_WORDS words.
        """
        self._told_words += len(words)
        if self._told_words > MAX_TOLD_WORDS:
            raise ClientError(
                Message("too_many_words", "The server told more than {most} words.", most=MAX_TOLD_WORDS)
            )
        words = tuple(replace(word, text=_shortened(word.text)) for word in words)
        self._gaps.expect_words(words, self._now())
        if self._records:
            self._coming_words += words

    def _record_arrival(self, seconds: float, size: int) -> None:
        what = ClientEventKind.CHUNK if self._arrivals else ClientEventKind.FIRST_AUDIO
        at = self._log_event(what, f"{seconds:.3f} s, {size} B")
        self.state = ClientState.SPEAKING
        self._arrivals.append((at, seconds))
        self._buffer.add((round(at, 3), round(self._play(at, seconds), 3)))
        self._audio += seconds
        self._gaps.audio_arrived()
        self._record_words()

    def _record_words(self) -> None:
        """Place the words of what arrived at the times at which the player plays them."""
        if self._playing is None or not self._coming_words:
            return
        started_at, length = self._playing
        played_before = self._audio - length
        for word in self._coming_words[: MAX_WORDS - len(self._words)]:
            self._words.append((round(started_at + word.start_time - played_before, 3), word.text))
        self._coming_words.clear()

    def _play(self, at: float, seconds: float) -> float:
        """Play a chunk and return the seconds of audio buffered after it."""
        # Everything since the last gap plays like one chunk that arrived when that gap ended.
        arrivals = [(at, seconds)] if self._playing is None else [self._playing, (at, seconds)]
        playback = simulate_playback(arrivals)
        assert playback is not None, "a chunk has a length"
        if playback.gaps:
            self._record_underrun(at, playback.gaps[0])
            self._playing = at, seconds
        else:
            self._playing = playback.started_at, playback.ended_at - playback.started_at
        return playback.ended_at - at

    def _record_underrun(self, until: float, gap: float) -> None:
        added = self._gaps.add(until - gap, gap, self._audio)
        self._shown_gaps.add(added)
        self._log_event(ClientEventKind.UNDERRUN, f"{gap:.3f} s, {added.owner}")

    def _record_audio(self, audio_format: AudioFormat, pcm: bytes) -> None:
        if self._records:
            frame = audio_format.frame_bytes
            limit = min(int(MAX_RECORDED_SECONDS * audio_format.rate), MAX_RECORDED_BYTES // frame) * frame
            self._pcm += pcm[: limit - len(self._pcm)]

    def end(self, state: ClientState, error: str = "") -> None:
        """Record how the client ended; later calls have no effect."""
        if self._ended is None:
            self.state, self._error = state, _cut(error)
            detail = f"{state}: {self._error}" if error else state
            self._ended = self._log_event(ClientEventKind.ENDED, detail)

    def _log_event(self, what: ClientEventKind, detail: str = "") -> float:
        at = self._now()
        self._log.add(ClientEvent(round(at, 4), self._client, what, detail))
        return at

    @property
    def is_silent(self) -> bool:
        """Whether no audio has arrived."""
        return not self._arrivals

    def snapshot(self) -> ClientSnapshot:
        """Return the current state to plot."""
        first = self._arrivals[0][0] if self._arrivals else None
        return ClientSnapshot(
            client=self._client,
            state=self.state,
            error=self._error,
            text=tuple(self._text),
            starts=tuple(self._starts),
            first_audio=_rounded(first),
            buffer=tuple(self._buffer),
            gaps=tuple(Gap(round(gap.at, 3), round(gap.seconds, 3), gap.owner) for gap in self._shown_gaps),
            gap_counts=self.gap_counts(),
            words=tuple(self._words),
            ended=_rounded(self._ended),
            chunks=len(self._arrivals),
            audio=round(self._audio, 3),
            ttfa=None if first is None or self._asked is None else round(first - self._asked, 4),
            recorded=self._recorded_seconds(),
        )

    def gap_counts(self) -> dict[GapOwner, GapCount]:
        """Return how many gaps there were, by whose they are."""
        return count_gaps(self._gaps.gaps)

    def _recorded_seconds(self) -> float:
        if self._format is None:
            return 0.0
        return round(len(self._pcm) / (self._format.rate * self._format.frame_bytes), 3)

    def result(self) -> ListenerReport:
        """Return the measurements in the benchmark's form."""
        return RequestTimeline(
            outcome=_OUTCOMES.get(self.state, RequestOutcome.CUT_OFF),
            error=self._error,
            sent_at=self._asked,
            sentence_end_at=None,
            ended_at=self._now() if self._ended is None else self._ended,
            arrivals=tuple(self._arrivals),
        ).report()

    def wav(self) -> bytes | None:
        """Return the recorded audio as a WAV file; None if nothing was recorded."""
        if self._format is None or not self._pcm:
            return None
        return wav_header(self._format, len(self._pcm)) + self._pcm


def _shortened(piece: str, most: int = _MAX_PIECE) -> str:
    return piece if len(piece) <= most else f"{piece[:most]}…"


def _cut(said: str) -> str:
    """Cut a text, or the parts of a message, of which a page can still say the rest in its language."""
    if len(said) <= MAX_SAID:
        return said
    if not isinstance(said, Message):
        return _shortened(said, MAX_SAID)
    parts = {name: _cut(part) if isinstance(part, str) else part for name, part in said.arguments.items()}
    return type(said)(said.id, said.template, **parts)


def _rounded(at: float | None) -> float | None:
    return None if at is None else round(at, 3)
