"""Which names of espeak-ng's voices are known, against the library itself."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from wyoming_tts.engines.piper import espeak_names
from wyoming_tts.engines.piper.espeak_names import has_espeak_voice

# Asks the library in a process of its own: it keeps its voice for the whole process.
_ASK = """
import json, sys
from pathlib import Path
from piper import espeakbridge
espeakbridge.initialize(sys.argv[1])
def has(name):
    try:
        espeakbridge.set_voice(name)
    except Exception:
        return False
    return True
print(json.dumps([name for name in json.load(sys.stdin) if has(name)]))
"""
NAMES = [
    *("en-us", "en-US", "EN-us", "gmw/en-US", "English (America)", "english (america)", "en-us+f3"),
    *("cmn", "es-419", "vi-vn-x-central", "nb", "pt-br", "fr", "de", "tr", "zh", "fr-fr", "no", "en_US"),
    *("elvish", "xx", "", "mb-de1", "default", "es-mx", "zh-yue"),
]


def _data() -> Path:
    data = espeak_names._data_directory()
    assert data is not None
    return data


def test_the_known_names_are_those_that_the_library_takes() -> None:
    asked = [*NAMES, *sorted(espeak_names._file_names(_data()))]
    answer = subprocess.run(
        [sys.executable, "-c", _ASK, str(_data().parent)],
        input=json.dumps(asked),
        capture_output=True,
        text=True,
        check=True,
    )
    assert [name for name in asked if has_espeak_voice(name)] == json.loads(answer.stdout.splitlines()[-1])


def test_no_voice_is_left_out_where_the_files_are_not_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(espeak_names, "_data_directory", lambda: None)
    assert has_espeak_voice("elvish")
