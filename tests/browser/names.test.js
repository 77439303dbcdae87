// The page names what it hears, in every protocol.

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { Server, browse, compose, noisy, shoot, visit } from './support.js';

let server;
let tracks;
let context;
let page;

before(async () => {
  tracks = await compose(5);
  server = await Server.start();
  context = await browse({ sound: noisy(tracks[4], 10, 'noisy.wav') });
  page = await visit(context, server);
});
after(async () => {
  await context?.close();
  await server?.down();
  assert.deepEqual(page?.faults, []);
});

async function answer() {
  await page.locator('#answer').waitFor({ timeout: 180_000 });
  return page.locator('#answer-title').textContent();
}

const bodies = (what) => page.locator('#requests li', { hasText: what }).count();

const PROTOCOLS = [
  ['Flat', 'flat'],
  ['Routed', 'routed'],
  ['Decided', 'decided'],
  ['Picked(?! and)', 'picked'],
  ['Picked and decided', 'picked-decided'],
];

for (const [label, protocol] of PROTOCOLS) {
  test(`a noisy clip at the microphone is named in ${protocol}`, { timeout: 240_000 }, async () => {
    await page.getByRole('radio', { name: new RegExp(`^${label}`) }).check();
    await page.getByRole('button', { name: 'Listen' }).click();
    await page.getByText(/^Listening for/).waitFor();
    await page.waitForTimeout(5_000);
    await shoot(page, `listening-${protocol}`);
    assert.equal(await answer(), tracks[4].title);
    const sure = await page.locator('#sure').textContent();
    assert.match(sure, protocol.endsWith('decided') ? /Nobody saw a score/ : /leads the third by [\d,]+ score points/);
    assert.match(await page.locator('#where').textContent(), /^near \d:\d\d to \d:\d\d of the track$/);
    await shoot(page, `named-${protocol}`);
  });
}

test('the evaluation key is sent once', { timeout: 120_000 }, async () => {
  assert.equal(await bodies('Your evaluation key'), 1);
  await page.getByRole('button', { name: 'Listen' }).click();
  await page.locator('#answer').waitFor({ state: 'hidden' });
  assert.equal(await answer(), tracks[4].title);
  assert.equal(await bodies('Your evaluation key'), 1);
  await page.reload();
  await page.getByText(/^Ready/).waitFor();
  await page.getByRole('radio', { name: /^Decided/ }).check();
  await page.getByText('Your evaluation key is on the server.').waitFor();
});
