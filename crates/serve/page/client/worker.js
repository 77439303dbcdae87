// The client, off the page's thread: keys, features, encryption, decryption and all requests. The secret key never leaves this worker
// but for the browser's own store. The page stops what goes on by ending the worker: nothing in it is lost but what was going on.

import init, { Key, Listener, Model } from '../module/sordino_web.js';
import { evaluation } from './evaluation.js';
import { Refusal, Server } from './server.js';
import * as store from './store.js';

/** Times that a clip is started anew, where the server has changed under it. */
const ANEW = 3;

const tell = (event, detail) => postMessage({ event, ...detail });
const server = new Server(
  (request) => tell('request', { request }),
  (kind, wait, attempt) => tell('waiting', { kind, wait, attempt }),
);
const ready = init().catch((error) => Promise.reject(new Refusal('module', error.message)));
ready.catch(() => {});
const tabs = new BroadcastChannel('sordino');
/** Models by the hash of their client half, listeners by model and protocol. */
const halves = new Map();
const listeners = new Map();
let catalogue = null;
let secret = null;

/** Drops everything that hangs on the key. Another tab may have deleted it from the store. */
function drop() {
  listeners.forEach((listener) => listener.free());
  listeners.clear();
  secret?.free();
  secret = null;
}
tabs.onmessage = () => {
  drop();
  tell('forgotten', {});
};

/** The secret key: the one in the store, or a new one that is stored. One for all tabs. */
async function key() {
  await ready;
  if (!secret) {
    const { bytes } = await store.update('key', (kept) => kept ?? { bytes: Key.generate().toBytes(), evaluation: null });
    secret ??= Key.fromBytes(bytes);
  }
  tell('key', {});
  return secret;
}

/**
 * Names this browser to this server, and to nobody else: made up here, or given out by the operator. Unless it was given out, only
 * evaluation keys and what uses them need it.
 */
function token() {
  const hex = (bytes) => Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join('');
  return store.update('token', (kept) => kept ?? hex(crypto.getRandomValues(new Uint8Array(32))));
}

async function models({ fresh = false } = {}) {
  if (fresh) catalogue = null;
  catalogue ??= (await server.json('models', 'GET', 'models')).models;
  return catalogue;
}

async function described(name) {
  const model = (await models()).find((model) => model.name === name);
  if (!model) throw new Refusal('no-model', name);
  return model;
}

const path = (...parts) => ['models', ...parts].map(encodeURIComponent).join('/');

async function half({ name, client }) {
  await ready;
  if (!halves.has(client.hash)) {
    const bytes = await server.ask('client', 'GET', `${path(name, 'client')}?hash=${client.hash}`);
    halves.set(client.hash, Model.fromBytes(bytes));
  }
  return halves.get(client.hash);
}

/** The name of the evaluation key that the server has; it is made and sent where there is none. One for all tabs. */
async function registered() {
  const mine = await token();
  const made = await key();
  const there = async () => (await store.get('key'))?.evaluation;
  const make = async () => {
    const kept = await there();
    if (kept) return kept;
    const start = performance.now();
    const { name, body } = await evaluation(made, (fraction) => tell('making', { fraction }));
    tell('made', { milliseconds: performance.now() - start });
    const progress = (sent) => tell('sending', { sent, size: body.length });
    progress(0);
    await server.ask('key', 'PUT', `keys/${name}`, { body, token: mine, progress });
    // Another tab may have forgotten the secret key meanwhile.
    const bytes = made.toBytes();
    const same = (kept) => kept?.bytes.every((byte, i) => byte === bytes[i]);
    const stored = await store.update('key', (kept) => (same(kept) ? { ...kept, evaluation: name } : undefined));
    if (!stored) {
      await server.ask('keys', 'DELETE', `keys/${name}`, { token: mine });
      throw new Refusal('forgotten', name);
    }
    return name;
  };
  const name = (await there()) ?? (await store.alone('sordino-evaluation', make, () => tell('stage', { stage: 'otherTab' })));
  tell('prepared', {});
  return name;
}

const needsKey = (model, protocol) => model.protocols.find(({ name }) => name === protocol)?.evaluation_key_bytes != null;

