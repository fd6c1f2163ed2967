"""Child processes: libraries that crash on some texts run outside the server.

`process` is the server's end and starts them, `protocol` the framing that both ends import. What runs in a
child lies with its user: `engines/espeak/process.py`, `engines/phonemizer/process.py`. This file is
imported in the child, as are those of the packages above it: they import nothing.
"""
