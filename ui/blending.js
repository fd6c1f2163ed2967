// The Blend tab. `element` holds the empty parts of the page, `props` its texts by language; the mix lives here
// until it is kept, and the server is asked for whatever it knows better: what a recipe means, what is kept.
const HEAR_AFTER = 250; // ms without a movement
const READ_AFTER = 150; // ms without a key
const ASK_AGAIN_AFTER = 1000; // ms between questions whether the model has come
const MOST = 6;
const FEWEST = 2;
const WHOLE = 100;

const texts = props.texts[navigator.language.split("-")[0]] ?? props.texts.en;
const t = (name, values = {}) =>
  Object.entries(values).reduce((text, [key, value]) => text.replaceAll(`{${key}}`, value), texts[name] ?? name);
const part = (name) => element.querySelector(`#blend-${name}`);

const mix = {
  rows: [], // {voice, weight, locked, colour}
  read: null, // what the server understood of it last
  reading: null, // until it has understood the newest
  expected: null, // the blend that is edited, as it was then
  normalized: true,
};
let shelf = { kokoro: null, voices: [], kept: [], samples: {} };
let sampleIsOurs = true;

// -- the server ------------------------------------------------------------------------------------

async function ask(path, body, headers = { "Content-Type": "application/json" }) {
  const request = body === undefined ? {} : { method: "POST", headers, body };
  let response;
  try {
    response = await fetch(new URL(`page/blends${path}`, document.baseURI), request);
  } catch {
    throw new Error(t("unreachable"));
  }
  const answer = await response.json().catch(() => ({}));
  if (!response.ok) throw new Error(answer.error?.message ?? t("failed", { status: response.status }));
  return answer;
}
const tell = (path, body = {}) => ask(path, JSON.stringify(body));

// Of answers that come in another order than they were asked for, only the newest counts.
function newest(question) {
  let asked = 0;
  return async (...given) => {
    const number = ++asked;
    const outcome = await question(...given).then(
      (value) => ({ value }),
      (error) => ({ error }),
    );
    if (number !== asked) return null;
    if (outcome.error) throw outcome.error;
    return outcome.value;
  };
}
const readRecipe = newest((recipe) => tell("/read", { recipe }));

function debounced(work, pause) {
  let timer;
  const later = (...given) => {
    clearTimeout(timer);
    timer = setTimeout(() => work(...given), pause);
  };
  later.cancel = () => clearTimeout(timer);
  later.now = (...given) => {
    clearTimeout(timer);
    work(...given);
  };
  return later;
}

// -- pieces of the page ----------------------------------------------------------------------------

function make(tag, attributes = {}, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
    else if (name in node && typeof value !== "string") node[name] = value;
    else node.setAttribute(name, value);
  }
  node.append(...children.filter((child) => child !== null));
  return node;
}
const button = (text, onclick, attributes = {}) => make("button", { type: "button", onclick, ...attributes }, text);
function say(name, text) {
  part(name).textContent = text;
}
const trying = (name, work) => async (...given) => {
  say(name, "");
  try {
    await work(...given);
  } catch (error) {
    say(name, error.message);
  }
};

function options(chosen) {
  const groups = new Map();
  for (const voice of shelf.voices) {
    const group = ["own", "preset"].includes(voice.kind) ? t("blends") : voice.language.replace("_", "-");
    groups.set(group, [...(groups.get(group) ?? []), voice]);
  }
  const entry = (voice) =>
    make("option", { value: voice.name, title: voice.description, selected: voice.name === chosen }, voice.name);
  return [...groups].map(([label, voices]) => make("optgroup", { label }, ...voices.map(entry)));
}

// -- the mix ---------------------------------------------------------------------------------------

const sum = (numbers) => numbers.reduce((total, number) => total + number, 0);
const shares = () => {
  const whole = sum(mix.rows.map((row) => Math.abs(row.weight))) || 1;
  return mix.rows.map((row) => (row.weight / whole) * WHOLE);
};

// Whole numbers with the same sum: the largest remainders are rounded up.
function rounded(weights, whole) {
  const floors = weights.map(Math.floor);
  const order = weights.map((_, index) => index).sort((a, b) => weights[b] - floors[b] - (weights[a] - floors[a]));
  const missing = Math.round(whole - sum(floors));
  order.slice(0, missing).forEach((index) => (floors[index] += 1));
  return floors;
}

