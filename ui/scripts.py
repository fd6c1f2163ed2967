"""The page's scripts as ES modules, and Gradio components that import them.

Gradio runs a component's script as a function body, which cannot be a module. So that body only imports one
from the server, by a URL relative to the page, which also works behind a proxy that adds a prefix. The URL
contains a digest of all scripts, so that browsers may cache them forever.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable, Mapping
from functools import cache
from importlib.resources import files
from types import MappingProxyType
from typing import Any

import gradio as gr

from ui.words import MESSAGE_LANGUAGES, read_messages

_FOLDER = "static/js"
"""Relative to the page; `transports.http.page_filter` lets `static` through."""
_IMPORT = re.compile(r"""\bfrom "\./(\w+)\.js";""")


@cache
def sources() -> Mapping[str, str]:
    """Return all scripts by file name. Reads files: blocks."""
    scripts = (script for script in files("ui").joinpath("js").iterdir() if script.name.endswith(".js"))
    written = {script.name: script.read_text("utf-8") for script in scripts}
    return MappingProxyType(written | {f"messages_{tag}.js": _as_module(tag) for tag in MESSAGE_LANGUAGES})


def _as_module(language: str) -> str:
    """Return a module with the translations of the server's messages, which only their readers load."""
    return f"export default {json.dumps(dict(read_messages(language)), ensure_ascii=False)};\n"


@cache
def version() -> str:
    """Return a digest of all scripts. Reads files: blocks."""
    digest = hashlib.sha256(json.dumps(dict(sorted(sources().items()))).encode())
    return digest.hexdigest()[:16]


def path_of(name: str) -> str:
    """Return the path of a script relative to the page.

    Raises:
        KeyError: there is no script of that name.
    """
    if f"{name}.js" not in sources():
        raise KeyError(f"There is no ui/js/{name}.js.")
    return f"{_FOLDER}/{version()}/{name}.js"


def import_expression(name: str) -> str:
    """Return a JavaScript expression for the promise of a module."""
    return f"import(new URL({json.dumps(path_of(name))}, document.baseURI))"


def script_element(
    name: str,
    content: str = "",
    *,
    elem_id: str,
    min_height: int | None = None,
    waits_until_seen: bool = False,
    **props: Any,
) -> gr.HTML:
    """Add an element that the `mount` function of the module `name` fills.

    Args:
        name: Name of the script without suffix.
        content: Initial HTML, which stays in the element.
        elem_id: ID of the element.
        min_height: In pixels, to avoid layout shifts when it is filled.
        waits_until_seen: Whether the module is loaded once the element is in sight, as that of a tab which
            few visitors open.
        props: Values passed to the script as JSON.
    """
    return gr.HTML(
        content,
        html_template="${value}" if content else "",
        js_on_load=_mounting(name, waits_until_seen=waits_until_seen),
        elem_id=elem_id,
        elem_classes=["tts"],  # `style/fields.css`
        apply_default_css=False,
        min_height=min_height,
        **props,
    )


def _retried_import(name: str) -> str:
    """Return an expression like `import_expression` that tries again, ever less often, while it fails.

    Each try has an address of its own, as browsers remember a module that could not be fetched.
    """
    path = json.dumps(path_of(name))
    return (
        f"(function load(n) {{ return import(new URL({path} + (n ? '?' + n : ''), document.baseURI))"
        ".catch(() => new Promise((wait) => setTimeout(wait, 1000 * 2 ** Math.min(n, 3)))"
        ".then(() => load(n + 1))); })(0)"
    )


def _mounting(name: str, *, waits_until_seen: bool) -> str:
    """Return the script that has `ui/js/mounting.js` mount a module in an element."""
    options = json.dumps({"waitsUntilSeen": waits_until_seen})
    mount = f"mounting.mountScript({json.dumps(path_of(name))}, {{ element, props }}, {options})"
    return f"element.inert = true; {_retried_import('mounting')}.then((mounting) => {mount});"


def preloads(names: Iterable[str]) -> str:
    """Return the `modulepreload` links of scripts and all that they import. Reads files: blocks."""
    paths = (path_of(name) for name in sorted(with_imports(names)))
    return "".join(f'<link rel="modulepreload" href="./{path}">' for path in paths)


def with_imports(names: Iterable[str]) -> set[str]:
    """Return the names of scripts and of all that they import."""
    found: set[str] = set()
    pending = list(names)
    while pending:
        name = pending.pop()
        if name not in found:
            found.add(name)
            pending += _IMPORT.findall(sources()[f"{name}.js"])
    return found
