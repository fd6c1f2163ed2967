"""Object storage as the place where servers keep their voices: `s3://`, `gs://` or a `file://` directory.

`object_store` talks to it, `layout` says which objects are voice files, `record` remembers what was brought,
`staging` installs whole voices or nothing, `shared_files` goes both ways with blends and lexicon, and `sync`
does all of it, once or again and again.
"""
