import assert from "node:assert/strict";
import { test } from "node:test";
import { mixAt, pointOf } from "../../ui/js/map_mix.js";
import { labelOf } from "../../ui/js/voice_map.js";

/** @param {string} name @param {number} x @param {number} y */
const voice = (name, x, y) => ({ name, language: "en_US", x, y });
const VOICES = [voice("a", -1, -1), voice("b", 1, -1), voice("c", 0, 1), voice("d", 0, -0.9)];

test("at a voice the mix is that voice", () => {
  assert.deepEqual(mixAt(VOICES, { x: 0, y: 1 }), [{ voice: "c", weight: 100 }]);
});

test("the mix at a point among voices lies at that point", () => {
  for (const [x, y] of [
    [0, 0],
    [0.3, -0.2],
    [-0.4, -0.8],
    [0.05, 0.7],
  ]) {
    const parts = mixAt(VOICES, { x, y });
    assert.equal(
      parts.reduce((sum, { weight }) => sum + weight, 0),
      100,
    );
    const at = pointOf(VOICES, parts);
    assert.ok(at && Math.hypot(at.x - x, at.y - y) < 0.03, JSON.stringify([x, y, parts]));
  }
});

test("of several triangles around a point the smallest is taken", () => {
  const parts = mixAt(VOICES, { x: 0, y: -0.5 });
  assert.equal(parts[0].voice, "d");
});

test("outside of all voices the mix is of the two whose line is nearest", () => {
  assert.deepEqual(
    mixAt(VOICES, { x: 0.5, y: 3 }).map((part) => part.voice),
    ["c"],
  );
  const parts = mixAt(VOICES.slice(0, 2), { x: 0, y: -5 });
  assert.deepEqual(
    parts.map(({ weight }) => weight),
    [50, 50],
  );
});

test("voices at one place, one voice, and none are no trouble", () => {
  const same = [voice("x", 0, 0), voice("y", 0, 0), voice("z", 0, 0)];
  assert.equal(mixAt(same, { x: 0.2, y: 0 }).length, 1);
  assert.deepEqual(mixAt(same.slice(0, 1), { x: 1, y: 1 }), [{ voice: "x", weight: 100 }]);
  assert.deepEqual(mixAt([], { x: 0, y: 0 }), []);
});

test("a mix with a voice that is not on the map has no point", () => {
  assert.equal(pointOf(VOICES, [{ voice: "nobody", weight: 1 }]), null);
  assert.equal(pointOf(VOICES, []), null);
});

test("voices of one name are told apart by their language, and where that is the same by its country", () => {
  /** @param {...[name: string, language: string]} voices */
  const labels = (...voices) => {
    const placed = voices.map(([name, language]) => ({ name, language, x: 0, y: 0 }));
    return placed.map((voice) => labelOf(voice, placed));
  };
  assert.deepEqual(labels(["jf_alpha", "ja_JP"], ["hf_alpha", "hi_IN"], ["af_sky", "en_US"]), [
    "Alpha (ja)",
    "Alpha (hi)",
    "Sky",
  ]);
  assert.deepEqual(labels(["af_lily", "en_US"], ["bf_lily", "en_GB"]), ["Lily (en-US)", "Lily (en-GB)"]);
});
