"""From PCM to the formats that HTTP clients ask for, a piece at a time.

Every encoder hands out what it has after each piece, so that a listener hears the beginning while the
rest is being spoken.
"""

from wyoming_tts.encoders.encoder import (
    Encoder,
    EncoderOptions,
    Encoding,
    make_encoder,
    media_type,
    wav_header,
)

__all__ = ["Encoder", "EncoderOptions", "Encoding", "make_encoder", "media_type", "wav_header"]
