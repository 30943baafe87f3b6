// Server-sent events over fetch: an EventSource cannot send the token. Comes back by itself and goes on from the
// last event it saw.

const SILENCE_MS = 7000; // the station says something every 2 s
const LONGEST_WAIT_MS = 8000;

/** Calls back `event(name, data)`, `live()`, `lost(status)` for ever. */
export async function follow(address, headers, { event, live, lost }) {
  let lastId = "";
  let wait = 500;
  for (;;) {
    let status = 0;
    try {
      status = await listen(address, { ...headers(), "Last-Event-ID": lastId }, () => { wait = 500; live(); }, (id, name, data) => {
        lastId = id || lastId;
        event(name, data);
      });
    } catch {
      // the connection broke; what is shown is old from now on, and lost() says so
    }
    lost(status);
    await pause(wait);
    wait = Math.min(wait * 2, LONGEST_WAIT_MS);
  }
}

async function listen(address, headers, live, event) {
  const abort = new AbortController();
  let timer = setTimeout(() => abort.abort(), SILENCE_MS);
  try {
    const answer = await fetch(address, { headers, signal: abort.signal, cache: "no-store" });
    if (!answer.ok) return answer.status;
    live();
    let rest = "";
    const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return 0;
      clearTimeout(timer);
      timer = setTimeout(() => abort.abort(), SILENCE_MS);
      const blocks = (rest + value).split("\n\n");
      rest = blocks.pop();
      blocks.forEach((block) => parse(block, event));
    }
  } finally {
    clearTimeout(timer);
    abort.abort();
  }
}

function parse(block, event) {
  const field = { id: "", event: "message", data: "" };
  for (const line of block.split("\n")) {
    const colon = line.indexOf(": ");
    if (colon > 0) field[line.slice(0, colon)] = line.slice(colon + 2);
  }
  if (field.data) event(field.id, field.event, JSON.parse(field.data));
}

function pause(ms) {
  return new Promise((resolve) => { setTimeout(resolve, ms); });
}
