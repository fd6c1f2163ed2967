"""The Preview tab: a text, a voice and its parameters for `ui/js/preview.js`, and the stages of the text."""

from __future__ import annotations

import html
import json
from dataclasses import dataclass
from typing import Any

import gradio as gr

from ui.scripts import import_expression, script_element
from ui.words import Words
from wyoming_tts.errors import SpeechError
from wyoming_tts.page.preview import SLIDERS, PreviewService, ProsodySlider, VoiceFacts

_SLOWEST, _FASTEST = 0.5, 2.0
_LOUDEST = 2.0
_FORMATS = ("wav", "mp3", "opus", "srt")
_SILENT: dict[str, Any] = {"show_progress": "hidden", "api_visibility": "private"}
"""Options of events: no progress overlay, no public API endpoint."""
_PLAYER = """
<canvas data-part="live" role="img" data-label="live"></canvas>
<p class="preview-told" role="status">
  <span data-part="side"></span><span data-part="state"></span><span data-part="measured"></span>
</p>
<div class="read-along" data-part="words" role="group" dir="auto" data-label="words" hidden></div>
<p class="preview-hint" data-part="plain" data-text="plain" hidden></p>
<p class="preview-hint" data-text="keys"></p>
<div class="preview-pictures">
  <canvas data-part="wave" role="img" data-label="wave"></canvas>
  <canvas data-part="spectrogram" role="img" data-label="spectrogram"></canvas>
</div>
"""


@dataclass(frozen=True, slots=True)
class _Fields:
    """The components whose values make up a speech request."""

    text: gr.Textbox
    voice: gr.Dropdown
    speaker: gr.Dropdown
    example: gr.Dropdown
    other: gr.Dropdown
    speed: gr.Slider
    volume: gr.Slider
    sliders: tuple[gr.Slider, ...]
    facts: gr.JSON
    """The `VoiceFacts` of the chosen voice."""

    def named(self) -> dict[str, Any]:
        """Return the components that scripts read, by the names used in `ui/js/preview.js`."""
        names = ("text", "voice", "speaker", "other", "speed", "volume", "facts")
        own = {slider.name: field for slider, field in zip(SLIDERS, self.sliders, strict=True)}
        return {name: getattr(self, name) for name in names} | own

    def depending_on_voice(self) -> list[Any]:
        """Return the components that change with the voice, in the order of `_Handlers.choose`."""
        return [self.speaker, *self.sliders, self.facts, self.example, self.text]


def tab(service: PreviewService, words: Words) -> None:
    """Build the tab in the current Gradio context. Reads files: blocks."""
    pickers = _pickers(words)
    text = gr.Textbox(label=words("preview.text"), lines=3, max_lines=12, elem_id="preview-text")
    buttons = _buttons(words, {"speak": "primary", "stop": "secondary"})
    buttons["speak"].interactive = False  # until the voices are listed
    texts = words.section("preview")
    script_element("preview", _PLAYER, elem_id="preview-player", is_prose=True, texts=texts)
    buttons |= _buttons(words, dict.fromkeys(_FORMATS, "secondary"), size="sm")
    parameters = _parameters(words)
    with gr.Accordion(words("preview.compare"), open=False, elem_id="preview-compare"):
        other = _picker(words("preview.other"), "preview-other")
        buttons |= _buttons(words, {"turn": "secondary"})
    facts = gr.JSON(visible="hidden", elem_id="preview-facts")
    fields = _Fields(text=text, other=other, facts=facts, **pickers, **parameters)
    for name, button in buttons.items():
        _run_script_on_click(button, name, fields)
    handlers = _Handlers(service)
    _follow_voice(fields, handlers, buttons["speak"])
    _explanation(fields, handlers, words)


def _pickers(words: Words) -> dict[str, Any]:
    with gr.Row():
        return {
            "voice": _picker(words("preview.voice"), "preview-voice", scale=3),
            "speaker": _picker(words("preview.speaker"), "preview-speaker", visible=False),
            "example": _picker(words("preview.example"), "preview-example", scale=2),
        }


def _parameters(words: Words) -> dict[str, Any]:
    with gr.Row(elem_id="preview-sliders"):
        return {
            "speed": _slider(ProsodySlider("speed", _SLOWEST, _FASTEST, 0.05, 1.0), words),
            "volume": _slider(ProsodySlider("volume", 0.0, _LOUDEST, 0.05, 1.0), words),
            "sliders": tuple(_slider(slider, words, visible=False) for slider in SLIDERS),
        }


def _slider(slider: ProsodySlider, words: Words, **given: Any) -> gr.Slider:
    return gr.Slider(
        slider.minimum,
        slider.maximum,
        slider.value,
        step=slider.step,
        label=words(f"preview.{slider.name}"),
        elem_id=f"preview-{slider.name}",
        **given,
    )


def _picker(label: Any, elem_id: str, **given: Any) -> gr.Dropdown:
    return gr.Dropdown(
        [], value=None, label=label, elem_id=elem_id, num_choices_shown=None, interactive=True, **given
    )


def _buttons(words: Words, named: dict[str, Any], **given: Any) -> dict[str, gr.Button]:
    with gr.Row(elem_classes="preview-buttons"):
        return {
            name: gr.Button(words(f"preview.{name}"), variant=variant, elem_id=f"preview-{name}", **given)
            for name, variant in named.items()
        }


