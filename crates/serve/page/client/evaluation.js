// The evaluation key, made by as many workers as the machine has threads. They share no memory, so the page need not be cross-origin
// isolated.

import { Evaluation, Pieces } from '../module/sordino_web.js';

/** More workers than this would wait for the largest piece, which is a tenth of the work. */
const MOST = 8;
/** Pieces that a worker makes in one go. */
const SOME = 16;
/** Pieces at the end that are large, each a go of its own. */
const LARGE = 2;

/** The key's name and its bytes. `progress` is told the fraction done. The module must have been started. */
export async function evaluation(key, progress) {
  const threads = Math.min(navigator.hardwareConcurrency || 1, MOST);
  const alone = () => Evaluation.generate(key, progress);
  // A browser may refuse a worker workers of its own.
  const made = threads > 1 ? await together(key, threads, progress).catch(alone) : alone();
  const result = { name: made.name, body: made.toBytes() };
  made.free();
  return result;
}

async function together(key, threads, progress) {
  const [pieces, count, helpers] = [new Pieces(), Pieces.count(), []];
  let [left, done] = [count, 0];
  // The large ones first, so that nobody waits for them at the end.
  const next = () => {
    const to = left;
    left = Math.max(0, to > count - LARGE ? to - 1 : to - SOME);
    return { from: left, to };
  };
  const work = () =>
    new Promise((resolve, reject) => {
      const helper = new Worker(new URL('pieces.js', import.meta.url), { type: 'module' });
      helpers.push(helper);
      const ask = () => (left > 0 ? helper.postMessage(next()) : resolve());
      helper.onerror = (event) => reject(new Error(event.message || 'A worker could not be started.'));
      helper.onmessage = ({ data: { from, made, failed } }) => {
        if (failed) return reject(new Error(failed));
        made.forEach((bytes, place) => pieces.add(from + place, bytes));
        done += made.length;
        progress(done / count);
        return ask();
      };
      helper.postMessage({ secret: key.toBytes() });
      ask();
    });
  try {
    await Promise.all(Array.from({ length: threads }, work));
  } catch (error) {
    pieces.free();
    throw error;
  } finally {
    helpers.forEach((helper) => helper.terminate());
  }
  return pieces.finish();
}
