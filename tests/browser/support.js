// What the tests stand on: a server, a browser with a microphone that plays a file, and clips.

import { execFile, spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { cpSync, mkdirSync, mkdtempSync, readFileSync, readdirSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { chromium } from 'playwright-core';

const SORDINO = process.env.SORDINO ?? 'sordino';
const MODEL = process.env.MODEL ?? new URL('../../models/composed', import.meta.url).pathname;
const SHOTS = process.env.SCREENSHOTS;

export const folder = mkdtempSync(join(tmpdir(), 'sordino-browser-'));
process.on('exit', () => rmSync(folder, { recursive: true, force: true }));

/** What the program prints, as JSON. */
export async function sordino(...args) {
  const { stdout } = await promisify(execFile)(SORDINO, [...args, '--json']);
  return JSON.parse(stdout);
}

async function freePort() {
  const probe = createServer().listen(0, '127.0.0.1');
  await once(probe, 'listening');
  const { port } = probe.address();
  probe.close();
  await once(probe, 'close');
  return port;
}

/** `sordino serve` on a free port, with a copy of the model that may be replaced and whose routing layers are public, and keys of its own. */
export class Server {
  static async start(...more) {
    const server = new Server();
    server.more = more;
    server.port = await freePort();
    server.home = mkdtempSync(join(folder, 'server-'));
    server.model = join(server.home, 'composed');
    cpSync(MODEL, server.model, { recursive: true });
    // So that every protocol is spoken.
    await sordino('library', 'routing', server.model, 'public');
    await server.up();
    return server;
  }

  get origin() {
    return `http://127.0.0.1:${this.port}`;
  }

  async up() {
    const [command, ...verb] = (process.env.SERVE ?? `${SORDINO} serve`).split(' ');
    const place = ['--listen', `127.0.0.1:${this.port}`, '--store', join(this.home, 'store'), '--budget', 'none'];
    const args = [...verb, this.model, ...place, ...this.more];
    this.process = spawn(command, args, { stdio: 'ignore' });
    for (let tries = 0; tries < 600; tries += 1) {
      if (this.process.exitCode !== null) throw new Error(`the server ended with ${this.process.exitCode}`);
      const ready = await fetch(`${this.origin}/readyz`).catch(() => null);
      if (ready?.ok) return;
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
    throw new Error('the server was not ready within a minute');
  }

  /** Serves another version of the model, which `change` makes of a copy, while queries run. */
  async swap(change) {
    const before = (await (await fetch(`${this.origin}/v1/models`)).json()).models[0].hash;
    const [next, old] = [`${this.model}.next`, `${this.model}.old`];
    cpSync(this.model, next, { recursive: true });
    change(next);
    renameSync(this.model, old);
    renameSync(next, this.model);
    rmSync(old, { recursive: true });
    for (let tries = 0; tries < 300; tries += 1) {
      const { models } = await (await fetch(`${this.origin}/v1/models`)).json();
      if (models[0].hash !== before) return;
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
    throw new Error('the server did not look at the new model within half a minute');
  }

  async down() {
    if (this.process.exitCode !== null) return;
    this.process.kill('SIGTERM');
    await once(this.process, 'exit');
  }
}

/** A browser whose microphone plays `sound`, or beeps where there is none. Everything it keeps is gone with it. */
export async function browse({ sound, allowed = true, args = [], ...context } = {}) {
  const flags = [
    ...args,
    '--no-sandbox',
    '--disable-gpu',
    '--disable-quic',
    '--no-first-run',
    '--disable-background-networking',
    '--disable-component-update',
    '--disable-sync',
    '--use-fake-device-for-media-stream',
  ];
  if (sound) flags.push(`--use-file-for-fake-audio-capture=${sound}`);
  if (allowed) flags.push('--use-fake-ui-for-media-stream');
  const profile = mkdtempSync(join(folder, 'profile-'));
  return chromium.launchPersistentContext(profile, {
    executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium',
    args: flags,
    viewport: { width: 1100, height: 900 },
    ...context,
  });
}

/** The page of a server, ready for a question. */
export async function visit(context, server) {
  const page = await context.newPage();
  page.faults = [];
  page.on('pageerror', (error) => page.faults.push(String(error)));
  page.on('console', (message) => {
    // A status that is no success is the browser's to log, not the page's fault.
    if (message.type() === 'error' && !message.text().startsWith('Failed to load resource')) page.faults.push(message.text());
  });
  await page.goto(server.origin);
  await page.getByText(/^Ready\. Takes/).waitFor();
  return page;
}

/** Keeps a picture of the page where the run asked for pictures. */
export async function shoot(page, name) {
  if (!SHOTS) return;
  mkdirSync(SHOTS, { recursive: true });
  await page.screenshot({ path: join(SHOTS, `${name}.png`), fullPage: true });
}

/** Samples of a 16-bit WAV file, as floats, and its rate. */
export function readWav(path) {
  const bytes = readFileSync(path);
  let at = 12;
  let rate = 0;
  for (;;) {
    const name = bytes.toString('latin1', at, at + 4);
    const size = bytes.readUInt32LE(at + 4);
    if (name === 'fmt ') rate = bytes.readUInt32LE(at + 12);
    if (name === 'data') {
      const samples = Float32Array.from({ length: size / 2 }, (_, i) => bytes.readInt16LE(at + 8 + 2 * i) / 32768);
      return { samples, rate };
    }
    at += 8 + size + (size % 2);
  }
}

/** Writes 16-bit WAV of one channel. */
export function writeWav(path, { samples, rate }) {
  const bytes = Buffer.alloc(44 + 2 * samples.length);
  bytes.write('RIFF', 0);
  bytes.writeUInt32LE(36 + 2 * samples.length, 4);
  bytes.write('WAVEfmt ', 8);
  bytes.writeUInt32LE(16, 16);
  bytes.writeUInt16LE(1, 20);
  bytes.writeUInt16LE(1, 22);
  bytes.writeUInt32LE(rate, 24);
  bytes.writeUInt32LE(2 * rate, 28);
  bytes.writeUInt16LE(2, 32);
  bytes.writeUInt16LE(16, 34);
  bytes.write('data', 36);
  bytes.writeUInt32LE(2 * samples.length, 40);
  samples.forEach((x, i) => bytes.writeInt16LE(Math.round(Math.max(-1, Math.min(1, x)) * 32767), 44 + 2 * i));
  writeFileSync(path, bytes);
  return path;
}

/** Repeatable noise of unit power, near enough to Gaussian. */
function noise(length) {
  let state = 1;
  const uniform = () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state / 2 ** 32 - 0.5;
  };
  return Float32Array.from({ length }, () => uniform() + uniform() + uniform() + uniform()).map((x) => x * Math.sqrt(3));
}

/** Tracks of the committed model's library, composed anew: title and path of each. */
export async function compose(tracks, seed = 1) {
  const music = mkdtempSync(join(folder, 'music-'));
  await sordino('synth', '--tracks', String(tracks), '--seed', String(seed), '--out', music);
  const names = readdirSync(music).filter((name) => name.endsWith('.wav')).sort();
  return names.map((name) => ({ title: name.replace(/^\d+ .*? - (.*)\.wav$/, '$1'), path: join(music, name) }));
}

/** Fourteen seconds from within a track, under white noise of so many dB below it. */
export function noisy(track, snr, name) {
  const { samples, rate } = readWav(track.path);
  const clip = samples.slice(8 * rate, 22 * rate);
  const power = clip.reduce((sum, x) => sum + x * x, 0) / clip.length;
  const scale = Math.sqrt(power / 10 ** (snr / 10));
  const hiss = noise(clip.length);
  return writeWav(join(folder, name), { samples: clip.map((x, i) => 0.5 * (x + scale * hiss[i])), rate });
}

/** What the page keeps between visits. */
export function kept(page) {
  return page.evaluate(
    () =>
      new Promise((resolve, reject) => {
        const request = indexedDB.open('sordino', 1);
        request.onerror = () => reject(request.error);
        request.onsuccess = () => {
          const store = request.result.transaction('me').objectStore('me');
          const names = store.getAllKeys();
          const values = store.getAll();
          values.onsuccess = () => {
            request.result.close();
            resolve(Object.fromEntries(names.result.map((name, i) => [name, values.result[i]])));
          };
        };
      }),
  );
}

/** Turns a model into another one of the same music: another server half by its hash, and a mark at every title. */
export function newEdition(model, mark) {
  const hash = (bytes) => createHash('sha256').update(bytes).digest('hex');
  const sums = (half) => join(model, half, 'SHA256SUMS');
  const change = (half, file, text) => {
    const path = join(model, half, file);
    const before = readFileSync(path);
    const after = Buffer.from(text(before.toString()));
    writeFileSync(path, after);
    writeFileSync(sums(half), readFileSync(sums(half), 'utf8').replace(hash(before), hash(after)));
  };
  const before = hash(readFileSync(sums('server')));
  change('server', 'model.json', (text) => `${text}\n`);
  const after = hash(readFileSync(sums('server')));
  change('client', 'model.json', (text) => text.replaceAll(before, after));
  change('client', 'labels.json', (text) => text.replace(/("title":"[^"]*)"/g, `$1${mark}"`));
}