def _run_script_on_click(button: gr.Button, name: str, fields: _Fields) -> None:
    """Handle clicks in the browser alone: a round trip to the server would be audible as a pause."""
    named = fields.named()
    keys = json.dumps(list(named))
    script = (
        "(...given) => {"
        f"  const values = Object.fromEntries({keys}.map((name, i) => [name, given[i]]));"
        f"  {import_expression('preview')}.then((script) => script.press({json.dumps(name)}, values));"
        "  return [];"
        "}"
    )
    button.click(None, list(named.values()), None, js=script, api_visibility="private")


def _follow_voice(fields: _Fields, handlers: _Handlers, speak: gr.Button) -> None:
    # Without a trigger it runs whenever a browser opens the page: the list of voices may have changed.
    filled = [fields.voice, fields.other, *fields.depending_on_voice()]
    opening = gr.on(None, handlers.open_page, None, filled, **_SILENT)
    opening.then(lambda: gr.Button(interactive=True), None, speak, **_SILENT)
    fields.voice.change(
        handlers.choose,
        [fields.voice, fields.text],
        fields.depending_on_voice(),
        trigger_mode="always_last",
        **_SILENT,
    )
    expect = (
        f"(facts) => {{ {import_expression('preview')}.then((script) => script.expect(facts)); return []; }}"
    )
    fields.facts.change(None, fields.facts, None, js=expect, api_visibility="private")
    fields.example.input(
        None, fields.example, fields.text, js="(example) => example", api_visibility="private"
    )


def _explanation(fields: _Fields, handlers: _Handlers, words: Words) -> None:
    is_open = gr.State(value=False)
    with gr.Accordion(words("preview.said"), open=False, elem_id="preview-said") as unfolding:
        cleaned = gr.Textbox(
            label=words("preview.cleaned"), lines=2, interactive=False, elem_id="preview-cleaned"
        )
        spoken = gr.Textbox(
            label=words("preview.spoken"), lines=2, interactive=False, elem_id="preview-spoken"
        )
        segments = gr.HTML(
            label=words("preview.segments"), show_label=True, container=True, elem_id="preview-segments"
        )
    asked = [fields.text, fields.voice, fields.speaker]
    shown = [cleaned, spoken, segments]
    limits: dict[str, Any] = {"concurrency_limit": 2, "concurrency_id": "explain", **_SILENT}
    opening = unfolding.expand(lambda: True, None, is_open, **_SILENT)
    opening.then(handlers.explain, [is_open, *asked], shown, **limits)
    unfolding.collapse(lambda: False, None, is_open, **_SILENT)
    changes = [fields.text.blur, fields.voice.change, fields.speaker.change, fields.example.input]
    gr.on(changes, handlers.explain, [is_open, *asked], shown, trigger_mode="always_last", **limits)


class _Handlers:
    """Handlers of the tab's events on the server."""

    def __init__(self, service: PreviewService) -> None:
        self._service = service

    async def open_page(self) -> list[Any]:
        """Fill the voice pickers, and choose the default voice."""
        choices = [(voice.label, voice.name) for voice in self._service.voices()]
        default = self._service.default()
        chosen = await self.choose(default, "")
        return [gr.Dropdown(choices=choices, value=default), gr.Dropdown(choices=choices), *chosen]

    async def choose(self, voice: str | None, text: str) -> list[Any]:
        """Update the components for a voice; an unedited example text becomes one of its language."""
        if not voice:
            return [gr.skip()] * (len(SLIDERS) + 4)
        try:
            facts = await self._service.facts(voice)
        except SpeechError as error:
            raise gr.Error(str(error), print_exception=False) from error
        examples = await self._service.examples(facts.language)
        is_replaceable = not text.strip() or await self._service.is_example(text)
        replaces_text = bool(examples) and is_replaceable and text not in examples
        return [
            gr.Dropdown(choices=list(facts.speakers), value=facts.speaker, visible=bool(facts.speakers)),
            *_slider_updates(facts),
            _facts_as_json(facts),
            gr.Dropdown(choices=list(examples), value=None),
            examples[0] if replaces_text else gr.skip(),
        ]

    async def explain(
        self,
        is_open: bool,  # noqa: FBT001 - Gradio passes positional arguments
        text: str,
        voice: str | None,
        speaker: str | None,
    ) -> list[Any]:
        """Show the stages of the text while the section is open."""
        if not is_open:
            return [gr.skip()] * 3
        if not text.strip():
            return ["", "", ""]
        try:
            stages = await self._service.explain(text, voice, speaker)
        except SpeechError as error:
            return ["", "", f'<p role="alert">{html.escape(str(error))}</p>']
        return [
            stages.cleaned,
            stages.spoken,
            _segments(stages.segments, stages.phonemes),
        ]


def _slider_updates(facts: VoiceFacts) -> list[Any]:
    own = {slider.name: slider for slider in facts.sliders}
    return [
        gr.Slider(visible=True, minimum=slider.minimum, maximum=slider.maximum, value=slider.value)
        if (slider := own.get(known.name))
        else gr.Slider(visible=False)
        for known in SLIDERS
    ]


def _facts_as_json(facts: VoiceFacts) -> dict[str, Any]:
    return {
        "name": facts.name,
        "sample_rate": facts.sample_rate,
        "speaker": facts.speaker,
        "sliders": {slider.name: slider.value for slider in facts.sliders},
    }


def _segments(texts: tuple[str, ...], phonemes: tuple[str, ...]) -> str:
    items = (
        f'<li><span dir="auto">{html.escape(text)}</span>'
        f'<span class="preview-phonemes" lang="und-fonipa">{html.escape(ipa)}</span></li>'
        for text, ipa in zip(texts, phonemes, strict=True)
    )
    return f"<ol>{''.join(items)}</ol>"
