"""The tail of the log: bounded, thread-safe, with secrets redacted."""

from __future__ import annotations

import logging
import threading

import pytest

from wyoming_tts.telemetry.log_tail import MAX_TEXT_LENGTH, REDACTED, LogTail, keep_log_tail

KEY = "sk-42/forty+two"


@pytest.fixture
def logger() -> logging.Logger:
    return logging.Logger("tail-of-a-test")  # noqa: LOG001 - pytest captures registered loggers


def _texts(tail: LogTail) -> list[str]:
    return [line.text for line in tail.lines()]


def test_lines_are_kept_in_order_with_level_and_logger(logger: logging.Logger) -> None:
    with keep_log_tail(logger=logger) as tail:
        logger.info("%d %s", 2, "words")
        logger.warning("more")
    first, second = tail.lines()
    assert (first.number, first.level, first.logger, first.text) == (1, "INFO", logger.name, "2 words")
    assert (second.number, second.level) == (2, "WARNING")
    assert second.time >= first.time > 1e9


def test_nothing_is_recorded_after_the_block(logger: logging.Logger) -> None:
    with keep_log_tail(logger=logger) as tail:
        pass
    logger.info("too late")
    assert tail.lines() == ()


def test_only_the_newest_lines_are_kept_and_can_be_read_after_a_number(logger: logging.Logger) -> None:
    tail = LogTail(3)
    for number in range(1, 8):
        tail.handle(logger.makeRecord("name", logging.INFO, "", 0, str(number), (), None))
    assert _texts(tail) == ["5", "6", "7"]
    assert [line.text for line in tail.lines(after=6)] == ["7"]
    assert tail.lines(after=7) == ()


def test_a_record_that_cannot_be_formatted_is_skipped(logger: logging.Logger) -> None:
    with keep_log_tail(logger=logger) as tail:
        logger.info("%d", "no number")
        logger.info("after it")
    assert _texts(tail) == ["after it"]


def test_a_long_traceback_keeps_its_end(logger: logging.Logger) -> None:
    with keep_log_tail(logger=logger) as tail:
        logger.error("It broke", exc_info=ValueError("x" * 3 * MAX_TEXT_LENGTH + " at last"))
    (text,) = _texts(tail)
    assert text.startswith("It broke\n")
    assert text.endswith("x at last")
    assert len(text) <= 2 * MAX_TEXT_LENGTH


@pytest.mark.parametrize(
    "line",
    [
        f"a client sent {KEY}",
        f"GET /v1/models?x=1&{KEY}",
        "GET /x?k=sk-42%2Fforty%2Btwo",
        f"{KEY * 3}",
        "word " * 500 + KEY,
        f"{'x' * (MAX_TEXT_LENGTH - 6)} {KEY}",
    ],
)
def test_a_key_is_redacted_anywhere_in_a_line(logger: logging.Logger, line: str) -> None:
    with keep_log_tail([KEY], logger=logger) as tail:
        logger.info("%s", line)
    (text,) = _texts(tail)
    assert "sk-42" not in text
    assert "forty" not in text


def test_a_key_in_a_traceback_is_redacted(logger: logging.Logger) -> None:
    with keep_log_tail([KEY], logger=logger) as tail:
        logger.error("It broke", exc_info=ValueError(KEY))
    assert KEY not in _texts(tail)[0]


@pytest.mark.parametrize(
    ("line", "kept"),
    [
        ("Authorization: Bearer abcdef", f"Authorization: Bearer {REDACTED}"),
        ("{'authorization': 'Basic abcdef'}", f"{{'authorization': 'Basic {REDACTED}'}}"),
        ("Authorization: abcdef", f"Authorization: {REDACTED}"),
        ("authorization=abcdef", f"authorization={REDACTED}"),
        ("GET /metrics?api_key=abcdef&x=1", f"GET /metrics?api_key={REDACTED}&x=1"),
        ("remote at http://me:abcdef@host:1/", f"remote at http://{REDACTED}@host:1/"),
        ("HF_TOKEN=abcdef", f"HF_TOKEN={REDACTED}"),
        ("voice=en_US-lessac chars=12 http://host:1/a@b", "voice=en_US-lessac chars=12 http://host:1/a@b"),
    ],
)
def test_unregistered_secrets_are_redacted_by_pattern(logger: logging.Logger, line: str, kept: str) -> None:
    with keep_log_tail(logger=logger) as tail:
        logger.info("%s", line)
    assert _texts(tail) == [kept]


def test_a_short_key_is_redacted_only_as_a_whole_word(logger: logging.Logger) -> None:
    with keep_log_tail(["a"], logger=logger) as tail:
        logger.info("a cat sat")
    assert _texts(tail) == [f"{REDACTED} cat sat"]


def test_a_key_can_be_registered_later(logger: logging.Logger) -> None:
    with keep_log_tail(["before"], logger=logger) as tail:
        tail.hide(["afterwards"])
        logger.info("it is afterwards")
    assert _texts(tail) == [f"it is {REDACTED}"]


def test_concurrent_threads_lose_no_lines(logger: logging.Logger) -> None:
    def write() -> None:
        for _ in range(60):
            logger.info("line")

    with keep_log_tail(logger=logger) as tail:
        threads = [threading.Thread(target=write) for _ in range(4)]
        for thread in threads:
            thread.start()
        while any(thread.is_alive() for thread in threads):
            assert len(tail.lines()) <= 300
        for thread in threads:
            thread.join()
    assert sorted(line.number for line in tail.lines()) == list(range(1, 241))
