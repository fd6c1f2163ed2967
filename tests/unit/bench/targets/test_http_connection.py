"""The product's own HTTP and WebSocket servers, measured by the benchmark."""

from __future__ import annotations

import asyncio

from tests.support.fake_speech_service import FakeSpeechService
from tests.support.fake_synthesizer import run_in_thread
from wyoming_tts.bench.load_generator import run_bench
from wyoming_tts.bench.options import BenchOptions, Input, RequestMode
from wyoming_tts.bench.targets.listener import RequestOutcome
from wyoming_tts.transports.http.app import HttpOptions, HttpServer, HttpServerOptions, create_app
from wyoming_tts.transports.realtime.route import RealtimeOptions, realtime_router


async def outcomes(**changes: object) -> list[dict[RequestOutcome, int]]:
    service = FakeSpeechService()
    router = realtime_router(service, RealtimeOptions(), run_blocking=run_in_thread)
    app = create_app(service, HttpOptions(), run_blocking=run_in_thread, routers=[router])
    server = HttpServer(app, HttpServerOptions(port=0), run_blocking=run_in_thread)
    async with asyncio.TaskGroup() as tasks, server:
        await server.start()
        tasks.create_task(server.serve())
        address = f"127.0.0.1:{server.bound[0][1]}"
        options = BenchOptions(
            f"http://{address}",
            compare=f"ws://{address}",
            texts=("paragraph",),
            clients=(3,),
            rounds=1,
            words_per_second=500.0,
            pause=0.0,
            **changes,  # type: ignore[arg-type]
        )
        result = await run_bench(options, progress=lambda _: None)
        await server.stop()
    assert result.servers == ("HTTP", "realtime")
    durations = {round(report.audio, 2) for figures in result.figures for report in figures.heard}
    assert min(durations) > 1.0
    return [dict(figures.outcomes) for figures in result.figures]


async def test_http_and_websocket_are_compared_in_one_table() -> None:
    assert await outcomes(inputs=(Input.PLAIN,)) == [{RequestOutcome.SPOKEN: 3}] * 2


async def test_sentence_mode_also_compares_streamed_text() -> None:
    assert await outcomes(mode=RequestMode.SENTENCES) == [{RequestOutcome.SPOKEN: 3}] * 4