// Have the rows that are free share what the locked ones leave, in these proportions.
function share(proportions) {
  const free = mix.rows.filter((row) => !row.locked);
  const left = WHOLE - sum(mix.rows.filter((row) => row.locked).map((row) => Math.abs(row.weight)));
  const whole = sum(proportions.map(Math.abs)) || 1;
  if (!free.length || left <= 0) return;
  const signs = proportions.map((proportion) => Math.sign(proportion) || 1);
  const parts = rounded(proportions.map((proportion) => (Math.abs(proportion) / whole) * left), left);
  free.forEach((row, index) => (row.weight = signs[index] * parts[index]));
}
const free = () => mix.rows.filter((row) => !row.locked);

function written() {
  const heard = mix.rows.filter((row) => row.weight);
  return heard.map((row) => `${row.voice}:${Number(row.weight.toFixed(4))}`).join(",");
}

function nextColour() {
  const taken = new Set(mix.rows.map((row) => row.colour));
  return Array.from({ length: MOST }, (_, index) => index + 1).find((colour) => !taken.has(colour)) ?? 1;
}

function addRow(voice, weight) {
  mix.rows.push({ voice, weight, locked: false, colour: nextColour() });
}

// Rows of a recipe as it was read; what stays keeps its lock and its colour.
function takeParts(parts) {
  const before = new Map(mix.rows.map((row) => [row.voice, row]));
  const whole = sum(parts.map((each) => Math.abs(each.weight))) || 1;
  const weights = new Map(parts.map((each) => [each.voice, (each.weight / whole) * WHOLE]));
  mix.rows = parts.filter((each) => before.has(each.voice)).map((each) => before.get(each.voice));
  for (const each of parts) if (!before.has(each.voice)) addRow(each.voice, 0);
  mix.rows.sort((one, other) => (one.voice < other.voice ? -1 : 1)); // as in the recipe
  for (const row of mix.rows) row.weight = weights.get(row.voice);
}

function drawRows() {
  const lowest = mix.rows.some((row) => row.weight < 0) ? -WHOLE : 0;
  part("rows").replaceChildren(...mix.rows.map((row, index) => rowOf(row, index, lowest)));
  part("add").disabled = mix.rows.length >= MOST;
  drawNumbers();
}

function rowOf(row, index, lowest) {
  const picker = make("select", { "aria-label": t("voice_of_row", { row: index + 1 }) }, ...options(row.voice));
  picker.addEventListener("change", () => {
    row.voice = picker.value;
    moved();
  });
  const slider = make("input", { type: "range", min: String(lowest), max: String(WHOLE), step: "1" });
  slider.value = String(row.weight);
  slider.addEventListener("input", () => {
    row.weight = Number(slider.value);
    moved(row);
  });
  const lock = button(t("lock"), () => {
    row.locked = !row.locked;
    drawNumbers();
  });
  lock.className = "blend-lock";
  const remove = button("×", () => removeRow(index), { class: "blend-remove", disabled: mix.rows.length <= FEWEST });
  remove.setAttribute("aria-label", t("remove_row", { row: index + 1 }));
  const swatch = make("span", { class: `blend-swatch blend-colour-${row.colour}`, "aria-hidden": "true" });
  return make("div", { class: "blend-row" }, swatch, picker, slider, make("output"), lock, remove);
}

function removeRow(index) {
  mix.rows.splice(index, 1);
  drawRows();
  moved();
  part("rows").querySelectorAll("select")[Math.min(index, mix.rows.length - 1)]?.focus();
}

// All that shows numbers, without touching what has the focus.
function drawNumbers() {
  const percent = shares().map((value) => `${Math.round(value)} %`);
  part("rows")
    .querySelectorAll(".blend-row")
    .forEach((node, index) => {
      const row = mix.rows[index];
      const slider = node.querySelector("input");
      if (Number(slider.value) !== Math.round(row.weight)) slider.value = String(row.weight);
      slider.setAttribute("aria-label", t("weight_of", { voice: row.voice }));
      slider.setAttribute("aria-valuetext", percent[index]);
      slider.disabled = row.locked;
      node.querySelector("output").textContent = percent[index];
      const lock = node.querySelector(".blend-lock");
      lock.setAttribute("aria-pressed", String(row.locked));
      lock.setAttribute("aria-label", t("lock_of", { voice: row.voice }));
    });
  drawPicture(percent);
  drawFader();
  drawParents();
}

