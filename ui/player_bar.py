"""The player bar, below all tabs: what speaks, its picture and words, and what was heard before."""

from __future__ import annotations

from ui.script_element import script_element
from ui.words import Words

_HTML = """
<div class="player" data-state="idle">
  <p class="player-away notice" data-part="away" role="status"></p>
  <div class="player-words read-along" role="group" dir="auto" data-label="words" hidden></div>
  <div class="player-line">
    <button type="button" class="player-play primary" data-part="play">
      <span data-part="action"></span></button>
    <div class="player-track">
      <div class="player-told">
        <p role="status"><strong data-part="title"></strong> <span data-part="state"></span>
          <span class="quiet" data-part="elapsed" aria-hidden="true"></span></p>
        <span class="quiet" data-part="measured"></span>
      </div>
      <canvas class="player-wave" data-part="wave" role="slider" tabindex="0" data-label="wave"
        aria-valuemin="0" aria-valuenow="0" hidden></canvas>
      <canvas class="player-spectrogram" data-part="spectrogram" role="img" data-label="spectrogram_of"
        hidden></canvas>
    </div>
    <button type="button" class="player-expand" data-part="expand" data-label="expand" aria-expanded="false"
      hidden></button>
    <div class="player-tools">
      <button type="button" class="player-repeat" data-part="repeat" data-label="repeat" hidden>↻</button>
      <div class="player-save" data-part="save" hidden>
        <button type="button"></button>
        <select data-label="save"></select>
      </div>
      <button type="button" data-part="unfold" data-text="spectrogram" aria-expanded="false" hidden></button>
      <button type="button" data-part="past" aria-expanded="false" hidden></button>
    </div>
  </div>
  <ol class="player-past" data-part="list" hidden></ol>
  <p class="quiet" data-part="plain" data-text="plain" hidden></p>
</div>
"""


def bar(words: Words) -> None:
    """Add the bar to the current Gradio context, below the tabs."""
    script_element(
        "player_bar",
        _HTML,
        elem_id="player-bar",
        texts=words.section("player"),
        titles=words.section("page"),
    )
