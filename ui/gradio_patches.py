"""All patches of Gradio: changes of its behaviour that its public interface does not offer.

Each patch states its reason and the version of Gradio in which that was seen; its test in
`tests/page/test_gradio_patches.py` fails when Gradio no longer has what is patched. Read this file before an
update of Gradio: a patch whose reason is gone is to be removed.

`ui` applies the first two before Gradio is imported; the others are applied when the page is made. The page
has no event of Gradio's: its scripts call the routes of `wyoming_tts.page`, so that it outlives a restart of
the server, and what a click starts is heard at once.
"""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder
from types import ModuleType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import gradio as gr

STUB_WRITER = "gradio.component_meta"
_OFFLINE_VARIABLE = "HF_HUB_OFFLINE"


# -- Before Gradio is imported ----------------------------------------------------------------------


@contextmanager
def quiet_environment() -> Iterator[None]:
    """Import Gradio within this block: no version check, no analytics.

    These are settings that 6.31.0 reads only from the environment. It reads HF_HUB_OFFLINE once, during its
    import; as the server, too, reads that variable to decide about downloads, it is unset again.
    """
    os.environ.setdefault("GRADIO_ANALYTICS_ENABLED", "False")
    os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")
    is_ours = _OFFLINE_VARIABLE not in os.environ
    os.environ.setdefault(_OFFLINE_VARIABLE, "1")
    try:
        yield
    finally:
        if is_ours:
            del os.environ[_OFFLINE_VARIABLE]


class _WithoutStubs(Loader):
    """Loads the module and disables its writing of stubs."""

    def __init__(self, loader: Loader) -> None:
        self._loader = loader

    def create_module(self, spec: ModuleSpec) -> ModuleType | None:
        return self._loader.create_module(spec)

    def exec_module(self, module: ModuleType) -> None:
        self._loader.exec_module(module)
        if hasattr(module, "create_or_modify_pyi"):
            vars(module)["create_or_modify_pyi"] = lambda *_args, **_named: None


class _Finder(MetaPathFinder):
    def find_spec(
        self, name: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if name != STUB_WRITER:
            return None
        sys.meta_path.remove(self)
        spec = PathFinder.find_spec(name, path, target)
        if spec is not None and spec.loader is not None:
            spec.loader = _WithoutStubs(spec.loader)
        return spec


def without_stub_writing() -> None:
    """Keep Gradio from writing type stubs beside its sources; has no effect once Gradio is imported.

    6.31.0 does so for every component during its import (`component_meta.create_or_modify_pyi`), which takes
    a fifth of the import's time and is of no use here.
    """
    if STUB_WRITER not in sys.modules:
        sys.meta_path.insert(0, _Finder())


# -- When the page is made --------------------------------------------------------------------------


def use_plain_locks() -> None:
    """Have Gradio create plain asyncio locks.

    Without a running event loop, as on the worker that makes the page, 6.31.0 (`utils.safe_get_lock`,
    `utils.safe_get_stop_event`) creates a loop for each lock and closes none. Locks have needed no loop since
    Python 3.10.
    """
    from gradio import queueing, utils  # noqa: PLC0415 - this module is read before Gradio is imported

    utils.safe_get_lock = asyncio.Lock
    vars(queueing)["safe_get_lock"] = asyncio.Lock
    utils.safe_get_stop_event = asyncio.Event


def start_no_queue() -> None:
    """Have Gradio process no events and look at no sessions: the page has none.

    6.31.0 polls for both every 1 and 10 ms and every second, from the first visit on
    (`queueing.Queue.start`, `route_utils._delete_state`).
    """
    from gradio import queueing, route_utils  # noqa: PLC0415 - this module is read before Gradio is imported

    async def wait_for_the_end(_app: Any) -> None:
        await asyncio.Event().wait()

    vars(route_utils)["_delete_state"] = wait_for_the_end
    queueing.Queue.start = lambda _queue: None  # type: ignore[method-assign]


def refuse_foreign_files(blocks: gr.Blocks) -> None:
    """Have Gradio refuse to serve files by a path that a client names.

    6.31.0 checks paths only once `has_launched` is set (`processing_utils._check_allowed`), which
    `mount_gradio_app` never does.
    """
    blocks.has_launched = True
