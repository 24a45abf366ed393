// Talk to the control API of the sandbox that served this page.

const PATH = "/control/v1";
const FIRST_RETRY_MS = 500;
const LAST_RETRY_MS = 5000;

/** Take the token from the address and remove it there: it shows in no picture of the screen. */
export function takeToken() {
  const found = new URLSearchParams(location.hash.slice(1)).get("token");
  if (found) {
    sessionStorage.setItem("token", found);
    history.replaceState(null, "", location.pathname);
  }
  return sessionStorage.getItem("token");
}

export class ApiError extends Error {
  constructor(status, text) {
    super(text);
    this.status = status;
  }
}

async function request(path, options = {}) {
  const token = sessionStorage.getItem("token") ?? "";
  const response = await fetch(PATH + path, {
    ...options,
    cache: "no-store",
    credentials: "omit",
    redirect: "error",
    headers: { ...options.headers, Authorization: `Bearer ${token}` },
  });
  if (!response.ok) {
    const body = await response.json().catch(() => ({}));
    throw new ApiError(response.status, body.error ?? `HTTP ${response.status}`);
  }
  return response;
}

/** Read a part of the sandbox; filters that are empty are left out. */
export async function read(path, filters = {}) {
  const query = new URLSearchParams();
  for (const [name, value] of Object.entries(filters)) {
    if (value !== "" && value !== null) query.set(name, value);
  }
  const text = query.toString();
  return (await request(text ? `${path}?${text}` : path)).json();
}

/** Carry out a command; the answer is the state after it. */
export async function run(command, fields = {}) {
  const response = await request(`/${command}`, {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify(fields),
  });
  return response.json();
}

/**
 * Call `onState` with each new state, and `onLive` when the sandbox is reached or lost.
 *
 * A browser opens six connections to one address, and a stream holds one. So one page of a browser
 * has the stream and tells the others; when it is closed, the next one takes over.
 */
export function follow({ onState, onLive, onRefused }) {
  const channel = new BroadcastChannel("sandbox-state");
  channel.onmessage = ({ data }) => {
    onLive(data.live);
    if (data.state) onState(data.state);
  };
  const tell = (live, state) => {
    onLive(live);
    if (state) onState(state);
    channel.postMessage({ live, state });
  };
  navigator.locks.request("sandbox-stream", () => stream(tell, onRefused));
}

async function stream(tell, onRefused) {
  let waitMs = FIRST_RETRY_MS;
  for (;;) {
    try {
      const response = await request("/events");
      waitMs = FIRST_RETRY_MS;
      await readEvents(response.body, (state) => tell(true, state));
    } catch (error) {
      if (error instanceof ApiError && error.status === 401) return onRefused();
    }
    tell(false, null);
    await new Promise((resolve) => setTimeout(resolve, waitMs));
    waitMs = Math.min(waitMs * 2, LAST_RETRY_MS);
  }
}

async function readEvents(body, onState) {
  const reader = body.pipeThrough(new TextDecoderStream()).getReader();
  let buffer = "";
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return;
    buffer += value;
    const events = buffer.split("\n\n");
    buffer = events.pop();
    // Only the last one matters: each is the whole state.
    const data = events.at(-1)?.split("\n").find((line) => line.startsWith("data: "));
    if (data) onState(JSON.parse(data.slice("data: ".length)));
  }
}
