"""The page as files: prerendered by Gradio in a process of its own, once for each version, and kept.

Importing Gradio takes seconds and 75 MB. What it makes of the page never changes, so one child process
(`ui.prerender`) writes it down, and the server only serves files: after its restart the first visit is as
fast as any other.
"""

from __future__ import annotations

import asyncio
import json
import logging
from asyncio.subprocess import DEVNULL, PIPE, Process
from base64 import b64decode
from contextlib import suppress
from functools import partial
from hashlib import sha256
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from starlette.types import ASGIApp

import wyoming_tts
from wyoming_tts.atomic_write import replace_file
from wyoming_tts.blocking import RunBlocking
from wyoming_tts.engines.child.process import child_command
from wyoming_tts.transports.http.page_files import page_app, page_file

FILE_NAME = "page.json"
_MODULE = "ui.prerender"
_SECONDS = 120.0
"""What prerendering may take on a slow machine; others take 2 s."""
_MADE_OF = ("ui", "wyoming_tts.page", "wyoming_tts.bench.texts")
_COMPILED = ".pyc"

_DAMAGED = (ValueError, TypeError, LookupError, AttributeError, AssertionError, RecursionError)
"""Raised for JSON that is not that of a page."""

_LOGGER = logging.getLogger(__name__)


class PrerenderFailed(Exception):
    """The page could not be made; the message has the reason."""


async def make_page(directory: Path, *, run_blocking: RunBlocking) -> ASGIApp:
    """Return the page's app, from what was kept in the directory if it is of this version.

    It has no access control of its own: it has to be served behind `PageMount`.

    Raises:
        PrerenderFailed: it could not be made.
    """
    kept = directory / FILE_NAME
    key = await run_blocking(page_version)
    app = await run_blocking(partial(_read, kept, key))
    if app is None:
        page = await _prerender()
        app = await run_blocking(partial(_app_of, page))
        await run_blocking(partial(_keep, kept, page | {"version": key}))
    return app


async def was_visited(directory: Path, *, run_blocking: RunBlocking) -> bool:
    """Whether a page is kept there, of whatever version: somebody looked at it before this start."""
    return await run_blocking(partial(_is_file, directory / FILE_NAME))


def page_version() -> str:
    """Return a digest of all that the page is made of. Reads files: blocks."""
    digest = sha256(f"{wyoming_tts.__version__} {version('gradio')}".encode())
    for name in _MADE_OF:
        for source in sources(name):
            digest.update(source.name.encode() + source.read_bytes())
    return digest.hexdigest()


def sources(name: str) -> list[Path]:
    """Return the files of a package or module that are not made from others, in a fixed order."""
    spec = find_spec(name)
    assert spec is not None, name
    origin = Path(str(spec.origin))
    if spec.submodule_search_locations is None:
        return [origin]
    return sorted(path for path in origin.parent.rglob("*") if path.is_file() and path.suffix != _COMPILED)


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except OSError:  # in a directory that must not be searched
        return False


def _read(kept: Path, key: str) -> ASGIApp | None:
    """Return the page that is kept; None if there is none, it is damaged or of another version."""
    with suppress(OSError, *_DAMAGED):
        page = json.loads(kept.read_bytes())
        if page["version"] == key:
            return _app_of(page)
    return None


def _keep(kept: Path, page: dict[str, Any]) -> None:
    try:
        replace_file(kept, json.dumps(page).encode())
    except OSError as error:  # it is made anew after the next start
        _LOGGER.info("The page is not kept in %s: %s.", kept, error.strerror or error)


def _app_of(page: dict[str, Any]) -> ASGIApp:
    contents = {
        path: page_file(kind, caching, b64decode(packed))
        for path, (kind, caching, packed) in page["files"].items()
    }
    return page_app(contents, _front_end())


def _front_end() -> Path:
    """Return the directory of Gradio's front end, without importing Gradio."""
    found = find_spec("gradio")
    assert found is not None, "The page is not offered without Gradio."
    return Path(str(found.origin)).parent / "templates" / "frontend"


async def _prerender() -> dict[str, Any]:
    try:
        # In a session of its own: an interrupt at the terminal is the server's to handle.
        process = await asyncio.create_subprocess_exec(
            *child_command(_MODULE), stdin=DEVNULL, stdout=PIPE, stderr=PIPE, start_new_session=True
        )
    except OSError as error:
        raise PrerenderFailed(f"its process cannot be started: {error}") from error
    try:
        async with asyncio.timeout(_SECONDS):
            written, said = await process.communicate()
    except TimeoutError as error:
        raise PrerenderFailed(f"it was not made within {_SECONDS:.0f} s") from error
    finally:
        await asyncio.shield(_end(process))
    if process.returncode:
        raise PrerenderFailed(said.decode(errors="replace").strip() or f"status {process.returncode}")
    page: dict[str, Any] = json.loads(written)
    return page


async def _end(process: Process) -> None:
    with suppress(ProcessLookupError):
        process.kill()
    await process.wait()
