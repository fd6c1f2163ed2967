// The shelf of voices: what is here and what could be, in one list that is filtered in the browser. It asks for
// news while it can be seen, and never otherwise. All that comes from the server is put in as text: names and
// descriptions of voices are whatever somebody wrote into a file.

const SOON = 500; // milliseconds between two looks while something is on its way
const LATER = 2000;
const SIZES = [50e6, 100e6, 200e6];
const QUALITIES = ["x_low", "low", "medium", "high", "fp32", "fp16", "int8"];

const { texts, path } = props;
const language = navigator.language.split("-")[0];
const locale = texts[language] ? navigator.language : "en";
const words = texts[language] ?? texts.en;
const languageNames = new Intl.DisplayNames([locale], { type: "language" });

let shelf = { revision: -1, voices: [], broken: [] };
let news = { revision: -1, downloads: [] };
let sampled = null;

// ---- Words and numbers

function say(name, values = {}) {
  return words[name].replace(/\{(\w+)\}/g, (_, key) => values[key]);
}

function bytes(count) {
  if (count == null) return "–";
  const [unit, digits] = count < 1e6 ? [1e3, 0] : count < 1e9 ? [1e6, 0] : [1e9, 1];
  const name = { 1e3: "kB", 1e6: "MB", 1e9: "GB" }[unit];
  const shown = (count / unit).toLocaleString(locale, { minimumFractionDigits: digits, maximumFractionDigits: digits });
  return `${shown} ${name}`;
}

function languageName(tag) {
  try {
    return languageNames.of(tag.replaceAll("_", "-")) ?? tag;
  } catch {
    return tag;
  }
}

// ---- Elements

function make(tag, attributes = {}, ...content) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value !== false) made.setAttribute(name, value === true ? "" : value);
  }
  made.append(...content);
  return made;
}

function button(name, what, onClick, attributes = {}) {
  const made = make("button", { type: "button", "aria-label": say(`${name}_what`, { name: what }), ...attributes }, words[name]);
  made.addEventListener("click", () => onClick(made));
  return made;
}

function field(name, control) {
  control.id = `voices-${name}`;
  control.addEventListener("input", filter);
  return make("div", { class: "voices-field" }, make("label", { for: control.id }, words[name]), control);
}

function select(name, options) {
  const control = make("select");
  offer(control, options);
  return [control, field(name, control)];
}

function offer(control, options) {
  const chosen = control.value;
  const all = [["", words.any], ...options];
  control.replaceChildren(...all.map(([value, text]) => make("option", { value }, text)));
  control.value = all.some(([value]) => value === chosen) ? chosen : "";
}

// ---- The server

async function ask(what, body) {
  const address = new URL(what ? `${path}/${what}` : path, document.baseURI);
  const options = body && { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(body) };
  return answerOf(await fetch(address, options));
}

async function answerOf(answer) {
  const told = await answer.json().catch(() => null);
  if (!answer.ok) throw new Error(told?.error?.message ?? words.failed);
  return told;
}

async function doing(work) {
  tell("");
  try {
    return await work();
  } catch (error) {
    tell(error instanceof TypeError ? words.failed : error.message, true);
    return null;
  }
}

function tell(text, isProblem = false) {
  message.textContent = text;
  message.classList.toggle("voices-problem", isProblem);
}

// ---- What is always there

const search = make("input", { type: "search", autocomplete: "off", spellcheck: "false" });
const [byLanguage, languageField] = select("language", []);
const [byQuality, qualityField] = select("quality", []);
const [bySize, sizeField] = select("size", SIZES.map((size) => [String(size), say("up_to", { size: bytes(size) })]));
const [byEngine, engineField] = select("engine", []);
const states = ["installed", "to_fetch", "own"].map((state) => [state, words[state]]);
const [byState, stateField] = select("state", states);
const message = make("p", { class: "voices-message", role: "status", "aria-live": "polite" });
const count = make("p", { class: "voices-count", "aria-live": "polite" });
const room = make("p", { class: "voices-room" });
const list = make("ul", { class: "voices-list", "aria-label": words.title });
const downloads = make("ul", { class: "voices-downloads", "aria-label": words.downloads });
const broken = make("div", { class: "voices-broken" });
const dialog = make("dialog", { class: "voices-dialog", "aria-labelledby": "voices-dialog-title" });
const files = make("input", { type: "file", id: "voices-files", multiple: true, accept: ".onnx,.json" });
const send = make("button", { type: "button", class: "voices-primary" }, words.upload);

