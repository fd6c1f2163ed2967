"""Write the settings' tables anew: all of them in docs/settings.md, those used most in the README."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

from wyoming_tts.settings import settings_table
from wyoming_tts.settings.documents import SETTINGS

ROOT = Path(__file__).parents[1]
MOST_USED = (
    "voice",
    "data_dir",
    "port",
    "zeroconf",
    "http_host",
    "api_keys",
    "allow_networks",
    "speed",
    "volume",
    "offline",
    "on_missing_voice",
    "max_streams",
    "cache_dir",
)
"""Settings that the README shows."""

_MARKED = re.compile(r"(?<=<!-- settings -->\n).*?(?=<!-- /settings -->)", re.DOTALL)


def written() -> Mapping[Path, str]:
    """Return what the pages with such a table have to be, by their paths."""
    tables = {ROOT / "README.md": _short_table(), ROOT / "docs" / "settings.md": settings_table()}
    return {path: _with_table(path.read_text("utf-8"), table) for path, table in tables.items()}


def _with_table(text: str, table: str) -> str:
    return _MARKED.sub(lambda _: f"{table}\n", text)


def _short_table() -> str:
    known = {info.name: info for info in SETTINGS}
    chosen = [known[name] for name in MOST_USED]
    rows = [f"| `{info.flags[0]}` | {info.default} | {info.text} |" for info in chosen]
    return "\n".join(["| Flag | Default | Meaning |", "| --- | --- | --- |", *rows])


def main() -> None:
    """Replace what stands between the marks."""
    for path, text in written().items():
        path.write_text(text, "utf-8")


if __name__ == "__main__":
    main()
