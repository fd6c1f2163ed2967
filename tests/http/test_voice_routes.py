from __future__ import annotations

from typing import Any

import pytest

from tests.http.conftest import Served


async def names(served: Served, path: str) -> list[str]:
    listed = (await served.client.get(path)).json()["voices"]
    return [voice["id"] for voice in listed]


async def test_models_are_what_clients_ask_for_without_looking(served: Served) -> None:
    listed = (await served.client.get("/v1/models")).json()
    assert listed["object"] == "list"
    ids = [model["id"] for model in listed["data"]]
    assert ids == ["tts-1", "tts-1-hd", "gpt-4o-mini-tts", "kokoro", "piper"]
    assert (await served.client.get("/v1/models/kokoro")).json() == listed["data"][3]
    assert (await served.client.get("/v1/audio/models")).json()["models"][0] == {"id": "tts-1"}


@pytest.mark.parametrize("name", ["gpt-9", "%00", "x" * 1000, "ümlaut"])
async def test_an_unknown_model_is_not_found(served: Served, name: str) -> None:
    answer = await served.client.get(f"/v1/models/{name}")
    assert answer.status_code == 404
    assert answer.json()["error"]["code"] == "model_not_found"


async def test_voices_are_listed_as_kokoro_fastapi_does_the_installed_first(served: Served) -> None:
    listed = (await served.client.get("/v1/audio/voices")).json()["voices"]
    assert listed[0] == {
        "id": "af_heart",
        "name": "af_heart",
        "language": "en_US",
        "engine": "kokoro",
        "installed": True,
    }
    assert await names(served, "/v1/audio/voices") == ["af_heart", "en_GB-vctk-medium", "en_US-lessac-medium"]


async def test_older_clients_get_names_alone(served: Served) -> None:
    listed = (await served.client.get("/v1/audio/voices", params={"legacy": "true"})).json()
    assert listed == {"voices": ["af_heart", "en_GB-vctk-medium", "en_US-lessac-medium"]}


async def test_voices_are_listed_in_full(served: Served) -> None:
    listed = (await served.client.get("/v1/voices")).json()["voices"]
    assert listed[1]["speakers"] == ["p225", "p226"]
    assert listed[1]["sample_rate"] == 22_050
    assert listed[2]["installed"] is False


@pytest.mark.parametrize(
    ("body", "query", "blended"),
    [
        ("af_bella+af_sky", {}, ("af_bella+af_sky", None)),
        (["af_bella", "af_sky(2)"], {}, ("af_bella+af_sky(2)", None)),
        ({"voices": "af_bella+af_sky", "name": "mine"}, {}, ("af_bella+af_sky", "mine")),
        (["af_bella", "af_sky"], {"name": "mine"}, ("af_bella+af_sky", "mine")),
    ],
)
async def test_voices_are_combined(
    served: Served, body: Any, query: dict[str, str], blended: tuple[str, str | None]
) -> None:
    answer = await served.client.post("/v1/audio/voices/combine", json=body, params=query)
    assert answer.status_code == 200
    assert answer.json()["id"] == (blended[1] or blended[0])
    assert served.service.blends == [blended]


@pytest.mark.parametrize("body", ["af_bella", [], {}, {"voices": []}, 7, None, [1]])
async def test_what_cannot_be_combined_is_refused(served: Served, body: Any) -> None:
    answer = await served.client.post("/v1/audio/voices/combine", json=body)
    assert answer.status_code == 400
    assert answer.json()["error"]["type"] == "invalid_request_error"


@pytest.mark.parametrize("path", ["/health", "/healthz", "/livez"])
async def test_it_lives_before_it_is_ready(served: Served, path: str) -> None:
    served.service.ready = False
    answer = await served.client.get(path)
    assert (answer.status_code, answer.json()) == (200, {"status": "healthy"})


async def test_it_is_ready_once_the_default_voice_is_warm(served: Served) -> None:
    served.service.ready = False
    early = await served.client.get("/readyz")
    served.service.ready = True
    assert (early.status_code, early.json()["error"]["code"]) == (503, "not_ready")
    assert early.headers["retry-after"] == "1"
    assert (await served.client.get("/readyz")).json() == {"status": "ready"}


@pytest.mark.parametrize("path", ["/status", "/api/status"])
async def test_the_status_is_the_houses(served: Served, path: str) -> None:
    assert (await served.client.get(path)).json()["load"] == {"streams": 0}


async def test_metrics_are_in_prometheus_text(served: Served) -> None:
    answer = await served.client.get("/metrics")
    assert answer.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"
    assert b"tts_streams 0" in answer.content


@pytest.mark.parametrize("path", ["/", "/docs", "/redoc", "/v1/audio/speech/", "/v1//models", "/%ff"])
async def test_an_unknown_path_is_an_error_of_the_usual_shape(served: Served, path: str) -> None:
    answer = await served.client.get(path)
    assert answer.status_code == 404
    assert answer.json()["error"]["code"] == "not_found"
    assert answer.headers["x-request-id"]


async def test_a_wrong_method_gets_the_allowed_methods(served: Served) -> None:
    refused = await served.client.delete("/v1/audio/speech")
    asked = await served.client.options("/v1/audio/speech")
    looked = await served.client.head("/v1/voices")
    assert (refused.status_code, refused.headers["allow"]) == (405, "POST")
    assert refused.json()["error"]["code"] == "method_not_allowed"
    assert (asked.status_code, asked.headers["allow"]) == (204, "POST")
    assert (looked.status_code, looked.content) == (200, b"")
    assert int(looked.headers["content-length"]) > 100


async def test_the_description_names_every_status_and_none_of_the_frameworks(served: Served) -> None:
    described = (await served.client.get("/openapi.json")).json()
    speech = described["paths"]["/v1/audio/speech"]["post"]["responses"]
    assert set(speech) == {"200", "400", "401", "403", "404", "408", "413", "429", "500", "503"}
    assert set(speech["200"]["content"]) >= {"audio/mpeg", "audio/wav", "audio/pcm", "text/event-stream"}
    assert "422" not in str(described)
    assert "HTTPValidationError" not in str(described)
