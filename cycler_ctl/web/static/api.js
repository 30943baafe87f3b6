// The station's HTTP API. The token comes in the address after '#', is kept in memory only and taken off the address.

let token = "";

export function takeToken() {
  const found = new URLSearchParams(location.hash.slice(1)).get("token");
  if (!found) return false;
  token = found;
  history.replaceState(null, "", location.pathname + location.search);
  return true;
}

export function mayAct() { return token !== ""; }

export function headers() { return token ? { Authorization: `Bearer ${token}` } : {}; }

export async function get(address) {
  return answer(await fetch(address, { headers: headers(), cache: "no-store" }));
}

export function post(address, body) { return send("POST", address, body); }

/** DELETE takes a body too: who asks, for the record. */
export async function send(method, address, body) {
  return answer(await fetch(address, {
    method,
    headers: { ...headers(), "Content-Type": "application/json" },
    body: JSON.stringify(body),
  }));
}

/** `run`: the one that is meant; null: whatever runs there. */
export function act(channel, word, by, run) { return post(of(channel, word), run ? { by, run } : { by }); }

/** The address of something of a channel. */
export function of(channel, what) { return `/api/v1/channels/${encodeURIComponent(channel)}/${what}`; }

async function answer(response) {
  if (response.ok) return response.json();
  const said = await response.json().catch(() => ({}));
  throw new Error(typeof said.detail === "string" ? said.detail : `the station answered ${response.status}`);
}
