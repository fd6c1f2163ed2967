"""Engine-specific prosody fields of a speech request: pitch, length scale and noise scales."""

from __future__ import annotations

from typing import Any

import pytest

from tests.http.conftest import Served
from wyoming_tts.speech import Prosody

SPEECH = "/v1/audio/speech"


def body(**fields: Any) -> dict[str, Any]:
    return {"input": "hello", "response_format": "wav", **fields}


@pytest.mark.parametrize("path", [SPEECH, f"{SPEECH}/stream"])
async def test_engine_specific_prosody_fields_reach_the_utterance(served: Served, path: str) -> None:
    fields = body(pitch=1.5, length_scale=1.2, noise_scale=0.3, noise_w_scale=0.0)
    answer = await served.client.post(path, json=fields)
    assert answer.status_code == 200
    assert served.service.utterances[0].prosody == Prosody(
        pitch=1.5, length_scale=1.2, noise_scale=0.3, noise_w_scale=0.0
    )


async def test_omitted_prosody_fields_are_neutral(served: Served) -> None:
    await served.client.post(SPEECH, json=body())
    assert served.service.utterances[0].prosody == Prosody()


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("pitch", 0.4),
        ("pitch", 2.1),
        ("length_scale", 0.0),
        ("length_scale", 4.1),
        ("noise_scale", -0.1),
        ("noise_scale", 2.1),
        ("noise_w_scale", -0.1),
        ("noise_w_scale", 5.0),
        ("noise_w_scale", "much"),
    ],
)
async def test_an_out_of_range_prosody_field_is_refused_by_name(
    served: Served, field: str, value: object
) -> None:
    answer = await served.client.post(SPEECH, json=body(**{field: value}))
    assert answer.status_code == 400
    assert answer.json()["error"]["param"] == field
    assert not served.service.utterances
