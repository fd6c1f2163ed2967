"""Documented commands that tests do not run, each with its reason; they are still checked statically."""

from __future__ import annotations

from collections.abc import Mapping

from tests.docs.pages import Command

RUN = frozenset({"curl", "echo", "wyoming-tts"})
"""Harmless programs, which tests run with the documented arguments."""

PROGRAMS: Mapping[str, str] = {
    "cd": "needs the clone",
    "deploy": "works on the reader's own voices; the tests of deploy run it",
    "docker": "needs a container engine; script/image builds and tries the image without one",
    "eval": "changes the shell; the tests of completion run the inner command",
    "export": "changes the shell; its variables are checked as settings",
    "git": "needs the network",
    "helm": "needs a cluster; other tests render the chart",
    "journalctl": "needs a system that runs systemd",
    "kubectl": "needs a cluster; other tests validate the manifests",
    "mkdir": "needs Home Assistant's directories",
    "pip": "needs a package index",
    "python3": "creates the environment that pip installs into",
    "script": "works on the checkout that the tests run in",
    "some-chat-program": "is a placeholder for the reader's program",
    "ss": "is a system tool",
    "sudo": "changes the system",
    "systemctl": "needs a system that runs systemd",
    "tar": "extracts the reader's backup",
    "uv": "needs a package index",
}
"""By program name; `deploy` and `script` stand for all programs in those directories."""

COMMANDS: Mapping[str, str] = {
    "wyoming-tts serve": "serves until it is stopped; other commands are run against such a server",
    "wyoming-tts --uri": "the same",
    "script/run": "the same",
    'wyoming-tts say "The front door is open." --out': "searches the network; one with --uri is run",
    "wyoming-tts voices download": "downloads voices",
    "wyoming-tts voices sync": "needs the reader's bucket",
    "wyoming-tts voices push": "the same",
    "wyoming-tts cache clear": "would clear that of the reader's server; the tests of the command run it",
    "wyoming-tts voices remove": "needs downloaded voices",
    "wyoming-tts voices import-piper /srv/piper": "needs the reader's directory",
    "wyoming-tts bench tcp://localhost:10200 --text sentence": "takes seconds; a shorter one is run",
    "wyoming-tts bench tcp://localhost:10200 --text short": "takes seconds; the tests of bench run it",
}
"""By the beginning of the command."""


def excuse(command: Command) -> str | None:
    """The reason why a command is not run; None if it is run."""
    first = command.programs[0][0]
    text = command.text.replace(first, command.program, 1)
    directory = first.split("/")[0]
    program = directory if directory in {"deploy", "script"} else command.program
    reasons = (reason for beginning, reason in COMMANDS.items() if text.startswith(beginning))
    return next(reasons, None) or PROGRAMS.get(program)
