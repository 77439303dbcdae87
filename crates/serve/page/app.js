// The page: what a person presses and reads. The work is the worker's.

import { bytes, texts } from './texts.js';
import { Seen, costs, element } from './seen.js';
import { Spectrogram } from './spectrogram.js';
import { decode, level, listen } from './sound.js';
import * as store from './client/store.js';

const at = (id) => document.getElementById(id);
document.querySelectorAll('[data-text]').forEach((place) => (place.textContent = texts[place.dataset.text]));
at('level').setAttribute('aria-label', texts.level);
at('spectrogram').setAttribute('aria-label', texts.spectrogram);

const seen = new Seen(at('requests'), at('seen-sum'), at('stays'));
const spectrogram = new Spectrogram(at('spectrogram'));
/** The libraries, the chosen one and the chosen protocol. */
const state = { models: [], model: null, protocol: 'flat', registered: false, going: null };

// Calls of the worker.
const open = new Map();
let calls = 0;
let worker = null;
const tabs = new BroadcastChannel('sordino');

function hire() {
  const hired = new Worker(new URL('client/worker.js', import.meta.url), { type: 'module' });
  worker = hired;
  worker.onmessage = ({ data: { event, id, result, error, ...detail } }) => {
    if (event) {
      events[event]?.(detail);
      return;
    }
    const { resolve, reject } = open.get(id);
    open.delete(id);
    if (error) reject(error);
    else resolve(result);
  };
  // Its files are fetched from the server, which may be away. Whoever calls next hires another one.
  worker.onerror = () => worker === hired && dismiss('module');
}

/** Ends the worker, in the middle of a computation too. Whoever waits for it hears why. */
function dismiss(kind) {
  worker.terminate();
  worker = null;
  open.forEach(({ reject }) => reject({ kind }));
  open.clear();
}

function call(name, argument) {
  if (!worker) hire();
  const id = (calls += 1);
  worker.postMessage({ id, call: name, argument });
  return new Promise((resolve, reject) => open.set(id, { resolve, reject }));
}

/** Ends what goes on. The next worker makes itself ready meanwhile. */
function stop() {
  if (open.size === 0) return;
  dismiss('stopped');
  hire();
}

const events = {
  request: ({ request }) => seen.add(request),
  waiting: ({ kind, wait, attempt }) => status((kind === 'away' ? texts.away : texts.busy)(wait, attempt)),
  stage: ({ stage, trip, trips }) => {
    work(null);
    status(stage === 'asking' ? texts.asking(trip, trips) : texts[stage]);
  },
  features: ({ count, milliseconds }) => seen.keep('features', texts.stays.featuresHeld(count, milliseconds)),
  key: () => seen.keep('key', texts.stays.keyHeld),
  making: ({ fraction }) => work(fraction, texts.making(fraction)),
  sending: ({ sent, size }) => work(sent / size, texts.sending(sent, size)),
  made: ({ milliseconds }) => performance.measure('evaluation key', { start: performance.now() - milliseconds, duration: milliseconds }),
  prepared: () => {
    work(null);
    registered(true);
  },
  models: ({ models }) => offer(models),
  forgotten: () => forgotten(),
};

// What is said.
function status(text) {
  if (at('status').textContent !== text) at('status').textContent = text;
}

/** A fault, and what can be done about it. */
function fail(text, again) {
  const place = at('failure');
  at('token-form').hidden = true;
  place.replaceChildren(...(text ? [element('p', text)] : []));
  if (again) {
    const button = element('button', texts.again);
    button.type = 'button';
    button.onclick = () => (fail(''), again());
    place.append(button);
  }
}

/** Progress of something long; `null` hides it. */
function work(fraction, text = '') {
  at('work').hidden = fraction === null;
  if (fraction === null) return;
  at('progress').value = fraction;
  at('progress-text').textContent = text;
}

/** Says what went wrong. Only where nothing was decrypted and waiting may help, the same may be asked again. */
function explain({ kind, message, wait, decrypted }, again) {
  const said = {
    'no-model': () => texts.noModel(message),
    module: () => texts.noModule,
    away: () => texts.gone,
    reply: () => texts.refused(message),
    denied: () => texts.denied,
    none: () => texts.noMicrophone,
    failed: () => texts.microphoneFailed(message),
    undecodable: () => texts.undecodable,
    forgotten: () => texts.forgottenMeanwhile,
    'token-missing': () => texts.tokenMissing,
    'token-unknown': () => texts.tokenUnknown,
  }[kind];
  const passing = ['away', 'busy', 'deadline', 'stopping', 'too-many'].includes(kind);
  fail(said ? said() : wait ? texts.later(message, wait) : message, passing && !decrypted ? again : undefined);
  if (kind === 'token-missing' || kind === 'token-unknown') askToken(again);
}

