"""Measures a Wyoming text-to-speech server from outside, or two in turn.

It knows of a server what any client knows. `wire` reads with as little work as possible, `listener` is
one request, `player` what was heard of it, `load` many at once and round by round, `result` and `figures`
the numbers, `report` and `command` the command line.
"""
