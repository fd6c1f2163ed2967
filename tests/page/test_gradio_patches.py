"""Each patch of Gradio: what it patches still exists, and the patch still has its effect.

A test that fails here after an update of Gradio means that `ui/gradio_patches.py` needs a review.
"""

from __future__ import annotations

import asyncio
import inspect
import json
import os
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import gradio as gr
import pytest
from fastapi import FastAPI
from gradio import component_meta, processing_utils, queueing, route_utils, utils
from gradio.queueing import Queue

from ui import gradio_patches
from ui.application import make_application, patch
from ui.layout import build
from ui.words import Words

FRESH = """
import json, os, sys
import ui
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


@pytest.fixture(scope="module")
def blocks() -> gr.Blocks:
    """A page prepared as the product mounts it."""
    patch()
    blocks: gr.Blocks
    with gr.Blocks(analytics_enabled=False) as blocks:
        gr.Textbox()
    make_application(blocks, Words())
    return blocks


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


# -- use_plain_locks --------------------------------------------------------------------------------


def test_gradio_still_creates_its_locks_by_the_patched_names() -> None:
    for name in ("safe_get_lock", "safe_get_stop_event"):
        assert name in vars(utils), name
    assert "safe_get_lock" in vars(queueing)
    assert source_contains(Queue.__init__, "safe_get_lock()")


def test_gradios_locks_are_plain_asyncio_locks(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (utils, queueing):
        monkeypatch.setattr(module, "safe_get_lock", None)
    monkeypatch.setattr(utils, "safe_get_stop_event", None)
    gradio_patches.use_plain_locks()
    assert utils.safe_get_lock is vars(queueing)["safe_get_lock"] is asyncio.Lock
    assert utils.safe_get_stop_event is asyncio.Event


# -- start_no_queue ---------------------------------------------------------------------------------


def test_gradio_still_polls_for_events_and_sessions_by_the_patched_names() -> None:
    assert source_contains(Queue.start_processing, "asyncio.sleep(self.sleep_when_free)")
    assert source_contains(Queue.start_progress_updates, "asyncio.sleep(")
    assert source_contains(route_utils._delete_state_handler, "_delete_state(app)")
    assert source_contains(gr.Blocks.run_startup_events, "_queue.start()")


async def test_a_page_that_is_served_polls_for_nothing(blocks: gr.Blocks) -> None:
    blocks._queue.start()  # type: ignore[no-untyped-call]
    waiting = asyncio.create_task(route_utils._delete_state(blocks.app))
    await asyncio.sleep(0)
    assert not [handle for handle in asyncio.get_running_loop()._scheduled if not handle.cancelled()]  # type: ignore[attr-defined]
    waiting.cancel()


def test_the_page_has_no_event_of_gradios() -> None:
    assert build(Words()).fns == {}


# -- refuse_foreign_files ---------------------------------------------------------------------------


def test_gradio_still_checks_file_paths_only_when_has_launched_is_set(blocks: gr.Blocks) -> None:
    """`tests/browser/test_attacks.py` checks that files are refused."""
    assert source_contains(processing_utils._check_allowed, "blocks.has_launched")
    assert blocks.has_launched
    with gr.Blocks(analytics_enabled=False) as untouched:
        pass
    gr.mount_gradio_app(FastAPI(), untouched, path="/", run_history=False)
    assert not untouched.has_launched, "The patch is no longer needed."