element.replaceChildren(make("div", { class: "voices-shelf" },
  make("div", { class: "voices-filters", role: "search" },
    field("search", search), languageField, qualityField, sizeField, engineField, stateField),
  make("div", { class: "voices-line" }, count, room),
  message,
  downloads,
  list,
  broken,
  make("section", { class: "voices-add", "aria-labelledby": "voices-add-title" },
    make("h2", { id: "voices-add-title" }, words.add),
    make("p", {}, words.add_hint),
    make("div", { class: "voices-line" }, make("label", { for: "voices-files" }, words.files), files, send)),
  dialog,
));

// ---- The list

function facts(voice) {
  const told = [languageName(voice.language), voice.engine, voice.quality, voice.size ? bytes(voice.size) : ""];
  if (voice.speakers > 1) told.push(say("speakers", { count: voice.speakers }));
  if (voice.shared_with) told.push(say("shared", { count: voice.shared_with }));
  if (voice.licence) told.push(voice.licence);
  return told.filter(Boolean).join(" · ");
}

function row(voice) {
  const name = make("strong", {}, voice.name);
  const head = make("div", { class: "voices-name" }, name);
  if (voice.is_default) head.append(make("span", { class: "voices-mark" }, words.default));
  return make("li", { "data-voice": voice.name, class: voice.is_installed ? "voices-here" : "voices-away" },
    make("div", { class: "voices-facts" }, head, make("span", { class: "voices-quiet" }, facts(voice))),
    make("div", { class: "voices-actions" }, ...actions(voice)));
}

function actions(voice) {
  if (!voice.is_installed) {
    const isComing = news.downloads.some((each) => each.voice === voice.name && each.state !== "failed");
    return [button("fetch", voice.name, () => act("download", voice.name), { disabled: isComing, "data-fetch": voice.name })];
  }
  const listen = make("button", { type: "button", class: "voices-primary", "aria-label": say("listen_to", voice) }, words.listen);
  listen.addEventListener("click", () => sample(voice));
  const made = [listen];
  if (!voice.is_default) made.push(button("make_default", voice.name, () => choose(voice.name)));
  if (voice.is_removable) made.push(button("delete", voice.name, () => remove(voice.name)));
  return made;
}

function isWanted(voice) {
  const wanted = search.value.trim().toLowerCase().split(/\s+/).filter(Boolean);
  const all = `${voice.name} ${languageName(voice.language)} ${voice.language} ${voice.description} ${voice.gender}`.toLowerCase();
  return wanted.every((word) => all.includes(word))
    && (!byLanguage.value || voice.language.split(/[_-]/)[0] === byLanguage.value)
    && (!byQuality.value || voice.quality === byQuality.value)
    && (!byEngine.value || voice.engine === byEngine.value)
    && (!bySize.value || (voice.size !== null && voice.size <= Number(bySize.value)))
    && isInState(voice, byState.value);
}

function isInState(voice, state) {
  if (state === "installed") return voice.is_installed;
  if (state === "to_fetch") return !voice.is_installed;
  return state !== "own" || (voice.is_installed && !voice.in_catalogue && voice.is_removable);
}

// Rows are made once a look at the shelf: a filter only shows and hides them.
let rows = new Map();

function filter() {
  let shown = 0;
  for (const voice of shelf.voices) {
    const wanted = isWanted(voice);
    rows.get(voice.name).hidden = !wanted;
    shown += wanted;
  }
  count.textContent = shown || !shelf.voices.length ? say("count", { count: shown, all: shelf.voices.length }) : words.none_found;
}

function show() {
  const focused = list.contains(document.activeElement) ? document.activeElement.getAttribute("aria-label") : null;
  const ordered = [...shelf.voices].sort((one, other) => other.is_installed - one.is_installed);
  rows = new Map(ordered.map((voice) => [voice.name, row(voice)]));
  list.replaceChildren(...rows.values());
  if (focused) [...list.querySelectorAll("button")].find((each) => each.getAttribute("aria-label") === focused)?.focus();
  offerChoices();
  room.textContent = say("room", { used: bytes(shelf.used), free: bytes(shelf.free), directory: shelf.directory });
  showBroken();
  filter();
}

