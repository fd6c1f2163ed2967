"""What can be said of a command without running it: a program takes such words, their files are there."""

from __future__ import annotations

import argparse
import os
import re
import tomllib
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cache

import yaml

from tests.docs.pages import ROOT, Command, called
from tests.docs.test_links import REPOSITORY
from wyoming_tts.commands import cli
from wyoming_tts.settings import SettingsError, load_settings

OURS = "wyoming-tts"
CONTAINER_PORTS = frozenset({"10200", "8880"})

_VARIABLE = re.compile(r"(WYOMING_TTS_\w+)=(.*)")
_INNER = re.compile(r"\$\((.*)\)")
_DOCKER_RUN = frozenset({"--detach", "--name", "--publish", "--volume", "--restart", "--network", "--env"})


class Wrong(AssertionError):
    """The command would not do what the reader is told."""


def check(command: Command) -> None:
    """Look at all programs of a command.

    Raises:
        Wrong: one would refuse its words, or names what is not there.
    """
    for words in command.programs:
        check_words(words)


def check_words(words: Sequence[str]) -> None:
    """Look at one program's words; the same error."""
    name = called(tuple(words))
    for word in words:
        _check_path(word)
    if words[0].startswith(("script/", "deploy/")):
        _require(os.access(ROOT / words[0], os.X_OK), f"{words[0]} is no program")
    elif name in CHECKS:
        CHECKS[name](words[1:])
    else:
        raise Wrong(f"Nothing here knows what {name} takes: add a check to {__name__}.")


def _check_path(word: str) -> None:
    """What begins like a path of the repository is one."""
    top = word.removeprefix("./").split("/")[0]
    if "/" in word and top and (ROOT / top).is_dir() and top[0] != ".":
        _require((ROOT / word).exists(), f"{word} is not there")


def ours(words: Sequence[str]) -> argparse.Namespace:
    """Parse words as `wyoming-tts` does, and read its settings from them alone.

    Raises:
        Wrong: it would refuse them.
    """
    words = list(words)
    if not words or (words[0] not in cli._COMMANDS and words[0] != "--version"):
        words.insert(0, "serve")
    if words == ["--version"]:
        return argparse.Namespace()
    try:
        parsed = cli._parser(words[0]).parse_args(words)
        load_settings({**vars(parsed), "config": None}, environ={})
    except SystemExit as end:
        raise Wrong(f"{OURS} {' '.join(words)} is refused with {end.code}") from end
    except SettingsError as error:
        raise Wrong(str(error)) from error
    return parsed


def _ours(words: Sequence[str]) -> None:
    ours(words)


def _sudo(words: Sequence[str]) -> None:
    check_words(words)


def _eval(words: Sequence[str]) -> None:
    inner = _INNER.fullmatch(words[0])
    _require(inner is not None, "expected a command in $( )")
    assert inner is not None
    check_words(inner[1].split())


def _export(words: Sequence[str]) -> None:
    given = dict(_assigned(word) for word in words)
    try:
        loaded = load_settings({}, environ=given)
    except SettingsError as error:
        raise Wrong(str(error)) from error
    _require(not loaded.warnings, "; ".join(loaded.warnings))


def _assigned(word: str) -> tuple[str, str]:
    match = _VARIABLE.fullmatch(word)
    if match is None:
        raise Wrong(f"{word} sets no setting")
    return match[1], match[2]


def _curl(words: Sequence[str]) -> None:
    address = next((word for word in words if word.startswith("http")), "")
    _require(address.startswith("http://localhost:8880/"), f"{address!r} is not where the server is")


def _git(words: Sequence[str]) -> None:
    _require(list(words) in (["clone", REPOSITORY], ["pull"]), "only clones the repository, and pulls")


def _cd(words: Sequence[str]) -> None:
    _require(list(words) == [REPOSITORY.rsplit("/", 1)[-1]], "only goes where the clone is")


def _docker(words: Sequence[str]) -> None:
    verb, rest = words[0], list(words[1:])
    dockerfile = (ROOT / "Dockerfile").read_text("utf-8")
    if verb == "build":
        stages = re.findall(r"^FROM .* AS (\w+)", dockerfile, re.MULTILINE)
        _require(_after("--target", rest) in stages, f"there are the stages {stages}")
        _require(rest[-1] == ".", "the checkout is what it is built from")
    elif verb == "compose":
        services = yaml.safe_load((ROOT / _after("--file", rest)).read_text("utf-8"))["services"]
        _require(rest[2:5] == ["up", "--detach", "--build"], "builds and starts services")
        _require(set(rest[5:]) <= services.keys(), f"there are the services {list(services)}")
    elif verb == "run":
        _check_container(rest, dockerfile)
    else:
        known = (["rm", "--force"], ["volume", "rm"], ["image", "rm"])
        _require(list(words[:2]) in known and words[-1] == OURS, "removes what `run` made")


