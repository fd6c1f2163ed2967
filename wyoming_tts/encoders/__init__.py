"""Streaming audio encoders: PCM to the formats that HTTP clients request, piece by piece.

Every encoder returns what it has after each piece, so that a listener hears the beginning while the rest is
being spoken. `encoder` is the interface and makes them; `libopus`, `libsndfile` and `aac` wrap the libraries,
`ogg` makes pages, and `packet_encoder` is for transports that need none.
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
