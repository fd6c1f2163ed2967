"""Test data in YAML files beside their tests."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml


def load_data_beside(test_file: str) -> Any:
    """Load the YAML file that has the test file's name."""
    return yaml.safe_load(Path(test_file).with_suffix(".yaml").read_text("utf-8"))


def expand_texts(written: Sequence[str | Sequence[str | Mapping[str, int]]]) -> list[str]:
    """Expand texts: each is a string, or a list of strings in which `{"x": 5}` stands for five times "x"."""
    return [each if isinstance(each, str) else "".join(map(_repeated, each)) for each in written]


def _repeated(part: str | Mapping[str, int]) -> str:
    return part if isinstance(part, str) else "".join(text * times for text, times in part.items())
