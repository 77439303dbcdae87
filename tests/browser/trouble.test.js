// What goes wrong is said, and mended where that is safe.

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { after, before, test } from 'node:test';
import { Server, browse, compose, kept, newEdition, noisy, shoot, sordino, visit } from './support.js';

let server;
let tracks;
let stranger;
const limit = { timeout: 240_000 };

before(async () => {
  tracks = await compose(5);
  [stranger] = await compose(1, 4_711);
  server = await Server.start();
});
after(() => server?.down());

/** One page of a browser of its own, closed at the end. */
async function alone(options, work) {
  const context = await browse(options);
  try {
    const page = await visit(context, server);
    await work(page, context);
    assert.deepEqual(page.faults, []);
  } finally {
    await context.close();
  }
}

async function drop(page, path) {
  const content = readFileSync(path).toString('base64');
  const transfer = await page.evaluateHandle(
    ([content, name]) => {
      const bytes = Uint8Array.from(atob(content), (c) => c.charCodeAt(0));
      const transfer = new DataTransfer();
      transfer.items.add(new File([bytes], name));
      return transfer;
    },
    [content, basename(path)],
  );
  await page.dispatchEvent('body', 'drop', { dataTransfer: transfer });
}

async function named(page) {
  await page.locator('#answer').waitFor({ timeout: 180_000 });
  return page.locator('#answer-title').textContent();
}

test('a file that is dropped is named', limit, () =>
  alone({}, async (page) => {
    await drop(page, tracks[2].path);
    assert.equal(await named(page), tracks[2].title);
  }));

test('a file is answered as the program answers it', limit, () =>
  alone({}, async (page) => {
    for (const track of tracks) {
      const { identified } = await sordino('identify', server.model, track.path, '--protocol', 'flat');
      const [{ known, evidence, best: [{ from_seconds: from }] }] = identified;
      await page.locator('#file').setInputFiles(track.path);
      await page.locator('#answer').waitFor({ state: 'hidden' });
      assert.equal(await named(page), known ? track.title : 'Unknown');
      // A browser decodes to its own rate, by its own filter. Leads are of some thousands.
      const lead = Number((await page.locator('#sure').textContent()).match(/by (-?[\d,]+)/)[1].replaceAll(',', ''));
      assert.ok(Math.abs(lead - evidence.found) <= 50, `${track.title}: ${lead} here, ${evidence.found} by the program`);
      const clock = `0:${String(Math.round(from)).padStart(2, '0')}`;
      assert.match(await page.locator('#where').textContent(), known ? new RegExp(`^near ${clock} `) : /^$/);
    }
  }));

test('a song of no library is unknown', limit, () =>
  alone({ sound: noisy(stranger, 20, 'stranger.wav') }, async (page) => {
    await page.getByRole('button', { name: 'Listen' }).click();
    assert.equal(await named(page), 'Unknown');
    assert.match(await page.locator('#sure').textContent(), /leads the third by .* More than [\d,]+ counts as known/);
    await shoot(page, 'unknown');
  }));

test('a server that answers only tokens asks for one', limit, async () => {
  const closed = await Server.start('--only-tokens');
  const { token } = await sordino('store', 'grant', 'alice', '--store', join(closed.home, 'store'));
  const context = await browse();
  try {
    const page = await visit(context, closed);
    await page.locator('#file').setInputFiles(tracks[2].path);
    const field = page.getByLabel('Your token');
    await field.fill('x'.repeat(32));
    await page.getByRole('button', { name: 'Use it' }).click();
    await page.getByText('does not know this token').waitFor();
    await shoot(page, 'token');
    await field.fill(token);
    await page.getByRole('button', { name: 'Use it' }).click();
    assert.equal(await named(page), tracks[2].title);
    assert.equal(await page.locator('#token-form').isVisible(), false);
  } finally {
    await context.close();
    await closed.down();
  }
});

test('what is no sound is said to be none', limit, () =>
  alone({}, async (page) => {
    await page.locator('#file').setInputFiles({ name: 'notes.mp3', mimeType: 'audio/mpeg', buffer: Buffer.from('no sound') });
    await page.getByText('The browser cannot decode this file.').waitFor();
  }));

test('a clip that is too short is said to be', limit, () =>
  alone({}, async (page) => {
    const header = readFileSync(tracks[0].path).subarray(0, 44 + 4 * 22_050);
    header.writeUInt32LE(4 * 22_050, 40);
    await page.locator('#file').setInputFiles({ name: 'short.wav', mimeType: 'audio/wav', buffer: header });
    await page.getByText(/2(\.\d+)? s/).last().waitFor();
    await shoot(page, 'short');
  }));

test('a denied microphone is explained, and a file still works', limit, () =>
  alone({ allowed: false }, async (page, context) => {
    const devtools = await context.newCDPSession(page);
    const permission = { permission: { name: 'microphone' }, setting: 'denied', origin: server.origin };
    await devtools.send('Browser.setPermission', permission);
    await page.getByRole('button', { name: 'Listen' }).click();
    await page.getByText(/did not allow the microphone/).waitFor();
    await shoot(page, 'denied');
    await page.locator('#file').setInputFiles(tracks[0].path);
    assert.equal(await named(page), tracks[0].title);
  }));

