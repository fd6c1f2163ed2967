"""The files of docs/website.md that no browser needs; tests/browser runs the others."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import yaml

from tests.docs.website_guide import files_of_the_guide
from tests.support.signed_tokens import SECRET
from wyoming_tts.settings import load_settings


def test_the_compose_file_is_valid_and_its_settings_are_ours(tmp_path: Path) -> None:
    text = files_of_the_guide()["compose.yaml"]
    file = tmp_path / "compose.yaml"
    file.write_text(text, "utf-8")
    check = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", "vendor.compose-spec", str(file)]
    completed = subprocess.run(check, capture_output=True, text=True, check=False)
    assert completed.returncode == 0, completed.stdout
    given = yaml.safe_load(text)["services"]
    environment = {
        name: value.replace("${SPEECH_SECRET:?}", SECRET)
        for name, value in given["tts"]["environment"].items()
    }
    loaded = load_settings({}, environ=environment)
    assert not loaded.warnings
    assert loaded.settings.cors_origins == (given["web"]["environment"]["SITE_ORIGIN"],)
    needed = set(re.findall(r'os\.environ\["(\w+)"\]', files_of_the_guide()["website.py"]))
    assert needed == set(given["web"]["environment"])
