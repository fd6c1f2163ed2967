"""What the log says of a failed event: where it failed, and nothing that a user wrote."""

from __future__ import annotations

import pytest

from ui import failure_log


def fail(text: str) -> None:
    raise ValueError(f"Received inputs: [{text}]")


def test_the_place_and_the_kind_of_a_failure_are_logged_without_its_message(
    caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    try:
        fail("my diary")
    except ValueError:
        failure_log.print_exc()
    assert "ValueError in test_failure_log.py:" in caplog.text
    assert "fail < " in caplog.text
    assert "diary" not in caplog.text + "".join(capfd.readouterr())


def test_nothing_is_logged_without_a_failure(caplog: pytest.LogCaptureFixture) -> None:
    failure_log.print_exc()
    assert caplog.text == ""
