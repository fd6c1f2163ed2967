"""Each patch of Gradio: what it patches still exists, and the patch still has its effect.

A test that fails here after an update of Gradio means that `ui/gradio_patches.py` needs a review.
"""

from __future__ import annotations

import inspect
import json
import os
import re
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import pytest
from gradio import component_meta

from ui import gradio_patches
from ui.prerender import FRONT_END

FRESH = """
import json, os, sys
from ui import patched_gradio
from gradio import analytics, component_meta
from huggingface_hub import constants
print(json.dumps({
    "reports": analytics.analytics_enabled(),
    "asks nobody": constants.HF_HUB_OFFLINE,
    "server offline": "HF_HUB_OFFLINE" in os.environ,
    "writer": component_meta.create_or_modify_pyi.__name__,
    "finders": sum(type(finder).__module__ == "ui.gradio_patches" for finder in sys.meta_path),
}))
"""


@pytest.fixture(scope="module")
def fresh_import() -> dict[str, Any]:
    """State of a new interpreter after importing the page: in this one Gradio may be imported already."""
    environment = {
        name: value for name, value in os.environ.items() if not name.startswith(("HF_", "GRADIO_"))
    }
    completed = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", FRESH],
        capture_output=True,
        text=True,
        env=environment,
        check=True,
    )
    found: dict[str, Any] = json.loads(completed.stdout)
    return found


def source_contains(function: Callable[..., Any], *names: str) -> bool:
    source = inspect.getsource(function)
    return all(name in source for name in names)


# -- quiet_environment ------------------------------------------------------------------------------


def test_gradio_sends_no_analytics_and_makes_no_hub_requests(fresh_import: dict[str, Any]) -> None:
    assert not fresh_import["reports"]
    assert fresh_import["asks nobody"]


def test_the_servers_own_environment_is_not_set_offline(fresh_import: dict[str, Any]) -> None:
    assert not fresh_import["server offline"]


# -- without_stub_writing ---------------------------------------------------------------------------


def test_gradio_still_writes_stubs_by_the_patched_function() -> None:
    assert component_meta.__name__ == gradio_patches.STUB_WRITER
    assert source_contains(component_meta.ComponentMeta.__new__, "create_or_modify_pyi(")


def test_no_stubs_are_written_and_the_import_hook_is_removed(fresh_import: dict[str, Any]) -> None:
    assert fresh_import["writer"] == "<lambda>"
    assert fresh_import["finders"] == 0


# -- without_loading_timer --------------------------------------------------------------------------


def test_the_timer_of_what_loads_is_taken_out_of_one_script_which_is_otherwise_unchanged() -> None:
    (script,) = (FRONT_END / "assets").glob("statustracker-*.js")
    gradios = script.read_text("utf-8")
    (timer,) = re.findall(r"function \w+\(\)\{\w+\(\(\)=>\{[^{}]*performance\.now\(\)[^{}]*\}\)\}", gradios)
    head = timer.split("{")[0]
    assert gradio_patches.without_loading_timer(gradios) == gradios.replace(timer, f"{head}{{}}")
