"""Write generated parts of the documents anew: settings tables and the diagram of import floors.

The reference of settings is in docs/settings.md, those used most are in the README, the floors are in
docs/architecture.md, files for voice agents in docs/voice-agents.md. The Helm chart's values.schema.json
has the settings too; the rest of it is kept.
"""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Mapping
from pathlib import Path

from wyoming_tts.settings import settings_table
from wyoming_tts.settings.chart import chart_settings_schema
from wyoming_tts.settings.descriptions import SETTINGS

ROOT = Path(__file__).parents[1]
CHART_SCHEMA = ROOT / "deploy" / "helm" / "wyoming-tts" / "values.schema.json"
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

_SHOWN = (Path("deploy/pipecat/wyoming_openai_tts.py"), Path("deploy/livekit/wyoming_livekit_tts.py"))
"""Files that the page of voice agents shows, each between marks with its directory's name."""

_MARKED = r"(?<=<!-- {mark} -->\n).*?(?=<!-- /{mark} -->)"


def written() -> Mapping[Path, str]:
    """Return the whole text of each page that has generated parts, by its path."""
    parts = {
        ROOT / "README.md": ("settings", _short_table()),
        ROOT / "docs" / "settings.md": ("settings", settings_table()),
        ROOT / "docs" / "architecture.md": ("floors", _floors()),
    }
    pages = {path: _with_part(path.read_text("utf-8"), *part) for path, part in parts.items()}
    schema = _with_settings(CHART_SCHEMA.read_text("utf-8"))
    return {**pages, ROOT / "docs" / "voice-agents.md": _voice_agents(), CHART_SCHEMA: schema}


def _voice_agents() -> str:
    """The page of voice agents, with the files that it shows."""
    text = (ROOT / "docs" / "voice-agents.md").read_text("utf-8")
    for file in _SHOWN:
        text = _with_part(text, file.parent.name, f"```python\n{(ROOT / file).read_text('utf-8')}```")
    return text


def _with_part(text: str, mark: str, part: str) -> str:
    return re.sub(_MARKED.format(mark=mark), lambda _: f"{part}\n", text, flags=re.DOTALL)


def _with_settings(schema_text: str) -> str:
    schema = json.loads(schema_text)
    schema["properties"]["settings"]["properties"] = chart_settings_schema()
    return f"{json.dumps(schema, indent=2, ensure_ascii=False)}\n"


def _floors() -> str:
    """A diagram of the layers that import-linter enforces within the package, the highest one on top."""
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["tool"]["importlinter"][
        "contracts"
    ]
    layers = next(rule["layers"] for rule in contracts if rule.get("containers") == ["wyoming_tts"])
    boxes = [f'    floor{number}["{layer.replace("|", "·")}"]' for number, layer in enumerate(layers)]
    arrows = "    " + " --> ".join(f"floor{number}" for number in range(len(layers)))
    return "\n".join(["```mermaid", "flowchart TB", *boxes, arrows, "```"])


def _short_table() -> str:
    known = {info.name: info for info in SETTINGS}
    chosen = [known[name] for name in MOST_USED]
    rows = [f"| `{info.flags[0]}` | {info.default} | {info.text} |" for info in chosen]
    return "\n".join(["| Flag | Default | Meaning |", "| --- | --- | --- |", *rows])


def main() -> None:
    """Replace what is between the marks."""
    for path, text in written().items():
        path.write_text(text, "utf-8")


if __name__ == "__main__":
    main()
