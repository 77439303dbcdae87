//! [`Store`]: what outlives the server: evaluation keys, who owns them, tokens, and spent budgets.
//!
//! ```text
//! keys/<owner>/<key>.evk     an evaluation key, as it was sent
//! keys/<owner>/<key>.json    its record; a key without one was not acknowledged
//! tokens/<owner>.json        a token that the operator gave out
//! budgets/<share>.json       what a share has spent
//! salt                       with which shares are hashed
//! ```
//!
//! `<owner>` is the SHA-256 of a token. Every object is written whole or not at all, and on a disk it is synced before anybody is told.

use std::future::ready;
use std::path::Path as FilePath;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use futures_util::{Stream, StreamExt, TryStreamExt};
#[cfg(feature = "s3")]
use object_store::buffered::BufWriter;
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use sordino_fhe::params::STANDARD;
use sordino_fhe::{EvaluationKey, KeyId, ServerKey};
use sordino_model::ModelHash;
use thiserror::Error;
use tokio::io::AsyncWriteExt;
use tokio_util::io::{StreamReader, SyncIoBridge};
use utoipa::ToSchema;

use crate::caller::Owner;
use crate::objects::Objects;

/// Why the store did not do what it was asked.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum StoreError {
    /// The storage behind it failed.
    #[error("storage: {0}")]
    Storage(#[from] object_store::Error),
    /// A file that is copied to or from it.
    #[error(transparent)]
    File(#[from] std::io::Error),
    /// The place of a store that cannot be opened.
    #[error("store {place}: {reason}; expected a folder, or a URL such as s3://bucket/folder")]
    Place {
        /// What was given.
        place: String,
        /// What is wrong with it.
        reason: String,
    },
    /// A record that cannot be read.
    #[error("key store: {path} is damaged ({reason}); remove it")]
    Record {
        /// Where it is.
        path: String,
        /// What the parser says.
        reason: String,
    },
}

impl StoreError {
    /// What the log may say: keys, tokens and clients are nowhere named in it.
    pub(crate) fn unnamed(&self) -> String {
        let named = self.to_string();
        let parts = named.split_inclusive(|c: char| !c.is_ascii_hexdigit()).map(|part| {
            let name = part.trim_end_matches(|c: char| !c.is_ascii_hexdigit());
            if name.len() < 64 { part.to_owned() } else { part.replace(name, "…") }
        });
        parts.collect()
    }
}

/// Why an upload was not kept.
#[derive(Debug, Error)]
pub(crate) enum UploadError {
    #[error(transparent)]
    Store(#[from] StoreError),
    /// It is not the key that its name promises.
    #[error("{0}")]
    Refused(String),
}

impl From<object_store::Error> for UploadError {
    fn from(error: object_store::Error) -> Self {
        Self::Store(error.into())
    }
}

/// What is known of a registered evaluation key.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct KeyRecord {
    /// Its name: the SHA-256 with which it ends, 64 hexadecimal digits.
    pub key: String,
    /// Its length as it was sent.
    pub bytes: u64,
    /// When it will be forgotten, in seconds since 1970; every query puts it off.
    pub expires: u64,
}

/// A token that the operator gave out.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct TokenRecord {
    /// For whom.
    pub name: String,
    /// When, in seconds since 1970.
    pub created: u64,
}

/// Seconds since 1970.
pub(crate) fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs()
}

/// A folder or a bucket.
#[derive(Clone, Debug)]
pub struct Store {
    objects: Arc<dyn ObjectStore>,
    prefix: Path,
}

impl Store {
    /// Opens the store at `place`: a folder, which is made where it is missing, or `s3://bucket/folder`, with what it takes to get there
    /// in the environment (`AWS_ACCESS_KEY_ID`, `AWS_SECRET_ACCESS_KEY`, `AWS_REGION`, `AWS_ENDPOINT`, `AWS_ALLOW_HTTP`).
    ///
    /// # Errors
    /// [`StoreError::Place`].
    pub fn open(place: &str) -> Result<Self, StoreError> {
        if !place.contains("://") {
            let refuse = |error: std::io::Error| StoreError::Place { place: place.into(), reason: error.to_string() };
            let folder = FilePath::new(place);
            std::fs::create_dir_all(folder).map_err(refuse)?;
            private(folder).map_err(refuse)?;
        }
        let Objects { store: objects, prefix } = Objects::open(place)?;
        Ok(Self { objects, prefix })
    }

