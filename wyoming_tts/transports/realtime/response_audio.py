"""The audio of a response in the format that its client takes, message by message."""

from __future__ import annotations

from collections.abc import AsyncIterator
from functools import partial
from typing import NamedTuple

from wyoming_tts.blocking import RunBlocking, run_uninterrupted
from wyoming_tts.encoders import EncoderOptions
from wyoming_tts.encoders.packet_encoder import OpusPacket, PacketEncoder
from wyoming_tts.speech import AudioChunk
from wyoming_tts.transports.audio_frames import split_into_frames
from wyoming_tts.transports.realtime.session import RealtimeSession

_FRAME_SAMPLES = 8_192
"""Samples in one message of PCM, and encoded at a time: a third of a second at 24 kHz."""


class AudioPiece(NamedTuple):
    """What one message carries."""

    data: bytes
    samples: int
    """Samples of the source that can be heard once a client has it, and could not before."""
    has_sound: bool
    """Whether they are not all silence; of Opus: whether the audio that was encoded with them is not."""


class ResponseAudio:
    """Makes PCM or Opus packets of the chunks of one response."""

    def __init__(self, session: RealtimeSession, options: EncoderOptions, run_blocking: RunBlocking) -> None:
        """Prepare the format that the session asks for; an encoder runs by `run_blocking`."""
        self._encoder = PacketEncoder(session.sample_rate, options) if session.opus else None
        self._run_blocking = run_blocking

    async def pieces(self, chunk: AudioChunk) -> AsyncIterator[AudioPiece]:
        """Yield what is ready with this chunk: all of PCM; of Opus the full packets."""
        for frame in split_into_frames(chunk, _FRAME_SAMPLES):
            has_sound = frame.pcm.count(0) < len(frame.pcm)
            if self._encoder is None:
                yield AudioPiece(frame.pcm, len(frame.pcm) // 2, has_sound)
                continue
            work = partial(self._encoder.encode, frame.pcm)
            for packet in await run_uninterrupted(self._run_blocking, work):
                yield _piece(packet, has_sound=has_sound)

    async def rest(self) -> AsyncIterator[AudioPiece]:
        """Yield what was kept, once all chunks came; the last packet is padded."""
        if self._encoder is not None:
            for packet in await run_uninterrupted(self._run_blocking, self._encoder.finish):
                yield _piece(packet, has_sound=False)

    def close(self) -> None:
        """Free the encoder."""
        if self._encoder is not None:
            self._encoder.close()


def _piece(packet: OpusPacket, *, has_sound: bool) -> AudioPiece:
    return AudioPiece(packet.data, packet.samples, has_sound)
