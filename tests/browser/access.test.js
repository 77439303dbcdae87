// The page for everybody: by keyboard, with a screen reader, on a phone, light, dark and in grey.

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import axe from 'axe-core';
import { Server, browse, compose, noisy, shoot, visit } from './support.js';

let server;
let tracks;
let sound;
const limit = { timeout: 240_000 };

before(async () => {
  tracks = await compose(5);
  sound = noisy(tracks[4], 10, 'access.wav');
  server = await Server.start();
});
after(() => server?.down());

/** What axe finds, as sentences. */
async function findings(page) {
  await page.evaluate(axe.source);
  const { violations } = await page.evaluate(() => axe.run(document));
  return violations.flatMap(({ id, nodes }) => nodes.map((node) => `${id}: ${node.target} ${node.failureSummary}`));
}

const looks = [
  { name: 'phone-light', viewport: { width: 360, height: 740 }, colorScheme: 'light' },
  { name: 'phone-dark', viewport: { width: 360, height: 740 }, colorScheme: 'dark' },
  { name: 'desktop-light', viewport: { width: 1100, height: 900 }, colorScheme: 'light' },
  { name: 'desktop-dark', viewport: { width: 1100, height: 900 }, colorScheme: 'dark' },
];

for (const { name, ...look } of looks) {
  test(`axe finds nothing and nothing is cut off: ${name}`, limit, async () => {
    const context = await browse({ sound, ...look });
    try {
      const page = await visit(context, server);
      const check = async (state) => {
        assert.deepEqual(await findings(page), [], state);
        const wide = await page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
        assert.ok(wide <= 0, `${state}: ${wide} pixels stick out`);
        await shoot(page, `${name}-${state}`);
      };
      await check('ready');
      await page.getByRole('button', { name: 'Listen' }).click();
      await page.getByText(/^Listening for/).waitFor();
      await page.waitForTimeout(4_000);
      await check('listening');
      await page.locator('#answer').waitFor({ timeout: 180_000 });
      await check('named');
      await page.locator('#file').setInputFiles({ name: 'no.wav', mimeType: 'audio/wav', buffer: Buffer.from('no') });
      await page.getByText('The browser cannot decode this file.').waitFor();
      await check('failed');
      await page.getByRole('radio', { name: /^Decided/ }).check();
      await check('decided');
      await page.getByRole('button', { name: /^Make and send/ }).click();
      await page.getByText(/Making the evaluation key: [1-9]/).waitFor({ timeout: 60_000 });
      await check('making');
      await page.getByRole('button', { name: 'Stop' }).click();
      // In grey the same things must be told apart.
      await page.evaluate(() => document.documentElement.style.setProperty('filter', 'grayscale(1)'));
      await shoot(page, `${name}-grey`);
    } finally {
      await context.close();
    }
  });
}

test('a keyboard is enough', limit, async () => {
  const context = await browse({ sound });
  try {
    const page = await visit(context, server);
    const focused = () => page.evaluate(() => document.activeElement.id || document.activeElement.value);
    // Choosers are caught from here on. Asked for with the key, the catching may begin after it was pressed.
    page.on('filechooser', () => {});
    const order = [];
    for (let presses = 0; presses < 4; presses += 1) {
      await page.keyboard.press('Tab');
      order.push(await focused());
    }
    assert.deepEqual(order, ['listen', 'file', 'flat', 'forget']);
    await page.keyboard.press('Shift+Tab');
    await page.keyboard.press('ArrowDown');
    assert.equal(await focused(), 'routed');
    // While the page gets ready for another protocol, nothing can be chosen.
    await page.locator('#file:enabled').waitFor();
    await page.keyboard.press('Shift+Tab');
    assert.equal(await focused(), 'file');
    const chooser = page.waitForEvent('filechooser');
    await page.keyboard.press('Space');
    await chooser;
    await page.keyboard.press('Shift+Tab');
    assert.equal(await focused(), 'listen');
    await page.keyboard.press('Enter');
    await page.getByText(/^Listening for/).waitFor();
    await page.keyboard.press('Enter');
    await page.getByText('Stopped.').waitFor();
    await page.keyboard.press('Enter');
    await page.locator('#answer').waitFor({ timeout: 180_000 });
    assert.equal(await page.locator('#answer-title').textContent(), tracks[4].title);
  } finally {
    await context.close();
  }
});

test('a screen reader hears the state and the answer', limit, async () => {
  const context = await browse({ sound });
  try {
    const page = await visit(context, server);
    await page.evaluate(() => {
      globalThis.said = [];
      for (const place of document.querySelectorAll('[role="status"], [aria-live], [role="alert"]')) {
        new MutationObserver(() => said.push(place.textContent.trim())).observe(place, { childList: true, subtree: true, characterData: true });
      }
    });
    await page.getByRole('button', { name: 'Listen' }).click();
    await page.locator('#answer').waitFor({ timeout: 180_000 });
    const said = await page.evaluate(() => said);
    const place = (text) => said.findIndex((entry) => entry.includes(text));
    const order = ['Listening for', 'Encrypting', 'Asking the server', 'Done', tracks[4].title].map(place);
    assert.ok(order.every((at) => at >= 0), `${said}`);
    assert.ok(said.length < 40, `${said.length} announcements are too many to listen to`);
  } finally {
    await context.close();
  }
});
