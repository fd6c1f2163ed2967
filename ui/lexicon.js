// The lexicon as a text: checked by the server whenever typing pauses, saved only over what was loaded.

const PAUSE = 400; // milliseconds without a key

const { texts, path } = props;
const language = navigator.language.split("-")[0];
const words = texts[language] ?? texts.en;

let version = null;
let saved = "";
let timer = null;
let checks = 0;

function say(name, values = {}) {
  return words[name].replace(/\{(\w+)\}/g, (_, key) => values[key]);
}

function make(tag, attributes = {}, ...content) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  made.append(...content);
  return made;
}

const label = make("label", { for: "voices-lexicon-text" }, words.lexicon);
const text = make("textarea", { id: "voices-lexicon-text", rows: "12", spellcheck: "false", autocomplete: "off", wrap: "off" });
const state = make("p", { class: "voices-message", role: "status", "aria-live": "polite" });
const problems = make("ul", { class: "voices-problems" });
const save = make("button", { type: "button", class: "voices-primary" }, words.save);
const reload = make("button", { type: "button" }, words.reload);
const sentence = make("input", { type: "text", id: "voices-sentence", maxlength: "500" });
const hear = make("button", { type: "button" }, words.hear);
const said = make("dl", { class: "voices-said", "aria-live": "polite" });
sentence.value = words.example;

element.replaceChildren(make("section", { class: "voices-lexicon" },
  make("h2", {}, words.lexicon),
  make("p", { class: "voices-quiet" }, words.lexicon_hint),
  label,
  text,
  problems,
  state,
  make("div", { class: "voices-line" }, save, reload),
  make("div", { class: "voices-line voices-try" }, make("label", { for: "voices-sentence" }, words.sentence), sentence, hear),
  said,
));

async function ask(what, body) {
  const address = new URL(what ? `${path}/${what}` : path, document.baseURI);
  const options = body && { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(body) };
  const answer = await fetch(address, options);
  const told = await answer.json().catch(() => null);
  if (!answer.ok) throw new Error(told?.error?.message ?? words.failed);
  return told;
}

async function doing(work) {
  try {
    return await work();
  } catch (error) {
    tell(error instanceof TypeError ? words.failed : error.message, true);
    return null;
  }
}

function tell(what, isProblem = false) {
  state.textContent = what;
  state.classList.toggle("voices-problem", isProblem);
}

function showChecked(checked) {
  const found = [...checked.problems, ...checked.warnings];
  problems.replaceChildren(...found.map((problem) => {
    const go = make("button", { type: "button" }, say("place", problem));
    go.addEventListener("click", () => goTo(problem));
    return make("li", {}, go, ` ${problem.message}`);
  }));
  save.disabled = checked.problems.length > 0;
  text.setAttribute("aria-invalid", String(save.disabled));
  if (checked.problems.length) tell("");
  else tell(text.value === saved ? say("entries", { count: checked.entries }) : words.unsaved);
}

function goTo({ line, column }) {
  const lines = text.value.split("\n");
  const start = lines.slice(0, line - 1).reduce((sum, each) => sum + each.length + 1, 0);
  text.focus();
  text.setSelectionRange(start + column - 1, start + (lines[line - 1]?.length ?? 0));
}

async function check() {
  const number = ++checks;
  const told = await doing(() => ask("check", { text: text.value }));
  if (told && number === checks) showChecked(told); // what was asked before is of an older text
}

async function load() {
  const told = await doing(() => ask(""));
  if (!told) return;
  label.textContent = say("lexicon_text", told);
  show(told);
}

function show(told) {
  [version, saved] = [told.version, told.text];
  if (text.value !== told.text) text.value = told.text;
  showChecked(told.checked);
}

text.addEventListener("input", () => {
  clearTimeout(timer);
  timer = setTimeout(check, PAUSE);
});

save.addEventListener("click", async () => {
  clearTimeout(timer);
  const told = await doing(() => ask("save", { text: text.value, version }));
  if (!told) return;
  [version, saved] = [told.version, told.text];
  showChecked(told.checked);
  tell(words.saved);
});

reload.addEventListener("click", load);

hear.addEventListener("click", async () => {
  window.ttsPlayer?.play({ input: sentence.value });
  const told = await doing(() => ask("said", { sentence: sentence.value }));
  if (!told) return;
  const facts = [[words.lexicon, told.hits.join(", ") || "–"], [words.spoken, told.spoken], [words.phonemes, told.phonemes.join(" ")]];
  said.replaceChildren(...facts.flatMap(([name, value]) => [make("dt", {}, name), make("dd", {}, value)]));
});

load();
