"""The page's scripts as ES modules, and the expressions that import them.

Gradio runs a component's script as a function body, which cannot be a module. So that body only imports one
from the server, by a URL relative to the page, which also works behind a proxy that adds a prefix. The URL
contains a digest of all scripts, so that browsers may cache them forever; `chunks` joins them.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from functools import cache
from importlib.resources import files as resource_files
from types import MappingProxyType

from ui import chunks
from ui.words import MESSAGE_LANGUAGES, read_messages

_FOLDER = "static/js"
"""Relative to the page; `transports.http.page_filter` lets `static` through."""
FIRST = ("mounting", "audition", "player_bar", "tabs")
"""The scripts of what is in sight at first."""


@cache
def sources() -> Mapping[str, str]:
    """Return the text of all scripts by name, without suffix. Reads files: blocks."""
    scripts = (
        script for script in resource_files("ui").joinpath("js").iterdir() if script.name.endswith(".js")
    )
    return MappingProxyType(
        {script.name.removesuffix(".js"): script.read_text("utf-8") for script in scripts}
    )


@cache
def files() -> Mapping[str, str]:
    """Return the text of what browsers load, by path relative to the page. Reads files: blocks."""
    messages = {f"messages_{tag}": _as_module(tag) for tag in MESSAGE_LANGUAGES}
    written = chunks.joined_files(sources(), FIRST) | messages
    digest = hashlib.sha256(json.dumps(written, sort_keys=True).encode()).hexdigest()[:16]
    return MappingProxyType({f"{_FOLDER}/{digest}/{name}.js": text for name, text in written.items()})


def _as_module(language: str) -> str:
    """Return a module with the translations of the server's messages, which only their readers load."""
    return f"export default {json.dumps(dict(read_messages(language)), ensure_ascii=False)};\n"


def path_of(name: str) -> str:
    """Return the path of a file with scripts relative to the page: a chunk, or a module by itself.

    Raises:
        KeyError: there is no script of that name.
    """
    found = next((path for path in files() if path.endswith(f"/{name}.js")), None)
    if found is None:
        raise KeyError(f"There is no ui/js/{name}.js.")
    return found


def import_expression(name: str) -> str:
    """Return a JavaScript expression for the promise of a module's exports."""
    path = json.dumps(path_of(_chunk_of(name)))
    return f"import(new URL({path}, document.baseURI)).then((chunk) => chunk.{chunks.namespace(name)})"


def _chunk_of(name: str) -> str:
    """Return the chunk of a module; of a worker's, its own.

    Raises:
        KeyError: there is no script of that name.
    """
    found = next((chunk for chunk, modules in _chunks().items() if name in modules), None)
    if found is None:
        raise KeyError(f"There is no ui/js/{name}.js.")
    return found


@cache
def _chunks() -> Mapping[str, list[str]]:
    return MappingProxyType(chunks.chunks(sources(), FIRST))


def mounting(name: str, *, waits_until_seen: bool) -> str:
    """Return the script that has `ui/js/mounting.js` mount a module in an element."""
    options = json.dumps({"module": chunks.namespace(name), "waitsUntilSeen": waits_until_seen})
    path = json.dumps(path_of(_chunk_of(name)))
    mount = f"mounting.mountScript({path}, {{ element, props }}, {options})"
    return f"element.inert = true; {_retried_import('mounting')}.then((mounting) => {mount});"


def _retried_import(name: str) -> str:
    """Return an expression like `import_expression` that tries again, ever less often, while it fails.

    Each try has an address of its own, as browsers remember a module that could not be fetched.
    """
    path = json.dumps(path_of(_chunk_of(name)))
    return (
        f"(function load(n) {{ return import(new URL({path} + (n ? '?' + n : ''), document.baseURI))"
        f".then((chunk) => chunk.{chunks.namespace(name)},"
        " () => new Promise((wait) => setTimeout(wait, 1000 * 2 ** Math.min(n, 3)))"
        ".then(() => load(n + 1))); })(0)"
    )


def preload() -> str:
    """Return the `modulepreload` link of the scripts that the page needs at once. Reads files: blocks."""
    return f'<link rel="modulepreload" href="./{path_of(chunks.FIRST)}">'
