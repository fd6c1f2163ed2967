import assert from "node:assert/strict";
import { test } from "node:test";
import { browserStorage, readJson, readRecord, writeJson } from "../../ui/js/browser_storage.js";

/** @param {Record<string, string>} [kept] */
function storageWith(kept = {}) {
  const items = new Map(Object.entries(kept));
  return {
    getItem: (/** @type {string} */ name) => items.get(name) ?? null,
    setItem: (/** @type {string} */ name, /** @type {string} */ value) => void items.set(name, value),
  };
}

const refusing = {
  getItem: () => {
    throw new Error("forbidden");
  },
  setItem: () => {
    throw new Error("full");
  },
};

/**
 * Run something in a window.
 * @param {object} window
 * @param {() => void} what
 */
function within(window, what) {
  Object.assign(globalThis, { window });
  try {
    what();
  } finally {
    Reflect.deleteProperty(globalThis, "window");
  }
}

test("what was written is read", () => {
  const storage = storageWith();
  for (const value of [null, 0, "", "ü\u2028", [1, { two: 3 }], { text: "a", list: [] }]) {
    assert.equal(writeJson("key", value, storage), true);
    assert.deepEqual(readJson("key", storage), value);
  }
  assert.equal(readJson("another", storage), null);
});

test("rubbish is nothing, and only an object is a record", () => {
  for (const rubbish of ["", "{", "undefined", "NaN", "\u0000"]) {
    assert.equal(readJson("key", storageWith({ key: rubbish })), null);
  }
  for (const other of ["{", "null", "[1]", '"text"', "7", "true"]) {
    assert.deepEqual(readRecord("key", storageWith({ key: other })), {});
  }
  assert.deepEqual(readRecord("key", storageWith({ key: '{"a": 1}' })), { a: 1 });
});

test("a storage that is full or forbidden says that it kept nothing", () => {
  for (const storage of [refusing, null]) {
    assert.equal(writeJson("key", 1, storage), false);
    assert.equal(readJson("key", storage), null);
    assert.deepEqual(readRecord("key", storage), {});
  }
});

test("the browser's own storage is used, where a site may name it", () => {
  const localStorage = storageWith();
  within({ localStorage }, () => {
    assert.equal(writeJson("key", [1]), true);
    assert.deepEqual(readJson("key"), [1]);
  });
  assert.equal(localStorage.getItem("key"), "[1]");
  const forbidding = {
    get localStorage() {
      throw new Error("SecurityError");
    },
  };
  within(forbidding, () => {
    assert.equal(browserStorage(), null);
    assert.equal(writeJson("key", 1), false);
    assert.equal(readJson("key"), null);
  });
});
