"""Kokoro engine: one ONNX model whose voices are style tables in a pack.

`engine` lists, loads and speaks, `files` finds model and pack, `names` parses voices' names. A text becomes
`phonemes` (`misaki` for Japanese and Mandarin), these are cut into `batches`, and their audio is joined by
`trimming`.
"""
