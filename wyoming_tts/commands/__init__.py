"""Command line `wyoming-tts`: `cli` parses and dispatches, a module for each command does the work.

`say` (with `explain`, its explain mode, and `server_explanation`, where a server explains), `voices` (with
`voice_reports`, its formatting), `blends` and `health` are commands; `serve`, `bench` and `stats` are run
from the packages server, bench and telemetry. `local_speech` synthesizes in this process, `console` prints.
Every process imports `cli` and `health` at its start, so they import as little as possible.
"""
