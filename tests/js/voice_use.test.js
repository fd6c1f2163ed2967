import assert from "node:assert/strict";
import { test } from "node:test";
import { DefaultButton } from "../../ui/js/voice_use.js";

const page = /** @type {any} */ (globalThis);
page.document = { baseURI: "http://page.test/" };

/** What a button of the page shows. */
function fakeButton() {
  const element = {
    disabled: false,
    busy: "",
    setAttribute: (/** @type {string} */ _, /** @type {string} */ busy) => {
      element.busy = busy;
    },
  };
  return element;
}

/** A button for the default voice, what it tells, and the server's answer once the test gives it. */
function pressedButton() {
  /** @type {(answer: Response) => void} */
  let answer = () => {};
  page.fetch = (/** @type {URL} */ address) =>
    address.pathname.endsWith("/default")
      ? new Promise((given) => {
          answer = given;
        })
      : Promise.resolve(Response.json({ revision: 1, downloads: [], voices: [] }));
  const element = fakeButton();
  /** @type {string[]} */
  const told = [];
  const button = new DefaultButton(
    /** @type {any} */ (element),
    (name) => name,
    (text) => told.push(text),
  );
  const made = button.make("dawn", "Dawn");
  return { element, told, button, made, answer: (/** @type {Response} */ given) => answer(given) };
}

test("a button is busy and says so until the voice is the default, whatever is offered meanwhile", async () => {
  const { element, told, button, made, answer } = pressedButton();
  button.offer(true);
  assert.deepEqual([element.disabled, element.busy, told], [true, "true", ["making_default"]]);
  answer(Response.json({ name: "dawn", lasts: true, line: "" }));
  await made;
  assert.deepEqual([element.disabled, element.busy, told], [false, "false", ["making_default", "used"]]);
});

test("a button that is drawn anew while it is busy stays busy until the voice is the default", async () => {
  const { button, made, answer } = pressedButton();
  const anew = fakeButton();
  button.drawnAs(/** @type {any} */ (anew));
  assert.deepEqual([anew.disabled, anew.busy], [true, "true"]);
  answer(Response.json({ name: "dawn", lasts: true, line: "" }));
  await made;
  assert.deepEqual([anew.disabled, anew.busy], [false, "false"]);
});

test("a voice that could not become the default can be tried again, and nothing is said to be going on", async () => {
  const { element, told, made, answer } = pressedButton();
  answer(Response.json({ error: { message: "no" } }, { status: 400 }));
  await assert.rejects(made);
  assert.deepEqual([element.disabled, told.at(-1)], [false, ""]);
});
