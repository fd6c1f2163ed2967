"""The page as files: prerendered by Gradio in a process of its own, once for each version, and kept.

Importing Gradio takes seconds and 75 MB. What it makes of the page never changes, so one child process
(`ui.prerender`) writes it down, and the server only serves files: after its restart the first visit is as
fast as any other. An installation may bring the page, as the image and a checkout after `script/setup` do:
`main` writes it there, and of Gradio only its front end and its metadata have to stay.
"""

from __future__ import annotations

import asyncio
import json
import logging
import mimetypes
import sys
from asyncio.subprocess import DEVNULL, PIPE, Process
from base64 import b64decode
from contextlib import suppress
from functools import partial
from hashlib import sha256
from importlib.machinery import ModuleSpec
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from starlette.types import ASGIApp

import wyoming_tts
from wyoming_tts.atomic_write import replace_file
from wyoming_tts.blocking import RunBlocking
from wyoming_tts.engines.child.process import child_command
from wyoming_tts.regular_files import read_regular_file
from wyoming_tts.transports.http.page_files import page_app, page_file

FILE_NAME = "page.json"
INSTALLED = Path(__file__).with_name(FILE_NAME)
"""The page that the installation brings, if it does."""
_MODULE = "ui.prerender"
_SECONDS = 120.0
"""What prerendering may take on a slow machine; others take 2 s."""
_MADE_OF = ("ui", "wyoming_tts.page", "wyoming_tts.bench.texts")
_COMPILED = ".pyc"

_MAX_BYTES = 16_000_000
"""Of a file with a page, which takes 1 MB."""
_DAMAGED = (ValueError, TypeError, LookupError, AttributeError, AssertionError, RecursionError)
"""Raised for JSON that is not that of a page."""

_LOGGER = logging.getLogger(__name__)


class PrerenderFailed(Exception):
    """The page could not be made; the message has the reason."""


def main() -> int:
    """Write the page of this version into the installation, unless it is there."""
    key = page_version()
    try:
        if _read(INSTALLED, key) is None:
            replace_file(INSTALLED, _encode(asyncio.run(_prerender()), key))
        INSTALLED.touch()  # for `script/setup`, which compares ages
    except (PrerenderFailed, OSError) as error:
        print(f"The page could not be made: {error}", file=sys.stderr)
        return 1
    return 0


async def make_page(directory: Path, *, run_blocking: RunBlocking) -> ASGIApp:
    """Return the page's app: what was kept in the directory or installed if it is of this version, else made.

    It has no access control of its own: it has to be served behind `PageMount`.

    Raises:
        PrerenderFailed: it could not be made.
    """
    kept = directory / FILE_NAME
    key = await run_blocking(page_version)
    app = await run_blocking(partial(_read, kept, key))
    if app is None:
        app = await run_blocking(partial(_take_installed, kept, key))
    if app is None:
        page = await _prerender()
        app = await run_blocking(partial(_app_of, page))
        await run_blocking(partial(_keep, kept, _encode(page, key)))
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
    found = (path for path in origin.parent.rglob("*") if path.is_file())
    return sorted(path for path in found if path.suffix != _COMPILED and path.name != FILE_NAME)


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except OSError:  # in a directory that must not be searched
        return False


def _read(kept: Path, key: str) -> ASGIApp | None:
    """Return the page that is kept; None if there is none, it is damaged or of another version."""
    try:
        content = read_regular_file(kept, _MAX_BYTES)
        if len(content) > _MAX_BYTES:
            raise ValueError(f"it is longer than {_MAX_BYTES} bytes, which no page is")
        page = json.loads(content)
        if page["version"] != key:
            return None
        if page["digest"] != _digest(page["files"]):
            raise ValueError("its digest is that of another content")
        return _app_of(page)
    except FileNotFoundError:
        return None
    except (OSError, *_DAMAGED) as error:
        _LOGGER.warning("The page in %s cannot be used, and is made anew: %s.", kept, _reason(error))
        return None


def _reason(error: Exception) -> str:
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return str(error) or type(error).__name__


def _digest(files: Any) -> str:
    return sha256(json.dumps(files, sort_keys=True).encode()).hexdigest()


def _take_installed(kept: Path, key: str) -> ASGIApp | None:
    """Return the page that the installation brings, and keep it, as it was visited now; see `_read`."""
    app = _read(INSTALLED, key)
    if app is not None:
        _keep(kept, INSTALLED.read_bytes())
    return app


def _encode(page: dict[str, Any], key: str) -> bytes:
    return json.dumps(page | {"version": key, "digest": _digest(page["files"])}).encode()


def _keep(kept: Path, content: bytes) -> None:
    try:
        replace_file(kept, content)
    except OSError as error:  # it is made anew after the next start
        _LOGGER.info("The page is not kept in %s: %s.", kept, error.strerror or error)


def _app_of(page: dict[str, Any]) -> ASGIApp:
    mimetypes.guess_type("page.js")  # its first call reads files: here, and not in the event loop
    contents = {
        path: page_file(kind, caching, b64decode(packed))
        for path, (kind, caching, packed) in page["files"].items()
    }
    return page_app(contents, _front_end())


def _front_end() -> Path:
    """Return the directory of Gradio's front end, without importing Gradio."""
    locations = _gradio().submodule_search_locations
    assert locations, "Gradio is a package."
    return Path(locations[0]) / "templates" / "frontend"


def _gradio() -> ModuleSpec:
    """Return the package's specification, which has no origin where its front end alone is installed."""
    found = find_spec("gradio")
    assert found is not None, "The page is not offered without Gradio."
    return found


async def _prerender() -> dict[str, Any]:
    if _gradio().origin is None:
        raise PrerenderFailed("the installed page is damaged or of another version, and Gradio is left out")
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


if __name__ == "__main__":
    sys.exit(main())
