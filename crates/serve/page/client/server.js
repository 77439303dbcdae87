// The server behind `/v1`, as the client in the worker sees it: requests, patience, and a record of each.

const ROOT = new URL('../../v1/', import.meta.url);
/** Times that the same bytes are sent before the page gives up. */
const ATTEMPTS = 8;
/** Longest wait that is sat out, in seconds. Beyond it the person decides. */
const PATIENCE = 60;
/** Bytes of a body that the page shows. */
const SHOWN = 80;

/** An answer that is none. `kind` is the last part of a problem's type, or `away` where nobody answered. */
export class Refusal extends Error {
  constructor(kind, detail, { status = 0, wait = null } = {}) {
    super(detail);
    Object.assign(this, { kind, status, wait });
  }
}

async function refusal(status, text, headers) {
  let problem = {};
  try {
    problem = JSON.parse(text);
  } catch {
    // Whatever stands between page and server speaks for itself.
  }
  const kind = problem.type?.split(':').pop() ?? `status-${status}`;
  const seconds = Number.parseFloat(headers('Retry-After'));
  return new Refusal(kind, problem.detail ?? `HTTP status ${status}`, { status, wait: Number.isFinite(seconds) ? seconds : null });
}

const sleep = (seconds) => new Promise((resolve) => setTimeout(resolve, 1000 * seconds));

/** A body that is sent with a report of how far it is. `fetch` has none. */
function upload(method, url, { headers, body, progress }) {
  return new Promise((resolve, reject) => {
    const request = new XMLHttpRequest();
    request.open(method, url);
    request.responseType = 'arraybuffer';
    Object.entries(headers).forEach(([name, value]) => request.setRequestHeader(name, value));
    request.upload.onprogress = ({ loaded }) => progress(loaded);
    request.onload = () =>
      resolve({ status: request.status, body: new Uint8Array(request.response), header: (name) => request.getResponseHeader(name) });
    request.onerror = () => reject(new TypeError('the connection failed'));
    request.send(body);
  });
}

async function carry(method, url, { headers, body }) {
  const reply = await fetch(url, { method, headers, body });
  return { status: reply.status, body: new Uint8Array(await reply.arrayBuffer()), header: (name) => reply.headers.get(name) };
}

export class Server {
  /** `seen` gets a record of every request, `waiting` is told of every pause: kind, seconds, number of the next attempt. */
  constructor(seen, waiting) {
    this.seen = seen;
    this.waiting = waiting;
  }

  /**
   * One request, sent again where nobody answered or the server asks to wait: the same bytes each time, and never because of what a
   * reply holds. Gives the body of the reply.
   */
  async ask(what, method, path, { body = null, token = null, progress = null, attempts = ATTEMPTS } = {}) {
    const url = new URL(path, ROOT);
    const headers = {};
    if (body) headers['Content-Type'] = 'application/octet-stream';
    if (token) headers.Authorization = `Bearer ${token}`;
    for (let attempt = 1; ; attempt += 1) {
      let failed;
      const start = performance.now();
      const record = { what, method, path: url.pathname + url.search, token: token !== null, sent: size(body), sentBytes: first(body) };
      const tell = (status, reply) =>
        this.seen({ ...record, status, received: size(reply), receivedBytes: first(reply), milliseconds: performance.now() - start });
      try {
        const reply = await (progress ? upload : carry)(method, url, { headers, body, progress });
        tell(reply.status, reply.body);
        if (reply.status < 300) return reply.body;
        failed = await refusal(reply.status, new TextDecoder().decode(reply.body), reply.header);
        if (failed.status !== 429 && failed.status !== 503) throw failed;
      } catch (error) {
        if (error instanceof Refusal) throw error;
        tell(0, null);
        failed = new Refusal('away', error.message);
      }
      const wait = Math.max(failed.wait ?? 0, Math.min(15, 2 ** (attempt - 1) * (0.5 + Math.random() / 2)));
      if (attempt === attempts || wait > PATIENCE) throw failed;
      this.waiting(failed.kind, wait, attempt + 1);
      await sleep(wait);
    }
  }

  async json(what, method, path, options) {
    return JSON.parse(new TextDecoder().decode(await this.ask(what, method, path, options)));
  }
}

const size = (body) => body?.length ?? 0;
const first = (body) => (body ? body.slice(0, SHOWN) : new Uint8Array());
