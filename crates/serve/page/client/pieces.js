// A worker that makes pieces of an evaluation key. It is handed the secret key, which leaves it no more.

import init, { Key, Pieces } from '../module/sordino_web.js';

let key;

async function make({ secret, from, to }) {
  if (secret) {
    key = init().then(() => Key.fromBytes(secret));
    return;
  }
  const made = [];
  for (let index = from; index < to; index += 1) made.push(Pieces.make(await key, index));
  postMessage({ from, made }, made.map((bytes) => bytes.buffer));
}

onmessage = ({ data }) => make(data).catch(({ message }) => postMessage({ failed: message }));
