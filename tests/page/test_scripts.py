"""The page's JavaScript modules as its elements import them."""

from __future__ import annotations

import pytest

from ui import scripts
from ui.script_element import script_element


def test_a_script_element_for_a_missing_script_is_a_key_error() -> None:
    with pytest.raises(KeyError, match=r"ui/js/nothing\.js"):
        script_element("nothing", elem_id="nothing")


def test_what_is_in_sight_at_first_is_in_one_file_and_what_is_not_is_in_none_of_its_bytes() -> None:
    first = scripts.files()[scripts.path_of("first")]
    assert all(f"export const ${name} = " in first for name in (*scripts.FIRST, "voice_cards", "common"))
    assert not any(f"export const ${name} = " in first for name in ("status", "mixer", "spectrogram_worker"))


def test_each_module_is_evaluated_in_one_file_unless_a_worker_needs_it_too() -> None:
    worker = scripts.path_of("spectrogram_worker")
    pages = [text for path, text in scripts.files().items() if path != worker]
    for name in scripts.sources().keys() - {"spectrogram_worker", "spectrum"}:
        assert sum(f"export const ${name} = " in text for text in pages) == 1, name
