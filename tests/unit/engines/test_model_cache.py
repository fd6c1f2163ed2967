"""Cache of loaded models: loaded once, leased, evicted in least-recently-used order."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeVar

import pytest

from tests.support.silent_voice import SilentVoice
from wyoming_tts.engines.base import FirstCut
from wyoming_tts.engines.model_cache import QUARANTINE_SECONDS, ModelCache, Unloaded
from wyoming_tts.errors import StepTimedOut, VoiceUnavailable
from wyoming_tts.speech import Attribution, Prosody, Voice

T = TypeVar("T")


def a_voice(
    name: str, *, engine: str = "fake", files: tuple[Path, ...] = (), model: str = "", print_: str = ""
) -> Voice:
    return Voice(
        name=name,
        engine=engine,
        language="en_US",
        description=name,
        sample_rate=16_000,
        model=model or name,
        attribution=Attribution("nobody", ""),
        files=files,
        fingerprint=print_,
    )


class FakeLoaded(SilentVoice):
    def __init__(self) -> None:
        self.closed = False

    def close(self) -> None:
        assert not self.closed
        self.closed = True


class FakeEngine:
    name = "fake"

    def __init__(self) -> None:
        self.made: list[FakeLoaded] = []
        self.failures = 0

    def first_cut(self, voice: Voice, prosody: Prosody) -> FirstCut:
        return FirstCut.AFTER_WORDS

    def installed(self) -> Sequence[Voice]:
        return ()

    def load(self, voice: Voice) -> FakeLoaded:
        if self.failures:
            self.failures -= 1
            raise VoiceUnavailable("The file is half.")
        self.made.append(FakeLoaded())
        return self.made[-1]


async def on_a_thread(work: Callable[[], T]) -> T:
    return await asyncio.get_running_loop().run_in_executor(None, work)


@pytest.fixture
def engine() -> FakeEngine:
    return FakeEngine()


@pytest.fixture
def loaded(engine: FakeEngine) -> ModelCache:
    return ModelCache({"fake": engine}, run_blocking=on_a_thread, capacity=2)


async def lease_once(loaded: ModelCache, name: str) -> None:
    async with loaded.lease(a_voice(name)):
        pass


async def test_concurrent_requests_load_a_model_once(loaded: ModelCache, engine: FakeEngine) -> None:
    await asyncio.gather(*(lease_once(loaded, "a") for _ in range(20)))
    assert len(engine.made) == 1


async def test_a_model_stays_loaded_after_its_lease_ends(loaded: ModelCache, engine: FakeEngine) -> None:
    await lease_once(loaded, "a")
    await lease_once(loaded, "a")
    assert len(engine.made) == 1
    assert not engine.made[0].closed


async def test_a_lease_of_what_is_loaded_loads_nothing(loaded: ModelCache, engine: FakeEngine) -> None:
    with loaded.lease_loaded(a_voice("a")) as model:
        assert model is None
    await lease_once(loaded, "a")
    with loaded.lease_loaded(a_voice("a")) as model:
        assert model is engine.made[0]
    with loaded.lease_loaded(a_voice("a", print_="other files")) as model:
        assert model is None
    assert len(engine.made) == 1


async def test_a_model_leased_because_it_is_loaded_gives_way_to_others(
    loaded: ModelCache, engine: FakeEngine
) -> None:
    await lease_once(loaded, "a")
    await lease_once(loaded, "b")
    with loaded.lease_loaded(a_voice("a")):
        assert loaded.models == ("a", "b")
        await lease_once(loaded, "c")
        assert loaded.models == ("b", "c")
        assert not engine.made[0].closed
    assert engine.made[0].closed


async def test_a_model_in_quarantine_is_not_leased_though_loaded(loaded: ModelCache) -> None:
    async with loaded.lease(a_voice("a")):
        with pytest.raises(StepTimedOut), loaded.quarantining(a_voice("a")):
            raise StepTimedOut(60.0, is_abandoned=False)
        with loaded.lease_loaded(a_voice("a")) as model:
            assert model is None


async def test_the_least_recently_used_model_is_evicted_first(loaded: ModelCache) -> None:
    for name in ("a", "b", "a", "c"):
        await lease_once(loaded, name)
    assert loaded.models == ("a", "c")


async def test_models_over_the_memory_limit_are_evicted_even_below_the_count_limit(
    engine: FakeEngine, tmp_path: Path
) -> None:
    loaded = ModelCache({"fake": engine}, run_blocking=on_a_thread, capacity=9, memory_bytes=250)
    (tmp_path / "file").write_bytes(bytes(100))
    for name in ("a", "b", "c"):
        async with loaded.lease(a_voice(name, files=(tmp_path / "file",))):
            pass
    assert loaded.models == ("b", "c")


async def test_a_leased_model_is_never_evicted(loaded: ModelCache, engine: FakeEngine) -> None:
    async with loaded.lease(a_voice("a")):
        for name in ("b", "c", "d"):
            await lease_once(loaded, name)
        assert not engine.made[0].closed
        assert "a" in loaded.models


async def test_a_failed_load_raises_and_is_retried(loaded: ModelCache, engine: FakeEngine) -> None:
    engine.failures = 1
    with pytest.raises(VoiceUnavailable, match="half"):
        await lease_once(loaded, "a")
    assert repr(loaded) == "<ModelCache empty>"
    await lease_once(loaded, "a")
    assert loaded.models == ("a",)


async def test_cancelling_a_request_during_the_load_does_not_lose_the_model(engine: FakeEngine) -> None:
    started, go_on = asyncio.Event(), asyncio.Event()

    async def slowly(work: Callable[[], T]) -> T:
        started.set()
        try:
            await go_on.wait()
        finally:
            result = work()  # like the workers: the work completes before the cancellation propagates
        return result

    loaded = ModelCache({"fake": engine}, run_blocking=slowly, capacity=2)
    request_task = asyncio.create_task(lease_once(loaded, "a"))
    await started.wait()
    request_task.cancel()
    await asyncio.wait([request_task])
    assert request_task.cancelled()
    await lease_once(loaded, "a")
    assert len(engine.made) == 1


async def test_the_error_names_an_engine_that_is_not_installed(loaded: ModelCache) -> None:
    with pytest.raises(VoiceUnavailable, match="needs the engine elsewhere"):
        async with loaded.lease(a_voice("x", engine="elsewhere")):
            pass


async def test_closing_frees_every_model(loaded: ModelCache, engine: FakeEngine) -> None:
    for name in ("a", "b"):
        await lease_once(loaded, name)
    loaded.close()
    assert [voice.closed for voice in engine.made] == [True, True]


async def test_unloading_frees_every_model_that_is_not_in_use(loaded: ModelCache, engine: FakeEngine) -> None:
    await lease_once(loaded, "a")
    async with loaded.lease(a_voice("b")):
        assert await loaded.unload() == Unloaded(("a",), ("b",))
        assert [voice.closed for voice in engine.made] == [True, False]
        async with loaded.lease(a_voice("b")):  # another stream is no reason to load it twice
            pass
        assert len(engine.made) == 2
    assert [voice.closed for voice in engine.made] == [True, True]
    assert await loaded.unload() == Unloaded((), ())


async def test_an_unloaded_model_is_loaded_again_on_demand(loaded: ModelCache, engine: FakeEngine) -> None:
    await lease_once(loaded, "a")
    await loaded.unload()
    await lease_once(loaded, "a")
    assert loaded.models == ("a",)
    assert [voice.closed for voice in engine.made] == [True, False]


async def test_a_cancelled_unloading_leaves_no_model_behind(engine: FakeEngine) -> None:
    loaded = ModelCache({"fake": engine}, run_blocking=on_a_thread, capacity=2)
    for name in ("a", "b"):
        await lease_once(loaded, name)
    unloading = asyncio.create_task(loaded.unload())
    await asyncio.sleep(0)
    unloading.cancel()
    await asyncio.wait([unloading])
    await lease_once(loaded, "c")
    assert [voice.closed for voice in engine.made] == [True, True, False]


class SleepingClock:
    """A clock that goes on while somebody sleeps by it."""

    def __init__(self) -> None:
        self.now = 0.0
        self.sleeps: asyncio.Queue[float] = asyncio.Queue()
        self._wake = asyncio.Event()

    def __call__(self) -> float:
        return self.now

    async def sleep(self, seconds: float) -> None:
        self.sleeps.put_nowait(seconds)
        await self._wake.wait()
        self._wake.clear()

    async def go_on(self, seconds: float) -> float:
        """Wake the sleeper after a time; return for how long it sleeps then."""
        self.now += seconds
        self._wake.set()
        return await self.sleeps.get()


async def test_a_model_is_unloaded_once_it_was_idle_for_long_enough(engine: FakeEngine) -> None:
    clock = SleepingClock()
    loaded = ModelCache({"fake": engine}, run_blocking=on_a_thread, capacity=3, clock=clock)
    unloading = asyncio.create_task(loaded.unload_idle(60.0, clock.sleep))
    assert await clock.sleeps.get() == 60
    await lease_once(loaded, "a")
    assert await clock.go_on(50) == 10
    async with loaded.lease(a_voice("b")):
        assert await clock.go_on(10) == 60
        assert [*loaded.models] == ["b"]
        assert await clock.go_on(100) == 60
        assert [*loaded.models] == ["b"]
    with loaded.lease_loaded(a_voice("b")):
        assert await clock.go_on(60) == 60
        assert [*loaded.models] == ["b"]
    await clock.go_on(1)
    assert [*loaded.models] == []
    unloading.cancel()


async def test_a_model_whose_file_changed_is_reloaded(loaded: ModelCache, engine: FakeEngine) -> None:
    old, new = a_voice("a", print_="1"), a_voice("a", print_="2")
    async with loaded.lease(old):
        pass
    loaded.evict_outdated([old])
    async with loaded.lease(old):
        pass
    assert len(engine.made) == 1
    loaded.evict_outdated([new])
    assert engine.made[0].closed
    async with loaded.lease(new) as leased:
        assert leased is engine.made[1]


async def test_a_voice_deleted_or_changed_while_speaking_is_freed_at_the_end(
    loaded: ModelCache, engine: FakeEngine
) -> None:
    new = a_voice("b", print_="2")
    async with loaded.lease(a_voice("a")), loaded.lease(a_voice("b", print_="1")) as spoken_with:
        loaded.evict_outdated([new])
        assert [each.closed for each in engine.made] == [False, False]
        async with loaded.lease(new) as leased:
            assert leased is not spoken_with
        assert [each.closed for each in engine.made] == [False, False, False]
    assert [each.closed for each in engine.made] == [True, True, False]
    assert loaded.models == ("b",)


async def test_a_model_stays_loaded_while_any_of_its_voices_exists(
    loaded: ModelCache, engine: FakeEngine
) -> None:
    one, other = a_voice("one", model="m", print_="1"), a_voice("other", model="m", print_="1")
    for voice in (one, other):
        async with loaded.lease(voice):
            pass
    # Another voice of the model may have other files.
    loaded.evict_outdated([other, a_voice("third", model="m", print_="3")])
    assert loaded.models == ("m",)
    loaded.evict_outdated([])
    assert engine.made[0].closed


async def test_a_file_deleted_while_it_is_read_is_tolerated(loaded: ModelCache, tmp_path: Path) -> None:
    async with loaded.lease(a_voice("a", files=(tmp_path / "gone",))):
        assert loaded.models == ("a",)


async def time_out(loaded: ModelCache, voice: Voice, *, is_abandoned: bool = False) -> None:
    async with loaded.lease(voice):
        with pytest.raises(StepTimedOut), loaded.quarantining(voice):
            raise StepTimedOut(60.0, is_abandoned=is_abandoned)


async def test_a_model_whose_step_timed_out_is_freed_and_not_used_for_a_while(
    engine: FakeEngine, caplog: pytest.LogCaptureFixture
) -> None:
    now = [0.0]
    loaded = ModelCache({"fake": engine}, run_blocking=on_a_thread, capacity=2, clock=lambda: now[0])
    await time_out(loaded, a_voice("a", model="m"))
    assert engine.made[0].closed
    assert len(caplog.records) == 1
    with pytest.raises(VoiceUnavailable, match="did not finish"):
        async with loaded.lease(a_voice("another voice of it", model="m")):
            pass
    await lease_once(loaded, "b")
    now[0] = QUARANTINE_SECONDS
    async with loaded.lease(a_voice("a", model="m")):
        pass


@pytest.mark.parametrize("is_abandoned", [False, True])
async def test_a_model_whose_step_timed_out_is_used_again_when_its_files_change(
    loaded: ModelCache, *, is_abandoned: bool
) -> None:
    await time_out(loaded, a_voice("a", print_="1"), is_abandoned=is_abandoned)
    loaded.evict_outdated([a_voice("a", print_="1")])
    with pytest.raises(VoiceUnavailable):
        await lease_once(loaded, "a")
    loaded.evict_outdated([a_voice("a", print_="2")])
    await lease_once(loaded, "a")


async def test_a_model_whose_step_could_not_be_stopped_does_not_come_back_by_itself(
    engine: FakeEngine,
) -> None:
    now = [0.0]
    loaded = ModelCache({"fake": engine}, run_blocking=on_a_thread, capacity=2, clock=lambda: now[0])
    await time_out(loaded, a_voice("a"), is_abandoned=True)
    now[0] = 1e9
    with pytest.raises(VoiceUnavailable):
        await lease_once(loaded, "a")
