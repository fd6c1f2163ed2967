"""The Stream tab: the parameters of a stream test and its progress, by `ui/js/stream_test.js`."""

from __future__ import annotations

from ui import stream_live
from ui.script_element import script_element
from ui.words import Words
from wyoming_tts.page import paths
from wyoming_tts.page.stream_test.request import TEXTS, ClientKind, StreamTestLimits

_HTML = """
<form id="stream_test-form" class="form" autocomplete="off" aria-labelledby="stream_test-title">
  <h2 id="stream_test-title" data-text="title"></h2>
  <label class="field">
    <span data-text="text"></span>
    <textarea id="stream_test-text" name="text" rows="4" dir="auto"></textarea>
  </label>
  <div id="stream_test-examples" class="chips" role="group" data-label="examples"></div>
  <datalist id="stream_test-voices"></datalist>
  {side_a}
  <label class="check"><input type="checkbox" name="compares" aria-controls="stream_test-side_b">
    <span data-text="compare"></span> <span class="quiet" data-text="compare_info"></span></label>
  {side_b}
  <div class="fields">
    <label class="field" id="stream_test-order" hidden>
      <span data-text="order"></span>
      <select name="order">
        <option value="after" data-text="order_after"></option>
        <option value="together" data-text="order_together"></option>
      </select>
      <span class="quiet" data-text="order_info"></span>
    </label>
    <div class="field range-field" hidden>
      <label for="stream_test-rounds" data-text="rounds"></label>
      <output for="stream_test-rounds"></output>
      <input type="range" id="stream_test-rounds" name="rounds" min="1" max="9" value="1"
        aria-describedby="stream_test-rounds_info">
      <span id="stream_test-rounds_info" class="quiet" data-text="rounds_info"></span>
    </div>
    <div class="field range-field">
      <label for="stream_test-clients" data-text="clients"></label>
      <output for="stream_test-clients"></output>
      <input type="range" id="stream_test-clients" name="clients" min="1" value="1">
    </div>
    <div class="field range-field" hidden>
      <label for="stream_test-recorded" data-text="recorded"></label>
      <output for="stream_test-recorded"></output>
      <input type="range" id="stream_test-recorded" name="recorded" min="1" value="1">
    </div>
    <label class="check" id="stream_test-vary"><input type="checkbox" name="vary">
      <span data-text="vary"></span> <span class="quiet" data-text="vary_info"></span></label>
  </div>
  <div id="stream_test-actions" class="actions">
    <button type="submit" id="stream_test-start" class="primary" data-text="start"></button>
    <button type="button" id="stream_test-stop" class="danger" data-text="stop" hidden></button>
  </div>
</form>
<div id="stream_test-board"></div>
<section id="stream_test-kept" class="form" hidden></section>
"""
_SIDE = """
<fieldset id="stream_test-side{end}" class="stream-side" {attributes}>
  <legend data-text="side{end}"></legend>
  <div class="fields">
    <label class="field">
      <span data-text="protocol"></span>
      <select id="stream_test-kind{end}" name="kind{end}">{kinds}</select>
    </label>
    <div class="field">
      <label for="stream_test-target{end}" data-text="target"></label>
      <div class="stream-target">
        <input type="text" id="stream_test-target{end}" name="target{end}" spellcheck="false"
          autocapitalize="off" data-placeholder="target_own" aria-describedby="stream_test-target_info{end}">
        <button type="button" id="stream_test-find{end}" data-text="find"></button>
      </div>
      <span id="stream_test-target_info{end}" class="quiet" data-text="target_info"></span>
      <div id="stream_test-found{end}" class="stream-choices" role="radiogroup" data-label="found"></div>
    </div>
    <label class="field">
      <span data-text="voice"></span>
      <input type="text" name="voice{end}" spellcheck="false" autocapitalize="off" list="stream_test-voices"
        data-placeholder="voice_own">
    </label>
    <div class="field range-field">
      <label for="stream_test-words_per_second{end}" data-text="pace"></label>
      <output for="stream_test-words_per_second{end}"></output>
      <input type="range" id="stream_test-words_per_second{end}" name="words_per_second{end}" min="1"
        max="100" value="20">
    </div>
  </div>
</fieldset>
"""


def _side(end: str, attributes: str = "") -> str:
    """Return the fields of a client, with names that end so."""
    kinds = "".join(f'<option value="{kind}" data-text="kind.{kind}"></option>' for kind in ClientKind)
    return _SIDE.format(end=end, attributes=attributes, kinds=kinds)


def _html() -> str:
    return _HTML.replace("{side_a}", _side("")).replace("{side_b}", _side("_b", "hidden"))


def tab(words: Words) -> None:
    """Build the tab in the current Gradio context."""
    stream_live.section(words)
    script_element(
        "stream_test",
        _html(),
        elem_id="stream_test",
        waits_until_seen=True,
        min_height=640,
        texts=words.section("stream_test"),
        path=paths.STREAM_TEST,
        examples=dict(TEXTS),
        most_clients=StreamTestLimits().clients,
    )
