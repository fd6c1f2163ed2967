"""espeak-ng engine: embedded voices in over a hundred languages, without any download.

`engine` lists and speaks them, `process` runs the library in a child process, `text` cuts what a call of it
gets, and `mnemonics` converts IPA. The child process imports this file: it imports nothing.
"""
