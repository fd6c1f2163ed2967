"""The examples in docs/realtime.md."""

from __future__ import annotations

import json
import re
from pathlib import Path

_DOCUMENT = (Path(__file__).parents[2] / "docs" / "realtime.md").read_text("utf-8")


def _blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", _DOCUMENT, re.DOTALL | re.MULTILINE)


JSON_EXAMPLES = [json.loads(block) for block in _blocks("json")]
PYTHON_EXAMPLES = _blocks("python")
JAVASCRIPT_EXAMPLES = _blocks("js")
