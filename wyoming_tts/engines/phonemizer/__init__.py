"""Phonemizers of the neural voices: text to phonemes by espeak-ng, in child processes.

`cleaning` makes a text safe for them, `client` is the server's end, `process` what runs in the child. This
file is imported there too: it imports nothing.
"""
