// Shows how the server is doing. It asks every two seconds while the tab can be seen, and never otherwise.
// All that comes from the server is put in as text: names of voices may be a client's own.

const INTERVAL = 2000;
const PATIENCE = 10000;
const MOST_LINES = 300;
const LEVELS = { all: 0, info: 20, warning: 30, error: 40 };
const RANKS = { DEBUG: 10, INFO: 20, WARNING: 30, ERROR: 40, CRITICAL: 50 };
const LOOPBACK = /^(localhost$|127\.|::1$)/;
const MOST_ADDRESSES = 4;

const { texts, paths } = props;
const language = navigator.language.split("-")[0];
const locale = texts[language] ? navigator.language : "en";
const words = texts[language] ?? texts.en;

// ---- Words and numbers

function say(name, values = {}) {
  return words[name].replace(/\{(\w+)\}/g, (_, key) => values[key]).replaceAll(" %", "\u00a0%");
}

const number = (value, digits = 0) =>
  value.toLocaleString(locale, { minimumFractionDigits: digits, maximumFractionDigits: digits });
const milliseconds = (seconds) => (seconds == null ? "–" : `${number(seconds * 1000)} ms`);
const megabytes = (bytes) => `${number(bytes / 1e6, bytes < 1e7 ? 1 : 0)} MB`;

function duration(seconds) {
  const minutes = Math.floor(seconds / 60);
  const parts = [
    [Math.floor(minutes / 1440), words.days],
    [Math.floor(minutes / 60) % 24, words.hours],
    [minutes % 60, words.minutes],
  ];
  const first = Math.min(parts.findIndex(([count]) => count) >>> 0, 2);
  return parts.slice(first, first + 2).map(([count, unit]) => `${count} ${unit}`).join(" ");
}

// ---- Elements

function make(tag, attributes = {}, ...content) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  made.append(...content);
  return made;
}

function section(name, ...content) {
  const id = `status-${name}`;
  return make("section", { class: `status-card status-${name}-card`, "aria-labelledby": id },
    make("h2", { id }, words[name]), ...content);
}

