"""What is patched in Gradio is still there, and each patch still does what it is for.

A test that fails here after an update of Gradio says that `ui/gradio_patches.py` has to be looked at again.
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
from gradio import component_meta, processing_utils, queueing, utils
from gradio.queueing import Queue

from ui import gradio_patches
from ui.application import make_application
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
def fresh() -> dict[str, Any]:
    """What an interpreter is like that has imported the page: in this one Gradio may have come first."""
    environment = {
        name: value for name, value in os.environ.items() if not name.startswith(("HF_", "GRADIO_"))
    }
    told = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", FRESH],
        capture_output=True,
        text=True,
        env=environment,
        check=True,
    )
    found: dict[str, Any] = json.loads(told.stdout)
    return found


def uses(function: Callable[..., Any], *names: str) -> bool:
    source = inspect.getsource(function)
    return all(name in source for name in names)


@pytest.fixture(scope="module")
def blocks() -> gr.Blocks:
    """A page as the product mounts it."""
    gradio_patches.use_plain_locks()
    blocks: gr.Blocks
    with gr.Blocks(analytics_enabled=False) as blocks:
        gr.Textbox()
    make_application(blocks, Words())
    return blocks


# -- quiet_environment ------------------------------------------------------------------------------


def test_gradio_reports_nothing_and_asks_nobody(fresh: dict[str, Any]) -> None:
    assert not fresh["reports"]
    assert fresh["asks nobody"]


def test_the_server_itself_is_not_taken_offline_by_it(fresh: dict[str, Any]) -> None:
    assert not fresh["server offline"]


def test_gradio_remembers_few_events(blocks: gr.Blocks) -> None:
    assert blocks._queue.ANALYTICS_MAX_EVENTS == gradio_patches.MAX_REMEMBERED_EVENTS
    assert uses(Queue, "while len(self.event_analytics) > self.ANALYTICS_MAX_EVENTS")


# -- without_stub_writing ---------------------------------------------------------------------------


def test_gradio_still_has_what_writes_stubs() -> None:
    assert component_meta.__name__ == gradio_patches.STUB_WRITER
    assert uses(component_meta.ComponentMeta.__new__, "create_or_modify_pyi(")


def test_no_stubs_are_written_and_imports_are_left_alone_afterwards(fresh: dict[str, Any]) -> None:
    assert fresh["writer"] == "<lambda>"
    assert fresh["finders"] == 0


# -- use_plain_locks --------------------------------------------------------------------------------


def test_gradio_still_asks_for_its_locks_by_these_names() -> None:
    for name in ("safe_get_lock", "safe_get_stop_event"):
        assert name in vars(utils), name
    assert "safe_get_lock" in vars(queueing)
    assert uses(Queue.__init__, "safe_get_lock()")


def test_locks_are_plain_ones(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (utils, queueing):
        monkeypatch.setattr(module, "safe_get_lock", None)
    monkeypatch.setattr(utils, "safe_get_stop_event", None)
    gradio_patches.use_plain_locks()
    assert utils.safe_get_lock is vars(queueing)["safe_get_lock"] is asyncio.Lock
    assert utils.safe_get_stop_event is asyncio.Event


# -- keep_no_statistics -----------------------------------------------------------------------------


def test_gradio_still_sums_its_events_up_after_each() -> None:
    assert uses(Queue.process_events, "self.compute_analytics_summary")


def test_events_are_not_summed_up(blocks: gr.Blocks) -> None:
    assert vars(blocks._queue)["compute_analytics_summary"]([{"status": "success"}]) is None


# -- refuse_foreign_files ---------------------------------------------------------------------------


def test_gradio_still_checks_paths_by_whether_the_page_was_launched(blocks: gr.Blocks) -> None:
    """That files are refused is tried in `tests/browser/test_attacks.py`."""
    assert uses(processing_utils._check_allowed, "blocks.has_launched")
    assert blocks.has_launched
    with gr.Blocks(analytics_enabled=False) as untouched:
        pass
    gr.mount_gradio_app(FastAPI(), untouched, path="/", run_history=False)
    assert not untouched.has_launched, "The patch is needed no more."
