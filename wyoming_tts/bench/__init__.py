"""Measures a text-to-speech server from outside, or two in turn: over Wyoming, HTTP or a WebSocket.

It knows of a server what any client knows. `listener` is one request in any protocol; `wyoming_listener`,
`http_listener` and `realtime_listener` read theirs (with `wire` and `web` below them) with as little work as
possible, and `servers` chooses. `speech` is one text, `player` what was heard of it, `load` many at once and
round by round, `result` and `figures` the numbers, `report` and `command` the command line.
"""