function drawPicture(percent) {
  const bar = part("bar");
  const piece = (row, index) =>
    make("span", {
      class: `blend-piece blend-colour-${row.colour}${row.weight < 0 ? " blend-away" : ""}`,
      style: `width: ${Math.abs(shares()[index]).toFixed(2)}%`,
      "data-voice": row.voice,
    });
  bar.replaceChildren(...mix.rows.map(piece));
  bar.setAttribute("aria-label", mix.rows.map((row, index) => `${row.voice} ${percent[index]}`).join(", "));
  const label = (row, index) =>
    make(
      "li",
      {},
      make("span", { class: `blend-swatch blend-colour-${row.colour}` }),
      make("span", { class: "blend-name" }, row.voice),
      make("b", {}, percent[index]),
    );
  part("legend").replaceChildren(...mix.rows.map(label));
}

function drawFader() {
  const two = mix.rows.length === 2 && mix.rows.every((row) => row.weight >= 0);
  part("fader").hidden = !two;
  if (!two) return;
  const [first, second] = mix.rows;
  const fader = part("fade");
  const whole = first.weight + second.weight || 1;
  const at = Math.round((second.weight / whole) * WHOLE);
  if (Number(fader.value) !== at) fader.value = String(at);
  fader.disabled = first.locked || second.locked;
  fader.setAttribute("aria-valuetext", t("fader_at", { share: at, voice: second.voice }));
  say("fade-a", first.voice);
  say("fade-b", second.voice);
}

function drawParents() {
  const names = [...new Set(mix.rows.map((row) => row.voice))];
  const shown = [...part("parents").children].map((node) => node.dataset.voice);
  if (names.join() === shown.join()) return;
  const parent = (name) =>
    button(name, trying("problem", () => hear(name)), {
      "data-voice": name,
      "aria-label": t("hear_parent", { voice: name }),
    });
  part("parents").replaceChildren(...names.map(parent));
}

// Something of the mix was moved by hand: the recipe follows.
function moved(by = null) {
  const others = mix.rows.filter((row) => row !== by);
  const whole = Math.round(sum(others.map((row) => row.weight)));
  if (others.some((row) => !Number.isInteger(row.weight))) {
    rounded(others.map((row) => row.weight), whole).forEach((weight, index) => (others[index].weight = weight));
  }
  drawNumbers();
  readTyped.cancel();
  isTyping = false;
  understand(written(), (read) => {
    if (isTyping) return; // what is typed meanwhile is newer
    part("recipe").value = read.recipe;
    if (part("while-moving").checked) hearSoon();
  });
}

function understand(recipe, then) {
  mix.reading = understood(recipe, then);
}

async function understood(recipe, then) {
  try {
    const read = await readRecipe(recipe);
    if (read === null) return;
    if (read.problem) throw new Error(read.problem);
    mix.read = read;
    say("recipe-problem", "");
    part("recipe").removeAttribute("aria-invalid");
    then(read);
    drawLanguages();
    drawSample();
  } catch (error) {
    mix.read = null;
    say("recipe-problem", recipe.trim() ? error.message : t("nothing_left"));
    part("recipe").setAttribute("aria-invalid", "true");
  }
}

let isTyping = false; // and not read yet
const readTyped = debounced(
  () => {
    isTyping = false;
    understand(part("recipe").value, (read) => {
      takeParts(read.parts);
      drawRows();
      if (part("while-moving").checked) hearSoon();
    });
  },
  READ_AFTER,
);

// Nothing is heard or kept that is behind what is seen.
async function settled() {
  if (isTyping) readTyped.now();
  await mix.reading;
}

// -- what is heard ---------------------------------------------------------------------------------

async function hear(voice) {
  hearSoon.cancel();
  const text = part("text").value.trim();
  if (!text) throw new Error(t("no_text"));
  const player = window.ttsPlayer;
  if (!player) throw new Error(t("no_player"));
  await player.play({ input: text, voice });
  if (player.state === "failed") throw new Error(player.problem);
}

// A kept blend may be mixed in a way that a recipe does not tell.
const asItIsKept = () => mix.expected !== null && isSame(draft(), mix.expected);
async function hearMix() {
  await settled();
  if (mix.read === null) throw new Error(t("no_mix"));
  await hear(asItIsKept() ? mix.expected.name : mix.read.recipe);
}
const hearSoon = debounced(trying("problem", hearMix), HEAR_AFTER);

function drawSample() {
  const sample = shelf.samples[mix.read?.language];
  if (sampleIsOurs && sample) part("text").value = sample;
}

