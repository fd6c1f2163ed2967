"""What a server makes of cut connections, full disks, kills, copies and deletions: real processes and files.

The scenarios are those that `script/show-voices` tells of; each raises what does not hold.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
import pytest_asyncio

from tests.scenarios import voices
from tests.scenarios.concurrent_blend_edits import EditLog
from tests.scenarios.environment import ScenarioEnvironment, ScenarioFailed

in_one_loop = pytest.mark.asyncio(loop_scope="module")


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
    """A env on which one server shows several scenarios."""
    async with voices.open_environment(tmp_path_factory.mktemp("shared_env"), print) as env:
        for name in voices.SHARED:
            env.publish_voice(name)
        async with env.shared_server():
            yield env


@in_one_loop
async def test_a_download_cut_at_40_percent_goes_on_with_a_range(env: ScenarioEnvironment) -> None:
    await voices.interrupted(env)


@in_one_loop
async def test_a_model_with_a_wrong_digest_is_refused_and_the_old_file_stays(
    shared_env: ScenarioEnvironment,
) -> None:
    await voices.wrong_digest(shared_env)


@in_one_loop
async def test_a_web_page_is_not_taken_for_a_model(shared_env: ScenarioEnvironment) -> None:
    await voices.web_page(shared_env)


@in_one_loop
async def test_a_voice_larger_than_the_free_space_is_refused_before_it_is_fetched(
    env: ScenarioEnvironment,
) -> None:
    await voices.too_large(env)


@in_one_loop
async def test_a_write_that_fails_is_told_and_the_next_start_goes_on_from_there(
    env: ScenarioEnvironment,
) -> None:
    await voices.write_fails(env)


@in_one_loop
async def test_a_server_killed_during_a_download_goes_on_at_its_next_start_and_speaks(
    env: ScenarioEnvironment,
) -> None:
    await voices.killed(env)


@in_one_loop
async def test_two_clients_that_ask_for_one_missing_voice_cause_one_download(
    shared_env: ScenarioEnvironment,
) -> None:
    await voices.two_clients(shared_env)


@in_one_loop
async def test_a_voice_copied_in_while_a_client_is_connected_speaks(shared_env: ScenarioEnvironment) -> None:
    await voices.copied(shared_env)


@in_one_loop
async def test_a_voice_deleted_while_it_speaks_ends_well_and_is_advertised_no_more(
    shared_env: ScenarioEnvironment,
) -> None:
    await voices.deleted(shared_env)


@in_one_loop
async def test_no_acknowledged_blend_is_lost_and_a_server_beside_tells_of_them_all(
    env: ScenarioEnvironment,
) -> None:
    await voices.blends(2.0)(env)


@in_one_loop
async def test_a_scenario_that_does_not_come_out_is_told(env: ScenarioEnvironment) -> None:
    with pytest.raises(ScenarioFailed, match="the earth is flat: round"):
        env.check("the earth is flat", holds=False, got="round")


def test_an_edit_that_was_acknowledged_and_is_gone_counts_as_lost() -> None:
    edits = EditLog()
    edits.note("done", "mild", "af_bella")
    edits.note("done", "bright", "af_sky")
    edits.note("asked", "bright", "af_bella+af_sky")
    assert edits.lost({"mild": "af_bella", "bright": "af_sky"}) == []
    assert edits.lost({"mild": "af_bella", "bright": "af_bella+af_sky"}) == []
    assert len(edits.lost({"mild": "af_sky", "bright": "af_nova"})) == 2
    assert len(edits.lost({})) == 2
