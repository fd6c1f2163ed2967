"""Piper engine: VITS voices, each an ONNX file with a JSON file beside it.

`engine` finds, loads and speaks them, `model` runs a voice's graph in chunks, `graph` finds where it can be
cut, and `trace` proves that a part is local in time.
"""
