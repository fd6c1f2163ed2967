"""Fidelity of Kokoro decoded in chunks, compared with whole decodes of the same sentences."""
