"""Types of plain values: paths, numbers, phrases, names and characters."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator, BeforeValidator, Field


def _in_home(path: Path) -> Path:
    try:
        return path.expanduser()
    except RuntimeError as error:  # there is no home directory
        raise ValueError(str(error)) from error


def _in_list(value: object) -> object:
    """Take a single text, such as a file's `data_dir: PATH`, as a list of one."""
    return [value] if isinstance(value, str) else value


def _not_a_switch(value: object) -> object:
    """Refuse a boolean: pydantic would read YAML's `yes` as the number 1."""
    if isinstance(value, bool):
        raise ValueError(value)  # noqa: TRY004 - pydantic takes only a ValueError for an invalid value
    return value


def _instance_name(name: str) -> str:
    if not name.isprintable() or len(name.encode()) > 63:  # noqa: PLR2004 - the length of a DNS label
        raise ValueError(name)
    return name


def _punctuation(characters: str) -> str:
    """Return the characters without spaces; `none` means no characters in a file or a variable."""
    return "" if characters == "none" else "".join(characters.split())


def _log_format(text: str) -> str:
    try:
        logging.Formatter(text).format(logging.makeLogRecord({"msg": "a record to try it with"}))
    except TypeError as error:  # the same
        raise ValueError(str(error)) from error
    return text


AnyPath = Annotated[Path, AfterValidator(_in_home)]
Paths = Annotated[tuple[AnyPath, ...], BeforeValidator(_in_list)]
Phrases = Annotated[tuple[str, ...], BeforeValidator(_in_list)]
Whole = Annotated[int, BeforeValidator(_not_a_switch)]
Number = Annotated[float, BeforeValidator(_not_a_switch)]
Name = Annotated[str, Field(min_length=1)]
InstanceName = Annotated[str, AfterValidator(_instance_name)]
Punctuation = Annotated[str, AfterValidator(_punctuation)]
LogFormat = Annotated[str, AfterValidator(_log_format)]
