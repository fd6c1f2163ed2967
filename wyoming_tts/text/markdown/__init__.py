"""Markdown stripping: Markdown and HTML become plain text for a listener while they arrive.

`stripper` reads a text and writes to a `PlainTextWriter`; it leaves HTML to `html_tags` and code
blocks to `fenced_code`. `syntax` has the patterns, `scanner` the matching on incomplete text.
"""
