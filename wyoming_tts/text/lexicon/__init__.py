"""Pronunciation lexicon: words of the user's that are respelled or given as phonemes.

`rules` finds and replaces words in a text, `parser` reads and validates `lexicon.yaml`, and
`hot_reload` keeps the rules up to date with the files.
"""