test('a page without HTTPS asks for it, and a file still works', limit, async () => {
  const context = await browse({ args: ['--host-resolver-rules=MAP sordino.test 127.0.0.1'] });
  try {
    const page = await visit(context, { origin: `http://sordino.test:${server.port}` });
    await page.getByText(/only to pages over HTTPS, or on localhost/).waitFor();
    await shoot(page, 'insecure');
    await page.locator('#file').setInputFiles(tracks[0].path);
    assert.equal(await named(page), tracks[0].title);
  } finally {
    await context.close();
  }
});

test('a server that goes away is asked again with the same bytes, until it is back', limit, () =>
  alone({}, async (page) => {
    await page.locator('#file').setInputFiles(tracks[3].path);
    await named(page);
    await server.down();
    await page.locator('#file').setInputFiles(tracks[4].path);
    await page.getByText(/The server does not answer. Trying again in .* attempt 3/).waitFor();
    await shoot(page, 'away');
    await server.up();
    assert.equal(await named(page), tracks[4].title);
    const bytes = page.locator('#requests li', { hasText: 'Your question' }).locator('code.bytes').filter({ hasNotText: /^$/ });
    const sent = await page.evaluate(() =>
      [...document.querySelectorAll('#requests li')]
        .filter((item) => item.textContent.includes('Your question'))
        .map((item) => item.querySelector('code.bytes').textContent),
    );
    assert.ok((await bytes.count()) >= sent.length);
    assert.ok(sent.length >= 4, `${sent.length} questions`);
    assert.equal(new Set(sent.slice(0, -1)).size, 1, 'one message, sent again');
    assert.notEqual(sent.at(-1), sent[0], 'another clip, another message');
  }));

test('a model that is swapped meanwhile is fetched, and the same clip starts anew', limit, async () => {
  // An old edition answers for as long as a query may take: here, two seconds.
  const own = await Server.start('--deadline', '2');
  const context = await browse();
  try {
    const page = await visit(context, own);
    await page.locator('#file').setInputFiles(tracks[0].path);
    assert.equal(await named(page), tracks[0].title);
    await own.swap((model) => newEdition(model, ' (second edition)'));
    await page.waitForTimeout(3_000);
    await page.locator('#file').setInputFiles(tracks[2].path);
    await page.locator('#answer').waitFor({ state: 'hidden' });
    assert.equal(await named(page), `${tracks[2].title} (second edition)`);
    const requests = await page.locator('#requests').textContent();
    assert.equal(requests.match(/The public half of the library/g).length, 2);
  } finally {
    await context.close();
    await own.down();
  }
});

test('two tabs make and send one key, and forgetting deletes it here and there', limit, () =>
  alone({}, async (first, context) => {
    const second = await visit(context, server);
    const tabs = [first, second];
    for (const tab of tabs) await tab.getByRole('radio', { name: /^Decided/ }).check();
    for (const tab of tabs) await tab.getByRole('button', { name: /^Make and send/ }).click();
    await first.waitForTimeout(1_500);
    await shoot(first, 'making');
    await shoot(second, 'waiting-for-the-other-tab');
    for (const tab of tabs) await tab.getByText('Your evaluation key is on the server.').waitFor({ timeout: 180_000 });
    const sent = await Promise.all(tabs.map((tab) => tab.locator('#requests li', { hasText: 'Your evaluation key' }).count()));
    assert.equal(sent[0] + sent[1], 1);

    const { token, key } = await kept(first);
    const keys = async () => {
      const reply = await fetch(`${server.origin}/v1/keys`, { headers: { Authorization: `Bearer ${token}` } });
      return reply.status === 200 ? (await reply.json()).keys.map((entry) => entry.key) : [];
    };
    assert.deepEqual(await keys(), [key.evaluation]);

    await second.locator('#file').setInputFiles(tracks[2].path);
    assert.match(await named(second), new RegExp(`^${tracks[2].title}`));
    await first.getByRole('button', { name: 'Forget me' }).click();
    await first.getByText('Forgotten, here and on the server.').waitFor();
    assert.deepEqual(await kept(first), {});
    assert.deepEqual(await keys(), []);
    await second.getByRole('button', { name: /^Make and send/ }).waitFor();
  }));

test('forgetting while the server is away deletes here, and there later', limit, () =>
  alone({}, async (page) => {
    await page.locator('#file').setInputFiles(tracks[0].path);
    await named(page);
    assert.equal((await kept(page)).token, undefined, 'who needs no evaluation key has no token');
    await page.getByRole('radio', { name: /^Decided/ }).check();
    await page.getByRole('button', { name: /^Make and send/ }).click();
    await page.getByText(/^Making the evaluation key: [1-9]/).waitFor();
    // Whoever stops hires another worker, whose files the server has. It must not be missed where there is none.
    await server.down();
    await page.getByRole('button', { name: 'Stop' }).click();
    await page.getByText('Stopped.').waitFor({ timeout: 1_000 });
    assert.equal((await kept(page)).token.length, 64);
    await page.getByRole('button', { name: 'Forget me' }).click();
    await page.getByText(/Your keys are deleted here\. The server could not be told/).waitFor();
    assert.deepEqual(Object.keys(await kept(page)), ['token']);
    await shoot(page, 'forgotten-here');
    await server.up();
    await page.getByRole('button', { name: 'Forget me' }).click();
    await page.getByText('Forgotten, here and on the server.').waitFor();
    assert.deepEqual(await kept(page), {});
  }));
