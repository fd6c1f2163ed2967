"""What a listener heard: gaps, and the start against the clairvoyant optimum.

Positions are samples, times are seconds. A gap counts if the listener ran dry in mid-utterance although
the text of what comes next had been known for as long as the first audio took: nobody can speak what is not
written yet, nor the moment that it is.
"""

from __future__ import annotations

from contextvars import ContextVar
from dataclasses import dataclass, field

AUDIBLE_GAP = 0.02
"""Seconds; less is taken for what every player has buffered, as by `synthesis.job`."""


@dataclass(slots=True)
class Piece:
    """Audio as an engine's step made it."""

    samples: int
    known_at: float
    """When its segment of text was complete."""
    completed_at: float = 0.0

    def complete(self, at: float) -> None:
        """Note when the step ended."""
        self.completed_at = at


@dataclass(slots=True)
class Delivery:
    """Audio as the listener got it."""

    samples: int
    at: float


@dataclass(slots=True)
class Listening:
    """One utterance, from its first text to its last audio."""

    arrived_at: float
    known_at: tuple[float, ...]
    """When each segment of its text was complete."""
    rate: int
    """Samples per second."""
    pieces: list[Piece] = field(default_factory=list)
    deliveries: list[Delivery] = field(default_factory=list)
    is_refused: bool = False
    segments: int = 0

    def begin_segment(self) -> None:
        """Note that the voice begins the next segment."""
        self.segments += 1

    def add_piece(self, samples: int) -> Piece:
        """Add audio of the segment being spoken, not complete yet."""
        piece = Piece(samples, self.known_at[self.segments - 1])
        self.pieces.append(piece)
        return piece

    def deliver(self, samples: int, at: float) -> None:
        """Note what the listener gets."""
        self.deliveries.append(Delivery(samples, at))

    @property
    def playing_until(self) -> float:
        """When the listener has played what it got, if it plays at once and goes on after each gap."""
        until = self.arrived_at
        for delivery in self.deliveries:
            until = max(until, delivery.at) + delivery.samples / self.rate
        return until

    @property
    def start(self) -> float:
        """Seconds from the first text to the first audio."""
        return self.deliveries[0].at - self.arrived_at

    @property
    def clairvoyant_start(self) -> float:
        """The earliest start without a gap, had it been known when each piece would be complete."""
        position, earliest = 0, self.arrived_at
        for piece in self.pieces:
            earliest = max(earliest, piece.completed_at - position / self.rate)
            position += piece.samples
        return earliest - self.arrived_at

    @property
    def _response(self) -> float:
        """Seconds from a text to its audio, as for the first one."""
        return self.pieces[0].completed_at - self.pieces[0].known_at

    def gaps(self) -> list[float]:
        """Return how long the listener was dry each time, in seconds."""
        gaps = []
        position, playing_until = 0, self.deliveries[0].at if self.deliveries else 0.0
        for delivery in self.deliveries:
            dry = delivery.at - playing_until
            if dry >= AUDIBLE_GAP and self._known_at(position) + self._response <= playing_until:
                gaps.append(dry)
            playing_until = max(playing_until, delivery.at) + delivery.samples / self.rate
            position += delivery.samples
        return gaps

    def _known_at(self, position: int) -> float:
        """Return when the text was known of which the sample at a position is."""
        end = 0
        for piece in self.pieces:
            end += piece.samples
            if position < end:
                return piece.known_at
        return self.known_at[-1]


SPOKEN_FOR: ContextVar[Listening | None] = ContextVar("spoken_for", default=None)
"""Whom the running step speaks for; None while voices are warmed up."""
