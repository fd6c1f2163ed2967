"""Static checks of documented commands: the program accepts the arguments, and the files exist."""

from __future__ import annotations

import argparse
import json
import os
import re
import tomllib
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cache, reduce
from itertools import pairwise

import jsonschema  # type: ignore[import-untyped]
import yaml

from tests.docs.pages import ROOT, Command, program_name
from tests.docs.test_links import REPOSITORY
from wyoming_tts.commands import cli
from wyoming_tts.commands.command_line import make_parser
from wyoming_tts.settings import SettingsError, load_settings

OURS = "wyoming-tts"
CONTAINER_PORTS = frozenset({"10200", "8880"})

_VARIABLE = re.compile(r"(WYOMING_TTS_\w+)=(.*)")
_INNER = re.compile(r"\$\((.*)\)")
_DOCKER_RUN = frozenset({"--detach", "--name", "--publish", "--volume", "--restart", "--network", "--env"})


class WrongCommand(AssertionError):
    """The command would not work as documented."""


def check(command: Command) -> None:
    """Check all programs of a command.

    Raises:
        WrongCommand: one would reject its arguments, or refers to something that does not exist.
    """
    for words in command.programs:
        check_words(words)


def check_words(words: Sequence[str]) -> None:
    """Check one program's arguments; raises like `check`."""
    name = program_name(tuple(words))
    for word in words:
        _check_path(word)
    if words[0].startswith(("script/", "deploy/")):
        _require(os.access(ROOT / words[0], os.X_OK), f"{words[0]} is not an executable program")
    elif name in CHECKS:
        CHECKS[name](words[1:])
    else:
        raise WrongCommand(f"There is no check of {name}: add one to {__name__}.")


def _check_path(word: str) -> None:
    """Require that a word which starts like a path in the repository exists."""
    top = word.removeprefix("./").split("/")[0]
    if "/" in word and top and (ROOT / top).is_dir() and top[0] != ".":
        _require((ROOT / word).exists(), f"{word} does not exist")


def parse_our_command(words: Sequence[str]) -> argparse.Namespace:
    """Parse arguments as `wyoming-tts` does, and load its settings from them alone.

    Raises:
        WrongCommand: it would reject them.
    """
    words = list(words)
    if not words or (words[0] not in cli._COMMANDS and words[0] != "--version"):
        words.insert(0, "serve")
    if words == ["--version"]:
        return argparse.Namespace()
    try:
        parsed = make_parser(words[0]).parse_args(words)
        load_settings({**vars(parsed), "config": None}, environ={})
    except SystemExit as end:
        raise WrongCommand(f"{OURS} {' '.join(words)} is refused with {end.code}") from end
    except SettingsError as error:
        raise WrongCommand(str(error)) from error
    return parsed


def _check_our_command(words: Sequence[str]) -> None:
    parse_our_command(words)


def _sudo(words: Sequence[str]) -> None:
    check_words(words)


def _eval(words: Sequence[str]) -> None:
    inner = _INNER.fullmatch(words[0])
    _require(inner is not None, "expected a command in $( )")
    assert inner is not None
    check_words(inner[1].split())


def _export(words: Sequence[str]) -> None:
    variables = dict(_parse_assignment(word) for word in words)
    try:
        loaded = load_settings({}, environ=variables)
    except SettingsError as error:
        raise WrongCommand(str(error)) from error
    _require(not loaded.warnings, "; ".join(loaded.warnings))


def _parse_assignment(word: str) -> tuple[str, str]:
    match = _VARIABLE.fullmatch(word)
    if match is None:
        raise WrongCommand(f"{word} does not set a setting")
    return match[1], match[2]


def _curl(words: Sequence[str]) -> None:
    address = next((word for word in words if word.startswith("http")), "")
    _require(address.startswith("http://localhost:8880/"), f"{address!r} is not the server's address")


def _git(words: Sequence[str]) -> None:
    _require(
        list(words) in (["clone", REPOSITORY], ["pull"]), "expected a clone of the repository, or a pull"
    )


def _cd(words: Sequence[str]) -> None:
    _require(list(words) == [REPOSITORY.rsplit("/", 1)[-1]], "expected a change into the clone")


def _docker(words: Sequence[str]) -> None:
    verb, rest = words[0], list(words[1:])
    dockerfile = (ROOT / "Dockerfile").read_text("utf-8")
    if verb == "build":
        stages = re.findall(r"^FROM .* AS (\w+)", dockerfile, re.MULTILINE)
        _require(_value_after("--target", rest) in stages, f"expected one of the stages {stages}")
        _require(rest[-1] == ".", "expected the checkout as the build context")
    elif verb == "compose":
        services = yaml.safe_load((ROOT / _value_after("--file", rest)).read_text("utf-8"))["services"]
        _require(rest[2:5] == ["up", "--detach", "--build"], "expected that services are built and started")
        _require(set(rest[5:]) <= services.keys(), f"expected some of the services {list(services)}")
    elif verb == "run":
        _check_container(rest, dockerfile)
    else:
        known = (["rm", "--force"], ["volume", "rm"], ["image", "rm"])
        _require(list(words[:2]) in known and words[-1] == OURS, "expected the removal of what `run` created")


