"""One client of a stream test, written down as it happens, on the clock of its run and within bounds.

Every event goes into a log that forgets the oldest; what is drawn is thinned out evenly; of arriving audio
only times and lengths stay, except for the one client that is to be heard afterwards.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import Generic, TypeVar

from wyoming_tts.bench.playback import simulate_playback
from wyoming_tts.bench.targets.listener import ListenerReport, RequestOutcome, RequestTimeline
from wyoming_tts.client import ClientError
from wyoming_tts.client.audio_output import wav_header
from wyoming_tts.speech import AudioFormat

MOST_LOG_LINES = 4000
MOST_CHUNKS = 10_000
"""Of one client: 16 of them stay below 32 MiB, whatever a server sends."""
KEPT_SECONDS = 60.0
KEPT_BYTES = 12 << 20
_MOST_MARKS = 60
"""Of one kind in a lane: a screen shows few more, and the frames of 16 lanes hold up the loop."""

_T = TypeVar("_T")


class ClientEventKind(StrEnum):
    """What a line of the log tells."""

    CONNECTED = "connected"
    TEXT = "text"
    TEXT_END = "text_end"
    AUDIO_START = "audio_start"
    FIRST_AUDIO = "first_audio"
    CHUNK = "chunk"
    UNDERRUN = "underrun"
    ENDED = "ended"


class ClientState(StrEnum):
    """How far a client is, or how it ended."""

    CONNECTING = "connecting"
    ASKING = "asking"
    SPEAKING = "speaking"
    SPOKEN = "spoken"
    REFUSED = "refused"
    """With an error event of the server."""
    FAILED = "failed"
    """No connection, a broken one, or an answer that makes no sense."""
    TIMED_OUT = "timed_out"
    """The run was over before it was."""
    STOPPED = "stopped"
    """By whoever started it."""


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
    """The newest events of all clients, in order."""

    def __init__(self, most: int = MOST_LOG_LINES) -> None:
        self._lines: deque[ClientEvent] = deque(maxlen=most)
        self.count = 0
        """Of all events, those forgotten included."""

    def add(self, line: ClientEvent) -> None:
        """Write a line down."""
        self._lines.append(line)
        self.count += 1

    def newest(self, most: int = MOST_LOG_LINES) -> tuple[ClientEvent, ...]:
        """Return the last lines, the oldest first."""
        return tuple(self._lines)[-most:]


class EvenSample(Generic[_T]):
    """At most so many of the things that are added, evenly chosen."""

    def __init__(self, most: int = _MOST_MARKS) -> None:
        self._most = most
        self._kept: list[_T] = []
        self._every = 1
        self._count = 0

    def add(self, item: _T) -> None:
        """Keep it, if its turn has come."""
        if self._count % self._every == 0:
            self._kept.append(item)
        self._count += 1
        if len(self._kept) > self._most:
            del self._kept[1::2]
            self._every *= 2

    def __iter__(self) -> Iterator[_T]:
        return iter(self._kept)


@dataclass(frozen=True, slots=True)
class ClientRun:
    """What is drawn of a client; all times in seconds after the start of the run."""

    client: int
    state: ClientState
    error: str
    text: tuple[float, ...]
    """When pieces of text went out."""
    starts: tuple[float, ...]
    """Audio-start events: one for each part of the speech that the server sends apart."""
    first_audio: float | None
    buffer: tuple[tuple[float, float], ...]
    """After a chunk: when, and how many seconds of audio the player then held."""
    underruns: tuple[tuple[float, float], ...]
    """When the player ran dry, and for how long."""
    ended: float | None
    chunks: int
    audio: float
    """Seconds."""
    ttfa: float | None
    gaps: int
    recorded: float
    """Seconds of it that can be heard; 0 where none were kept."""


class ClientRecorder:
    """What has happened to one client so far."""

    def __init__(self, client: int, log: EventLog, now: Callable[[], float], *, records: bool) -> None:
        self._client = client
        self._log = log
        self._now = now
        self._records = records
        self.state = ClientState.CONNECTING
        self._error = ""
        self._asked: float | None = None
        self._ended: float | None = None
        self._text = EvenSample[float]()
        self._starts = EvenSample[float]()
        self._buffer = EvenSample[tuple[float, float]]()
        self._underruns = EvenSample[tuple[float, float]]()
        self._gaps = 0
        self._arrivals: list[tuple[float, float]] = []
        self._audio = 0.0
        self._playing: tuple[float, float] | None = None
        self._format: AudioFormat | None = None
        self._pcm = bytearray()

    def connected(self) -> None:
        """Its connection stands."""
        self.state = ClientState.ASKING
        self._tell(ClientEventKind.CONNECTED)

    def text(self, piece: str) -> None:
        """A piece of text goes out."""
        at = self._tell(ClientEventKind.TEXT, piece)
        self._text.add(round(at, 3))
        if self._asked is None:
            self._asked = at

    def text_ended(self) -> None:
        """All of the text is out."""
        self._tell(ClientEventKind.TEXT_END)

    async def hear(self, audio_format: AudioFormat, pcm: bytes) -> None:
        """Take audio as the client gives it: without bytes it is an `audio-start`.

        Raises:
            ClientError: the server sends chunk after chunk without an end.
        """
        self._format = audio_format
        if not pcm:
            detail = f"{audio_format.rate} Hz, {audio_format.channels} × {audio_format.width * 8} bit"
            self._starts.add(round(self._tell(ClientEventKind.AUDIO_START, detail), 3))
            return
        if len(self._arrivals) >= MOST_CHUNKS:
            raise ClientError(f"The server sent more than {MOST_CHUNKS} chunks of audio.")
        self._arrived(len(pcm) / (audio_format.rate * audio_format.frame_bytes), len(pcm))
        self._keep(audio_format, pcm)

    def _arrived(self, seconds: float, size: int) -> None:
        what = ClientEventKind.CHUNK if self._arrivals else ClientEventKind.FIRST_AUDIO
        at = self._tell(what, f"{seconds:.3f} s, {size} B")
        self.state = ClientState.SPEAKING
        self._arrivals.append((at, seconds))
        self._audio += seconds
        self._buffer.add((round(at, 3), round(self._played(at, seconds), 3)))

    def _played(self, at: float, seconds: float) -> float:
        """Play a chunk; return the seconds of audio that are then held."""
        # Everything since the last gap sounds like one chunk that came when that gap ended.
        arrivals = [(at, seconds)] if self._playing is None else [self._playing, (at, seconds)]
        playback = simulate_playback(arrivals)
        assert playback is not None, "a chunk has a length"
        if playback.gaps:
            self._ran_dry(at, playback.gaps[0])
            self._playing = at, seconds
        else:
            self._playing = playback.started_at, playback.ended_at - playback.started_at
        return playback.ended_at - at

    def _ran_dry(self, until: float, gap: float) -> None:
        self._gaps += 1
        self._underruns.add((round(until - gap, 3), round(gap, 3)))
        self._tell(ClientEventKind.UNDERRUN, f"{gap:.3f} s")

    def _keep(self, audio_format: AudioFormat, pcm: bytes) -> None:
        if self._records:
            frame = audio_format.frame_bytes
            most = min(int(KEPT_SECONDS * audio_format.rate) * frame, KEPT_BYTES // frame * frame)
            self._pcm += pcm[: most - len(self._pcm)]

    def end(self, state: ClientState, error: str = "") -> None:
        """It is over, in this way; what comes later changes nothing."""
        if self._ended is None:
            self.state, self._error = state, error
            self._ended = self._tell(ClientEventKind.ENDED, f"{state}: {error}" if error else state)

    def _tell(self, what: ClientEventKind, detail: str = "") -> float:
        at = self._now()
        self._log.add(ClientEvent(round(at, 4), self._client, what, detail))
        return at

    @property
    def is_silent(self) -> bool:
        """Whether no audio came."""
        return not self._arrivals

    def lane(self) -> ClientRun:
        """Return what is to be drawn."""
        first = self._arrivals[0][0] if self._arrivals else None
        return ClientRun(
            client=self._client,
            state=self.state,
            error=self._error,
            text=tuple(self._text),
            starts=tuple(self._starts),
            first_audio=_short(first),
            buffer=tuple(self._buffer),
            underruns=tuple(self._underruns),
            ended=_short(self._ended),
            chunks=len(self._arrivals),
            audio=round(self._audio, 3),
            ttfa=None if first is None or self._asked is None else round(first - self._asked, 4),
            gaps=self._gaps,
            recorded=self._recorded_seconds(),
        )

    def _recorded_seconds(self) -> float:
        if self._format is None:
            return 0.0
        return round(len(self._pcm) / (self._format.rate * self._format.frame_bytes), 3)

    def heard(self) -> ListenerReport:
        """Return the figures of it, as the benchmark has them."""
        return RequestTimeline(
            outcome=_OUTCOMES.get(self.state, RequestOutcome.CUT_OFF),
            error=self._error,
            sent_at=self._asked,
            sentence_end_at=None,
            ended_at=self._now() if self._ended is None else self._ended,
            arrivals=tuple(self._arrivals),
        ).report()

    def wav(self) -> bytes | None:
        """Return what was kept of the audio as a WAV file; None if nothing was."""
        if self._format is None or not self._pcm:
            return None
        return wav_header(self._format, len(self._pcm)) + self._pcm


def _short(at: float | None) -> float | None:
    return None if at is None else round(at, 3)
