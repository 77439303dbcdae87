//! [`Cache`]: evaluation keys in their expanded form, as many as memory is set aside for.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use sordino_fhe::{KeyId, ServerKey};

/// Expanded keys, the least recently used evicted first.
#[derive(Default)]
pub(crate) struct Cache {
    most_bytes: usize,
    keys: Mutex<Keys>,
}

#[derive(Default)]
struct Keys {
    held: HashMap<KeyId, (u64, Arc<ServerKey>)>,
    bytes: usize,
    clock: u64,
}

impl Cache {
    /// A cache of at most so many bytes, which always has room for one key.
    pub(crate) fn new(most_bytes: usize) -> Self {
        Self { most_bytes, keys: Mutex::default() }
    }

    /// Keys held and their bytes.
    pub(crate) fn size(&self) -> (usize, usize) {
        let keys = self.keys();
        (keys.held.len(), keys.bytes)
    }

    /// A key, if it is here.
    pub(crate) fn get(&self, id: KeyId) -> Option<Arc<ServerKey>> {
        let mut keys = self.keys();
        keys.clock += 1;
        let now = keys.clock;
        keys.held.get_mut(&id).map(|(used, key)| {
            *used = now;
            key.clone()
        })
    }

    /// Makes room for a key of so many bytes, before it is expanded.
    pub(crate) fn make_room(&self, bytes: usize) {
        let mut keys = self.keys();
        while keys.bytes + bytes > self.most_bytes {
            let Some(oldest) = keys.held.iter().min_by_key(|(_, (used, _))| *used).map(|(&id, _)| id) else { return };
            keys.remove(oldest);
        }
    }

    /// Keeps a key. Queries that use an evicted one finish with it.
    pub(crate) fn put(&self, key: Arc<ServerKey>) {
        self.make_room(key.bytes());
        let mut keys = self.keys();
        keys.remove(key.id());
        keys.clock += 1;
        keys.bytes += key.bytes();
        let now = keys.clock;
        keys.held.insert(key.id(), (now, key));
    }

    /// Drops a key.
    pub(crate) fn forget(&self, id: KeyId) {
        self.keys().remove(id);
    }

    fn keys(&self) -> MutexGuard<'_, Keys> {
        // No code that can panic runs under the lock, but for an allocation that fails.
        self.keys.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Keys {
    fn remove(&mut self, id: KeyId) {
        if let Some((_, key)) = self.held.remove(&id) {
            self.bytes -= key.bytes();
        }
    }
}
