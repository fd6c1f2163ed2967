"""Duration probe: whether a batch in an imported style would last far longer than speech does.

The length of a phoneme is predicted from the style as well. A hostile style makes each one 50 frames long: a
batch of 130 then lasts five minutes and takes gigabytes before anybody sees how long it is. The model tells
the lengths only by speaking. But at a multiple of the speed each is that fraction of itself, rounded, and at
least one frame: enough for an upper bound, at a fraction of the work.
"""

from __future__ import annotations

from collections.abc import Callable

from wyoming_tts.engines.kokoro.trimming import SAMPLE_RATE
from wyoming_tts.errors import TooLong
from wyoming_tts.messages import Message

FASTER = 8
"""Multiple of the speed. An ordinary phoneme of 5 frames, 12 at the slowest, is one or two frames then."""

MAX_SECONDS = 60.0
"""Most that a batch is let to last, by that bound; it is 45 s for 130 phonemes of Kokoro's own voices at the
slowest speed. A batch of a minute takes 2 GB."""

_SECONDS_BESIDES = 2.0
_SECONDS_PER_TOKEN = 0.6
"""By that bound it is 0.32 s with Kokoro's own voices, and 1.3 s for the longest phonemes at speed 1."""

_FRAME = 600
_ROUNDED = 0.5


def check_duration(samples_at: Callable[[float], int], tokens: int, speed: float, *, voice: str) -> None:
    """Check how long a batch can last.

    Args:
        samples_at: speaks the batch at a speed, and returns its number of samples.
        tokens: of the batch, with those that are added at its ends.
        speed: at which it is to be spoken.
        voice: its name, for the message.

    Raises:
        TooLong: it may last more than MAX_SECONDS, or twice as long as speech of so many phonemes.
    """
    frames = samples_at(FASTER * speed) / _FRAME
    seconds = FASTER * (frames + tokens * _ROUNDED) * _FRAME / SAMPLE_RATE
    most = min(MAX_SECONDS, _SECONDS_BESIDES + tokens * _SECONDS_PER_TOKEN)
    if seconds > most:
        raise TooLong(
            Message(
                "style_too_slow",
                "{count} phonemes in the style of {voice} would last up to {seconds} s, expected at most "
                "{most} s.",
                count=tokens,
                voice=voice,
                seconds=f"{seconds:.0f}",
                most=f"{most:.0f}",
            ),
            hint=Message("import_style_again", "Its style table may be broken: import it again."),
        )