// -- keeping ---------------------------------------------------------------------------------------

function draft() {
  return {
    name: part("name").value.trim(),
    recipe: mix.read?.recipe ?? part("recipe").value,
    language: part("language").value || null,
    description: part("description").value.trim(),
    spherical: part("spherical").checked,
    normalized: mix.normalized,
  };
}
const FACTS = ["name", "recipe", "language", "description", "spherical", "normalized"];
const isSame = (one, other) => FACTS.every((fact) => (one[fact] ?? "") === (other[fact] ?? ""));
const keptNow = (name) => shelf.kept.find((each) => each.draft.name === name && each.kind !== "imported");

function drawLanguages(chosen = part("language").value) {
  const ofVoices = mix.read?.languages ?? [];
  const differ = ofVoices.length > 1 || (chosen && !ofVoices.includes(chosen));
  const offered = differ ? [...new Set([...ofVoices, ...(chosen ? [chosen] : [])])] : [];
  const none = make("option", { value: "" }, t(differ ? "choose" : "of_the_voices"));
  const entry = (tag) => make("option", { value: tag, selected: tag === chosen }, tag.replace("_", "-"));
  part("language").replaceChildren(none, ...offered.map(entry));
  part("language-row").hidden = !differ;
}

const keep = trying("keep-problem", async () => {
  say("kept", "");
  part("stale").hidden = true;
  await settled();
  const wanted = draft();
  const expected = mix.expected?.name === wanted.name ? mix.expected : null;
  try {
    takeShelf(await tell("/keep", { draft: wanted, expected }));
  } catch (error) {
    if (expected === null || !(await changedMeanwhile(expected))) throw error;
    return;
  }
  edit(keptNow(wanted.name)?.draft ?? null, { leaveMix: true });
  say("kept", t("kept_as", { name: wanted.name }));
  changed();
});

async function changedMeanwhile(expected) {
  takeShelf(await ask(""));
  const now = keptNow(expected.name)?.draft ?? null;
  if (now !== null && isSame(now, expected)) return false;
  say("stale-words", now === null ? t("stale_gone", expected) : t("stale_changed", now));
  part("take-theirs").hidden = now === null;
  part("stale").hidden = false;
  part("keep-mine").focus();
  return true;
}

function edit(blend, { leaveMix = false } = {}) {
  mix.expected = blend;
  part("stale").hidden = true;
  part("editing").hidden = blend === null;
  say("editing-words", blend === null ? "" : t("editing", blend));
  part("keep").textContent = t(blend === null ? "keep" : "keep_changes");
  if (leaveMix || blend === null) return;
  open(blend);
}

// Put a blend on the table.
function open(blend) {
  part("name").value = blend.name;
  part("description").value = blend.description;
  part("spherical").checked = blend.spherical;
  mix.normalized = blend.normalized;
  part("recipe").value = blend.recipe;
  drawLanguages(blend.language ?? "");
  understand(blend.recipe, (read) => {
    takeParts(read.parts);
    drawRows();
    drawLanguages(blend.language ?? "");
  });
  part("mixer").scrollIntoView({ block: "start" });
  part("recipe").focus({ preventScroll: true });
}

// -- what is kept ----------------------------------------------------------------------------------

const changed = () => document.dispatchEvent(new CustomEvent("tts:voices", { detail: "blend" }));

// What is the same as before is left alone: it may have the focus.
function takeShelf(fresh) {
  const isOther = (fact) => JSON.stringify(shelf[fact]) !== JSON.stringify(fresh[fact]);
  const otherCards = isOther("kept") || isOther("kokoro");
  const otherVoices = isOther("voices");
  shelf = fresh;
  const ready = shelf.kokoro === "ready";
  part("mixer").hidden = !ready;
  part("absent").hidden = ready;
  part("fetch").hidden = shelf.kokoro !== "absent";
  const size = shelf.model_bytes === null ? "" : ` (${Math.round(shelf.model_bytes / 1e6)} MB)`;
  part("fetch").textContent = t("fetch") + size;
  say("absent-words", ready ? "" : t(`kokoro_${shelf.kokoro}`));
  if (otherCards) drawKept();
  if (shelf.kokoro === "absent" && shelf.fetched_bytes !== null) fetchModel();
  if (ready && !mix.rows.length) begin();
  else if (ready && otherVoices) drawRows();
}

