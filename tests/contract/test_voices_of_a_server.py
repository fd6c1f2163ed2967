"""Voice management under interrupted downloads, full disks, kills, copies and deletions, with real processes.

The scenarios are those that `script/show-voices` presents; each raises if a check fails.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
import pytest_asyncio

from tests.scenarios import voices
from tests.scenarios.concurrent_blend_edits import EditLog
from tests.scenarios.environment import ScenarioEnvironment, ScenarioFailed

in_module_loop = pytest.mark.asyncio(loop_scope="module")


@pytest.fixture(autouse=True, scope="module")
def no_proxy() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "HF_HUB_OFFLINE"):
            patch.delenv(name, raising=False)
            patch.delenv(name.lower(), raising=False)
        yield


@pytest_asyncio.fixture(loop_scope="module")
async def env(tmp_path: Path) -> AsyncIterator[ScenarioEnvironment]:
    async with voices.open_environment(tmp_path, print) as env:
        yield env


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def shared_env(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[ScenarioEnvironment]:
    """An environment whose server is shared by several scenarios."""
    async with voices.open_environment(tmp_path_factory.mktemp("shared_env"), print) as env:
        for name in voices.SHARED:
            env.publish_voice(name)
        async with env.shared_server():
            yield env


@in_module_loop
async def test_a_download_interrupted_at_40_percent_resumes_with_a_range_request(
    env: ScenarioEnvironment,
) -> None:
    await voices.interrupted(env)


@in_module_loop
async def test_a_model_with_a_wrong_digest_is_rejected_and_the_old_file_is_kept(
    shared_env: ScenarioEnvironment,
) -> None:
    await voices.wrong_digest(shared_env)


@in_module_loop
async def test_an_html_page_in_place_of_a_model_is_rejected(shared_env: ScenarioEnvironment) -> None:
    await voices.web_page(shared_env)


@in_module_loop
async def test_a_voice_larger_than_the_free_disk_space_is_rejected_before_the_download(
    env: ScenarioEnvironment,
) -> None:
    await voices.too_large(env)


@in_module_loop
async def test_a_failed_write_is_reported_and_the_next_start_resumes_the_download(
    env: ScenarioEnvironment,
) -> None:
    await voices.write_fails(env)


@in_module_loop
async def test_a_server_killed_during_a_download_resumes_it_when_restarted_and_speaks(
    env: ScenarioEnvironment,
) -> None:
    await voices.killed(env)


@in_module_loop
async def test_two_clients_requesting_one_missing_voice_cause_one_download(
    shared_env: ScenarioEnvironment,
) -> None:
    await voices.two_clients(shared_env)


@in_module_loop
async def test_a_voice_copied_in_while_a_client_is_connected_can_be_used(
    shared_env: ScenarioEnvironment,
) -> None:
    await voices.copied(shared_env)


@in_module_loop
async def test_deleting_a_voice_while_it_speaks_completes_the_utterance_and_unlists_the_voice(
    shared_env: ScenarioEnvironment,
) -> None:
    await voices.deleted(shared_env)


@in_module_loop
async def test_no_acknowledged_blend_is_lost_and_a_concurrent_server_lists_them_all(
    env: ScenarioEnvironment,
) -> None:
    await voices.blends(2.0)(env)


@in_module_loop
async def test_a_failed_scenario_check_raises_with_the_claim_and_the_actual_value(
    env: ScenarioEnvironment,
) -> None:
    with pytest.raises(ScenarioFailed, match="the earth is flat: round"):
        env.check("the earth is flat", holds=False, got="round")


def test_an_acknowledged_edit_that_is_missing_counts_as_lost() -> None:
    edits = EditLog()
    edits.note("done", "mild", "af_bella")
    edits.note("done", "bright", "af_sky")
    edits.note("asked", "bright", "af_bella+af_sky")
    assert edits.lost({"mild": "af_bella", "bright": "af_sky"}) == []
    assert edits.lost({"mild": "af_bella", "bright": "af_bella+af_sky"}) == []
    assert len(edits.lost({"mild": "af_sky", "bright": "af_nova"})) == 2
    assert len(edits.lost({})) == 2
