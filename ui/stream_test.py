"""The Stream tab: the parameters of a stream test and its progress, by `ui/js/stream_test.js`."""

from __future__ import annotations

from ui import stream_live
from ui.scripts import script_element
from ui.words import Words
from wyoming_tts.page import paths
from wyoming_tts.page.stream_test.request import TEXTS, StreamTestLimits

_HTML = """
<form id="stream_test-form" class="form" autocomplete="off">
  <label class="field">
    <span data-text="text"></span>
    <textarea id="stream_test-text" name="text" rows="4" dir="auto"></textarea>
  </label>
  <div id="stream_test-examples" class="chips" role="group" data-label="examples"></div>
  <div class="fields">
    <div class="field">
      <label for="stream_test-target" data-text="target"></label>
      <div class="stream-target">
        <input type="text" id="stream_test-target" name="target" spellcheck="false" autocapitalize="off"
          data-placeholder="target_own" aria-describedby="stream_test-target_info">
        <button type="button" id="stream_test-find" data-text="find"></button>
      </div>
      <span id="stream_test-target_info" class="quiet" data-text="target_info"></span>
      <div id="stream_test-found" class="stream-choices" role="radiogroup" data-label="found"></div>
    </div>
    <label class="field">
      <span data-text="voice"></span>
      <input type="text" name="voice" spellcheck="false" autocapitalize="off" data-placeholder="voice_own">
    </label>
  </div>
  <div class="fields">
    <div class="field range-field">
      <label for="stream_test-words_per_second" data-text="pace"></label>
      <output for="stream_test-words_per_second"></output>
      <input type="range" id="stream_test-words_per_second" name="words_per_second" min="1" max="100"
        value="20">
    </div>
    <div class="field range-field">
      <label for="stream_test-clients" data-text="clients"></label>
      <output for="stream_test-clients"></output>
      <input type="range" id="stream_test-clients" name="clients" min="1" value="1">
    </div>
    <div class="field range-field">
      <label for="stream_test-recorded" data-text="recorded"></label>
      <output for="stream_test-recorded"></output>
      <input type="range" id="stream_test-recorded" name="recorded" min="1" value="1">
    </div>
  </div>
  <div class="fields">
    <label class="check"><input type="checkbox" name="streaming" checked>
      <span data-text="streaming"></span> <span class="quiet" data-text="streaming_info"></span></label>
    <label class="check"><input type="checkbox" name="vary">
      <span data-text="vary"></span> <span class="quiet" data-text="vary_info"></span></label>
  </div>
  <div class="actions">
    <button type="submit" id="stream_test-start" class="primary" data-text="start"></button>
    <button type="button" id="stream_test-stop" data-text="stop"></button>
  </div>
</form>
<div id="stream_test-board"></div>
"""


def tab(words: Words) -> None:
    """Build the tab in the current Gradio context."""
    stream_live.section(words)
    script_element(
        "stream_test",
        _HTML,
        elem_id="stream_test",
        waits_until_seen=True,
        min_height=640,
        texts=words.section("stream_test"),
        path=paths.STREAM_TEST,
        examples=dict(TEXTS),
        most_clients=StreamTestLimits().clients,
    )