/** Asks for a token that the operator gave out, and goes on with it. */
function askToken(again) {
  const form = at('token-form');
  form.hidden = false;
  form.onsubmit = async (event) => {
    event.preventDefault();
    await call('give', at('token').value);
    at('token').value = '';
    fail('');
    again?.();
  };
}

// The choice.
function offer(served) {
  // What a page fetches once spares nothing in raw, and its key is twice as large.
  const spoken = (model) => ({ ...model, protocols: model.protocols.filter(({ name }) => name !== 'raw') });
  const models = served.map(spoken).filter(({ protocols }) => protocols.length > 0);
  state.models = models;
  const names = models.map(({ name }) => name);
  at('model').replaceChildren(...names.map((name) => new Option(name, name)));
  at('model-choice').hidden = models.length < 2;
  if (models.length === 0) return fail(texts.noModels, start);
  choose(names.includes(state.model?.name) ? state.model.name : names[0]);
}

function choose(name) {
  state.model = state.models.find((model) => model.name === name);
  at('model').value = name;
  at('library').textContent = texts.library(state.model.tracks, name);
  const names = state.model.protocols.map((protocol) => protocol.name);
  if (!names.includes(state.protocol)) [state.protocol] = names;
  const cards = state.model.protocols.map((protocol) => {
    const radio = Object.assign(element('input'), { type: 'radio', name: 'protocol', value: protocol.name });
    radio.checked = protocol.name === state.protocol;
    radio.onchange = () => pick(protocol.name);
    const said = texts.protocols[protocol.name] ?? { name: protocol.name, what: texts.otherProtocol };
    const label = element('label', '', radio, element('strong', said.name), element('span', said.what));
    return Object.assign(element('div', '', label, ...costs(protocol)), { className: 'card' });
  });
  at('protocols').replaceChildren(at('protocols').firstElementChild, ...cards);
  pick(state.protocol);
  idle();
}

function pick(protocol) {
  state.protocol = protocol;
  const size = chosen().evaluation_key_bytes;
  at('evaluation').hidden = size == null;
  if (size == null) return;
  at('evaluation-text').textContent = state.registered ? texts.evaluationThere : texts.evaluationNeeded(bytes(size));
  at('prepare').hidden = state.registered;
}

const chosen = () => state.model.protocols.find(({ name }) => name === state.protocol);

function registered(there) {
  state.registered = there;
  if (state.model) pick(state.protocol);
}

// The question.
function idle() {
  state.going = null;
  const able = state.model !== null;
  at('listen').setAttribute('aria-disabled', String(!able || !navigator.mediaDevices));
  at('listen').classList.remove('going');
  at('listen-text').textContent = texts.listen;
  at('left').textContent = '';
  for (const id of ['file', 'prepare', 'forget', 'model']) at(id).disabled = !able;
  at('protocols').disabled = !able;
  work(null);
}

/** Runs `task` as the one thing that goes on: the big button stops it. */
async function go(task, again) {
  if (state.going || !state.model) return;
  state.going = new AbortController();
  state.going.signal.addEventListener('abort', stop);
  at('listen').setAttribute('aria-disabled', 'false');
  at('listen').classList.add('going');
  at('listen-text').textContent = texts.stop;
  for (const id of ['file', 'prepare', 'forget', 'model']) at(id).disabled = true;
  at('protocols').disabled = true;
  fail('');
  try {
    await task(state.going.signal);
  } catch (error) {
    if (state.going.signal.aborted) status(texts.stopped);
    else {
      status('');
      explain(error, again);
    }
  } finally {
    idle();
    meter(null);
  }
}

function meter(db) {
  const place = at('level');
  const shown = Math.max(-60, Math.min(0, db === null ? -60 : Math.round(db)));
  place.setAttribute('aria-valuenow', shown);
  place.setAttribute('aria-valuetext', texts.levelValue(-shown));
  place.firstElementChild.style.setProperty('transform', `scaleX(${(shown + 60) / 60})`);
}

