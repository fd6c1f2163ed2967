"""The Audition tab: a sentence, and the voices as cards that say it; built by `ui/js/audition.js`.

Gradio provides only the place and the styles: its text field, list and sliders would ask the server before a
click is heard.
"""

from __future__ import annotations

from ui.script_element import script_element
from ui.words import Words
from wyoming_tts.page import paths

_HTML = """
<div class="audition">
  <label class="field">
    <span data-text="text"></span>
    <textarea id="audition-text" rows="3" maxlength="100000" dir="auto"></textarea>
  </label>
  <div id="audition-examples" class="chips" role="group" data-label="examples"></div>
  <div class="audition-settings">
    <details id="audition-more">
      <summary data-text="more"></summary>
      <div id="audition-adjustments" class="fields"></div>
    </details>
    <details id="audition-said">
      <summary data-text="said"></summary>
      <dl class="audition-stages">
        <dt data-text="cleaned"></dt><dd id="audition-cleaned" dir="auto"></dd>
        <dt data-text="lexicon" hidden></dt><dd id="audition-lexicon" dir="auto" hidden></dd>
        <dt data-text="spoken"></dt><dd id="audition-spoken" dir="auto"></dd>
        <dt data-text="segments"></dt><dd><ol id="audition-segments"></ol></dd>
      </dl>
      <p id="audition-unexplained" class="problem" role="alert"></p>
    </details>
  </div>
  <section id="audition-use" class="audition-use" aria-labelledby="audition-use-title">
    <h2 id="audition-use-title"></h2>
    <div class="actions">
      <button type="button" id="audition-make-default"></button>
      <button type="button" id="audition-link" data-text="copy_link"></button>
    </div>
    <p id="audition-used" role="status"></p>
    <details id="audition-home">
      <summary data-text="home"></summary>
      <p id="audition-use-steps" class="quiet"></p>
      <div></div>
    </details>
  </section>
  <section class="audition-voices" data-label="voices">
    <div class="audition-find">
      <label class="field">
        <span data-text="search"></span>
        <input type="search" id="audition-search" autocomplete="off" spellcheck="false"
          data-placeholder="search_hint">
      </label>
      <p id="audition-found" class="quiet" role="status"></p>
    </div>
    <p id="audition-unknown" class="notice" role="status"></p>
    <p id="audition-makeshift" class="notice" hidden></p>
    <p id="audition-problem" class="problem" role="alert"></p>
    <button type="button" id="audition-blind" data-text="blind" hidden></button>
    <div id="audition-cards"></div>
  </section>
  <details id="audition-pair" hidden>
    <summary data-text="pair"></summary>
    <div class="audition-fader">
      <span id="audition-pair-a"></span>
      <input type="range" id="audition-pair-share" min="0" max="100" step="5" data-label="pair">
      <span id="audition-pair-b"></span>
    </div>
    <label class="field" id="audition-pair-language-row" hidden>
      <span data-text="pair_language"></span>
      <select id="audition-pair-language"></select>
    </label>
    <form id="audition-pair-keep" class="actions" autocomplete="off">
      <input type="text" id="audition-pair-name" maxlength="64" required autocapitalize="off"
        spellcheck="false" data-label="pair_name">
      <button type="submit" data-text="pair_keep"></button>
    </form>
    <p id="audition-pair-kept" role="status"></p>
    <p id="audition-pair-problem" class="problem" role="alert"></p>
  </details>
</div>
"""


def tab(words: Words) -> None:
    """Build the tab in the current Gradio context."""
    script_element(
        "audition",
        _HTML,
        elem_id="audition",
        min_height=640,
        texts=words.section("audition"),
        path=paths.AUDITION,
        home_path=paths.HOME_ASSISTANT,
    )
