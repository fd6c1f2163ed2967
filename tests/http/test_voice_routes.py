from __future__ import annotations

from typing import Any

import pytest

from tests.http.conftest import Served, serving
from wyoming_tts.transports.http.app import HttpOptions
from wyoming_tts.transports.interfaces import ServiceHealth


async def names(served: Served, path: str) -> list[str]:
    listed = (await served.client.get(path)).json()["voices"]
    return [voice["id"] for voice in listed]


async def test_models_lists_the_openai_names_and_the_engines(served: Served) -> None:
    listed = (await served.client.get("/v1/models")).json()
    assert listed["object"] == "list"
    ids = [model["id"] for model in listed["data"]]
    assert ids == ["tts-1", "tts-1-hd", "gpt-4o-mini-tts", "kokoro", "piper"]
    assert (await served.client.get("/v1/models/kokoro")).json() == listed["data"][3]
    assert (await served.client.get("/v1/audio/models")).json()["models"][0] == {"id": "tts-1"}


@pytest.mark.parametrize("name", ["gpt-9", "%00", "x" * 1000, "ümlaut"])
async def test_an_unknown_model_is_a_404(served: Served, name: str) -> None:
    answer = await served.client.get(f"/v1/models/{name}")
    assert answer.status_code == 404
    assert answer.json()["error"]["code"] == "model_not_found"


async def test_audio_voices_lists_installed_voices_first_in_kokoro_fastapis_form(served: Served) -> None:
    listed = (await served.client.get("/v1/audio/voices")).json()["voices"]
    assert listed[0] == {
        "id": "af_heart",
        "name": "af_heart",
        "language": "en_US",
        "engine": "kokoro",
        "installed": True,
    }
    assert await names(served, "/v1/audio/voices") == ["af_heart", "en_GB-vctk-medium", "en_US-lessac-medium"]


async def test_audio_voices_with_legacy_lists_names_only(served: Served) -> None:
    listed = (await served.client.get("/v1/audio/voices", params={"legacy": "true"})).json()
    assert listed == {"voices": ["af_heart", "en_GB-vctk-medium", "en_US-lessac-medium"]}


async def test_voices_lists_speakers_sample_rate_and_installation(served: Served) -> None:
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
async def test_voices_combine_saves_a_blend_from_any_body_form(
    served: Served, body: Any, query: dict[str, str], blended: tuple[str, str | None]
) -> None:
    answer = await served.client.post("/v1/audio/voices/combine", json=body, params=query)
    assert answer.status_code == 200
    assert answer.json()["id"] == (blended[1] or blended[0])
    assert served.service.blends == [blended]


@pytest.mark.parametrize("body", ["af_bella", [], {}, {"voices": []}, 7, None, [1]])
async def test_voices_combine_refuses_a_malformed_or_incomplete_body(served: Served, body: Any) -> None:
    answer = await served.client.post("/v1/audio/voices/combine", json=body)
    assert answer.status_code == 400
    assert answer.json()["error"]["type"] == "invalid_request_error"


@pytest.mark.parametrize("path", ["/health", "/healthz", "/livez"])
async def test_liveness_probes_succeed_before_the_server_is_ready(served: Served, path: str) -> None:
    served.service.service_health = ServiceHealth(not_ready="The default voice is not ready yet.")
    answer = await served.client.get(path)
    assert (answer.status_code, answer.json()) == (200, {"status": "healthy"})


async def test_the_readiness_probe_succeeds_once_the_default_voice_is_warm(served: Served) -> None:
    served.service.service_health = ServiceHealth(not_ready="No voice can speak.")
    early = await served.client.get("/readyz")
    served.service.service_health = ServiceHealth()
    assert (early.status_code, early.json()["error"]["code"]) == (503, "not_ready")
    assert early.json()["error"]["message"] == "No voice can speak."
    assert early.headers["retry-after"] == "1"
    assert (await served.client.get("/readyz")).json()["status"] == "ready"


async def test_the_readiness_probe_tells_engines_device_and_voices_loaded(served: Served) -> None:
    served.service.service_health = ServiceHealth(engines=["piper"], device="cuda:1", voices_loaded=2)
    assert (await served.client.get("/readyz")).json() == {
        "status": "ready",
        "engines": ["piper"],
        "device": "cuda:1",
        "voices_loaded": 2,
    }


async def test_the_readiness_probe_tells_of_files_that_cannot_be_read(served: Served) -> None:
    served.service.service_health = ServiceHealth(degraded="Some files cannot be read now.")
    answer = await served.client.get("/readyz")
    assert answer.status_code == 200
    assert answer.json()["degraded"] == "Some files cannot be read now."


@pytest.mark.parametrize("path", ["/status", "/api/status"])
async def test_status_returns_the_services_status(served: Served, path: str) -> None:
    assert (await served.client.get(path)).json()["load"] == {"streams": 0}


async def test_metrics_are_served_in_prometheus_text_format(served: Served) -> None:
    answer = await served.client.get("/metrics")
    assert answer.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"
    assert b"tts_streams 0" in answer.content


@pytest.mark.parametrize("path", ["/", "/docs", "/redoc", "/v1/audio/speech/", "/v1//models", "/%ff"])
async def test_an_unknown_path_is_a_404_in_the_apis_error_format(served: Served, path: str) -> None:
    answer = await served.client.get(path)
    assert answer.status_code == 404
    assert answer.json()["error"]["code"] == "not_found"
    assert answer.headers["x-request-id"]


async def test_a_wrong_method_is_a_405_with_the_allowed_methods(served: Served) -> None:
    refused = await served.client.delete("/v1/audio/speech")
    allowed = await served.client.options("/v1/audio/speech")
    headed = await served.client.head("/v1/voices")
    assert (refused.status_code, refused.headers["allow"]) == (405, "POST")
    assert refused.json()["error"]["code"] == "method_not_allowed"
    assert (allowed.status_code, allowed.headers["allow"]) == (204, "POST")
    assert (headed.status_code, headed.content) == (200, b"")
    assert int(headed.headers["content-length"]) > 100


async def test_the_openapi_description_names_every_status_and_omits_fastapis_422(served: Served) -> None:
    description = (await served.client.get("/openapi.json")).json()
    speech = description["paths"]["/v1/audio/speech"]["post"]["responses"]
    assert set(speech) == {"200", "400", "401", "403", "404", "408", "413", "429", "500", "503"}
    assert set(speech["200"]["content"]) >= {"audio/mpeg", "audio/wav", "audio/pcm", "text/event-stream"}
    assert "422" not in str(description)
    assert "HTTPValidationError" not in str(description)


async def test_models_are_unloaded_on_request_where_the_settings_allow_it() -> None:
    async with serving(HttpOptions(allow_unload=True)) as served:
        answer = await served.client.post("/dev/unload")
    assert answer.json() == {"status": "unloaded", "models": ["af_heart.onnx"], "in_use": ["lessac.onnx"]}


async def test_models_are_not_unloaded_on_request_by_default(served: Served) -> None:
    answer = await served.client.post("/dev/unload")
    assert answer.status_code == 403
    assert "allow_unload" in answer.json()["error"]["message"]
