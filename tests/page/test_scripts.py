"""The page's JavaScript modules as its elements import them."""

from __future__ import annotations

import pytest

from ui import scripts


def test_a_script_element_for_a_missing_script_is_a_key_error() -> None:
    with pytest.raises(KeyError, match=r"ui/js/nothing\.js"):
        scripts.script_element("nothing", elem_id="nothing")


def test_a_script_is_preloaded_with_all_that_it_imports() -> None:
    assert {"audition", "voice_cards", "voice_directory", "common"} <= scripts.with_imports(["audition"])
