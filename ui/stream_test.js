// Draws a stream test: one lane for each client, figures, and the log. Every frame holds all that is drawn,
// so one that is skipped is not missed; the log alone grows, and comes whole at the end.
const texts = props.texts[navigator.language.split("-")[0]] ?? props.texts.en;
const number = (digits) =>
  new Intl.NumberFormat(navigator.language, { minimumFractionDigits: digits, maximumFractionDigits: digits });
const [whole, tenths, hundredths] = [number(0), number(1), number(2)];
const MOST_LINES = 4000;
const MOST_SHOWN = 1000;
const ROWS = ["spoken", "ttfa_p50", "ttfa_p95", "real_time_factor", "gaps", "worst_gap", "silence", "audio", "wall"];
const COUNTS = new Set(["spoken", "gaps"]);
const FAILED = new Set(["refused", "failed", "timed_out"]);
const KINDS = ["connected", "text", "text_end", "audio_start", "first_audio", "chunk", "underrun", "ended"];

let frame = null;
let log = { run: "", lines: [], seen: 0 };

const fill = (name, values) => texts[name].replace(/\{(\w+)\}/g, (_, key) => values[key]);
const seconds = (value) => `${(value < 10 ? hundredths : tenths).format(value)} s`;
const time = (value) => (value < 1 ? `${whole.format(value * 1000)} ms` : seconds(value));

function make(tag, name, content = "") {
  const made = document.createElement(tag);
  if (name) made.className = name;
  if (content) made.textContent = content;
  return made;
}

function choice(label, values) {
  const select = make("select");
  for (const [value, text] of values) select.append(new Option(text, value));
  const around = make("label", "", label);
  around.append(select);
  return [around, select];
}

const note = make("p", "st-note", texts.idle);
note.setAttribute("role", "status");
const lanes = make("ol", "st-lanes");
const axis = make("div", "st-axis");
const legend = make("ul", "st-legend");
const result = make("div", "st-scroll");
const after = make("div", "st-after");
const details = make("details", "st-log");
const count = make("span", "st-count");
const lines = make("pre");
const [byClient, client] = choice(texts.log_client, [["", texts.log_all]]);
const [byKind, kind] = choice(texts.log_what, [["", texts.log_all], ...KINDS.map((each) => [each, texts[`what.${each}`]])]);
const search = make("input");

function build() {
  const keys = [["text", "what.text"], ["sound", "buffer"], ["first", "what.first_audio"], ["gap", "what.underrun"]];
  for (const [colour, name] of keys) {
    const item = make("li", "", texts[name]);
    item.style.setProperty("--st-key", `var(--stream-${colour})`);
    legend.append(item);
  }
  search.type = "search";
  const bySearch = make("label", "", texts.log_find);
  bySearch.append(search);
  const filter = make("div", "st-filter");
  filter.append(byClient, byKind, bySearch, count);
  lines.tabIndex = 0;
  lines.setAttribute("aria-label", texts.log);
  details.append(make("summary", "", texts.log), filter, lines);
  for (const part of [legend, axis, after, details]) part.hidden = true;
  element.replaceChildren(note, lanes, axis, legend, result, after, details);
  for (const input of [client, kind, search]) input.addEventListener("input", showLog);
  details.addEventListener("toggle", showLog);
  new ResizeObserver(() => frame && drawLanes()).observe(lanes);
}

// Lanes ---------------------------------------------------------------------------------------------------

function laneOf(index) {
  if (lanes.children[index]) return lanes.children[index];
  const lane = make("li");
  const head = make("div", "st-head");
  const canvas = make("canvas");
  canvas.setAttribute("aria-hidden", "true"); // the line above says the same in words
  lane.append(head, canvas);
  lanes.append(lane);
  return lane;
}

function held(lane) {
  const last = lane.buffer.at(-1);
  return last ? Math.max(0, last[1] - (frame.seconds - last[0])) : 0;
}

