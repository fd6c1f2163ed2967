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
from gradio import component_meta, processing_utils, queueing, route_utils, state_holder, utils
from gradio.queueing import Queue as PatchedQueue

from ui import failure_log, gradio_patches
from ui.application import make_application, patch
from ui.event_driven_queue import EventDrivenQueue
from ui.lean_session_state import LeanSessionState
from ui.words import Words

Queue: Any = EventDrivenQueue.__mro__[1] if PatchedQueue is EventDrivenQueue else PatchedQueue
"""Gradio's own, whatever was patched before this module was imported."""
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


def test_gradio_keeps_a_bounded_number_of_analytics_events(blocks: gr.Blocks) -> None:
    assert blocks._queue.ANALYTICS_MAX_EVENTS == gradio_patches.MAX_REMEMBERED_EVENTS
    assert source_contains(Queue, "while len(self.event_analytics) > self.ANALYTICS_MAX_EVENTS")


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


# -- use_event_driven_queue -------------------------------------------------------------------------


def test_gradio_still_makes_its_queue_by_the_patched_name_and_polls_in_it() -> None:
    assert source_contains(gr.Blocks.queue, "queueing.Queue(")
    assert source_contains(Queue.start_processing, "asyncio.sleep(self.sleep_when_free)", "self.get_events()")
    assert source_contains(Queue.start_progress_updates, "asyncio.sleep(")
    assert source_contains(Queue.start, "self.start_processing", "self.start_progress_updates")


def test_the_page_has_an_event_driven_queue(blocks: gr.Blocks) -> None:
    assert isinstance(blocks._queue, EventDrivenQueue)
    assert blocks._queue.live_updates, "Otherwise it would notify browsers every few seconds."


# -- use_lean_sessions ------------------------------------------------------------------------------


def test_gradio_still_describes_each_component_for_each_session() -> None:
    own: Any = LeanSessionState.__mro__[1]
    assert source_contains(
        own.__init__, "for k, v in self.blocks_config.blocks.items()", "if k in blocks.blocks"
    )
    assert source_contains(state_holder.StateHolder.__getitem__, "SessionState(self.blocks)")


def test_a_session_describes_no_component_and_has_all_of_them(blocks: gr.Blocks) -> None:
    assert vars(route_utils)["SessionState"] is vars(state_holder)["SessionState"] is LeanSessionState
    session = LeanSessionState(blocks)
    assert session.config_values == {}
    assert session.blocks_config.blocks == blocks.default_config.blocks
    number = next(number for number, block in blocks.blocks.items() if isinstance(block, gr.Textbox))
    session._update_value_in_config(number, "new")
    assert session.config_values[number]["props"]["value"] == "new"


async def test_sessions_are_not_polled(blocks: gr.Blocks) -> None:
    assert source_contains(route_utils._delete_state_handler, "_delete_state(app)")
    waiting = asyncio.create_task(route_utils._delete_state(blocks.app))
    await asyncio.sleep(0)
    assert not [handle for handle in asyncio.get_running_loop()._scheduled if not handle.cancelled()]  # type: ignore[attr-defined]
    waiting.cancel()


# -- log_no_values ----------------------------------------------------------------------------------


def test_gradio_still_prints_tracebacks_by_the_patched_name(blocks: gr.Blocks) -> None:
    assert source_contains(Queue.process_events, "traceback.print_exc()")
    assert vars(queueing)["traceback"] is failure_log
    assert not source_contains(Queue.process_events, "traceback.format", "logging")


# -- keep_no_statistics -----------------------------------------------------------------------------


def test_gradio_still_computes_an_analytics_summary_after_each_event() -> None:
    assert source_contains(Queue.process_events, "self.compute_analytics_summary")


def test_no_analytics_summary_is_computed(blocks: gr.Blocks) -> None:
    assert vars(blocks._queue)["compute_analytics_summary"]([{"status": "success"}]) is None


# -- refuse_foreign_files ---------------------------------------------------------------------------


def test_gradio_still_checks_file_paths_only_when_has_launched_is_set(blocks: gr.Blocks) -> None:
    """`tests/browser/test_attacks.py` checks that files are refused."""
    assert source_contains(processing_utils._check_allowed, "blocks.has_launched")
    assert blocks.has_launched
    with gr.Blocks(analytics_enabled=False) as untouched:
        pass
    gr.mount_gradio_app(FastAPI(), untouched, path="/", run_history=False)
    assert not untouched.has_launched, "The patch is no longer needed."
