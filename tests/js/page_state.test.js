import assert from "node:assert/strict";
import { test } from "node:test";
import { INITIAL, isLink, linkTo, PageState, STORAGE_KEY } from "../../ui/js/page_state.js";

/** @param {Record<string, string>} [kept] */
function storageWith(kept = {}) {
  const items = new Map(Object.entries(kept));
  return {
    getItem: (/** @type {string} */ name) => items.get(name) ?? null,
    setItem: (/** @type {string} */ name, /** @type {string} */ value) => void items.set(name, value),
  };
}

/** @param {unknown} values */
const kept = (values) => storageWith({ [STORAGE_KEY]: JSON.stringify(values) });

test("what was changed is there again after a reload", () => {
  const storage = storageWith();
  new PageState(storage).patch({ text: "Hello", isOwnText: true, sliders: { pitch: 1.5 }, shortlist: ["a"] });
  assert.deepEqual(new PageState(storage).values, {
    ...INITIAL,
    text: "Hello",
    isOwnText: true,
    sliders: { pitch: 1.5 },
    shortlist: ["a"],
  });
});

test("a link takes precedence over what was kept, and its text is the user's own", () => {
  const storage = kept({
    ...INITIAL,
    ...{ text: "old", voice: "one", speaker: "anna", sliders: { pitch: 2 }, tab: "status" },
  });
  const { values } = new PageState(storage, "#voice=two&text=new%20text&speed=1.5");
  const linked = { voice: "two", text: "new text", isOwnText: true, speed: 1.5, tab: "audition" };
  assert.deepEqual(values, { ...INITIAL, ...linked });
});

test("an endless text of a link is cut, as the page would be busy with it for minutes", () => {
  assert.equal(new PageState(null, `#text=${"x".repeat(1_000_000)}`).values.text.length, 200_000);
});

test("a link reads back as the values it was made of", () => {
  const values = {
    ...INITIAL,
    voice: "de_DE-a&b-low",
    speaker: "x#1",
    text: "Grüße = 1 & 2\n+ 3",
    speed: 0.75,
  };
  const read = new PageState(null, linkTo(values)).values;
  assert.deepEqual(read, { ...values, isOwnText: true, tab: "audition" });
  assert.equal(isLink(linkTo(values)), true);
  assert.equal(isLink("#voices-dialog"), false);
});

test("what is kept in another shape is ignored, the rest is read", () => {
  const odd = { text: 7, speed: null, sliders: { pitch: "high" }, shortlist: [1], voice: "one", more: {} };
  assert.deepEqual(new PageState(kept(odd)).values, { ...INITIAL, voice: "one" });
  for (const broken of ["{", "null", "[]", '"x"']) {
    assert.deepEqual(new PageState(storageWith({ [STORAGE_KEY]: broken })).values, INITIAL);
  }
});

test("a change tells what changed, once, and nothing where nothing did", () => {
  const state = new PageState(null);
  /** @type {string[][]} */
  const told = [];
  state.addEventListener("change", (event) => told.push(/** @type {CustomEvent} */ (event).detail));
  state.patch({ text: "a", speed: 1 });
  state.patch({ text: "a" });
  state.patch({ sliders: {} });
  assert.deepEqual(told, [["text"]]);
});

test("a browser that keeps nothing loses nothing while the page is open", () => {
  const full = {
    getItem: () => {
      throw new Error("forbidden");
    },
    setItem: () => {
      throw new Error("full");
    },
  };
  const state = new PageState(full);
  state.patch({ text: "a" });
  assert.equal(state.values.text, "a");
});