async function listener(model, protocol) {
  const evaluation = needsKey(model, protocol) ? await registered() : undefined;
  const id = [model.name, model.hash, protocol, evaluation].join(' ');
  if (!listeners.has(id)) {
    const hello = await server.ask('hello', 'GET', path(model.name, 'protocols', protocol, 'hello'));
    listeners.set(id, new Listener(await half(model), await key(), evaluation, hello));
  }
  return listeners.get(id);
}

/** Mends what the server refused, where it can be mended. Only before any reply was decrypted: so it follows from nothing secret. */
async function mended(error) {
  if (!(error instanceof Refusal) || error.decrypted) return false;
  if (error.kind === 'model-changed' || error.kind === 'not-found') {
    tell('stage', { stage: 'changed' });
    tell('models', { models: await models({ fresh: true }) });
    return true;
  }
  if (error.kind === 'key-missing') {
    tell('stage', { stage: 'keyMissing' });
    await store.update('key', (kept) => kept && { ...kept, evaluation: null });
    return true;
  }
  return false;
}

async function query({ samples, rate, name, protocol }) {
  const model = await described(name);
  const spent = { features: 0, encrypt: 0, wait: 0, decrypt: 0 };
  const timed = (phase, work) => {
    const start = performance.now();
    try {
      return work();
    } finally {
      spent[phase] += performance.now() - start;
    }
  };
  const public_ = await half(model);
  tell('stage', { stage: 'features' });
  const features = timed('features', () => public_.features(samples, rate));
  tell('features', { count: features.length, milliseconds: spent.features });
  const asker = await listener(model, protocol);
  const mine = needsKey(model, protocol) || (await store.get('given')) ? await token() : null;
  const trips = model.protocols.find((described) => described.name === protocol)?.trips ?? 1;
  tell('stage', { stage: 'encrypting' });
  let message = timed('encrypt', () => asker.start(features));
  for (let trip = 1; ; trip += 1) {
    tell('stage', { stage: 'asking', trip, trips });
    const start = performance.now();
    let reply;
    try {
      const to = path(name, 'protocols', protocol, 'queries');
      reply = await server.ask('query', 'POST', to, { body: message, token: mine });
    } catch (error) {
      error.decrypted = trip > 1;
      throw error;
    }
    spent.wait += performance.now() - start;
    tell('stage', { stage: 'decrypting' });
    let step;
    try {
      step = timed('decrypt', () => asker.receive(reply));
    } catch (error) {
      // Not to be asked again: whether a reply could be used is already a secret.
      throw new Refusal('reply', error.message);
    }
    if (step.answer !== undefined) return { answer: JSON.parse(step.answer), spent };
    message = step.message;
  }
}

const calls = {
  async start() {
    await ready;
    const kept = await store.get('key');
    return { key: kept !== undefined, evaluation: Boolean(kept?.evaluation) };
  },
  models,
  async ask(clip) {
    for (let attempt = 1; ; attempt += 1) {
      try {
        return await query(clip);
      } catch (error) {
        if (attempt === ANEW || !(await mended(error))) throw error;
      }
    }
  },
  prepare: registered,
  /** Takes a token that the operator gave out. Keys that were registered with another one are not this one's. */
  async give(given) {
    drop();
    await store.update('token', () => given);
    await store.update('given', () => true);
    await store.update('key', (kept) => kept && { ...kept, evaluation: null });
  },
  /** Forgets what the server knows. The page has deleted the key. */
  async forget() {
    drop();
    const mine = await store.get('token');
    // The token goes last: without it, nobody could delete the keys on the server.
    if (mine) await server.ask('keys', 'DELETE', 'keys', { token: mine, attempts: 2 });
    await store.remove('token', 'given');
  },
};

onmessage = async ({ data: { id, call, argument } }) => {
  try {
    postMessage({ id, result: await calls[call](argument) });
  } catch (error) {
    const { kind = 'other', wait = null, decrypted = false } = error;
    postMessage({ id, error: { kind, wait, decrypted, message: error.message ?? String(error) } });
  }
};
