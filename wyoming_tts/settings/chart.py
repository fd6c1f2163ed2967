"""Settings of the Helm chart: a JSON schema of those that its `settings` may hold.

Helm refuses by it what a server would refuse at its start. What a pod gives its server (ports, directories,
threads) and what belongs into a Secret is no value of the chart.
"""

from __future__ import annotations

from typing import Any

from wyoming_tts.settings.model import SECRETS, Settings

POD_SETTINGS = frozenset(
    [
        *("host", "port", "uri", "http", "http_host", "http_port", "agent_port"),
        *("data_dir", "download_dir", "compute_threads", "intra_op_threads"),
    ]
)
"""Settings that the chart sets itself."""

_KEPT = ("type", "enum", "minimum", "maximum", "items", "minItems", "minLength")
_OF_OPTIONAL = {"ge": "minimum", "le": "maximum"}


def chart_settings_schema() -> dict[str, dict[str, Any]]:
    """Return the schema of each setting that may be a value.

    Patterns are left out: those of Python mean something else elsewhere.
    """
    known: dict[str, dict[str, Any]] = Settings.model_json_schema()["properties"]
    return {name: _schema(one) for name, one in known.items() if name not in POD_SETTINGS | SECRETS}


def _schema(described: dict[str, Any]) -> dict[str, Any]:
    value = {_OF_OPTIONAL.get(key, key): kept for key, kept in _value_schema(described).items()}
    schema = {"description": described["description"], **{key: value[key] for key in _KEPT if key in value}}
    if "enum" in schema and all(choice.isdigit() for choice in schema["enum"]):
        schema["enum"] = [*map(int, schema["enum"]), *schema["enum"]]  # YAML's 503 is a number
        del schema["type"]
    return schema


def _value_schema(described: dict[str, Any]) -> dict[str, Any]:
    """Return the schema of a value that is given: `null` means that it is not."""
    choices = [choice for choice in described.get("anyOf", ()) if choice.get("type") != "null"]
    return choices[0] if choices else described