function offerChoices() {
  const languages = new Set(shelf.voices.map((voice) => voice.language.split(/[_-]/)[0]));
  const named = [...languages].map((tag) => [tag, languageName(tag)]);
  offer(byLanguage, named.sort((one, other) => one[1].localeCompare(other[1], locale)));
  const qualities = new Set(shelf.voices.map((voice) => voice.quality));
  offer(byQuality, QUALITIES.filter((quality) => qualities.has(quality)).map((quality) => [quality, quality.replace("_", " ")]));
  offer(byEngine, [...new Set(shelf.voices.map((voice) => voice.engine))].sort().map((engine) => [engine, engine]));
}

function showBroken() {
  const made = shelf.broken.map((file) => make("li", {},
    make("div", { class: "voices-facts" }, make("strong", {}, file.path), make("span", { class: "voices-quiet" }, `${file.reason} · ${bytes(file.size)}`)),
    make("div", { class: "voices-actions" }, button("delete", file.name, () => remove(file.name)))));
  broken.replaceChildren(...(made.length ? [make("h2", {}, words.broken), make("ul", { class: "voices-list" }, ...made)] : []));
}

// ---- Hearing one

function sample(voice) {
  if (sampled === voice.name && ["waiting", "playing"].includes(window.ttsPlayer?.state)) {
    window.ttsPlayer.stop();
    return;
  }
  sampled = voice.name;
  window.ttsPlayer?.play({ input: voice.sample, voice: voice.name });
}

function showSampled() {
  const isOn = ["waiting", "playing"].includes(window.ttsPlayer.state);
  for (const [name, shown] of rows) {
    const listen = shown.querySelector(".voices-primary");
    if (listen) listen.textContent = isOn && name === sampled ? words.stop : words.listen;
  }
  if (window.ttsPlayer.state === "failed" && sampled && window.ttsPlayer.problem) tell(String(window.ttsPlayer.problem), true);
}

function followPlayer(left = 100) {
  if (window.ttsPlayer?.addEventListener) window.ttsPlayer.addEventListener("change", showSampled);
  else if (left) setTimeout(() => followPlayer(left - 1), 100);
}

// ---- Changing things

async function act(what, name) {
  const told = await doing(() => ask(what, { name }));
  if (told) showNews(told);
  look();
}

async function choose(name) {
  const told = await doing(() => ask("default", { name }));
  if (!told) return;
  await load();
  tell(`${say("defaulted", told)} `);
  message.append(make("code", {}, told.line));
}

async function remove(name) {
  const planned = await doing(() => ask("plan-removal", { name }));
  if (!planned || !(await agreed(planned))) return;
  const gone = await doing(() => ask("remove", { name, files: planned.files }));
  await load();
  if (gone) tell(say("deleted", { name }));
}

function agreed(planned) {
  const lines = [...planned.problems, ...planned.kept];
  if (planned.files.length) lines.push(say("removal_frees", { size: bytes(planned.size) }));
  if (planned.is_default) lines.push(words.removal_default);
  if (planned.silenced.length) lines.push(say("removal_silences", { names: planned.silenced.join(", ") }));
  const keep = make("button", { type: "button" }, words.keep);
  const go = make("button", { type: "button", class: "voices-danger", disabled: !planned.files.length }, words.delete);
  dialog.replaceChildren(
    make("h2", { id: "voices-dialog-title" }, say("removal", planned)),
    ...lines.map((line) => make("p", {}, line)),
    make("ul", {}, ...planned.files.map((file) => make("li", {}, file))),
    make("div", { class: "voices-actions" }, keep, go));
  return new Promise((settle) => {
    keep.addEventListener("click", () => dialog.close());
    go.addEventListener("click", () => dialog.close("agreed"));
    dialog.addEventListener("close", () => settle(dialog.returnValue === "agreed"), { once: true });
    dialog.returnValue = "";
    dialog.showModal();
    keep.focus();
  });
}

// ---- Bringing one

