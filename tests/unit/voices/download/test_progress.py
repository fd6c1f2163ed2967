from __future__ import annotations

import io
import logging

import pytest

from wyoming_tts.voices.download.downloads import DownloadProgress, DownloadState
from wyoming_tts.voices.download.progress import ProgressBars, ProgressLog, show_progress


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def at(
    received: int, state: DownloadState = DownloadState.RUNNING, *, voice: str = "tone"
) -> DownloadProgress:
    return DownloadProgress(voice, state, received, 2_000_000)


def test_every_ten_percent_is_logged_once(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    logged = ProgressLog()
    logged(at(0, DownloadState.WAITING))
    for received in range(0, 2_000_001, 10_000):
        logged(at(received))
    logged(at(2_000_000, DownloadState.DONE))
    assert [record.getMessage() for record in caplog.records] == [
        f"Downloading tone: {percent} % of 2.0 MB." for percent in range(10, 101, 10)
    ]


def test_a_resumed_download_logs_the_offset_it_resumes_from(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    logged = ProgressLog()
    logged(at(0, DownloadState.WAITING))
    logged(at(870_000))
    assert caplog.messages == ["Downloading tone: 43 % of 2.0 MB."]


def test_a_second_download_of_a_voice_is_logged_again(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    logged = ProgressLog()
    for state in (DownloadState.FAILED, DownloadState.DONE):
        logged(at(0, DownloadState.WAITING))
        logged(at(1_000_000))
        logged(at(1_000_000, state))
    assert len(caplog.messages) == 2


def test_a_download_of_unknown_length_is_logged_in_bytes(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    logged = ProgressLog()
    logged(DownloadProgress("tone", DownloadState.WAITING, 0, None))
    for received in range(0, 25_000_001, 1_000_000):
        logged(DownloadProgress("tone", DownloadState.RUNNING, received, None))
    assert caplog.messages == ["Downloading tone: 10.0 MB.", "Downloading tone: 20.0 MB."]


def test_progress_bars_show_each_voice_and_disappear_on_completion(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm")
    terminal = Terminal()
    bars = ProgressBars(terminal)
    bars(at(0, DownloadState.WAITING, voice="first"))
    bars(at(1_000_000, voice="second"))
    assert bars._bars is not None
    assert [(task.description, task.completed, task.total) for task in bars._bars.tasks] == [
        ("first", 0, 2_000_000),
        ("second", 1_000_000, 2_000_000),
    ]
    bars(at(2_000_000, DownloadState.DONE, voice="second"))
    assert [task.description for task in bars._bars.tasks] == ["first"]
    bars(at(0, DownloadState.FAILED, voice="first"))
    assert bars._bars is None
    assert "second" in terminal.getvalue()


def test_a_terminal_shows_progress_bars_and_clears_them() -> None:
    with show_progress(Terminal()) as present:
        assert isinstance(present, ProgressBars)
        present(at(1_000))
    assert present._bars is None


def test_output_that_is_no_terminal_gets_log_lines() -> None:
    with show_progress(io.StringIO()) as present:
        assert isinstance(present, ProgressLog)