function facts(lane) {
  const told = [];
  if (lane.ttfa !== null) told.push(fill("lane_ttfa", { time: time(lane.ttfa) }));
  if (lane.chunks) told.push(fill("lane_audio", { seconds: seconds(lane.audio) }));
  if (lane.chunks) told.push(fill("lane_chunks", { count: whole.format(lane.chunks) }));
  if (lane.state === "speaking") told.push(fill("lane_buffer", { seconds: seconds(held(lane)) }));
  if (lane.gaps) told.push(fill("lane_gaps", { count: whole.format(lane.gaps) }));
  if (lane.error) told.push(lane.error);
  return told;
}

function drawLanes() {
  const span = Math.max(1, frame.seconds);
  const most = Math.max(0.5, ...frame.lanes.flatMap((lane) => lane.buffer.map(([, left]) => left)));
  frame.lanes.forEach((lane, index) => {
    const item = laneOf(index);
    item.className = FAILED.has(lane.state) ? "st-lane st-failed" : "st-lane";
    item.dataset.state = lane.state;
    const [head, canvas] = item.children;
    head.replaceChildren(
      make("span", "", `${texts.client} ${lane.client}`),
      make("span", "st-state", texts[`state.${lane.state}`]),
      ...facts(lane).map((fact) => make("span", "", fact)),
    );
    draw(canvas, lane, span, most);
  });
  while (lanes.children.length > frame.lanes.length) lanes.lastChild.remove();
  axis.replaceChildren(...[0, 0.25, 0.5, 0.75, 1].map((part) => make("span", "", seconds(span * part))));
}

function draw(canvas, lane, span, most) {
  const scale = window.devicePixelRatio || 1;
  const [width, height] = [canvas.clientWidth, canvas.clientHeight];
  if (!width) return;
  if (canvas.width !== Math.round(width * scale)) canvas.width = Math.round(width * scale);
  if (canvas.height !== Math.round(height * scale)) canvas.height = Math.round(height * scale);
  const pen = canvas.getContext("2d");
  const style = getComputedStyle(element.querySelector(".st-lanes"));
  const colour = (name) => style.getPropertyValue(`--stream-${name}`).trim();
  const x = (at) => (at / span) * width;
  const bar = (at, wide, top, high) => pen.fillRect(x(at), top, Math.max(wide, 1.5), high);
  pen.setTransform(scale, 0, 0, scale, 0, 0);
  pen.clearRect(0, 0, width, height);
  pen.fillStyle = colour("sound");
  drawBuffer(pen, lane, x, (left) => height - (left / most) * (height - 14), height, frame.seconds);
  for (const at of lane.starts) bar(at, 1.5, 8, height - 8);
  pen.fillStyle = colour("text");
  for (const at of lane.text) bar(at, 1.5, 0, 6);
  if (lane.ended !== null) bar(lane.ended, 1.5, 0, height);
  pen.fillStyle = colour("gap");
  for (const [at, gap] of lane.underruns) bar(at, x(gap), height - 8, 8);
  pen.fillStyle = colour("first");
  if (lane.first_audio !== null) bar(lane.first_audio, 3, 0, height);
}

// The buffer falls by a second each second, and rises with a chunk.
function drawBuffer(pen, lane, x, y, bottom, now) {
  if (!lane.buffer.length) return;
  pen.globalAlpha = 0.45;
  pen.beginPath();
  pen.moveTo(x(lane.buffer[0][0]), bottom);
  lane.buffer.forEach(([at, left], index) => {
    pen.lineTo(x(at), y(left));
    const next = Math.min(lane.buffer[index + 1]?.[0] ?? now, Math.max(now, at));
    const dry = Math.min(at + left, next);
    pen.lineTo(x(dry), y(left - (dry - at)));
    pen.lineTo(x(next), y(left - (dry - at)));
  });
  pen.lineTo(x(now), bottom);
  pen.fill();
  pen.globalAlpha = 1;
}

// Figures -------------------------------------------------------------------------------------------------

function shown(name, value) {
  if (value === null || value === undefined) return "–";
  if (name === "real_time_factor") return hundredths.format(value);
  return COUNTS.has(name) ? whole.format(value) : time(value);
}

function change(name, now, before) {
  if (typeof now !== "number" || typeof before !== "number") return "–";
  const sign = now > before ? "+" : now < before ? "−" : "±";
  const share = before ? ` (${sign}${whole.format((Math.abs(now - before) / before) * 100)} %)` : "";
  return sign + shown(name, Math.abs(now - before)) + share;
}

