"""Opus packets of the realtime WebSocket, decoded by the browser as docs/realtime.md shows it."""

from __future__ import annotations

import json

from playwright.sync_api import BrowserContext

from tests.support.page_site import Site
from tests.support.realtime_examples import JAVASCRIPT_EXAMPLES

COMPARE = """
async (example) => {
  const open = () => new WebSocket(`ws://${location.host}/v1/audio/speech/stream/ws`);
  const speak = (socket, format, received) => new Promise((resolve, reject) => {
    let created, samples;
    socket.addEventListener("open", () => {
      const audio = { format, binary: true, sample_rate: 24000 };
      socket.send(JSON.stringify({ type: "session.update", session: { audio } }));
      socket.send(JSON.stringify({ type: "response.create", input: "The weather is nice." }));
    });
    socket.addEventListener("message", ({ data }) => {
      if (typeof data !== "string") return received(data);
      const event = JSON.parse(data);
      if (event.type === "response.created") created = event.audio;
      if (event.type === "response.output_audio.done") samples = event.samples;
      if (event.type === "response.completed") resolve({ created, samples });
      if (event.type === "response.error") reject(new Error(data));
    });
  });
  const reference = [];
  const plain = open();
  plain.binaryType = "arraybuffer";
  await speak(plain, "pcm", (data) => reference.push(...new Int16Array(data)));
  const heard = [];
  let rate;
  const play = (audio) => {
    const plane = new Float32Array(audio.numberOfFrames);
    audio.copyTo(plane, { planeIndex: 0, format: "f32-planar" });
    rate = audio.sampleRate;
    heard.push(...plane);
  };
  const socket = open();
  const decoder = new Function("socket", "play", `${example}; return decoder;`)(socket, play);
  const { created, samples } = await speak(socket, "opus", () => {});
  await decoder.flush();
  const audio = heard.slice(created.pre_skip * rate / 48000).filter((_, at) => at % (rate / 24000) === 0);
  let [product, ours, theirs] = [0, 0, 0];
  reference.forEach((sample, at) => {
    product += sample * audio[at];
    ours += sample ** 2;
    theirs += audio[at] ** 2;
  });
  return {
    samples, sent: reference.length, padding: audio.length - samples,
    likeness: product / Math.sqrt(ours * theirs),
  };
}
"""


def test_the_packets_are_what_webcodecs_decodes(context: BrowserContext, site: Site) -> None:
    page = context.new_page()
    page.goto(f"{site.url}livez")
    found = page.evaluate(COMPARE, JAVASCRIPT_EXAMPLES[0])
    page.close()
    assert found["samples"] == found["sent"] > 20_000, json.dumps(found)
    assert 0 <= found["padding"] < 480
    assert found["likeness"] > 0.95
