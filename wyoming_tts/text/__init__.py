"""The text front-end: from arriving text to the segments that engines speak.

`segments` composes the stages. Markup comes first (`ssml`, `voice_tags`; both yield the parts of
`markup`), then cleaning (`cleaning`, over `markdown` and `plain_text`), text normalization
(`normalization`) and sentence splitting (`sentences`, `first_segment`, `pause_marks`). `feed` is the
buffer before them, with backpressure, `pauses` the silence between segments, and `emoji_names` how emoji
are read. The pronunciation lexicon (`lexicon`) is applied to finished segments, and the default
pronunciations of the language (`pronunciation`) where it has no entry.

Every stage takes text in pieces of any size and yields what those complete; no result depends on
where the text was divided, and memory is bounded however long it is.
"""