function begin() {
  const pack = shelf.voices.filter((voice) => voice.kind === "pack");
  const first = pack.find((voice) => voice.name === "af_heart") ?? pack[0];
  const alike = pack.filter((voice) => voice.language === first?.language && voice !== first);
  const second = alike[0] ?? pack.find((voice) => voice !== first) ?? first;
  if (!first) return;
  addRow(first.name, 60);
  addRow(second.name, 40);
  drawRows();
  moved();
}

function drawKept() {
  part("list").replaceChildren(...shelf.kept.map(cardOf));
  part("nothing-kept").hidden = shelf.kept.length > 0;
}

function cardOf(each) {
  const { name, recipe, description } = each.draft;
  const problem = make("p", { class: "blend-problem", role: "alert" });
  const asked = make("div", { class: "blend-asked" });
  const attempt = (work) => async () => {
    problem.textContent = "";
    try {
      await work();
    } catch (error) {
      problem.textContent = error.message;
    }
  };
  const change = (path, body) =>
    attempt(async () => {
      takeShelf(await tell(path, body()));
      focusCard(body().new ?? "");
      changed();
    });
  const named = (title, path, proposed) => () =>
    question(asked, { title, value: proposed }, (input) => change(path, () => ({ name, new: input.value.trim() })));
  const doing = (text, work, attributes = {}) =>
    button(t(text), work, { "aria-label": t("of_card", { action: t(text), name }), ...attributes });
  const own = each.kind === "own";
  const imported = each.kind === "imported";
  const actions = make(
    "div",
    { class: "blend-actions" },
    doing("hear", attempt(() => hear(name)), { disabled: !each.can_speak }),
    imported ? null : doing(own ? "edit" : "use", () => startEdit(each), { disabled: shelf.kokoro !== "ready" }),
    imported ? null : doing("duplicate", named(t("new_name"), "/duplicate", freeName(name))),
    own ? doing("rename", named(t("new_name"), "/rename", name)) : null,
    !imported && !each.can_speak ? null : make(
      "a",
      {
        href: new URL(`page/blends/export?name=${encodeURIComponent(name)}`, document.baseURI).href,
        download: `${name}.npy`,
        "aria-label": t("of_card", { action: t("export"), name }),
      },
      t("export"),
    ),
    each.kind === "preset"
      ? null
      : doing("remove", () =>
          question(asked, { title: t("remove_sure", { name }), confirm: t("remove") }, () =>
            change("/remove", () => ({ name })),
          ),
        ),
  );
  const facts = [t(`kind_${each.kind}`), each.language.replace("_", "-"), imported ? "" : recipe].filter(Boolean);
  return make(
    "li",
    { class: "blend-card", "data-name": name },
    make("div", { class: "blend-head" }, make("b", {}, name), make("span", {}, facts.join(" · "))),
    description ? make("p", {}, description) : null,
    each.can_speak || shelf.kokoro !== "ready" ? null : make("p", { class: "blend-hint" }, t("cannot_speak")),
    actions,
    asked,
    problem,
  );
}

// A preset stays as it is: what is made of it is a new blend.
function startEdit(each) {
  say("kept", "");
  if (each.kind === "own") {
    edit(each.draft);
    return;
  }
  edit(null);
  open({ ...each.draft, name: freeName(each.draft.name) });
}

function freeName(name) {
  const taken = new Set([...shelf.voices.map((voice) => voice.name), ...shelf.kept.map((each) => each.draft.name)]);
  const base = name.replace(/_\d+$/, "");
  let number = 2;
  while (taken.has(`${base}_${number}`)) number += 1;
  return `${base}_${number}`;
}

function question(place, { title, value = null, confirm = t("ok") }, onYes) {
  const opener = document.activeElement;
  const input = value === null ? null : make("input", { type: "text", value, maxlength: "64", autocapitalize: "off" });
  const close = () => {
    place.replaceChildren();
    opener?.focus();
  };
  const yes = make("button", { type: "submit", class: value === null ? "blend-danger" : "blend-primary" }, confirm);
  const form = make(
    "form",
    { class: "blend-question" },
    input ? make("label", {}, make("span", {}, title), input) : make("span", {}, title),
    yes,
    button(t("cancel"), close),
  );
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    onYes(input)();
  });
  form.addEventListener("keydown", (event) => event.key === "Escape" && close());
  place.replaceChildren(form);
  (input ?? yes).focus();
  input?.select();
}

