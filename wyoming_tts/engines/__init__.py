"""Speech engines: Piper, Kokoro, espeak-ng, and other servers (remote).

`base` says what an engine is, `model_cache` keeps models in memory. `piper`, `kokoro`, `espeak` and `remote`
are one engine each and know nothing of each other; what several share lies beside them: `onnx` and
`model_files` (models), `phonemizer` and `child` (libraries in processes of their own), `ipa` (phonemes in a
text). Child processes import this file: it imports nothing.
"""
