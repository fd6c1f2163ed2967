"""Commands of the documents that are not run by tests, each with its reason; all are checked all the same."""

from __future__ import annotations

from collections.abc import Mapping

from tests.docs.pages import Command

RUN = frozenset({"curl", "echo", "wyoming-tts"})
"""Programs that tests run with the words that they find: such as can do no harm."""

PROGRAMS: Mapping[str, str] = {
    "cd": "where the clone would be",
    "deploy": "works on the reader's own voices; the tests of deploy run it",
    "docker": "needs a container engine; script/image builds and tries the image without one",
    "eval": "changes the shell it is in; the command within is run by the tests of completion",
    "export": "changes the shell it is in; its variables are read by the settings",
    "git": "needs the network",
    "journalctl": "needs a system that systemd runs",
    "kubectl": "needs a cluster; the manifests are held against their schema elsewhere",
    "mkdir": "in Home Assistant's own directories",
    "pip": "needs a package index",
    "python3": "makes what pip installs into",
    "script": "works on the checkout that the tests run in",
    "some-chat-program": "stands for a program of the reader's",
    "ss": "is a tool of the system's",
    "sudo": "changes the system",
    "systemctl": "needs a system that systemd runs",
    "tar": "takes apart a backup of the reader's",
    "uv": "needs a package index",
}
"""By the program that is called; `deploy` and `script` are all in those directories."""

COMMANDS: Mapping[str, str] = {
    "wyoming-tts serve": "serves until it is stopped; the other commands are run against such a server",
    "wyoming-tts --uri": "the same",
    "script/run": "the same",
    'wyoming-tts say "The front door is open." --out': "looks in the network; one with --uri is run",
    "wyoming-tts voices download": "fetches voices",
    "wyoming-tts voices remove": "what it removes would have to be fetched",
    "wyoming-tts voices import-piper /srv/piper": "the reader's own directory",
    "wyoming-tts bench tcp://localhost:10200 --text sentence": "takes seconds; a shorter one is run",
    "wyoming-tts bench tcp://localhost:10200 --text short": "takes seconds; the tests of bench run it",
}
"""By how the command begins."""


def excuse(command: Command) -> str | None:
    """Why a command is not run; None if it is."""
    first = command.programs[0][0]
    text = command.text.replace(first, command.program, 1)
    directory = first.split("/")[0]
    named = directory if directory in {"deploy", "script"} else command.program
    told = (reason for beginning, reason in COMMANDS.items() if text.startswith(beginning))
    return next(told, None) or PROGRAMS.get(named)
