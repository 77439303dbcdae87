// What a browser keeps between visits, in IndexedDB: `key`, which is the secret key and the name of its registered evaluation key,
// `token`, and `given` where the operator gave that out.

const DATABASE = 'sordino';
const STORE = 'me';

function open() {
  return new Promise((resolve, reject) => {
    const request = indexedDB.open(DATABASE, 1);
    request.onupgradeneeded = () => request.result.createObjectStore(STORE);
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(request.error);
  });
}

/** Runs `work` on the store in one transaction, and gives what its request gives once all of it is kept. */
async function transact(mode, work) {
  const database = await open();
  try {
    return await new Promise((resolve, reject) => {
      const transaction = database.transaction(STORE, mode, { durability: 'strict' });
      const request = work(transaction.objectStore(STORE));
      transaction.oncomplete = () => resolve(request?.result);
      transaction.onerror = transaction.onabort = () => reject(transaction.error);
    });
  } finally {
    database.close();
  }
}

export const get = (name) => transact('readonly', (store) => store.get(name));
export const remove = (...names) => transact('readwrite', (store) => void names.forEach((name) => store.delete(name)));

/** Puts what `change` makes of what is kept, and gives it; no other tab comes between. `undefined` changes nothing. */
export function update(name, change) {
  let kept;
  const work = (store) => {
    const request = store.get(name);
    request.onsuccess = () => {
      kept = change(request.result);
      if (kept !== undefined) store.put(kept, name);
    };
  };
  return transact('readwrite', work).then(() => kept);
}

/** Runs `work` while no other tab runs any of that `name`; `waiting` is called where one does. Without HTTPS there are no locks. */
export async function alone(name, work, waiting) {
  if (!navigator.locks) return work();
  const busy = Symbol('busy');
  const first = await navigator.locks.request(name, { ifAvailable: true }, (lock) => (lock ? work() : busy));
  if (first !== busy) return first;
  waiting();
  return navigator.locks.request(name, work);
}
