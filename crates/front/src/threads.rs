//! Several threads where the feature `parallel` is on, the calling one where it is off; the results are the same.

#[cfg(feature = "parallel")]
use rayon::prelude::*;

/// `f` of every item, in the order of the items.
#[cfg(feature = "parallel")]
pub fn map<T: Send, R: Send>(items: Vec<T>, f: impl Fn(T) -> R + Sync + Send) -> Vec<R> {
    items.into_par_iter().map(f).collect()
}

/// `f` of every item, in the order of the items.
#[cfg(not(feature = "parallel"))]
pub fn map<T: Send, R: Send>(items: Vec<T>, f: impl Fn(T) -> R + Sync + Send) -> Vec<R> {
    items.into_iter().map(f).collect()
}
