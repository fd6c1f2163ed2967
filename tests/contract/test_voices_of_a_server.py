"""What a server makes of cut connections, full disks, kills, copies and deletions: real processes and files.

The scenarios are those that `script/show-voices` tells of; each raises what does not hold.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
import pytest_asyncio

from tests.scenarios import voices
from tests.scenarios.blend_editors import Edits
from tests.scenarios.voice_stage import NotShown, Stage

in_one_loop = pytest.mark.asyncio(loop_scope="module")


@pytest.fixture(autouse=True, scope="module")
def no_proxy() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "HF_HUB_OFFLINE"):
            patch.delenv(name, raising=False)
            patch.delenv(name.lower(), raising=False)
        yield


@pytest_asyncio.fixture(loop_scope="module")
async def stage(tmp_path: Path) -> AsyncIterator[Stage]:
    async with voices.staged(tmp_path, print) as stage:
        yield stage


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def talking(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Stage]:
    """A stage on which one server shows several scenarios."""
    async with voices.staged(tmp_path_factory.mktemp("talking"), print) as stage:
        for name in voices.SHARED:
            stage.offer(name)
        async with stage.talking_server():
            yield stage


@in_one_loop
async def test_a_download_cut_at_40_percent_goes_on_with_a_range(stage: Stage) -> None:
    await voices.interrupted(stage)


@in_one_loop
async def test_a_model_with_a_wrong_digest_is_refused_and_the_old_file_stays(talking: Stage) -> None:
    await voices.wrong_digest(talking)


@in_one_loop
async def test_a_web_page_is_not_taken_for_a_model(talking: Stage) -> None:
    await voices.web_page(talking)


@in_one_loop
async def test_a_voice_larger_than_the_free_space_is_refused_before_it_is_fetched(stage: Stage) -> None:
    await voices.too_large(stage)


@in_one_loop
async def test_a_write_that_fails_is_told_and_the_next_start_goes_on_from_there(stage: Stage) -> None:
    await voices.write_fails(stage)


@in_one_loop
async def test_a_server_killed_during_a_download_goes_on_at_its_next_start_and_speaks(stage: Stage) -> None:
    await voices.killed(stage)


@in_one_loop
async def test_two_clients_that_ask_for_one_missing_voice_cause_one_download(talking: Stage) -> None:
    await voices.two_clients(talking)


@in_one_loop
async def test_a_voice_copied_in_while_a_client_is_connected_speaks(talking: Stage) -> None:
    await voices.copied(talking)


@in_one_loop
async def test_a_voice_deleted_while_it_speaks_ends_well_and_is_advertised_no_more(talking: Stage) -> None:
    await voices.deleted(talking)


@in_one_loop
async def test_no_acknowledged_blend_is_lost_and_a_server_beside_tells_of_them_all(stage: Stage) -> None:
    await voices.blends(2.0)(stage)


@in_one_loop
async def test_a_scenario_that_does_not_come_out_is_told(stage: Stage) -> None:
    with pytest.raises(NotShown, match="the earth is flat: round"):
        stage.check("the earth is flat", holds=False, got="round")


def test_an_edit_that_was_acknowledged_and_is_gone_counts_as_lost() -> None:
    edits = Edits()
    edits.note("done", "mild", "af_bella")
    edits.note("done", "bright", "af_sky")
    edits.note("asked", "bright", "af_bella+af_sky")
    assert edits.lost({"mild": "af_bella", "bright": "af_sky"}) == []
    assert edits.lost({"mild": "af_bella", "bright": "af_bella+af_sky"}) == []
    assert len(edits.lost({"mild": "af_sky", "bright": "af_nova"})) == 2
    assert len(edits.lost({})) == 2
