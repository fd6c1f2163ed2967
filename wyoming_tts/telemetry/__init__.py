"""What is told of utterances when they are over: log lines, a journal, counters. Never their text.

`counters` and `stats` are not imported here: who needs neither does not wait for their libraries.
"""

from __future__ import annotations

from wyoming_tts.telemetry.journal import Journal
from wyoming_tts.telemetry.log_lines import JsonFormatter, format_line, log_record
from wyoming_tts.telemetry.recorder import Telemetry, open_telemetry

__all__ = ["Journal", "JsonFormatter", "Telemetry", "format_line", "log_record", "open_telemetry"]
