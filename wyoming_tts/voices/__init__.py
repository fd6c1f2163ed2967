"""Voices: the catalogue, the installed ones, what a voice's name means, downloads, and Kokoro blends.

`catalogue` says what can be downloaded, `library` what is installed and which voice a request gets, `names`
what a name means among both. `inventory` lists both side by side; `verification`, `removal` and
`piper_import` work on the files, for the command line and the page; `watching` reports that files have
changed. `download` fetches voices, `blends` mixes Kokoro's; `style_files` and `styles` read and keep the
style tables that are mixed.
"""
