//! [`Objects`]: named bytes in a folder, or in storage at the other end of a network.

use std::path::Path as FilePath;
use std::sync::Arc;

use futures_util::TryStreamExt as _;
use object_store::buffered::BufWriter;
use object_store::local::LocalFileSystem;
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt as _};

use crate::store::StoreError;

/// A place for named bytes.
#[derive(Clone, Debug)]
pub struct Objects {
    pub(crate) store: Arc<dyn ObjectStore>,
    pub(crate) prefix: Path,
}

impl Objects {
    /// Opens `place`: a folder, which must be there, or `s3://bucket/folder`, with what it takes to get there in the environment
    /// (`AWS_ACCESS_KEY_ID`, `AWS_SECRET_ACCESS_KEY`, `AWS_REGION`, `AWS_ENDPOINT`, `AWS_ALLOW_HTTP`).
    ///
    /// # Errors
    /// [`StoreError::Place`].
    pub fn open(place: &str) -> Result<Self, StoreError> {
        let refuse = |reason: String| StoreError::Place { place: place.into(), reason };
        match place.split_once("://") {
            #[cfg(feature = "s3")]
            Some(("s3", _)) => Self::s3(place).map_err(|error| refuse(error.to_string())),
            Some(("file", folder)) => Self::folder(folder).map_err(|error| refuse(error.to_string())),
            Some((other, _)) => Err(refuse(format!("this program knows no storage of the kind {other}"))),
            None => Self::folder(place).map_err(|error| refuse(error.to_string())),
        }
    }

    fn folder(folder: &str) -> Result<Self, object_store::Error> {
        let store = LocalFileSystem::new_with_prefix(folder)?;
        Ok(Self { store: Arc::new(store.with_fsync(true)), prefix: Path::default() })
    }

    #[cfg(feature = "s3")]
    fn s3(place: &str) -> Result<Self, Box<dyn std::error::Error>> {
        use std::time::Duration;

        use object_store::RetryConfig;

        crate::store::provider();
        let url = url::Url::parse(place)?;
        let bucket = url.host_str().ok_or("it names no bucket")?;
        // A query waits meanwhile, and its client asks again sooner than the usual three minutes.
        let retry = RetryConfig { max_retries: 4, retry_timeout: Duration::from_secs(10), ..RetryConfig::default() };
        let builder = object_store::aws::AmazonS3Builder::from_env().with_retry(retry);
        let store = builder.with_bucket_name(bucket).build()?;
        Ok(Self { store: Arc::new(store), prefix: Path::parse(url.path())? })
    }

    /// Names of all that is there.
    ///
    /// # Errors
    /// [`StoreError::Storage`].
    pub async fn names(&self) -> Result<Vec<String>, StoreError> {
        let prefix = Some(&self.prefix).filter(|prefix| !prefix.as_ref().is_empty());
        let listed: Vec<_> = self.store.list(prefix).try_collect().await?;
        Ok(listed.iter().filter_map(|meta| meta.location.filename().map(str::to_owned)).collect())
    }

    /// Copies what has this name into a file.
    ///
    /// # Errors
    /// [`StoreError::Storage`], and [`StoreError::File`] where the file cannot be written.
    pub async fn fetch(&self, name: &str, file: &FilePath) -> Result<(), StoreError> {
        let mut bytes = self.store.get(&self.prefix.clone().join(name)).await?.into_stream();
        let mut out = tokio::fs::File::create(file).await?;
        while let Some(some) = bytes.try_next().await? {
            tokio::io::AsyncWriteExt::write_all(&mut out, &some).await?;
        }
        Ok(tokio::io::AsyncWriteExt::flush(&mut out).await?)
    }

    /// Copies a file to this name; it is there whole or not at all.
    ///
    /// # Errors
    /// As [`Objects::fetch`].
    pub async fn send(&self, file: &FilePath, name: &str) -> Result<(), StoreError> {
        let mut from = tokio::fs::File::open(file).await?;
        let mut out = BufWriter::new(self.store.clone(), self.prefix.clone().join(name));
        tokio::io::copy(&mut from, &mut out).await?;
        Ok(tokio::io::AsyncWriteExt::shutdown(&mut out).await?)
    }
}
