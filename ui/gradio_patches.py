"""All patches of Gradio: changes of its behaviour that its public interface does not offer.

Each patch states its reason and the version of Gradio in which that was seen; its test in
`tests/page/test_gradio_patches.py` fails when Gradio no longer has what is patched. Read this file before an
update of Gradio: a patch whose reason is gone is to be removed.

`ui` applies them before Gradio is imported, and `ui.prerender` to the scripts that browsers load. The page
has no event of Gradio's: its scripts call the routes of `wyoming_tts.page`, so that it outlives a restart of
the server, and what a click starts is heard at once.
"""

from __future__ import annotations

import gc
import os
import re
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder
from types import ModuleType

STUB_WRITER = "gradio.component_meta"
_OFFLINE_VARIABLE = "HF_HUB_OFFLINE"
_TIMER = re.compile(
    r"(?P<head>function (?P<name>[\w$]+)\(\))\{[\w$]+\(\(\)=>"
    r"\{[\w$]+\([\w$]+,\(performance\.now\(\)-[^;{}]*?/1e3\),[\w$]+&&(?P=name)\(\)\}\)\}"
)


@contextmanager
def quiet_environment() -> Iterator[None]:
    """Import Gradio within this block: no version check, no analytics, no garbage collection.

    The former are settings that 6.31.0 reads only from the environment. It reads HF_HUB_OFFLINE once, during
    its import; as others, too, read that variable to decide about downloads, it is unset again. Traversing
    all that was imported so far, again and again, takes a tenth of the import's time.
    """
    collects = gc.isenabled()
    gc.disable()
    os.environ.setdefault("GRADIO_ANALYTICS_ENABLED", "False")
    os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")
    is_ours = _OFFLINE_VARIABLE not in os.environ
    os.environ.setdefault(_OFFLINE_VARIABLE, "1")
    try:
        yield
    finally:
        if collects:
            gc.enable()
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


def without_loading_timer(script: str) -> str:
    """Return a script of Gradio's front end in which nothing counts how long something loads.

    In 6.31.0 the sign that the page loads starts such a timer, and nothing ends it when the sign is removed:
    from then on it asks for every frame that the screen draws, for as long as the page is open, which takes a
    twentieth of a core. Its figure is only for events, of which the page has none.
    """
    return _TIMER.sub(r"\g<head>{}", script)
