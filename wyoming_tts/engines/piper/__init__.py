"""Piper engine: VITS voices, each an ONNX file with a JSON file beside it.

`engine` finds, loads and speaks them, `voice_json` validates the JSON file, `model` runs a voice's graph in
chunks, `graph` finds where it can be cut, `trace` proves that a part is local in time, `duration_guard`
bounds how long a sentence may last, and `trial` has an uploaded voice speak in a child process.
"""
