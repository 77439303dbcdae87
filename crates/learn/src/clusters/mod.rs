//! Balanced clusters, and the tree of choices that they make.

pub(crate) mod kmeans;
pub(crate) mod tree;

pub use kmeans::ClusterSettings;
pub use tree::Tree;