function focusCard(name) {
  const card = [...part("list").children].find((node) => node.dataset.name === name);
  (card?.querySelector("button:not(:disabled)") ?? part("kept-title")).focus();
}

const refresh = trying("list-problem", async () => {
  if (element.querySelector(".blend-question")) return; // it would go
  takeShelf(await ask(""));
});

// -- files and the model ---------------------------------------------------------------------------

const takeIn = trying("import-problem", async () => {
  const [file] = part("file").files;
  if (!file) throw new Error(t("no_file"));
  const asked = new URLSearchParams({ name: part("import-name").value.trim(), file: file.name });
  takeShelf(await ask(`/import?${asked}`, file, { "Content-Type": "application/octet-stream" }));
  say("imported", t("imported_as", { name: part("import-name").value.trim() }));
  part("import").reset();
  changed();
});

let isFetching = false;
async function fetchModel() {
  if (isFetching) return;
  isFetching = part("fetch").disabled = true;
  say("absent-problem", "");
  try {
    do {
      say("fetching", t("fetching", { share: Math.floor((WHOLE * (shelf.fetched_bytes ?? 0)) / (shelf.model_bytes || 1)) }));
      takeShelf(await tell("/fetch"));
      if (shelf.kokoro === "absent") await new Promise((done) => setTimeout(done, ASK_AGAIN_AFTER));
    } while (shelf.kokoro === "absent" && element.isConnected);
    changed();
  } catch (error) {
    say("absent-problem", error.message);
  } finally {
    say("fetching", "");
    isFetching = part("fetch").disabled = false;
  }
}

// -- at the start ----------------------------------------------------------------------------------

for (const node of element.querySelectorAll("[data-text]")) node.textContent = t(node.dataset.text);
for (const node of element.querySelectorAll("[data-label]")) node.setAttribute("aria-label", t(node.dataset.label));

part("add").addEventListener("click", () => {
  const used = new Set(mix.rows.map((row) => row.voice));
  const language = shelf.voices.find((voice) => voice.name === mix.rows[0]?.voice)?.language;
  const unused = shelf.voices.filter((voice) => !used.has(voice.name) && voice.kind !== "preset");
  addRow((unused.find((voice) => voice.language === language) ?? unused[0] ?? shelf.voices[0]).name, 20);
  drawRows();
  moved();
  part("rows").lastElementChild.querySelector("select").focus();
});
part("normalize").addEventListener("click", () => {
  share(free().map((row) => row.weight));
  moved();
});
part("randomize").addEventListener("click", () => {
  share(free().map(() => -Math.log(1 - Math.random()))); // any mix is as likely as any other
  moved();
});
part("fade").addEventListener("input", () => {
  const at = Number(part("fade").value);
  mix.rows[0].weight = WHOLE - at;
  mix.rows[1].weight = at;
  moved();
});
part("recipe").addEventListener("input", () => {
  isTyping = true;
  readTyped();
});
part("recipe").addEventListener("change", async () => {
  await settled();
  if (isTyping) return; // what was typed meanwhile is newer
  if (mix.read !== null && !part("recipe-problem").textContent) part("recipe").value = mix.read.recipe;
});
part("text").addEventListener("input", () => (sampleIsOurs = false));
part("hear").addEventListener("click", trying("problem", hearMix));
part("stop").addEventListener("click", () => {
  hearSoon.cancel();
  window.ttsPlayer?.stop();
});
part("keep-form").addEventListener("submit", (event) => {
  event.preventDefault();
  keep();
});
part("leave-edit").addEventListener("click", () => {
  edit(null);
  mix.normalized = true;
  part("name").value = "";
});
part("take-theirs").addEventListener("click", () => edit(keptNow(mix.expected.name)?.draft ?? null));
part("keep-mine").addEventListener("click", () => {
  mix.expected = keptNow(mix.expected.name)?.draft ?? null;
  keep();
});
part("file").addEventListener("change", () => {
  const [file] = part("file").files;
  say("import-problem", "");
  if (file) part("import-name").value = file.name.replace(/\.[^.]*$/, "").replace(/\W+/g, "_");
});
part("import").addEventListener("submit", (event) => {
  event.preventDefault();
  takeIn();
});
part("fetch").addEventListener("click", fetchModel);
document.addEventListener("tts:voices", (event) => event.detail !== "blend" && element.isConnected && refresh());
window.addEventListener("focus", () => element.isConnected && refresh());
refresh();
