"""The web page as an ASGI app: files in memory, and on disk what else its front end may ask for."""

from __future__ import annotations

import gzip
from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256
from http import HTTPStatus
from pathlib import Path

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Mount, Route
from starlette.staticfiles import StaticFiles

from wyoming_tts.transports.http.compression import accepts_gzip, path_of

_REVALIDATED = "private, no-cache"
_SCRIPTS = "/static/js/"
_FOLDERS = ("assets", "static")


@dataclass(frozen=True, slots=True)
class PageFile:
    """One file of the page."""

    media_type: str
    cache_control: str
    packed: bytes
    """The content, compressed with gzip."""
    tag: str
    """Entity tag; weak, as the content has the same whether it is compressed or not."""


def page_file(media_type: str, cache_control: str, packed: bytes) -> PageFile:
    """Make a file from its compressed content."""
    return PageFile(media_type, cache_control, packed, f'W/"{sha256(packed).hexdigest()[:32]}"')


def page_app(files: Mapping[str, PageFile], front_end: Path) -> Starlette:
    """Make the app that serves the page.

    Args:
        files: By their paths.
        front_end: Directory of Gradio's front end, for what is not among `files`.
    """
    scripts = {path.rpartition("/")[2]: file for path, file in files.items() if path.startswith(_SCRIPTS)}

    async def serve(request: Request) -> Response:
        file = files[path_of(request.scope)]
        return _answer(request, file, file.cache_control)

    async def serve_script(request: Request) -> Response:
        # A page that was loaded before an upgrade of the server gets the current scripts by their old URLs.
        file = scripts.get(request.path_params["name"])
        return Response(status_code=HTTPStatus.NOT_FOUND) if file is None else _answer(request, file)

    routes: list[BaseRoute] = [Route(path, serve) for path in files]
    routes.append(Route(f"{_SCRIPTS}{{version}}/{{name}}", serve_script))
    folders = {name: StaticFiles(directory=front_end / name, check_dir=False) for name in _FOLDERS}
    return Starlette(routes=[*routes, *(Mount(f"/{name}", app) for name, app in folders.items())])


def _answer(request: Request, file: PageFile, cache_control: str = _REVALIDATED) -> Response:
    headers = {"Cache-Control": cache_control, "ETag": file.tag, "Vary": "Accept-Encoding"}
    if file.tag in request.headers.get("if-none-match", ""):
        return Response(status_code=HTTPStatus.NOT_MODIFIED, headers=headers)
    if not accepts_gzip(request.headers.get("accept-encoding", "")):
        return Response(gzip.decompress(file.packed), media_type=file.media_type, headers=headers)
    return Response(file.packed, media_type=file.media_type, headers={**headers, "Content-Encoding": "gzip"})
