"""Serves the page's scripts as ES modules, and has Gradio's components load them.

Gradio runs what a component brings as the body of a function, which can hold no module. So that body only
imports one from the server: by an address below the page's own, so that it is found behind a proxy that adds
a prefix. The address names the content, and browsers may keep what is there for good.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from types import MappingProxyType
from typing import Any

import gradio as gr
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

_FOLDER = "static/js"
"""Below the page: `page_wall` lets through what is in `static`."""
_KEPT = "private, max-age=31536000, immutable"
_ASKED_AGAIN = "no-cache"


@cache
def sources() -> Mapping[str, str]:
    """Read all scripts by their file names. Reads files: blocks."""
    scripts = (script for script in files("ui").joinpath("js").iterdir() if script.name.endswith(".js"))
    return MappingProxyType({script.name: script.read_text("utf-8") for script in scripts})


@cache
def version() -> str:
    """Return what becomes another when a script does. Reads files: blocks."""
    digest = hashlib.sha256(json.dumps(dict(sorted(sources().items()))).encode())
    return digest.hexdigest()[:16]


def path_of(name: str) -> str:
    """Return where a script is, below the page.

    Raises:
        KeyError: there is none of that name.
    """
    if f"{name}.js" not in sources():
        raise KeyError(f"There is no ui/js/{name}.js.")
    return f"{_FOLDER}/{version()}/{name}.js"


def script_of(name: str) -> str:
    """Return a JavaScript expression: the promise of a module."""
    return f"import(new URL({json.dumps(path_of(name))}, document.baseURI))"


def scripted(
    name: str,
    content: str = "",
    *,
    elem_id: str,
    min_height: int | None = None,
    is_prose: bool = False,
    **props: Any,
) -> gr.HTML:
    """Put an element where it is called, which the module `name` fills by its function `mount`.

    Args:
        name: Of the script.
        content: What is in the element before that; it stays as it is.
        elem_id: Of the element.
        min_height: In pixels, so that nothing jumps once it is filled.
        is_prose: Whether its paragraphs look as Gradio's own do.
        props: What the script is given, as JSON.
    """
    return gr.HTML(
        content,
        html_template="${value}" if content else "",
        js_on_load=f"{script_of(name)}.then((script) => script.mount({{ element, props, watch }}));",
        elem_id=elem_id,
        apply_default_css=is_prose,
        min_height=min_height,
        **props,
    )


def preloads() -> str:
    """Return what has a browser fetch all scripts beside the page, for its head. Reads files: blocks."""
    paths = (path_of(name.removesuffix(".js")) for name in sorted(sources()))
    return "".join(f'<link rel="modulepreload" href="./{path}">' for path in paths)


def route() -> Route:
    """Make what serves them. Reads files: blocks.

    A page that was loaded before the server became another one finds them too: it is given those of today.
    """
    bodies = {name: source.encode() for name, source in sources().items()}
    current = version()

    async def serve(request: Request) -> Response:
        body = bodies.get(request.path_params["name"])
        if body is None:
            return Response(status_code=404)
        kept = _KEPT if request.path_params["version"] == current else _ASKED_AGAIN
        return Response(body, media_type="text/javascript", headers={"Cache-Control": kept})

    return Route(f"/{_FOLDER}/{{version}}/{{name}}", serve)