async function microphone() {
  const seconds = state.model.query_seconds;
  at('answer').hidden = true;
  let clip;
  await go(async (signal) => {
    status(texts.listeningStart(seconds));
    spectrogram.clear();
    clip = await listen(
      seconds,
      (samples, rate, fraction) => {
        spectrogram.draw(samples, rate, fraction);
        meter(level(samples, rate));
        // Shown only: a screen reader would talk into the music.
        at('left').textContent = texts.left(seconds * (1 - fraction));
      },
      signal,
    );
    at('left').textContent = '';
    meter(null);
    await ask(clip);
  }, () => again(clip));
}

async function file(chosen) {
  at('answer').hidden = true;
  let clip;
  await go(async () => {
    status(texts.reading);
    clip = await decode(chosen, state.model.query_seconds);
    spectrogram.clear();
    spectrogram.draw(clip.samples, clip.rate, 1);
    await ask(clip);
  }, () => again(clip));
}

/** The same clip once more, of which nothing was decrypted yet. */
const again = (clip) => (clip ? go(() => ask(clip), () => again(clip)) : start());

async function ask({ samples, rate }) {
  seen.keep('sound', texts.stays.soundHeld(samples.length / rate, samples.byteLength));
  const clip = { samples, rate, name: state.model.name, protocol: state.protocol };
  const { answer, spent } = await call('ask', clip);
  Object.entries(spent).forEach(([name, duration]) => performance.measure(name, { start: performance.now() - duration, duration }));
  seen.keep('work', texts.stays.workHeld(spent.encrypt, spent.decrypt));
  seen.keep('scores', texts.stays.scoresHeld);
  status(texts.done);
  show(answer);
}

function show({ shade, wrong, matches, evidence }) {
  const [best] = matches;
  const named = shade !== 'unknown';
  at('answer-title').textContent = named ? texts.title[shade](best.title) : texts.unknown;
  at('artist').textContent = named ? best.artist && texts.by(best.artist) : texts.unknownWhy;
  at('album').textContent = named && best.album ? texts.from(best.album) : '';
  at('copies').textContent = named && best.copies.length ? texts.copies(best.copies) : '';
  const placed = named && best.from_seconds != null;
  at('where').textContent = placed ? texts.where(best.from_seconds, best.to_seconds) : '';
  at('sure').textContent = evidence ? texts.sure[evidence.measure](evidence.found, evidence.above) : texts.noScore;
  at('chance').textContent = wrong == null ? '' : texts.chance(named, wrong);
  at('answer').classList.toggle('unknown', !named);
  at('answer').hidden = false;
}

function forgotten() {
  registered(false);
  seen.keep('key', texts.stays.keyNone);
  at('answer').hidden = true;
}

// What is pressed.
at('listen').onclick = () => {
  if (state.going) state.going.abort();
  else if (at('listen').getAttribute('aria-disabled') !== 'true') microphone();
};
at('file').onchange = ({ target }) => {
  const [chosen] = target.files;
  target.value = '';
  if (chosen) file(chosen);
};
at('model').onchange = ({ target }) => choose(target.value);
at('prepare').onclick = () =>
  go(async () => {
    status('');
    await call('prepare');
    status(texts.prepared);
  }, () => at('prepare').click());
at('forget').onclick = async () => {
  if (state.going) return;
  at('forgotten').textContent = '';
  forgotten();
  // Here first, without the worker: where the server is away, there may be none.
  await store.remove('key');
  tabs.postMessage('forgotten');
  try {
    await call('forget');
    at('forgotten').textContent = texts.forgotten;
  } catch (error) {
    status('');
    at('forgotten').textContent = texts.forgottenHere(['away', 'module'].includes(error.kind) ? texts.gone : error.message);
  }
};

// A file may be dropped anywhere.
let over = 0;
const dropping = (by) => {
  over = Math.max(0, over + by);
  at('drop').hidden = over === 0;
};
addEventListener('dragenter', () => dropping(1));
addEventListener('dragleave', () => dropping(-1));
addEventListener('dragover', (event) => event.preventDefault());
addEventListener('drop', (event) => {
  event.preventDefault();
  dropping(-over);
  const [chosen] = event.dataTransfer.files;
  if (chosen) file(chosen);
});

async function start() {
  fail('');
  status(texts.loading);
  if (!navigator.mediaDevices) {
    at('notice').textContent = texts.insecure(location.origin);
    at('notice').hidden = false;
  }
  try {
    const mine = await call('start');
    if (mine.key) events.key();
    registered(mine.evaluation);
    offer(await call('models'));
    if (state.model) status(texts.ready(state.model.query_seconds));
  } catch (error) {
    status('');
    explain(error, start);
  }
}

idle();
start();