function showFigures() {
  const { summary, before } = frame;
  if (!summary) return result.replaceChildren();
  const table = make("table");
  const heads = before ? ["figure", "this_run", "last_run", "change"] : ["figure", "this_run"];
  const top = table.createTHead().insertRow();
  for (const name of heads) {
    const head = make("th", "", texts[name]);
    head.scope = "col";
    top.append(head);
  }
  const body = table.createTBody();
  for (const name of ROWS) {
    const row = body.insertRow();
    row.dataset.figure = name;
    const head = make("th", "", texts[`row.${name}`]);
    head.scope = "row";
    row.append(head, make("td", "", shown(name, summary[name])));
    if (before) row.append(make("td", "", shown(name, before[name])), make("td", "", change(name, summary[name], before[name])));
  }
  result.replaceChildren(table);
}

const address = (name) => new URL(`page/stream-test/${frame.run}/${name}`, document.baseURI).href;

function showAfter() {
  after.replaceChildren();
  const recorded = frame.lanes.find((lane) => lane.recorded > 0);
  if (recorded) {
    const label = fill("hear", { client: recorded.client });
    const audio = make("audio");
    Object.assign(audio, { controls: true, preload: "none", src: address(`${recorded.client}.wav`) });
    audio.setAttribute("aria-label", label);
    after.append(make("span", "", label), audio);
  }
  const save = make("a", "", texts.save);
  Object.assign(save, { href: address("run.json"), download: "stream-test.json" });
  after.append(save);
}

// Log -----------------------------------------------------------------------------------------------------

function takeLines() {
  if (log.run !== frame.run) {
    log = { run: frame.run, lines: [], seen: 0 };
    const all = new Option(texts.log_all, "");
    client.replaceChildren(all, ...frame.lanes.map((lane) => new Option(lane.client, lane.client)));
  }
  const fresh = Math.min(frame.logged - log.seen, frame.lines.length);
  if (fresh > 0) log.lines.push(...frame.lines.slice(-fresh));
  if (log.lines.length > MOST_LINES) log.lines.splice(0, log.lines.length - MOST_LINES);
  log.seen = frame.logged;
}

async function fetchLog() {
  const { run } = frame;
  try {
    const answer = await fetch(address("run.json"));
    if (!answer.ok) throw new Error(answer.status);
    const told = await answer.json();
    if (log.run === run) log.lines = told.log;
  } catch {
    if (log.run === run) note.textContent += ` ${texts.lost}`;
  }
  showLog();
}

function showLog() {
  if (!details.open) return;
  const wanted = search.value.trim().toLowerCase();
  const asText = (line) => `${line.at.toFixed(3).padStart(8)}  ${String(line.client).padStart(2)}  ${texts[`what.${line.what}`]}  ${line.detail}`;
  const kept = log.lines
    .filter((line) => !client.value || line.client === Number(client.value))
    .filter((line) => !kind.value || line.what === kind.value)
    .map(asText)
    .filter((text) => !wanted || text.toLowerCase().includes(wanted));
  const atEnd = lines.scrollHeight - lines.scrollTop - lines.clientHeight < 40;
  lines.textContent = kept.slice(-MOST_SHOWN).join("\n");
  if (atEnd) lines.scrollTop = lines.scrollHeight;
  count.textContent = fill("log_lines", { shown: whole.format(kept.length), count: whole.format(log.lines.length) });
}

// Frames --------------------------------------------------------------------------------------------------

function show() {
  if (!props.value) return;
  const told = JSON.parse(props.value);
  note.classList.toggle("st-error", Boolean(told.error));
  if (told.error) {
    note.textContent = told.error;
    return;
  }
  frame = told;
  for (const part of [legend, axis, details]) part.hidden = false;
  const { summary } = frame;
  note.textContent = summary
    ? fill("done", { spoken: summary.spoken, clients: summary.clients, seconds: seconds(frame.seconds) })
    : texts.running;
  element.dataset.over = String(frame.over);
  after.hidden = !frame.over;
  drawLanes();
  showFigures();
  takeLines();
  showLog();
  if (frame.over) {
    showAfter();
    fetchLog();
  }
}

build();
watch("value", show);
show();
