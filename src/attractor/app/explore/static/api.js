// Questions to the server, and how the page says what came of them.

let visit = null;

const SILENT = "The server does not answer. Is attractor explore still running?";

/** Open a visit; the server keeps what is stored under its key. */
export async function begin() {
  const answer = await read(await send("/api/visit", { method: "POST" }));
  visit = answer.visit;
  return answer;
}

/** Ask for JSON. `body` is sent as JSON, `raw` as it is. Throws an Error with the server's reason. */
export async function ask(path, options = {}) {
  return read(await request(path, options));
}

/** Ask for lines of JSON and hand each to `take` when it comes. */
export async function askLines(path, options, take) {
  const response = await request(path, options);
  if (!response.ok) await read(response);
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  for (;;) {
    const { value, done } = await reader.read();
    if (done) return;
    const lines = (rest + value).split("\n");
    rest = lines.pop();
    lines.filter(Boolean).forEach((line) => take(JSON.parse(line)));
  }
}

async function request(path, { body, raw, method, signal }) {
  const headers = visit ? { "X-Visit": visit } : {};
  if (body !== undefined) headers["Content-Type"] = "application/json";
  if (raw !== undefined) headers["Content-Type"] = "application/octet-stream";
  const content = body === undefined ? raw : JSON.stringify(body);
  const response = await send(path, { method: method ?? (content === undefined ? "GET" : "POST"), headers, body: content, signal });
  if (response.status === 410) await begin();
  return response;
}

async function send(path, options) {
  try {
    return await fetch(path, options);
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Error(SILENT);
  }
}

async function read(response) {
  const answer = await response.json().catch(() => ({}));
  if (!response.ok) throw new Error(answer.detail ?? `The server answered ${response.status}.`);
  return answer;
}

/** Say in the status line, which screen readers follow, what has happened. */
export function say(text) {
  document.getElementById("status").textContent = text;
}

/** Show a problem where it arose; an empty text takes it away. */
export function problem(id, text) {
  const element = document.getElementById(id);
  element.hidden = !text;
  element.textContent = text;
}

/** Run `work`; what it throws is shown at `id`. Returns whether it went well. */
export async function trying(id, work) {
  try {
    await work();
    problem(id, "");
    return true;
  } catch (error) {
    if (error.name !== "AbortError") {
      problem(id, error.message);
      say("");
    }
    return false;
  }
}

/** A runner of asynchronous work that skips what has been overtaken: one runs, and the last one asked comes after it. */
export function latest(work) {
  let running = false;
  let waiting = null;
  return async (...given) => {
    waiting = given;
    if (running) return;
    running = true;
    try {
      while (waiting) {
        const next = waiting;
        waiting = null;
        await work(...next);
      }
    } finally {
      running = false;
    }
  };
}
