"""Settings of the group Logging: what the server records, where and in which form."""

from __future__ import annotations

import os
from functools import partial
from pathlib import Path
from typing import Literal

from platformdirs import user_state_path

from wyoming_tts.settings.groups.base import Group, SettingsGroup, setting
from wyoming_tts.settings.values.plain import AnyPath, LogFormat

_setting = partial(setting, Group.LOGGING)

JOURNAL_NAME = "metrics.jsonl"


def _state_directory() -> Path:
    """Systemd's directory for the state of the service (the first of several), else the user's."""
    given = os.environ.get("STATE_DIRECTORY", "").split(":")[0]
    return Path(given) if given else user_state_path("wyoming-tts", appauthor=False)


class LoggingSettings(SettingsGroup):
    """Fields under the heading Logging."""

    debug: bool = _setting(False, "Log at debug level.")
    log_style: Literal["text", "json"] = _setting("text", "Log lines as text, or as JSON objects.")
    log_requests: bool = _setting(
        False,
        "Log a line for each request over HTTP, WebSocket and Wyoming: client, method, path without its "
        "query, status, bytes and seconds; never texts, keys or tokens.",
    )
    state_dir: AnyPath = _setting(
        _state_directory,
        "Directory of what the server records for itself; a data directory may be shared, or a checkout.",
        shown="systemd's StateDirectory, else the user's, ~/.local/state/wyoming-tts on Linux",
    )
    metrics: bool = _setting(
        True, "Record each utterance in `metrics_file`, without its text; `stats` reads it."
    )
    metrics_file: AnyPath = _setting(
        lambda values: values["state_dir"] / JOURNAL_NAME,
        "Where utterances are recorded; rotated at 5 MB, with two old files kept.",
        shown="metrics.jsonl in the state directory",
    )
    log_format: LogFormat = _setting(
        "%(asctime)s %(levelname)s %(name)s: %(message)s",
        "Format of log lines, as in Python's logging.",
        expects="a %-style logging format such as '%(levelname)s %(message)s'",
    )
