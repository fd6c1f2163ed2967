"""The whole server with its page in the test's process, so that Gradio is imported only once."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from tests.support.parts import settings_for_tests
from tests.support.tones import VOICES
from wyoming_tts.assembly.chosen_default import settings_name_a_voice
from wyoming_tts.assembly.options import wyoming_options
from wyoming_tts.assembly.parts import Parts, assemble, make_workers
from wyoming_tts.page import PageServices
from wyoming_tts.page.home_assistant.supervisor import SupervisorAccess
from wyoming_tts.page.services import make_page_services
from wyoming_tts.page.status import ListeningAddresses
from wyoming_tts.server.access_policy import AccessPolicy
from wyoming_tts.server.http_side import HttpSide
from wyoming_tts.server.speech_service import ServerSpeechService, server_load
from wyoming_tts.server.voice_upkeep import DescribeResponse, maintain_voices
from wyoming_tts.settings import LoadedSettings, Settings
from wyoming_tts.telemetry import open_telemetry
from wyoming_tts.telemetry.log_tail import keep_log_tail
from wyoming_tts.telemetry.recent_utterances import RecentUtterances
from wyoming_tts.transports.wyoming.server import WyomingServer

_PATIENCE = 30.0


@dataclass(frozen=True, slots=True)
class Site:
    """A running server with its page."""

    url: str
    """URL of the page, with a trailing slash."""
    port: int
    """Port of the Wyoming server."""
    parts: Parts
    http: HttpSide
    recent: RecentUtterances
    settings: Settings
    access: AccessPolicy
    loop: asyncio.AbstractEventLoop

    def __str__(self) -> str:
        return self.url

    @property
    def services(self) -> PageServices:
        """The services of the tabs."""
        assert self.http.page_services is not None, "This server has no page."
        return self.http.page_services


@asynccontextmanager
async def product(
    directory: Path, *, supervisor: SupervisorAccess | None = None, **changes: Any
) -> AsyncIterator[Site]:
    """Run the server in this event loop; it writes into `directory`. With a Supervisor it is an add-on."""
    given = {"http": True, "http_port": 0, "data_dir": [directory, VOICES], "download_dir": directory}
    settings = settings_for_tests(**given | changes)
    workers = make_workers(settings)
    access, recent = AccessPolicy(settings), RecentUtterances()
    async with (
        open_telemetry(run_blocking=workers.run_blocking, journal=None, with_counters=True) as reporter,
        assemble(settings, workers, on_record=recent.on_record) as parts,
    ):
        reporter.watch(partial(server_load, parts))
        speech = ServerSpeechService(parts, reporter.exposition)
        server = WyomingServer(
            parts.synthesizer,
            describe=DescribeResponse(parts),
            options=wyoming_options(settings),
            run_blocking=workers.run_blocking,
            allow=access.allows,
        )
        with keep_log_tail(settings.secrets) as log:

            def addresses() -> ListeningAddresses:
                return ListeningAddresses(server.bound, settings.uri, http.bound, http.is_encrypted)

            page_services = partial(
                make_page_services,
                parts,
                server=speech,
                addresses=addresses,
                settings=lambda: LoadedSettings(settings, _sources(settings), ()),
                recent=recent,
                log=log,
                supervisor=supervisor,
            )
            http = HttpSide(
                settings,
                speech,
                access,
                run_blocking=workers.run_blocking,
                make_page_services=page_services,
            )
            async with server:
                await server.start(settings.uri)
                async with asyncio.TaskGroup() as tasks:
                    serving = tasks.create_task(http.serve())
                    tending = tasks.create_task(maintain_voices(parts))
                    while not http.bound:
                        assert not serving.done(), "The HTTP side did not come up: see the log."
                        await asyncio.sleep(0.01)
                    yield Site(
                        f"http://127.0.0.1:{http.bound[0][1]}/",
                        server.bound[0][1],
                        parts,
                        http,
                        recent,
                        settings,
                        access,
                        asyncio.get_running_loop(),
                    )
                    await http.stop(0)
                    await server.stop(0)
                    tending.cancel()
    assert await workers.close()


@contextmanager
def site_in_a_thread(directory: Path, **changes: Any) -> Iterator[Site]:
    """Run the server in a thread, for tests with Playwright, which occupies their event loop."""
    found: list[Site] = []
    failures: list[BaseException] = []
    is_up, over = threading.Event(), asyncio.Event()

    async def live() -> None:
        async with product(directory, **changes) as site:
            found.append(site)
            is_up.set()
            await over.wait()

    thread = threading.Thread(target=partial(_run, live, failures, is_up), name="site")
    thread.start()
    assert is_up.wait(_PATIENCE)
    if failures:
        raise failures[0]
    try:
        yield found[0]
    finally:
        found[0].loop.call_soon_threadsafe(over.set)
        thread.join(_PATIENCE)
    assert not thread.is_alive(), "The product did not end."
    if failures:
        raise failures[0]


def _run(live: Callable[[], Any], failures: list[BaseException], is_up: threading.Event) -> None:
    try:
        asyncio.run(live())
    except BaseException as failure:  # noqa: BLE001 - raised in the waiting thread
        failures.append(failure)
        is_up.set()


def _sources(settings: Settings) -> dict[str, str]:
    """Return what of settings is given: at most the voice, as if on the command line."""
    default = dict.fromkeys(type(settings).model_fields, "default")
    return default | ({"voice": "flag --voice"} if settings_name_a_voice(settings) else {})
