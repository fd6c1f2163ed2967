"""Stream tests as JSON and over HTTP: the events of a run, its report and its audio."""

from __future__ import annotations

import json

import httpx
from fastapi import FastAPI

from tests.page.stream_test_service import TEXT, closed_port, last_frame, service_for, speaking_service
from wyoming_tts.page.stream_test.client import ClientEvent, ClientEventKind
from wyoming_tts.page.stream_test.request import StreamTestRequest
from wyoming_tts.page.stream_test.routes import stream_test_routes
from wyoming_tts.page.stream_test.run import StreamTestFrame, as_json, as_translatable_json
from wyoming_tts.page.stream_test.service import StreamTestService


def client_of(service: StreamTestService) -> httpx.AsyncClient:
    app = FastAPI()
    app.include_router(stream_test_routes(service))
    transport = httpx.ASGITransport(app)
    return httpx.AsyncClient(transport=transport, base_url="http://test/page/stream-test/")


def test_a_frame_is_serialized_as_plain_json() -> None:
    line = ClientEvent(0.5, 1, ClientEventKind.ENDED, "spoken ✓")
    frame_json = json.loads(as_json(StreamTestFrame("id", False, 1.0, (), (line,), 1)))
    assert frame_json["lines"] == [{"at": 0.5, "client": 1, "what": "ended", "detail": "spoken ✓"}]
    assert frame_json["summary"] is None


async def test_a_runs_report_and_its_audio_with_ranges_are_served_over_http() -> None:
    async with speaking_service() as (service, _):
        frame = await last_frame(service, StreamTestRequest("Hello."))
        wav = service.wav(frame.run, 1)
        assert wav is not None
        async with client_of(service) as client:
            report = await client.get(f"{frame.run}/run.json")
            whole = await client.get(f"{frame.run}/1.wav")
            part = await client.get(f"{frame.run}/1.wav", headers={"Range": "bytes=4-7"})
            tail = await client.get(f"{frame.run}/1.wav", headers={"Range": "bytes=-4"})
            out_of_range = await client.get(f"{frame.run}/1.wav", headers={"Range": f"bytes={len(wav)}-"})
            missing = [
                (await client.get(path)).status_code
                for path in ("x/1.wav", "x/run.json", f"{frame.run}/2.wav")
            ]
    run_json = report.json()
    assert run_json["order"]["text"] == "Hello."
    assert run_json["lanes"][0]["state"] == "spoken"
    assert [line["what"] for line in run_json["log"]][-1] == "ended"
    assert "attachment" in report.headers["content-disposition"]
    assert (whole.content, whole.headers["content-type"]) == (wav, "audio/wav")
    assert (part.status_code, part.content) == (206, wav[4:8])
    assert part.headers["content-range"] == f"bytes 4-7/{len(wav)}"
    assert (tail.content, out_of_range.status_code) == (wav[-4:], 416)
    assert missing == [404, 404, 404]


async def test_a_run_is_streamed_as_events_and_ends_with_its_request() -> None:
    async with speaking_service() as (service, _), client_of(service) as client:
        answer = await client.post("run", json={"session": "me", "text": "Hello.", "clients": 2})
        refused = await client.post("run", json={"session": "me/you", "text": "Hello."})
    frames = [json.loads(line.removeprefix("data: ")) for line in answer.text.split("\n\n") if line]
    assert answer.headers["content-type"] == "text/event-stream"
    assert frames[-1]["over"]
    assert [lane["state"] for lane in frames[-1]["lanes"]] == ["spoken", "spoken"]
    assert refused.status_code == 422


async def test_half_a_character_in_a_text_ends_no_run() -> None:
    async with speaking_service() as (service, _), client_of(service) as client:
        body = rb'{"session": "a", "text": "Hello \ud83d."}'
        run = await client.post("run", content=body, headers={"Content-Type": "application/json"})
        frames = [json.loads(event.removeprefix("data: ")) for event in run.text.split("\n\n") if event]
        report = await client.get(f"{frames[-1]['run']}/run.json")
    assert report.json()["order"]["text"] == "Hello \ud83d."
    assert report.json()["lanes"][0]["state"] == "spoken"


async def test_an_error_of_a_lane_is_sent_with_its_id_and_saved_as_text() -> None:
    async with service_for(f"tcp://127.0.0.1:{closed_port()}") as service:
        frame = await last_frame(service, StreamTestRequest(TEXT))
        sent = json.loads(as_translatable_json(frame))["lanes"][0]["error"]
        report = await service.report(frame.run)
    assert sent["id"] == "no_connection"
    assert sent["arguments"]["reason"]["id"] == "connection_refused"
    assert report is not None
    assert json.loads(report)["lanes"][0]["error"] == sent["text"] == frame.lanes[0].error
