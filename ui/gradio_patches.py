"""Every place where Gradio is made to behave otherwise than its public interface allows.

Each patch says why it is there and in which version of Gradio that was seen; its test in
`tests/page/test_gradio_patches.py` fails where Gradio no longer has what is patched. Whoever updates Gradio
reads this file first: a patch whose reason is gone goes too.

`ui` calls the first two before Gradio is imported; the others are called when the page is made.
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
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import gradio as gr

STUB_WRITER = "gradio.component_meta"
MOST_EVENTS = 200
"""Of those that Gradio remembers: one that runs is not to be forgotten before it is over."""
_ASKS_NOBODY = "HF_HUB_OFFLINE"


# -- Before Gradio is imported ----------------------------------------------------------------------


@contextmanager
def quiet_environment() -> Iterator[None]:
    """Import Gradio in here: it asks nobody whether it is new enough, tells nobody, and remembers little.

    No patch but settings, which 6.31.0 reads from the environment alone. HF_HUB_OFFLINE it reads once, while
    it is imported; that is also a setting of the server's, which may fetch voices, so it is taken back.
    """
    os.environ.setdefault("GRADIO_ANALYTICS_MAX_EVENTS", str(MOST_EVENTS))
    os.environ.setdefault("GRADIO_ANALYTICS_ENABLED", "False")
    os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")
    is_ours = _ASKS_NOBODY not in os.environ
    os.environ.setdefault(_ASKS_NOBODY, "1")
    try:
        yield
    finally:
        if is_ours:
            del os.environ[_ASKS_NOBODY]


class _WithoutStubs(Loader):
    """Loads the module, and has it write nothing."""

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
    """Keep Gradio from writing type stubs beside its sources; without effect once it is imported.

    6.31.0 does so for every component while it is imported (`component_meta.create_or_modify_pyi`): a fifth
    of the time that the import takes, for nobody here.
    """
    if STUB_WRITER not in sys.modules:
        sys.meta_path.insert(0, _Finder())


# -- When the page is made --------------------------------------------------------------------------


def use_plain_locks() -> None:
    """Have Gradio make its locks as everybody does.

    6.31.0 (`utils.safe_get_lock`, `utils.safe_get_stop_event`) makes an event loop for each lock where none
    runs, as on the worker that makes the page, and closes none. Locks have needed none since Python 3.10.
    """
    from gradio import queueing, utils  # noqa: PLC0415 - this module is read before Gradio is imported

    utils.safe_get_lock = asyncio.Lock
    vars(queueing)["safe_get_lock"] = asyncio.Lock
    utils.safe_get_stop_event = asyncio.Event


def keep_no_statistics(blocks: gr.Blocks) -> None:
    """Have Gradio not sum up its events after each of them, for a page of statistics that nobody sees.

    6.31.0 gives all it remembers to pandas (`Queue.compute_analytics_summary`), and has no switch for that.
    """
    vars(blocks._queue)["compute_analytics_summary"] = lambda _events: None  # noqa: SLF001


def refuse_foreign_files(blocks: gr.Blocks) -> None:
    """Have Gradio refuse files by whatever path a client names.

    6.31.0 checks paths only once `has_launched` is set (`processing_utils._check_allowed`), which
    `mount_gradio_app` never does.
    """
    blocks.has_launched = True
