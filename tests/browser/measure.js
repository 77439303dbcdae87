// What the module takes in this browser, as JSON: SORDINO=… node tests/browser/measure.js. Milliseconds, every repetition, in the order
// measured; the first one of each protocol warms the browser's compiler. Numbers are wall-clock on a machine that does nothing else.

import { readFileSync } from 'node:fs';
import { cpus } from 'node:os';
import { gzipSync } from 'node:zlib';
import { Server, browse, compose, visit } from './support.js';

const REPETITIONS = Number(process.env.REPETITIONS ?? 10);
const bytes = readFileSync(new URL('../../crates/serve/page/module/sordino_web_bg.wasm', import.meta.url));
const [track] = await compose(1);
const server = await Server.start();
const context = await browse();
const page = await visit(context, server);
const measured = {
  processor: cpus()[0].model,
  browser: context.browser()?.version() ?? (await page.evaluate(() => navigator.userAgent)),
  module_bytes: bytes.length,
  module_gzip_bytes: gzipSync(bytes, { level: 9 }).length,
};
for (const protocol of ['flat', 'routed', 'decided']) {
  await page.locator(`input[value="${protocol}"]`).check();
  await page.evaluate(() => performance.clearMeasures());
  for (let repetition = 0; repetition < REPETITIONS; repetition += 1) {
    await page.locator('#file').setInputFiles(track.path);
    await page.locator('#answer').waitFor({ state: 'hidden' });
    await page.locator('#answer').waitFor({ timeout: 300_000 });
  }
  const entries = await page.evaluate(() => performance.getEntriesByType('measure').map(({ name, duration }) => ({ name, duration })));
  measured[protocol] = {};
  for (const { name, duration } of entries) (measured[protocol][name] ??= []).push(Math.round(10 * duration) / 10);
}
console.log(JSON.stringify(measured, null, 1));
await context.close();
await server.down();
