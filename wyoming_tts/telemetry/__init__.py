"""Telemetry of utterances that are over: log lines, a journal and metrics. Never their text.

`recorder` passes each utterance's record to `log_lines`, `journal` and `prometheus`; `stats` is the command
that sums up a journal. `log_tail` and `recent_utterances` keep the newest of both in memory for the web page.
`stats` and `prometheus` are not imported here: their libraries take a while.
"""

from __future__ import annotations

from wyoming_tts.telemetry.journal import Journal
from wyoming_tts.telemetry.log_lines import JsonFormatter, format_line, log_record
from wyoming_tts.telemetry.recorder import Telemetry, open_telemetry

__all__ = ["Journal", "JsonFormatter", "Telemetry", "format_line", "log_record", "open_telemetry"]
