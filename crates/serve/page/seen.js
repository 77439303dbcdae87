// The panel "What the server saw": each request of this tab, and beside it what stayed.

import { bytes, texts } from './texts.js';

const hex = (array) => Array.from(array, (byte) => byte.toString(16).padStart(2, '0')).join(' ');

/** An element with a text and children. */
export function element(name, text = '', ...children) {
  const made = document.createElement(name);
  made.textContent = text;
  made.append(...children);
  return made;
}

export class Seen {
  constructor(list, sum, stays) {
    Object.assign(this, { list, sum, stays, count: 0, up: 0, down: 0 });
    this.sum.textContent = texts.seenNothing;
    this.facts = {};
    for (const name of ['key', 'sound', 'features', 'work', 'scores']) this.keep(name, texts.stays.nothing);
    this.keep('key', texts.stays.keyNone);
  }

  /** Adds a request, the newest first. */
  add({ what, method, path, token, status, sent, received, sentBytes, receivedBytes }) {
    this.count += 1;
    this.up += sent;
    this.down += received;
    this.sum.textContent = texts.seenSum(this.count, this.up, this.down);
    const item = element('li', '', element('strong', texts.requests[what]), element('code', `${method} ${path}`));
    if (token) item.append(element('span', texts.withToken));
    const body = (label, size, array) => {
      if (size === 0) return;
      const more = size > array.length ? ' …' : '';
      item.append(element('span', label), element('code', hex(array) + more));
      item.lastChild.className = 'bytes';
    };
    body(texts.sentBytes(sent), sent, sentBytes);
    body(texts.receivedBytes(received), received, receivedBytes);
    if (status === 0) item.append(element('span', texts.noAnswer));
    this.list.prepend(item);
  }

  /** Says something of what stays here. */
  keep(name, text) {
    this.facts[name] = text;
    const facts = Object.entries(this.facts).map(([name, text]) => [element('dt', texts.stays[name]), element('dd', text)]);
    this.stays.replaceChildren(...facts.flat());
  }
}

/** What a protocol costs, and what each side learns. */
export function costs(protocol) {
  const key = protocol.evaluation_key_bytes;
  const sentence = texts.costs(protocol.bytes_up, protocol.bytes_down, protocol.trips, key, protocol.seconds);
  const facts = [
    [texts.serverLearns, protocol.server_learns],
    [texts.clientLearns, protocol.client_learns],
  ];
  if (protocol.budget) facts.push([texts.budget, texts.budgetCount(protocol.budget.queries, protocol.budget.seconds)]);
  const list = element('dl');
  facts.forEach(([name, value]) => list.append(element('dt', name), element('dd', value)));
  return [element('p', sentence), list];
}