def _check_container(words: Sequence[str], dockerfile: str) -> None:
    flags = {word for word in words if word.startswith("--")}
    _require(flags <= _DOCKER_RUN, f"{flags - _DOCKER_RUN} is not known here")
    for published in _all_after("--publish", words):
        _require(published.rsplit(":", 1)[-1] in CONTAINER_PORTS, f"nothing listens on {published}")
    for volume in _all_after("--volume", words):
        directory = volume.rsplit(":", 1)[-1]
        _require(f"VOLUME {directory}\n" in dockerfile, f"{directory} is no volume of the image")
    for variable in _all_after("--env", words):
        _export([variable])
    _require(words[-1] == OURS, "the image's name comes last")


def _systemctl(words: Sequence[str]) -> None:
    *verb, unit = words if words[-1] != "daemon-reload" else (*words, "")
    known = (["daemon-reload"], ["enable", "--now"], ["disable", "--now"], ["reload"], ["restart"])
    _require(verb in known, f"{verb} is not known here")
    if unit:
        text = (ROOT / "deploy" / "systemd" / f"{unit}.service").read_text("utf-8")
        _require(verb != ["reload"] or "ExecReload=" in text, f"{unit} cannot be reloaded")


def _journalctl(words: Sequence[str]) -> None:
    _require(list(words) == ["--unit", OURS, "--follow"], "shows the unit's log")
    _require((ROOT / "deploy" / "systemd" / f"{OURS}.service").exists(), "there is no such unit")


def _kubectl(words: Sequence[str]) -> None:
    if words[0] == "apply":
        _require((ROOT / _after("--kustomize", words) / "kustomization.yaml").exists(), "nothing to apply")
        return
    kinds = [
        (document["kind"].lower(), document["metadata"].get("namespace", document["metadata"]["name"]))
        for path in (ROOT / "deploy" / "kubernetes").glob("*.yaml")
        for document in yaml.safe_load_all(path.read_text("utf-8"))
        if document and "metadata" in document
    ]
    _require(("namespace", _after("--namespace", words)) in kinds, "there is no such namespace")
    _require(tuple(words[-1].split("/")) in kinds, f"there is no {words[-1]}")


def _pip(words: Sequence[str]) -> None:
    _check_extras(words)
    _require(words[0] in {"install", "wheel"}, f"{words[0]} is not known here")
    _require(words[-1] == "." or words[-1].startswith(OURS), "installs this product")
    _check_constraint("--constraint", words)


def _uv(words: Sequence[str]) -> None:
    _require(list(words[:2]) == ["tool", "install"] and words[-1] == ".", "installs this product")
    _check_constraint("--constraints", words)


def _check_constraint(flag: str, words: Sequence[str]) -> None:
    for file in _all_after(flag, words):
        _require((ROOT / file).exists(), f"{file} is not there")


def _check_extras(words: Sequence[str]) -> None:
    known = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]["optional-dependencies"]
    for word in words:
        if match := re.fullmatch(rf"{OURS}\[(\w+)\]", word):
            _require(match[1] in known, f"there is no extra {match[1]}")


def _python(words: Sequence[str]) -> None:
    _require(list(words[:2]) == ["-m", "venv"], "makes a virtual environment")


def _anything(words: Sequence[str]) -> None:
    """There is nothing to look at but paths, which all programs' words are looked at for."""
    del words


def _after(flag: str, words: Sequence[str]) -> str:
    return next(_all_after(flag, words), "")


def _all_after(flag: str, words: Sequence[str]) -> Iterator[str]:
    return (words[at + 1] for at, word in enumerate(words[:-1]) if word == flag)


def _require(is_right: object, problem: str) -> None:
    if not is_right:
        raise Wrong(problem)


CHECKS: Mapping[str, Callable[[Sequence[str]], None]] = {
    OURS: _ours,
    "cd": _cd,
    "cp": _anything,
    "curl": _curl,
    "docker": _docker,
    "echo": _anything,
    "eval": _eval,
    "export": _export,
    "git": _git,
    "journalctl": _journalctl,
    "kubectl": _kubectl,
    "mkdir": _anything,
    "pip": _pip,
    "python3": _python,
    "rm": _anything,
    "some-chat-program": _anything,
    "ss": _anything,
    "sudo": _sudo,
    "systemctl": _systemctl,
    "tar": _anything,
    "uv": _uv,
}


@cache
def flags() -> frozenset[str]:
    """Return the flags of all commands, and of the commands within them."""
    waiting = [cli._parser(name) for name in cli._COMMANDS]
    found: set[str] = set()
    while waiting:
        parser = waiting.pop()
        found |= parser._option_string_actions.keys()
        for action in parser._actions:
            if isinstance(action, argparse._SubParsersAction):
                waiting.extend(action.choices.values())
    return frozenset(found)
