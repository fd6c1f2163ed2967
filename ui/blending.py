"""The Blend tab: a mixer that runs in the browser and calls the routes of `wyoming_tts.page.blend_routes`.

Gradio provides only the place and the styles; dynamic rows, and sliders that are heard while they move, are
built by `ui/js/blending.js`.
"""

from __future__ import annotations

from ui.script_element import script_element
from ui.words import Words

_HTML = """
<section id="blend-absent" hidden>
  <p id="blend-absent-words"></p>
  <button type="button" id="blend-fetch" class="primary"></button>
  <p id="blend-fetching" role="status"></p>
  <p id="blend-absent-problem" class="problem" role="alert"></p>
</section>
<section id="blend-mixer" aria-labelledby="blend-mixer-title" hidden>
  <h2 id="blend-mixer-title" data-text="mixer"></h2>
  <p id="blend-map-away" class="notice" role="status" hidden>
    <span id="blend-map-reason"></span>
    <button type="button" id="blend-map-more" data-text="map_more" hidden></button>
    <button type="button" id="blend-map-again" hidden></button>
  </p>
  <details id="blend-map" hidden>
    <summary data-text="map"></summary>
    <p class="quiet" data-text="map_hint"></p>
    <svg class="voice-map" role="application" tabindex="0" data-label="map_hint"></svg>
    <div class="voice-map-below">
      <p class="voice-map-mix" role="status"></p>
      <p class="voice-map-key quiet">
        <span class="voice-map-female" data-text="female"></span>
        <span class="voice-map-male" data-text="male"></span>
      </p>
    </div>
  </details>
  <div class="blend-columns">
    <div class="blend-column">
      <div id="blend-fader">
        <select id="blend-fade-a" data-label="first_voice"></select>
        <select id="blend-fade-b" data-label="second_voice"></select>
        <output id="blend-fade-share-a" for="blend-fade"></output>
        <input type="range" id="blend-fade" min="0" max="100" step="1" data-label="fader">
        <output id="blend-fade-share-b" for="blend-fade"></output>
      </div>
      <div id="blend-rows"></div>
      <div class="actions">
        <button type="button" id="blend-add" data-text="add"></button>
        <button type="button" id="blend-randomize" data-text="randomize"></button>
        <button type="button" id="blend-normalize" data-text="normalize"></button>
        <button type="button" id="blend-numbers" aria-pressed="false" aria-controls="blend-rows"
          data-text="numbers"></button>
      </div>
      <label class="field">
        <span data-text="recipe"></span>
        <input type="text" id="blend-recipe" name="recipe" class="mono" spellcheck="false"
          autocapitalize="off" autocomplete="off" aria-describedby="blend-recipe-problem">
      </label>
      <p id="blend-recipe-problem" class="problem blend-kept-free" role="alert"></p>
    </div>
    <div class="blend-column">
      <div id="blend-bar" role="img"></div>
      <ul id="blend-legend"></ul>
      <label class="field">
        <span data-text="text"></span>
        <textarea id="blend-text" name="text" rows="2" maxlength="1000"></textarea>
      </label>
      <div class="actions">
        <button type="button" id="blend-hear" class="primary" data-text="hear_mix"></button>
        <button type="button" id="blend-stop" data-text="stop"></button>
        <label class="check">
          <input type="checkbox" id="blend-while-moving" name="while_moving">
          <span data-text="while_moving"></span>
        </label>
      </div>
      <div class="field" role="group" aria-labelledby="blend-parents-title">
        <span id="blend-parents-title" data-text="parents"></span>
        <div id="blend-parents" class="actions"></div>
      </div>
      <p id="blend-problem" class="problem" role="alert"></p>
    </div>
  </div>
  <form id="blend-keep-form" autocomplete="off">
    <input type="hidden" id="blend-expected" name="expected">
    <p id="blend-editing" class="notice" hidden>
      <span id="blend-editing-words"></span>
      <button type="button" id="blend-leave-edit" data-text="leave_edit"></button>
    </p>
    <div class="fields">
      <div class="field">
        <label for="blend-name" data-text="name"></label>
        <input type="text" id="blend-name" name="name" maxlength="64" autocapitalize="off" spellcheck="false"
          aria-describedby="blend-name-hint">
        <p id="blend-name-hint" class="quiet" role="status"></p>
      </div>
      <label class="field">
        <span data-text="description"></span>
        <input type="text" id="blend-description" name="description" maxlength="200">
      </label>
      <label class="field" id="blend-language-row" hidden>
        <span data-text="language"></span>
        <select id="blend-language" name="language"></select>
      </label>
    </div>
    <div class="actions">
      <button type="submit" id="blend-keep" class="primary" data-text="keep"></button>
      <label class="check">
        <input type="checkbox" id="blend-spherical" name="spherical"> <span data-text="spherical"></span>
      </label>
    </div>
    <div id="blend-stale" class="notice" role="alert" hidden>
      <p id="blend-stale-words"></p>
      <div class="actions">
        <button type="button" id="blend-keep-mine" class="primary" data-text="keep_mine"></button>
        <button type="button" id="blend-take-theirs" data-text="take_theirs"></button>
      </div>
    </div>
    <p id="blend-kept" role="status"></p>
    <div id="blend-next" class="actions" hidden>
      <button type="button" id="blend-make-default" class="primary" data-text="make_default"></button>
      <button type="button" id="blend-use" data-text="use_elsewhere"></button>
    </div>
    <p id="blend-keep-problem" class="problem" role="alert"></p>
  </form>
</section>
<section id="blend-saved" aria-labelledby="blend-kept-title">
  <h2 id="blend-kept-title" tabindex="-1" data-text="kept"></h2>
  <p id="blend-list-problem" class="problem" role="alert"></p>
  <p id="blend-nothing-kept" data-text="nothing_kept" hidden></p>
  <ul id="blend-list"></ul>
  <form id="blend-import" class="fields" autocomplete="off" aria-labelledby="blend-import-title">
    <h3 id="blend-import-title" data-text="import_title"></h3>
    <label class="field">
      <span data-text="file"></span>
      <input type="file" id="blend-file" accept=".npy,.pt,.bin">
    </label>
    <label class="field">
      <span data-text="name"></span>
      <input type="text" id="blend-import-name" maxlength="64" autocapitalize="off" spellcheck="false"
        aria-describedby="blend-import-hint">
    </label>
    <button type="submit" data-text="import"></button>
    <p id="blend-imported" role="status"></p>
    <p id="blend-import-problem" class="problem" role="alert"></p>
    <p id="blend-import-hint" class="quiet" data-text="import_hint"></p>
  </form>
</section>
"""


def tab(words: Words) -> None:
    """Build the tab in the current Gradio context."""
    script_element("blending", _HTML, elem_id="blend", waits_until_seen=True, texts=words.section("blend"))