// What a new text does not change is not touched: a selection in it stays.
function put(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

function table(name, columns) {
  const body = make("tbody");
  const head = columns.map((column) => make("th", { scope: "col", class: `status-${column}` }, words[column]));
  const whole = make("table", {}, make("thead", {}, make("tr", {}, ...head)), body);
  const region = { class: "status-scroll", tabindex: "0", role: "region", "aria-label": words[name] };
  return { body, region: make("div", region, whole) };
}

function row(columns, cells) {
  return make("tr", {}, ...cells.map((cell, i) => make("td", { class: `status-${columns[i]}` }, cell)));
}

// ---- Copying

// On plain http in a home there is no clipboard API; an old command may still copy what is selected, and where
// that is gone too the text stays selected.
async function copied(source) {
  try {
    await navigator.clipboard.writeText(source.innerText);
    return true;
  } catch {
    const selection = getSelection();
    selection.selectAllChildren(source);
    return document.execCommand("copy");
  }
}

function copyButton(source, what) {
  const name = say("copy_what", { what });
  const button = make("button", { type: "button", class: "status-copy", "aria-label": name }, words.copy);
  button.addEventListener("click", async () => {
    const told = (await copied(source)) ? words.copied : words.selected;
    button.textContent = told;
    button.setAttribute("aria-label", told);
    announcer.textContent = told;
    setTimeout(() => {
      button.textContent = words.copy;
      button.setAttribute("aria-label", name);
      announcer.textContent = "";
    }, 2000);
  });
  return button;
}

function address(text, what) {
  const code = make("code", {}, text);
  return make("span", { class: "status-address" }, code, copyButton(code, what));
}

// ---- The parts of the tab, each with what keeps it up to date

const announcer = make("span", { class: "status-unseen", role: "status" });

function headline() {
  const state = make("strong", {}, "–");
  const uptime = make("span", {}, "");
  const dot = make("span", { class: "status-dot", "aria-hidden": "true" });
  const line = make("p", { class: "status-headline", role: "status" }, dot, state);
  return {
    element: make("div", { class: "status-top" }, line, uptime),
    show(name, house) {
      put(state, words[name]);
      line.dataset.state = name;
      if (house) put(uptime, `${house.version} · ${say("uptime", { time: duration(house.uptime_seconds) })}`);
    },
  };
}

const FACTS = {
  streams: ({ house: { load } }) => say("of", { count: load.streams, most: load.max_streams }),
  queue: ({ house: { load } }) => say("of", { count: load.queue, most: load.max_queue }),
  wait: ({ house: { load } }) => milliseconds(load.predicted_wait_seconds),
  memory: ({ house }) => megabytes(house.memory_bytes),
  cache({ house: { cache } }) {
    const hits = cache.memory_hits + cache.disk_hits;
    const count = hits + cache.misses;
    const share = `${number(count ? (100 * hits) / count : 0)}\u00a0%`;
    return say("cache_detail", { share, count, size: megabytes(cache.memory_bytes + cache.disk_bytes) });
  },
  voices({ house: { voices } }) {
    return say("voices_detail", { installed: voices.installed, more: voices.downloadable });
  },
  default_voice: ({ house }) => house.default_voice,
  models({ house, model_bytes: bytes }) {
    const size = bytes ? ` (${megabytes(bytes)})` : "";
    return house.models.length ? house.models.join(", ") + size : words.none;
  },
  engines: ({ house }) => house.engines.join(", "),
  versions({ house }) {
    const packages = Object.entries({ Python: house.python, ...house.packages });
    return packages.map((pair) => pair.join(" ")).join(", ");
  },
};

function facts() {
  const list = make("dl", { class: "status-facts" });
  const values = {};
  for (const name of Object.keys(FACTS)) {
    values[name] = make("dd", {}, "–");
    list.append(make("div", { class: `status-fact status-fact-${name}` }, make("dt", {}, words[name]), values[name]));
  }
  return {
    element: section("load", list),
    show(status) {
      for (const [name, value] of Object.entries(values)) put(value, FACTS[name](status));
    },
  };
}

// Where this page came from that very port, the name it was reached by leads here for others too: unless that
// is loopback, or Wyoming is not spoken there.
function bestDoor(doors, http) {
  const here = location.hostname.replace(/^\[|\]$/g, "");
  const isDirect = http.some((door) => String(door.port) === location.port);
  if (!doors.length || !isDirect || LOOPBACK.test(here) || LOOPBACK.test(doors[0].host)) return doors[0];
  const { port, url } = doors[0];
  const known = doors.find((door) => door.host === here);
  return known ?? { host: here, port, url: `${url.split("//")[0]}//${location.hostname}:${port}` };
}

function steps(door, name) {
  const parts = [words.step_open];
  if (name) parts.push(say("step_found", { name }));
  parts.push(words.step_add, say("step_host", { host: door.host }), say("step_port", { port: door.port }));
  const list = make("ol", {}, ...[...parts, words.step_voice].map((part) => make("li", {}, part)));
  const heading = make("div", { class: "status-row" }, make("h3", {}, words.home_assistant), copyButton(list, words.steps));
  return make("div", { class: "status-steps" }, heading, list);
}

function connect() {
  const content = make("div", { class: "status-connect" });
  let shown = "";

  function entry(name, doors, otherwise) {
    const all = doors.length ? doors.map((door) => address(door.url, words[name])) : [otherwise];
    return make("div", { class: "status-fact" }, make("dt", {}, words[name]), make("dd", {}, ...all));
  }

  return {
    element: section("connect", content),
    show({ addresses }) {
      const now = JSON.stringify(addresses);
      if (now === shown) return;
      shown = now;
      const { wyoming, http, uri, announced_as: name } = addresses;
      const door = bestDoor(wyoming, http);
      content.replaceChildren(
        make("dl", { class: "status-addresses" },
          entry("wyoming", door ? [...new Set([door, ...wyoming])].slice(0, MOST_ADDRESSES) : [], uri || words.no_wyoming),
          entry("http", http.length ? [bestDoor(http, http)] : [], words.no_http),
          make("div", { class: "status-fact" }, make("dt", {}, words.network_name),
            make("dd", {}, name ? address(name, words.network_name) : words.not_announced))),
        ...(door ? [steps(door, name)] : []));
    },
  };
}

const SVG = "http://www.w3.org/2000/svg";

function sparkline() {
  const line = document.createElementNS(SVG, "polyline");
  const picture = document.createElementNS(SVG, "svg");
  picture.setAttribute("viewBox", "0 0 100 40");
  picture.setAttribute("preserveAspectRatio", "none");
  picture.setAttribute("aria-hidden", "true"); // the words below say the same
  picture.append(line);
  const highest = make("span", { class: "status-highest", "aria-hidden": "true" }, "");
  const told = make("p", {}, words.latency_none);
  return {
    element: section("latency", make("div", { class: "status-sparkline" }, picture, highest), told),
    show({ latency: { values, p50, p95 } }) {
      if (!values.length) return;
      const most = Math.max(...values);
      const step = 100 / Math.max(values.length - 1, 1);
      const points = values.map((value, i) => `${(i * step).toFixed(2)},${(38 - (36 * value) / (most || 1)).toFixed(2)}`);
      if (points.length === 1) points.push(points[0].replace(/^0/, "100"));
      line.setAttribute("points", points.join(" "));
      put(highest, milliseconds(most));
      put(told, say(values.length > 1 ? "latency_words" : "latency_one", { count: values.length, p50: milliseconds(p50), p95: milliseconds(p95) }));
    },
  };
}

const SPOKEN = ["time", "transport", "voice", "ttfa", "audio", "rtf", "outcome"];

function utterances() {
  const { body, region } = table("recent", SPOKEN);
  const none = make("p", { class: "status-none" }, words.recent_none);
  const count = make("span", { class: "status-count" }, "");
  const whole = section("recent", count, region, none);
  let shown = 0;

  function cells(one) {
    return [
      new Date(one.time * 1000).toLocaleTimeString(locale),
      one.transport,
      one.voice || "–",
      milliseconds(one.ttfa),
      `${number(one.audio_seconds, 1)} s`,
      one.rtf == null ? "–" : number(one.rtf, 3),
      make("span", { class: `status-outcome status-is-${one.outcome}` },
        words[one.outcome] + (one.error ? ` (${one.error})` : "")),
    ];
  }

  return {
    element: whole,
    show({ spoken, spoken_count: now }) {
      none.hidden = spoken.length > 0;
      put(count, say("recent_count", { count: number(now) }));
      if (now === shown) return;
      shown = now;
      body.replaceChildren(...spoken.map((one) => row(SPOKEN, cells(one))));
    },
  };
}

function log() {
  const lines = make("div", { class: "status-lines", tabindex: "0", role: "log", "aria-live": "off", "aria-label": words.log });
  const none = make("p", { class: "status-none" }, words.log_none);
  const options = Object.keys(LEVELS).map((name) => make("option", { value: name }, words[`level_${name}`]));
  const level = make("select", { id: "status-level" }, ...options);
  const choice = make("div", { class: "status-row" }, make("label", { for: "status-level" }, words.level), level);
  level.addEventListener("change", () => {
    for (const line of lines.children) line.hidden = isBelow(line);
    lines.scrollTop = lines.scrollHeight;
  });

  const isBelow = (line) => Number(line.dataset.rank) < LEVELS[level.value];

  function made(line) {
    const time = new Date(line.time * 1000).toLocaleTimeString(locale);
    const rank = String(RANKS[line.level] ?? 20);
    const element = make("div", { class: `status-line status-level-${line.level.toLowerCase()}`, "data-rank": rank },
      make("span", { class: "status-line-head" }, `${time} ${line.level} ${line.logger}: `), line.text);
    element.hidden = isBelow(element);
    return element;
  }

  return {
    element: section("log", choice, lines, none),
    forget() {
      lines.replaceChildren();
    },
    show({ log: added }) {
      if (!added.length) return;
      none.hidden = true;
      const isAtEnd = lines.scrollHeight - lines.scrollTop - lines.clientHeight < 24;
      lines.append(...added.map(made));
      while (lines.children.length > MOST_LINES) lines.firstChild.remove();
      if (isAtEnd) lines.scrollTop = lines.scrollHeight;
    },
  };
}

const SETTING = ["setting", "value", "source"];

function settings() {
  const { body, region } = table("settings", SETTING);
  const none = make("p", { class: "status-none" }, words.settings_none);
  const all = make("input", { type: "checkbox", id: "status-all" });
  const choice = make("div", { class: "status-row" }, all, make("label", { for: "status-all" }, words.all_settings));
  let known = [];

  function source(setting) {
    const [kind, ...rest] = setting.source.split(" ");
    return [words[`source_${kind}`] ?? kind, ...rest].join(" ");
  }

  function cells(setting) {
    const name = make("code", { title: setting.meaning }, setting.name);
    const value = setting.is_secret ? make("em", {}, words.secret) : `${setting.value} ${setting.unit}`.trim();
    return [name, value, source(setting)];
  }

  function draw() {
    const chosen = known.filter((setting) => all.checked || !setting.is_default);
    body.replaceChildren(...chosen.map((setting) => row(SETTING, cells(setting))));
    none.hidden = chosen.length > 0;
  }

  all.addEventListener("change", draw);
  return {
    element: section("settings", choice, region, none),
    show(found) {
      known = found;
      draw();
    },
  };
}

function links() {
  const entries = { metrics: "metrics", openapi: "openapi.json", json: "status" };
  const anchors = Object.entries(entries).map(([name, path]) => {
    const href = new URL(path, document.baseURI).href;
    return make("li", {}, make("a", { href, target: "_blank", rel: "noopener" }, words[name]));
  });
  return section("links", make("ul", {}, ...anchors));
}

// ---- Asking

const parts = { headline: headline(), facts: facts(), connect: connect(), sparkline: sparkline(), utterances: utterances(), log: log() };
const settingsPart = settings();
let uptime = 0;
let lastLine = 0;
let timer = null;
let asking = null;

async function fetched(path, signal, query = "") {
  const request = new AbortController();
  const abort = () => request.abort();
  const limit = setTimeout(abort, PATIENCE);
  signal.addEventListener("abort", abort);
  try {
    const response = await fetch(new URL(path + query, document.baseURI), { signal: request.signal });
    if (!response.ok) throw new Error(String(response.status));
    return await response.json();
  } finally {
    clearTimeout(limit);
    signal.removeEventListener("abort", abort);
  }
}

async function ask(signal) {
  let status = await fetched(paths.status, signal, `?after=${lastLine}`);
  if (status.house.uptime_seconds < uptime) {
    parts.log.forget(); // another process answers, and counts its lines anew
    status = await fetched(paths.status, signal);
    settingsPart.show(await fetched(paths.settings, signal));
  }
  uptime = status.house.uptime_seconds;
  lastLine = status.log.at(-1)?.number ?? lastLine;
  parts.headline.show(status.house.status, status.house);
  for (const name of ["facts", "connect", "sparkline", "utterances", "log"]) parts[name].show(status);
}

async function round(signal) {
  try {
    await ask(signal);
  } catch {
    if (!signal.aborted) parts.headline.show("no_answer");
  }
  if (!signal.aborted) timer = setTimeout(round, INTERVAL, signal);
}

function begin() {
  if (asking) return;
  asking = new AbortController();
  round(asking.signal);
  fetched(paths.settings, asking.signal).then(settingsPart.show, () => {}); // the next look asks again
}

function end() {
  asking?.abort();
  asking = null;
  clearTimeout(timer);
}

let isShown = false;
const follow = () => (isShown && document.visibilityState === "visible" ? begin() : end());

element.append(
  announcer,
  parts.headline.element,
  make("div", { class: "status-grid" }, parts.facts.element, parts.connect.element,
    parts.sparkline.element, links(), parts.utterances.element, parts.log.element, settingsPart.element));
document.addEventListener("visibilitychange", follow);
new IntersectionObserver(([entry]) => {
  isShown = entry.isIntersecting;
  follow();
}).observe(element);
