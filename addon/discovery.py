"""Announces the server to Home Assistant through the Supervisor's discovery API, once the server answers.

Exits with 0 once the Supervisor has accepted the message, and with 78 if it rejects it. While the Supervisor
cannot be reached or fails, the message is sent again with exponential backoff.
"""  # noqa: INP001 - a script beside the services, in no package

from __future__ import annotations

import argparse
import logging
import os
import socket
import sys
import time
from http import HTTPStatus
from itertools import count

import httpx

from wyoming_tts.backoff import Backoff

REFUSED = 78
"""EX_CONFIG of sysexits.h."""
_LOOK_EVERY = 0.5
_LONGEST_PAUSE = 60.0
_TIMEOUT = 10.0
_LONGEST_SHOWN = 200
_BUSY = frozenset([HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.TOO_MANY_REQUESTS])

_LOGGER = logging.getLogger("discovery")


def main() -> int:
    """Post the message, retrying for as long as it takes; returns the exit code."""
    asked = _arguments()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    logging.getLogger("httpx").setLevel(logging.WARNING)
    token = os.environ.get("SUPERVISOR_TOKEN", "")
    if not token:
        _LOGGER.error("SUPERVISOR_TOKEN is not set: the add-on was not started by the Supervisor.")
        return REFUSED
    _wait_for_server(asked.port)
    uri = f"tcp://{socket.gethostname()}:{asked.port}"
    base = os.environ.get("SUPERVISOR_URL", "http://supervisor")
    # Without trust_env: an internet proxy cannot reach the Supervisor, and must not see the token.
    with httpx.Client(
        base_url=base, headers={"Authorization": f"Bearer {token}"}, timeout=_TIMEOUT, trust_env=False
    ) as supervisor:
        return _post_discovery(supervisor, uri, asked.first_pause)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, default=10200, help="the server's port on this machine")
    parser.add_argument("--first-pause", type=float, default=1.0, help="seconds before the second try")
    return parser.parse_args()


def _wait_for_server(port: int) -> None:
    """Wait until the server answers `describe`: its port is open earlier."""
    while True:
        try:
            with socket.create_connection(("127.0.0.1", port), timeout=_TIMEOUT) as connection:
                connection.sendall(b'{"type": "describe"}\n')
                if connection.recv(1):
                    return
        except OSError:
            pass
        time.sleep(_LOOK_EVERY)


def _post_discovery(supervisor: httpx.Client, uri: str, first_pause: float) -> int:
    message = {"service": "wyoming", "config": {"uri": uri}}
    backoff = Backoff(first_pause, _LONGEST_PAUSE)
    for failures in count(1):
        try:
            answer = supervisor.post("/discovery", json=message)
        except httpx.TransportError as error:
            trouble = f"cannot be reached ({error})"
        else:
            if answer.is_success:
                _LOGGER.info("Home Assistant was notified of %s.", uri)
                return 0
            trouble = f"answered {answer.status_code}: {answer.text[:_LONGEST_SHOWN]!r}"
            if not _is_temporary(answer):
                _LOGGER.error(
                    "The Supervisor %s. Home Assistant will not find the server by itself: add the "
                    "integration Wyoming Protocol by hand, with host %s and port %s.",
                    trouble,
                    *uri.removeprefix("tcp://").split(":"),
                )
                return REFUSED
        pause = backoff.delay(failures)
        _LOGGER.warning("The Supervisor %s. Next try in %g s.", trouble, pause)
        time.sleep(pause)
    raise AssertionError("Counting never ends.")


def _is_temporary(answer: httpx.Response) -> bool:
    """Whether a failure is temporary: the Supervisor also answers 400 while it starts."""
    starts = answer.status_code == HTTPStatus.BAD_REQUEST and "not ready" in answer.text
    return starts or answer.is_server_error or answer.status_code in _BUSY


if __name__ == "__main__":
    sys.exit(main())
