"""A server in an installation without Gradio."""

from __future__ import annotations

import importlib.util
from importlib.machinery import ModuleSpec
from pathlib import Path

import httpx
import pytest

from tests.support.page_site import product
from wyoming_tts.server import http_side as web


async def test_without_gradio_the_server_logs_the_missing_package_and_serves_the_api(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def find_spec_without_gradio(name: str) -> ModuleSpec | None:
        return None if name == "gradio" else importlib.util.find_spec(name)

    monkeypatch.setattr(web, "find_spec", find_spec_without_gradio)
    async with product(tmp_path) as site, httpx.AsyncClient(base_url=site.url) as client:
        assert (await client.get("/")).status_code == 404
        assert (await client.get("/v1/models")).status_code == 200
    assert "the package gradio is not installed" in caplog.text
    assert "Traceback" not in caplog.text
