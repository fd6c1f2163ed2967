"""The Stream tab: parameters of a stream test and its progress, which `ui/js/stream_test.js` plots."""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Any

import gradio as gr

from ui.scripts import script_element
from ui.words import Words
from wyoming_tts.errors import SpeechError
from wyoming_tts.page.stream_test.request import TEXTS, StreamTestRequest
from wyoming_tts.page.stream_test.run import as_json
from wyoming_tts.page.stream_test.service import StreamTestService


def tab(service: StreamTestService, words: Words) -> None:
    """Build the tab in the current Gradio context."""
    inputs = {"text": _text(words), "target": _target(service, words), **_choices(service, words)}
    with gr.Row(elem_id="stream_test-buttons"):
        start = gr.Button(words("stream_test.start"), variant="primary", elem_id="stream_test-start")
        stop = gr.Button(words("stream_test.stop"), elem_id="stream_test-stop")
    board = script_element(
        "stream_test", elem_id="stream_test", min_height=320, texts=words.section("stream_test")
    )
    _run(service, inputs, start=start, stop=stop, board=board)


def _text(words: Words) -> gr.Textbox:
    text = gr.Textbox(
        TEXTS["sentence"], label=words("stream_test.text"), lines=4, max_lines=12, elem_id="stream_test-text"
    )
    with gr.Row(elem_id="stream_test-examples"):
        for name, example in TEXTS.items():
            button = gr.Button(words(f"stream_test.example.{name}"), size="sm", min_width=80)
            script = f"() => {json.dumps(example)}"
            button.click(None, None, text, js=script, queue=False, api_visibility="private")
    return text


def _target(service: StreamTestService, words: Words) -> gr.Textbox:
    with gr.Row(elem_id="stream_test-target-row"):
        target = gr.Textbox(
            label=words("stream_test.target"),
            placeholder=words("stream_test.target_own"),
            info=words("stream_test.target_info"),
            elem_id="stream_test-target",
            scale=3,
        )
        find = gr.Button(words("stream_test.find"), elem_id="stream_test-find", scale=1, min_width=120)
    found = gr.Radio(
        [], label=words("stream_test.found"), visible=False, interactive=True, elem_id="stream_test-found"
    )
    none = gr.Markdown(words("stream_test.none_found"), visible=False, elem_id="stream_test-none")

    async def search() -> tuple[Any, Any]:
        servers = [(f"{server.name} ({server.uri})", server.uri) for server in await service.find()]
        return gr.update(choices=servers, value=None, visible=bool(servers)), gr.update(visible=not servers)

    find.click(search, None, [found, none], api_visibility="private", concurrency_limit=1)
    copy = "(uri) => uri ?? ''"
    found.input(None, found, target, js=copy, queue=False, api_visibility="private")
    return target


def _choices(service: StreamTestService, words: Words) -> dict[str, Any]:
    limits = service.limits
    with gr.Row():
        streaming = gr.Checkbox(
            value=True,
            label=words("stream_test.streaming"),
            info=words("stream_test.streaming_info"),
            elem_id="stream_test-streaming",
        )
        vary = gr.Checkbox(
            value=False,
            label=words("stream_test.vary"),
            info=words("stream_test.vary_info"),
            elem_id="stream_test-vary",
        )
    with gr.Row():
        pace = gr.Slider(1, 100, 20, step=1, label=words("stream_test.pace"), elem_id="stream_test-pace")
        clients = gr.Slider(
            1, limits.clients, 1, step=1, label=words("stream_test.clients"), elem_id="stream_test-clients"
        )
    with gr.Row():
        voice = gr.Textbox(
            label=words("stream_test.voice"),
            placeholder=words("stream_test.voice_own"),
            elem_id="stream_test-voice",
        )
        recorded = gr.Slider(
            1, limits.clients, 1, step=1, label=words("stream_test.recorded"), elem_id="stream_test-recorded"
        )
    return {
        "streaming": streaming,
        "vary": vary,
        "pace": pace,
        "clients": clients,
        "voice": voice,
        "recorded": recorded,
    }


def _run(
    service: StreamTestService, inputs: dict[str, Any], *, start: gr.Button, stop: gr.Button, board: gr.HTML
) -> None:
    async def run(values: dict[Any, Any], request: gr.Request) -> AsyncGenerator[str, None]:
        stream_test = _parse_request({name: values[component] for name, component in inputs.items()})
        try:
            async with aclosing(service.run(_session(request), stream_test)) as frames:
                async for frame in frames:
                    yield as_json(frame)
        except SpeechError as error:
            yield as_json({"error": str(error)})

    async def end(request: gr.Request) -> None:
        await service.stop(_session(request))

    start.click(
        run,
        set(inputs.values()),
        board,
        show_progress="hidden",
        api_visibility="private",
        # One more than may run, so that one too many gets an error instead of waiting.
        concurrency_limit=service.limits.at_once + 1,
    )
    stop.click(end, None, None, show_progress="hidden", api_visibility="private")


def _parse_request(given: dict[str, Any]) -> StreamTestRequest:
    """Convert the components' values: cleared text fields are None, sliders yield floats."""
    return StreamTestRequest(
        text=given["text"] or "",
        target=given["target"] or "",
        streaming=given["streaming"],
        words_per_second=given["pace"],
        clients=int(given["clients"]),
        voice=given["voice"] or "",
        vary=given["vary"],
        recorded=int(given["recorded"]),
    )


def _session(request: gr.Request) -> str:
    return request.session_hash or ""
