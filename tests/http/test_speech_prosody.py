"""The engines' own values in a request for speech."""

from __future__ import annotations

from typing import Any

import pytest

from tests.http.conftest import Served, serving
from wyoming_tts.speech import Prosody
from wyoming_tts.transports.http import HttpOptions

SPEECH = "/v1/audio/speech"


def body(**fields: Any) -> dict[str, Any]:
    return {"input": "hello", "response_format": "wav", **fields}


@pytest.mark.parametrize("path", [SPEECH, f"{SPEECH}/stream"])
async def test_what_an_engine_alone_knows_reaches_it(served: Served, path: str) -> None:
    fields = body(pitch=1.5, length_scale=1.2, noise_scale=0.3, noise_w_scale=0.0)
    answer = await served.client.post(path, json=fields)
    assert answer.status_code == 200
    assert served.house.utterances[0].prosody == Prosody(
        pitch=1.5, length_scale=1.2, noise_scale=0.3, noise_w_scale=0.0
    )


async def test_the_servers_scales_are_replaced_and_its_pitch_is_multiplied() -> None:
    own = Prosody(speed=2.0, pitch=1.2, volume=0.5, length_scale=1.1, noise_scale=0.6, noise_w_scale=0.8)
    async with serving(HttpOptions(prosody=own)) as served:
        await served.client.post(SPEECH, json=body(noise_scale=0.0, pitch=0.5))
        said = served.house.utterances[0].prosody
    assert said == Prosody(
        speed=2.0, pitch=0.6, volume=0.5, length_scale=1.1, noise_scale=0.0, noise_w_scale=0.8
    )


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("pitch", 0.4),
        ("pitch", 2.1),
        ("length_scale", 0.0),
        ("length_scale", 10.1),
        ("noise_scale", -0.1),
        ("noise_scale", 10.1),
        ("noise_w_scale", -0.1),
        ("noise_w_scale", "much"),
    ],
)
async def test_what_no_engine_can_do_is_refused_by_name(served: Served, field: str, value: object) -> None:
    answer = await served.client.post(SPEECH, json=body(**{field: value}))
    assert answer.status_code == 400
    assert answer.json()["error"]["param"] == field
    assert not served.house.utterances