    fn at<'a>(&self, parts: impl IntoIterator<Item = &'a str>) -> Path {
        parts.into_iter().fold(self.prefix.clone(), |path, part| path.join(part))
    }

    fn key(&self, owner: Owner, key: KeyId, kind: &str) -> Path {
        self.at(["keys", &owner.to_string(), &format!("{}.{kind}", key.hex())])
    }

    /// What an evaluation key begins with, and its bytes: of one without a part for encrypted samples, and of one with it.
    fn key_kinds() -> [(Vec<u8>, u64); 2] {
        let bytes = [EvaluationKey::wire_bytes(&STANDARD), EvaluationKey::wire_bytes_for_samples(&STANDARD)];
        [false, true].map(|samples| (EvaluationKey::header(&STANDARD, samples), bytes[usize::from(samples)] as u64))
    }

    /// Bytes of an evaluation key without a part for encrypted samples, and of one with it, which is larger.
    pub(crate) fn key_bytes() -> [u64; 2] {
        Self::key_kinds().map(|(_, bytes)| bytes)
    }

    /// Keeps an evaluation key that arrives in pieces, if it is whole and has the name `key`.
    pub(crate) async fn upload(
        &self,
        owner: Owner,
        key: KeyId,
        keep: Duration,
        mut body: impl Stream<Item = Result<Bytes, UploadError>> + Unpin,
    ) -> Result<KeyRecord, UploadError> {
        let place = self.key(owner, key, "evk");
        let mut writer = BufWriter::new(self.objects.clone(), place);
        let bytes = match take(&mut writer, key, &mut body).await {
            Ok(bytes) => bytes,
            Err(error) => {
                // Best effort: what stays is swept away later.
                let _ = writer.abort().await;
                return Err(error);
            }
        };
        writer.shutdown().await.map_err(object_store_error)?;
        let record = KeyRecord { key: key.hex(), bytes, expires: now() + keep.as_secs() };
        self.write(&self.key(owner, key, "json"), &record).await?;
        Ok(record)
    }

    /// The record of a key, where `owner` registered it and it has not expired.
    pub(crate) async fn record(&self, owner: Owner, key: KeyId) -> Result<Option<KeyRecord>, StoreError> {
        let record: Option<KeyRecord> = self.read(&self.key(owner, key, "json")).await?;
        Ok(record.filter(|record| record.expires > now()))
    }

    /// Puts off the day on which a key is forgotten, where that is worth a write.
    pub(crate) async fn touch(
        &self,
        owner: Owner,
        key: KeyId,
        record: &KeyRecord,
        keep: Duration,
    ) -> Result<(), StoreError> {
        let expires = now() + keep.as_secs();
        if expires < record.expires + keep.as_secs() / 20 {
            return Ok(());
        }
        self.write(&self.key(owner, key, "json"), &KeyRecord { expires, ..record.clone() }).await
    }

    /// Reads a key and expands it on the way. Blocks; for threads that no other task waits for.
    pub(crate) fn load(
        &self,
        runtime: &tokio::runtime::Handle,
        owner: Owner,
        key: KeyId,
    ) -> Result<ServerKey, LoadError> {
        let found = runtime.block_on(self.objects.get(&self.key(owner, key, "evk"))).map_err(StoreError::from)?;
        let stream = StreamReader::new(found.into_stream().map_err(std::io::Error::other));
        let bridge = SyncIoBridge::new_with_handle(stream, runtime.clone());
        Ok(ServerKey::read(&mut std::io::BufReader::with_capacity(1 << 20, bridge))?)
    }

    /// The keys of an owner that have not expired.
    pub(crate) async fn keys_of(&self, owner: Owner) -> Result<Vec<KeyRecord>, StoreError> {
        self.records(&self.at(["keys", &owner.to_string()]))
            .await
            .map(|found| found.into_iter().map(|(_, key)| key).collect())
    }

    /// Every key with the beginning of its owner's name, for the operator.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn keys(&self) -> Result<Vec<(String, KeyRecord)>, StoreError> {
        self.records(&self.at(["keys"])).await
    }

    /// How many keys there are, without reading them: on S3 a listing is one request for a thousand.
    pub(crate) async fn count(&self) -> Result<usize, StoreError> {
        let list = self.objects.list(Some(&self.at(["keys"])));
        let records = list.try_filter(|meta| ready(meta.location.extension() == Some("json")));
        Ok(records.try_fold(0, |count, _| ready(Ok(count + 1))).await?)
    }

    async fn records(&self, under: &Path) -> Result<Vec<(String, KeyRecord)>, StoreError> {
        let mut found = Vec::new();
        let mut list = self.objects.list(Some(under));
        while let Some(meta) = list.next().await.transpose()? {
            if meta.location.extension() != Some("json") {
                continue;
            }
            // Removed meanwhile is as good as not there.
            let Some(record) = self.read::<KeyRecord>(&meta.location).await? else { continue };
            let owner = meta.location.parts().rev().nth(1).map(|part| part.as_ref().to_owned()).unwrap_or_default();
            if record.expires > now() {
                found.push((owner, record));
            }
        }
        Ok(found)
    }

    /// Forgets a key of an owner.
    pub(crate) async fn forget(&self, owner: Owner, key: KeyId) -> Result<(), StoreError> {
        // The record first: a key without one is nobody's.
        self.remove(&self.key(owner, key, "json")).await?;
        self.remove(&self.key(owner, key, "evk")).await
    }

    /// Forgets all keys of an owner.
    pub(crate) async fn forget_all(&self, owner: Owner) -> Result<(), StoreError> {
        self.clear(&self.at(["keys", &owner.to_string()])).await
    }

    /// Forgets a key, whoever owns it. Returns how many owners it had.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn revoke(&self, key: &str) -> Result<usize, StoreError> {
        let mut owners = 0;
        for (owner, record) in self.keys().await? {
            if record.key == key {
                for kind in ["json", "evk"] {
                    self.remove(&self.at(["keys", &owner, &format!("{key}.{kind}")])).await?;
                }
                owners += 1;
            }
        }
        Ok(owners)
    }

    async fn clear(&self, under: &Path) -> Result<(), StoreError> {
        let found: Vec<Path> = self.objects.list(Some(under)).map_ok(|meta| meta.location).try_collect().await?;
        for place in found {
            self.remove(&place).await?;
        }
        Ok(())
    }

    /// Gives out a token, and returns it. Only its hash is kept.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn grant(&self, name: &str) -> Result<String, StoreError> {
        let token: String = random()?.iter().map(|byte| format!("{byte:02x}")).collect();
        let owner = ModelHash::of(token.as_bytes()).to_string();
        let record = TokenRecord { name: name.into(), created: now() };
        self.write(&self.at(["tokens", &format!("{owner}.json")]), &record).await?;
        Ok(token)
    }

    /// Takes back the tokens of that name, and forgets their keys. Returns how many there were.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn withdraw(&self, name: &str) -> Result<usize, StoreError> {
        let mut count = 0;
        for (owner, record) in self.tokens().await? {
            if record.name == name {
                self.remove(&self.at(["tokens", &format!("{owner}.json")])).await?;
                self.clear(&self.at(["keys", &owner])).await?;
                count += 1;
            }
        }
        Ok(count)
    }

    /// The tokens that were given out, with the names of their owners.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn tokens(&self) -> Result<Vec<(String, TokenRecord)>, StoreError> {
        let mut found = Vec::new();
        let mut list = self.objects.list(Some(&self.at(["tokens"])));
        while let Some(meta) = list.next().await.transpose()? {
            let owner =
                meta.location.filename().and_then(|name| name.strip_suffix(".json")).unwrap_or_default().to_owned();
            if let Some(record) = self.read(&meta.location).await? {
                found.push((owner, record));
            }
        }
        Ok(found)
    }

    /// Whether the operator gave out this token.
    pub(crate) async fn granted(&self, owner: Owner) -> Result<bool, StoreError> {
        let place = self.at(["tokens", &format!("{owner}.json")]);
        Ok(self.read::<TokenRecord>(&place).await?.is_some())
    }

    /// Random bytes that stay the same for this store.
    pub(crate) async fn salt(&self) -> Result<Vec<u8>, StoreError> {
        let place = self.at(["salt"]);
        match self.objects.get(&place).await {
            Ok(found) => Ok(found.bytes().await?.to_vec()),
            Err(object_store::Error::NotFound { .. }) => {
                let salt = random()?;
                self.objects.put(&place, salt.to_vec().into()).await?;
                Ok(salt.to_vec())
            }
            Err(error) => Err(error.into()),
        }
    }

    /// What a share has spent, as [`crate::budget`] wrote it.
    pub(crate) async fn spent<T: DeserializeOwned>(&self, share: &str) -> Result<Option<T>, StoreError> {
        self.read(&self.at(["budgets", &format!("{share}.json")])).await
    }

    /// Writes what a share has spent.
    pub(crate) async fn spend(&self, share: &str, spent: &impl Serialize) -> Result<(), StoreError> {
        self.write(&self.at(["budgets", &format!("{share}.json")]), spent).await
    }

    /// Removes what nobody can use any more: expired keys, uploads that never ended, and budgets older than `window`.
    pub(crate) async fn sweep(&self, window: Duration) -> Result<(), StoreError> {
        /// An upload may still be under way for so long.
        const UPLOAD: u64 = 3_600;
        let age = |meta: &object_store::ObjectMeta| {
            now().saturating_sub(u64::try_from(meta.last_modified.timestamp()).unwrap_or(0))
        };
        let list: Vec<_> = self.objects.list(Some(&self.at(["keys"]))).try_collect().await?;
        for meta in &list {
            match meta.location.extension() {
                Some("json") => {
                    let expired = |record: &KeyRecord| record.expires <= now();
                    if self.read::<KeyRecord>(&meta.location).await?.as_ref().is_some_and(expired) {
                        self.remove(&meta.location).await?;
                    }
                }
                _ if age(meta) > UPLOAD => {
                    let record = meta.location.as_ref().replace(".evk", ".json");
                    if !list.iter().any(|other| other.location.as_ref() == record) {
                        self.remove(&meta.location).await?;
                    }
                }
                _ => {}
            }
        }
        let budgets: Vec<_> = self.objects.list(Some(&self.at(["budgets"]))).try_collect().await?;
        for meta in budgets.iter().filter(|meta| age(meta) > 2 * window.as_secs()) {
            self.remove(&meta.location).await?;
        }
        Ok(())
    }

    async fn read<T: DeserializeOwned>(&self, place: &Path) -> Result<Option<T>, StoreError> {
        let bytes = match self.objects.get(place).await {
            Ok(found) => found.bytes().await,
            Err(error) => Err(error),
        };
        match bytes {
            Ok(bytes) => serde_json::from_slice(&bytes)
                .map(Some)
                .map_err(|reason| StoreError::Record { path: place.to_string(), reason: reason.to_string() }),
            Err(object_store::Error::NotFound { .. }) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    async fn write(&self, place: &Path, record: &impl Serialize) -> Result<(), StoreError> {
        let record = serde_json::to_vec(record)
            .map_err(|reason| StoreError::Record { path: place.to_string(), reason: reason.to_string() })?;
        self.objects.put(place, record.into()).await?;
        Ok(())
    }

    async fn remove(&self, place: &Path) -> Result<(), StoreError> {
        match self.objects.delete(place).await {
            Ok(()) | Err(object_store::Error::NotFound { .. }) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }
}

/// Why a registered key could not be used.
#[derive(Debug, Error)]
pub(crate) enum LoadError {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Key(#[from] sordino_fhe::FheError),
}

/// Copies a body that is an evaluation key of that name, and nothing else; returns its bytes.
async fn take(
    writer: &mut BufWriter,
    key: KeyId,
    body: &mut (impl Stream<Item = Result<Bytes, UploadError>> + Unpin),
) -> Result<u64, UploadError> {
    // Those that the body may still be.
    let mut kinds = Store::key_kinds().to_vec();
    let most = |kinds: &[(Vec<u8>, u64)]| kinds.iter().map(|(_, bytes)| *bytes).max().unwrap_or(0);
    let length = kinds.iter().map(|(header, _)| header.len()).max().unwrap_or(0);
    let longest = most(&kinds);
    let (mut hash, mut found, mut start, mut end) = (Sha256::new(), 0, Vec::new(), Vec::new());
    while let Some(chunk) = body.next().await.transpose()? {
        found += chunk.len() as u64;
        if found > if kinds.is_empty() { longest } else { most(&kinds) } {
            break;
        }
        start.extend(chunk.iter().take(length - start.len()));
        kinds.retain(|(header, _)| header.starts_with(&start));
        if kinds.is_empty() {
            // Read to its end all the same: a client that still sends does not hear why it was refused.
            continue;
        }
        // The last bytes are the name, which the hash does not cover.
        end.extend_from_slice(&chunk);
        let covered = end.len().saturating_sub(key.0.len());
        hash.update(&end[..covered]);
        end.drain(..covered);
        writer.write_all(&chunk).await.map_err(object_store_error)?;
    }
    let Some(expected) = kinds.first().map(|(_, bytes)| *bytes) else {
        let what = "the body is no evaluation key of this version; expected what `sordino keygen --evaluation` writes";
        return Err(UploadError::Refused(what.into()));
    };
    if found != expected {
        let found = if found > expected { format!("more than {expected}") } else { found.to_string() };
        return Err(UploadError::Refused(format!(
            "{found} bytes came, expected {expected}, the length of an evaluation key"
        )));
    }
    if end != key.0 || hash.finalize()[..] != key.0 {
        return Err(UploadError::Refused(
            "the body's checksum is not the name in the path, so it was damaged or is another key; send it again"
                .into(),
        ));
    }
    Ok(found)
}

fn object_store_error(error: std::io::Error) -> UploadError {
    object_store::Error::Generic { store: "upload", source: error.into() }.into()
}

/// What TLS is made with. Two libraries in the tree may each bring a provider; whichever is first is as good.
pub(crate) fn provider() {
    let _ = rustls::crypto::ring::default_provider().install_default();
}

/// 32 random bytes.
fn random() -> Result<[u8; 32], StoreError> {
    let mut bytes = [0; 32];
    getrandom::getrandom(&mut bytes)
        .map_err(|error| object_store::Error::Generic { store: "random", source: error.to_string().into() })?;
    Ok(bytes)
}

/// Makes a folder its owner's alone.
#[cfg(unix)]
fn private(folder: &FilePath) -> std::io::Result<()> {
    use std::os::unix::fs::PermissionsExt;
    std::fs::set_permissions(folder, std::fs::Permissions::from_mode(0o700))
}

#[cfg(not(unix))]
fn private(_: &FilePath) -> std::io::Result<()> {
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_in_the_log_names_nobody() {
        let (owner, key) = ("0f".repeat(32), "a1".repeat(32));
        let path = format!("keys/{owner}/{key}.json");
        let error = StoreError::Record { path, reason: "expected a number".into() };
        assert_eq!(error.unnamed(), "key store: keys/…/….json is damaged (expected a number); remove it");
    }

    #[tokio::test]
    async fn keys_are_counted_without_reading_them() {
        let folder = tempfile::tempdir().expect("a folder");
        let store = Store::open(folder.path().to_str().expect("UTF-8")).expect("a store");
        for (owner, key) in [("a", "1"), ("a", "2"), ("b", "1")] {
            // No record could be read from these.
            for kind in ["json", "evk"] {
                let place = store.at(["keys", owner, &format!("{key}.{kind}")]);
                store.objects.put(&place, "{".into()).await.expect("written");
            }
        }
        assert_eq!(store.count().await.expect("counted"), 3);
        assert!(store.keys().await.is_err());
    }

    #[cfg(feature = "s3")]
    #[test]
    fn a_bucket_is_opened_by_whoever_is_first() {
        // `sordino store` opens one without a server before it, which would have chosen a provider for TLS.
        assert!(Store::open("s3://bucket/folder").is_ok());
        assert!(matches!(Store::open("ftp://host/folder"), Err(StoreError::Place { .. })));
    }
}
