"""Load testing of text-to-speech servers: latency, underruns and failures, over Wyoming, HTTP or a WebSocket.

A server is measured from outside, as any client sees it, alone or in turn with a second one. `targets` holds
the protocols; `speech_plan` turns one of the `texts` into requests, `load_generator` runs many of them
concurrently, round by round, and `playback` simulates the listener's player. `results` and `percentiles` are
the figures, `report` the table and the JSON, `options` and `command` the command line.
"""