send.addEventListener("click", async () => {
  const chosen = named([...files.files]);
  if (!chosen) {
    tell(words.both_needed, true);
    return;
  }
  send.disabled = true;
  const voice = await doing(() => uploaded(chosen));
  send.disabled = false;
  if (!voice) return;
  files.value = "";
  await load();
  tell(say("uploaded", { name: voice }));
});

// The json may be named after the voice alone; it is to be named after the model.
function named(chosen) {
  const model = chosen.find((file) => file.name.endsWith(".onnx"));
  const config = chosen.find((file) => file.name.endsWith(".json"));
  if (!model || !config || chosen.length !== 2) return null;
  return [[`${model.name}.json`, config], [model.name, model]];
}

async function uploaded(chosen) {
  let told = null;
  for (const [name, file] of chosen) told = await sent(name, file);
  return told.voice;
}

async function sent(name, file) {
  const address = new URL(`${path}/upload/${encodeURIComponent(name)}`, document.baseURI);
  let start = 0;
  let told = null;
  do {
    const end = Math.min(start + shelf.piece_bytes, file.size);
    const share = file.size ? Math.floor((100 * start) / file.size) : 0;
    tell(end < file.size ? say("uploading", { file: name, share }) : say("checking", { file: name }));
    const headers = file.size ? { "Content-Range": `bytes ${start}-${end - 1}/${file.size}` } : {};
    told = await answerOf(await fetch(address, { method: "POST", headers, body: file.slice(start, end) }));
    start = end;
  } while (start < file.size);
  return told;
}

// ---- Looking for news

function showNews(told) {
  news = told;
  const known = new Map([...downloads.children].map((item) => [item.dataset.voice, item]));
  downloads.replaceChildren(...told.downloads.map((each) => download(each, known.get(each.voice))));
  const coming = new Set(told.downloads.filter((each) => each.state !== "failed").map((each) => each.voice));
  for (const fetching of list.querySelectorAll("[data-fetch]")) fetching.disabled = coming.has(fetching.dataset.fetch);
}

// One that is shown already is only brought up to date: the focus stays on its button.
function download(told, item) {
  if (!item || item.dataset.failed !== String(told.state === "failed")) item = newDownload(told);
  const [bar, how] = [item.querySelector("progress"), item.querySelector(".voices-quiet")];
  if (bar && told.total) [bar.max, bar.value] = [told.total, told.received];
  how.textContent = told.error || progressOf(told);
  return item;
}

function newDownload(told) {
  const isFailed = told.state === "failed";
  const bar = isFailed ? [] : [make("progress", { "aria-label": say("progress", { name: told.voice }) })];
  const stop = button(isFailed ? "dismiss" : "cancel", told.voice, () => act("cancel", told.voice));
  const again = isFailed ? [button("fetch", told.voice, () => act("download", told.voice))] : [];
  return make("li", { "data-voice": told.voice, "data-failed": String(isFailed) },
    make("div", { class: "voices-facts" }, make("strong", {}, told.voice), ...bar, make("span", { class: "voices-quiet" })),
    make("div", { class: "voices-actions" }, ...again, stop));
}

function progressOf(told) {
  if (told.state === "waiting") return words.waiting;
  const share = told.total ? `${bytes(told.received)} / ${bytes(told.total)}` : bytes(told.received);
  return `${share} · ${say("per_second", { size: bytes(told.bytes_per_second) })}`;
}

async function load() {
  shelf = await ask("");
  show();
}

let looks = 0; // that are on their way
async function look() {
  looks += 1;
  await looked().finally(() => (looks -= 1));
}

async function looked() {
  const told = await ask("news").catch(() => null);
  if (!told) return;
  const isOther = told.revision !== shelf.revision;
  showNews(told);
  if (isOther) await load().catch(() => null);
}

async function watchOn() {
  if (!element.isConnected) return;
  if (element.offsetParent !== null && !document.hidden) await look();
  setTimeout(watchOn, news.downloads.some((each) => each.state !== "failed") ? SOON : LATER);
}

followPlayer();
watchOn();
new IntersectionObserver((seen) => seen.some((each) => each.isIntersecting) && shelf.revision < 0 && !looks && look()).observe(element);
