"""SSML parser: a document becomes text with speaking styles and breaks while it arrives.

`tokenizer` divides the text into tags of bounded length and text, `parser` follows the elements,
`attributes` reads their values, and `phonemes` converts X-SAMPA to IPA.
"""
