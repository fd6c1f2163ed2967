"""The page's lexicon check and trial, fed with files that are costly to read, beside listeners."""

from __future__ import annotations

import asyncio

import httpx
import pytest

from tests.breaking.conftest import OpenScene
from tests.breaking.server_under_attack import MIB

BOMBS = {
    "an expression of gigabytes": "en:\n  '" + "(" * 9 + "a" + "){9}" * 9 + "': {say: x, regex: true}\n",
    "400 expressions of 40 ms": "en:\n"
    + "".join(f"  '{'(' * 8}a{number}{'){2}' * 8}': {{say: x, regex: true}}\n" for number in range(400)),
    "brackets": "en: " + "[" * 100_000,
    "100,000 mistakes": "en:\n" + "  w: x\n" * 100_000,
}
CHECKS = 4
_WITHIN = 20.0
_CATASTROPHIC = "en:\n" + "".join(f"  '(a+)+{number}$': {{say: x, regex: true}}\n" for number in range(400))


@pytest.mark.parametrize("bomb", [*BOMBS])
async def test_a_lexicon_that_is_costly_to_check_beside_listeners(open_scene: OpenScene, bomb: str) -> None:
    async with open_scene() as scene, httpx.AsyncClient(base_url=scene.server.url, timeout=_WITHIN) as client:
        await client.post("page/lexicon/check", json={"text": "en: {a: b}"})  # builds the page
        before = await scene.quiet()
        async with scene.phase(bomb) as attack:
            answers = await asyncio.gather(
                *(client.post("page/lexicon/check", json={"text": BOMBS[bomb]}) for _ in range(CHECKS))
            )
            status = await client.get("readyz")
        assert all(answer.status_code == 200 and answer.json()["problems"] for answer in answers)
        assert all(len(answer.json()["problems"]) <= 100 for answer in answers)
        assert status.status_code == 200
        assert attack.peak.pss < before.after.pss + 100 * MIB
        attack.hearing.check_served()
        await scene.recovers(before)


async def test_expressions_that_backtrack_beside_listeners(open_scene: OpenScene) -> None:
    async with open_scene() as scene, httpx.AsyncClient(base_url=scene.server.url, timeout=_WITHIN) as client:
        version = (await client.get("page/lexicon")).json()["version"]
        saved = await client.post("page/lexicon/save", json={"text": _CATASTROPHIC, "version": version})
        assert saved.status_code == 200
        before = await scene.quiet()
        async with scene.phase("400 that backtrack") as attack:
            for _ in range(4):
                said = await client.post("page/lexicon/said", json={"sentence": "a" * 400 + "!"})
                assert said.status_code == 200
        attack.hearing.check_served()
        await scene.recovers(before)