def _check_container(words: Sequence[str], dockerfile: str) -> None:
    flags = {word for word in words if word.startswith("--")}
    _require(flags <= _DOCKER_RUN, f"{flags - _DOCKER_RUN} has no check")
    for published in _values_after("--publish", words):
        _require(published.rsplit(":", 1)[-1] in CONTAINER_PORTS, f"nothing listens on {published}")
    for volume in _values_after("--volume", words):
        directory = volume.rsplit(":", 1)[-1]
        _require(f"VOLUME {directory}\n" in dockerfile, f"{directory} is not a volume of the image")
    for variable in _values_after("--env", words):
        _export([variable])
    _require(words[-1] == OURS, "the image's name comes last")


def _systemctl(words: Sequence[str]) -> None:
    *verb, unit = words if words[-1] != "daemon-reload" else (*words, "")
    known = (["daemon-reload"], ["enable", "--now"], ["disable", "--now"], ["reload"], ["restart"])
    _require(verb in known, f"{verb} has no check")
    if unit:
        text = (ROOT / "deploy" / "systemd" / f"{unit}.service").read_text("utf-8")
        _require(verb != ["reload"] or "ExecReload=" in text, f"{unit} cannot be reloaded")


def _journalctl(words: Sequence[str]) -> None:
    _require(list(words) == ["--unit", OURS, "--follow"], "expected a command that shows the unit's log")
    _require((ROOT / "deploy" / "systemd" / f"{OURS}.service").exists(), "there is no such unit")


def _kubectl(words: Sequence[str]) -> None:
    if words[0] == "apply":
        _require(
            (ROOT / _value_after("--kustomize", words) / "kustomization.yaml").exists(), "nothing to apply"
        )
        return
    kinds = [
        (document["kind"].lower(), document["metadata"].get("namespace", document["metadata"]["name"]))
        for path in (ROOT / "deploy" / "kubernetes").glob("*.yaml")
        for document in yaml.safe_load_all(path.read_text("utf-8"))
        if document and "metadata" in document
    ]
    _require(("namespace", _value_after("--namespace", words)) in kinds, "there is no such namespace")
    _require(tuple(words[-1].split("/")) in kinds, f"there is no {words[-1]}")


def _helm(words: Sequence[str]) -> None:
    _require(words[0] in {"install", "upgrade", "rollback"}, f"{words[0]} has no check")
    if words[0] == "rollback":
        return
    chart = ROOT / words[2]
    values = yaml.safe_load((chart / "values.yaml").read_text("utf-8"))
    for flag, assigned in pairwise(words):
        if flag == "--set":
            name, value = assigned.split("=", 1)
            *groups, last = name.split(".")
            reduce(dict.__getitem__, groups, values)[last] = yaml.safe_load(value)
    try:
        jsonschema.validate(values, json.loads((chart / "values.schema.json").read_text("utf-8")))
    except jsonschema.ValidationError as error:
        raise WrongCommand(error.message) from error


def _pip(words: Sequence[str]) -> None:
    _check_extras(words)
    _require(words[0] in {"install", "wheel"}, f"{words[0]} has no check")
    _require(words[-1] == "." or words[-1].startswith(OURS), "expected an installation of this product")
    _check_constraint("--constraint", words)


def _uv(words: Sequence[str]) -> None:
    _require(
        list(words[:2]) == ["tool", "install"] and words[-1] == ".",
        "expected an installation of this product",
    )
    _check_constraint("--constraints", words)


def _check_constraint(flag: str, words: Sequence[str]) -> None:
    for file in _values_after(flag, words):
        _require((ROOT / file).exists(), f"{file} does not exist")


def _check_extras(words: Sequence[str]) -> None:
    known = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]["optional-dependencies"]
    for word in words:
        if match := re.fullmatch(rf"{OURS}\[(\w+)\]", word):
            _require(match[1] in known, f"there is no extra {match[1]}")


def _python(words: Sequence[str]) -> None:
    _require(list(words[:2]) == ["-m", "venv"], "expected the creation of a virtual environment")


def _check_nothing(words: Sequence[str]) -> None:
    """Accept any arguments; paths are checked for all programs."""
    del words


def _value_after(flag: str, words: Sequence[str]) -> str:
    return next(_values_after(flag, words), "")


def _values_after(flag: str, words: Sequence[str]) -> Iterator[str]:
    return (words[at + 1] for at, word in enumerate(words[:-1]) if word == flag)


def _require(is_right: object, problem: str) -> None:
    if not is_right:
        raise WrongCommand(problem)


CHECKS: Mapping[str, Callable[[Sequence[str]], None]] = {
    OURS: _check_our_command,
    "cd": _cd,
    "cp": _check_nothing,
    "curl": _curl,
    "docker": _docker,
    "echo": _check_nothing,
    "eval": _eval,
    "export": _export,
    "git": _git,
    "helm": _helm,
    "journalctl": _journalctl,
    "kubectl": _kubectl,
    "mkdir": _check_nothing,
    "pip": _pip,
    "python3": _python,
    "rm": _check_nothing,
    "some-chat-program": _check_nothing,
    "ss": _check_nothing,
    "sudo": _sudo,
    "systemctl": _systemctl,
    "tar": _check_nothing,
    "uv": _uv,
}


@cache
def flags() -> frozenset[str]:
    """Return the flags of all commands, and of the commands within them."""
    remaining = [make_parser(name) for name in cli._COMMANDS]
    found: set[str] = set()
    while remaining:
        parser = remaining.pop()
        found |= parser._option_string_actions.keys()
        for action in parser._actions:
            if isinstance(action, argparse._SubParsersAction):
                remaining.extend(action.choices.values())
    return frozenset(found)
