"""Typing that is heard live, the upper part of the Stream tab: its fields, for `ui/js/stream_live.js`."""

from __future__ import annotations

from ui.script_element import script_element
from ui.words import Words

_CHART_TEXTS = "lane."
"""The texts of `ui/js/stream_lanes.js`, which belong to the section `stream_test`."""
_MAX_TEXT = 100_000
"""Characters, as browsers count them: nearly two hours of speech, and 0.6 MB of JSON at most."""
_HTML = """
<form id="stream_live-form" class="form" autocomplete="off" aria-labelledby="stream_live-title">
  <h2 id="stream_live-title" data-text="title"></h2>
  <p id="stream_live-hint" class="quiet" data-text="hint"></p>
  <div class="fields">
    <label class="field">
      <span data-text="voice"></span>
      <select id="stream_live-voice"></select>
    </label>
    <div class="field range-field">
      <label for="stream_live-pace" data-text="pace"></label>
      <output for="stream_live-pace"></output>
      <input type="range" id="stream_live-pace" name="pace" min="2" max="100" value="12">
    </div>
  </div>
  <label class="field">
    <span data-text="text"></span>
    <textarea id="stream_live-text" name="text" rows="3" dir="auto" autocorrect="off" maxlength="{most}"
      data-placeholder="placeholder" aria-describedby="stream_live-hint"></textarea>
  </label>
  <div class="actions">
    <button type="submit" id="stream_live-done" class="primary" data-text="done"
      aria-keyshortcuts="Control+Enter"></button>
    <button type="button" id="stream_live-typing"></button>
    <span id="stream_live-note" class="quiet" role="status"></span>
  </div>
  <p id="stream_live-problem" class="problem" role="alert"></p>
</form>
<div id="stream_live-chart"></div>
<details id="stream_live-gaps" hidden>
  <summary data-text="gap_list"></summary>
  <ol></ol>
</details>
<p id="stream_live-rule" class="quiet" hidden></p>
"""


def section(words: Words) -> None:
    """Build the section in the current Gradio context."""
    chart = {
        language: {name: text for name, text in texts.items() if name.startswith(_CHART_TEXTS)}
        for language, texts in words.section("stream_test").items()
    }
    script_element(
        "stream_live",
        _HTML.replace("{most}", str(_MAX_TEXT)),
        elem_id="stream_live",
        waits_until_seen=True,
        texts=words.section("stream_live"),
        chart_texts=chart,
    )
