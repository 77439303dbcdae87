//! [`Clusters`]: balanced groups of classes, what the routing stages choose between.
//!
//! Spherical k-means (Dhillon and Modha, 2001) seeded by k-means++ (Arthur and Vassilvitskii, 2007), with an upper
//! bound on every cluster's size: clusters that are too full raise a price, as in an auction for the transportation
//! problem (Bertsekas and Castañón, 1989), and a last pass moves what is still too much to the next best
//! cluster with room. The largest cluster decides how many slots every group has, hence the balance.
//!
//! Thousands of clusters are found in two steps, each part of the points by itself: time then grows like points times the root of
//! the number of clusters.

use ndarray::{Array2, ArrayView2, Axis, concatenate};
use rand::{Rng, RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use crate::LearnError;
use crate::math::matrix::normalise_rows;

/// How to cluster.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ClusterSettings {
    /// Largest cluster as a multiple of the mean, at least 1.
    pub balance: f32,
    /// Rounds of assignment and averaging.
    pub rounds: usize,
    /// How often routing is learned first and every class then moved to the cluster that it is led to, as room allows
    /// (iterative repartitioning; Gupta et al., "BLISS", KDD 2022). 0 keeps the clusters of k-means.
    pub learned: usize,
    /// Rows of the last routing stage that lead to a cluster, each of which may learn another part of it. The clusters' rows
    /// of the next stage are held once for each.
    pub prototypes: usize,
}

impl ClusterSettings {
    pub(crate) fn validate(&self) -> Result<(), LearnError> {
        if self.balance.is_nan() || self.balance < 1.0 {
            let found = self.balance.to_string();
            return Err(LearnError::Setting { setting: "balance", found, expected: "1 or more".into() });
        }
        if self.prototypes == 0 {
            let (found, expected) = (self.prototypes.to_string(), "at least 1".into());
            return Err(LearnError::Setting { setting: "clusters.prototypes", found, expected });
        }
        Ok(())
    }
}

impl Default for ClusterSettings {
    fn default() -> Self {
        Self { balance: 1.1, rounds: 25, learned: 0, prototypes: 1 }
    }
}

/// More clusters than this are found in two steps.
const AT_ONCE: usize = 512;
/// By how much their capacity must exceed the mean for that: a part has its share of the clusters up to a rounding.
const ROOM_OF_PARTS: f64 = 1.05;

/// A partition of points on the unit sphere.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Clusters {
    /// Cluster of every point.
    pub(crate) assignment: Vec<u32>,
    /// Unit-length mean of every cluster, shape `[clusters, width]`.
    pub(crate) centroids: Array2<f32>,
}

/// Most entries that a cluster may have: `floor(balance * entries / clusters)`, and never less than what an even share
/// rounded up needs.
pub(crate) fn capacity(entries: usize, clusters: usize, balance: f32) -> usize {
    let clusters = clusters.max(1);
    let even = entries.div_ceil(clusters);
    even.max((f64::from(balance) * entries as f64 / clusters as f64).floor() as usize)
}

impl Clusters {
    /// Partitions unit vectors `points`, shape `[points, width]`, into `count` clusters, none above its capacity.
    ///
    /// # Errors
    /// [`LearnError::Setting`] for no clusters or more clusters than points, or settings outside their range.
    pub(crate) fn fit(
        points: ArrayView2<f32>,
        count: usize,
        settings: ClusterSettings,
        seed: u64,
    ) -> Result<Self, LearnError> {
        if count == 0 || count > points.nrows() {
            let expected = format!("1 to {}, the number of classes", points.nrows());
            return Err(LearnError::Setting { setting: "clusters", found: count.to_string(), expected });
        }
        settings.validate()?;
        let capacity = capacity(points.nrows(), count, settings.balance);
        let room = (capacity * count) as f64 / points.nrows() as f64;
        if count <= AT_ONCE || room < ROOM_OF_PARTS {
            return Ok(Self::within(points, count, capacity, settings.rounds, seed));
        }
        let parts = (count as f64).sqrt().round() as usize;
        let members = Self::fit(points, parts, settings, seed)?.members();
        let shares = shares(&members.iter().map(Vec::len).collect::<Vec<_>>(), count);
        let part = |(part, (members, &share)): (usize, (&Vec<u32>, &usize))| {
            let rows: Vec<usize> = members.iter().map(|&point| point as usize).collect();
            let points = points.select(Axis(0), &rows);
            Self::within(points.view(), share, capacity, settings.rounds, seed ^ (1 + part as u64))
        };
        let found: Vec<Self> = members.par_iter().zip(&shares).enumerate().map(part).collect();
        let mut assignment = vec![0; points.nrows()];
        let mut first = 0;
        for ((clusters, members), share) in found.iter().zip(&members).zip(&shares) {
            for (&point, &cluster) in members.iter().zip(&clusters.assignment) {
                assignment[point as usize] = first + cluster;
            }
            first += *share as u32;
        }
        let centroids: Vec<_> = found.iter().map(|clusters| clusters.centroids.view()).collect();
        // Parts are as wide as the points.
        let centroids = concatenate(Axis(0), &centroids).unwrap_or_else(|_| Array2::zeros((count, points.ncols())));
        Ok(Self { assignment, centroids })
    }

    /// Partitions points, at once, into clusters of at most `capacity`, which hold all of them.
    fn within(points: ArrayView2<f32>, count: usize, capacity: usize, rounds: usize, seed: u64) -> Self {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let mut centroids = spread_seeds(points, count, &mut rng);
        let mut prices = vec![0.0f32; count];
        let mut assignment = Vec::new();
        for _ in 0..rounds.max(1) {
            let similarity = points.dot(&centroids.t());
            let next = assign(&similarity, capacity, &mut prices);
            let settled = next == assignment;
            assignment = next;
            centroids = means(points, &assignment, &centroids);
            if settled {
                break;
            }
        }
        Self { assignment, centroids }
    }

    /// Points of every cluster, ascending.
    pub(crate) fn members(&self) -> Vec<Vec<u32>> {
        let mut members = vec![Vec::new(); self.centroids.nrows()];
        for (point, &cluster) in self.assignment.iter().enumerate() {
            members[cluster as usize].push(point as u32);
        }
        members
    }
}

/// `count` clusters shared out to parts of these sizes: each as many as it has points for, to the next whole number, up or down.
fn shares(sizes: &[usize], count: usize) -> Vec<usize> {
    let all: usize = sizes.iter().sum();
    let mut shares: Vec<usize> = sizes.iter().map(|size| size * count / all.max(1)).collect();
    let mut parts: Vec<usize> = (0..sizes.len()).collect();
    // The largest remainders first.
    parts.sort_by_key(|&part| std::cmp::Reverse((sizes[part] * count % all.max(1), part)));
    let left = count - shares.iter().sum::<usize>();
    parts.iter().take(left).for_each(|&part| shares[part] += 1);
    shares
}

/// k-means++: each next seed with probability proportional to its squared distance from the nearest seed so far.
fn spread_seeds(points: ArrayView2<f32>, count: usize, rng: &mut impl Rng) -> Array2<f32> {
    let n = points.nrows();
    let mut chosen = vec![rng.random_range(0..n)];
    let distances = |seed: usize| points.dot(&points.row(seed)).mapv(|cosine| (1.0 - cosine).max(0.0));
    let mut nearest = distances(chosen[0]);
    while chosen.len() < count {
        let total: f64 = nearest.iter().map(|&d| f64::from(d)).sum();
        let mut target = rng.random::<f64>() * total;
        let drawn = nearest.iter().position(|&d| {
            target -= f64::from(d);
            d > 0.0 && target <= 0.0
        });
        // Where all that remain coincide with a seed, any unused point will do.
        let next = drawn.or_else(|| (0..n).find(|i| !chosen.contains(i))).unwrap_or(0);
        nearest.zip_mut_with(&distances(next), |old, &new| *old = old.min(new));
        nearest[next] = 0.0;
        chosen.push(next);
    }
    points.select(Axis(0), &chosen)
}

/// The best cluster of every point after prices, with no cluster above `capacity`.
pub(crate) fn assign(similarity: &Array2<f32>, capacity: usize, prices: &mut [f32]) -> Vec<u32> {
    const ROUNDS: usize = 40;
    let (points, clusters) = similarity.dim();
    let best = |prices: &[f32]| -> Vec<u32> {
        let value = |row: usize, cluster: usize| similarity[(row, cluster)] - prices[cluster];
        let argmax = |row| (1..clusters).fold(0, |top, c| if value(row, c) > value(row, top) { c } else { top });
        (0..points).into_par_iter().map(|row| argmax(row) as u32).collect()
    };
    let mut assignment = best(prices);
    for round in 0..ROUNDS {
        let sizes = sizes(&assignment, clusters);
        if sizes.iter().all(|&s| s <= capacity) {
            break;
        }
        let step = 0.1 / (1.0 + round as f32 / 8.0);
        for (price, &size) in prices.iter_mut().zip(&sizes) {
            let excess = (size as f32 - capacity as f32) / capacity as f32;
            *price = (*price + step * excess.clamp(-0.25, 1.0)).max(0.0);
        }
        assignment = best(prices);
    }
    evict(similarity, capacity, &mut assignment);
    assignment
}

/// Moves the points that lose least from clusters above `capacity` to their best cluster with room.
fn evict(similarity: &Array2<f32>, capacity: usize, assignment: &mut [u32]) {
    let clusters = similarity.ncols();
    let mut sizes = sizes(assignment, clusters);
    for cluster in 0..clusters {
        while sizes[cluster] > capacity {
            let mut cheapest: Option<(f32, usize, usize)> = None;
            for point in (0..assignment.len()).filter(|&p| assignment[p] as usize == cluster) {
                for target in (0..clusters).filter(|&c| sizes[c] < capacity) {
                    let loss = similarity[(point, cluster)] - similarity[(point, target)];
                    if cheapest.is_none_or(|(least, ..)| loss < least) {
                        cheapest = Some((loss, point, target));
                    }
                }
            }
            // `capacity * clusters >= points`, so a cluster above capacity means that another has room.
            let Some((_, point, target)) = cheapest else { break };
            assignment[point] = target as u32;
            sizes[cluster] -= 1;
            sizes[target] += 1;
        }
    }
}

fn sizes(assignment: &[u32], clusters: usize) -> Vec<usize> {
    let mut sizes = vec![0; clusters];
    for &cluster in assignment {
        sizes[cluster as usize] += 1;
    }
    sizes
}

/// Unit-length mean of every cluster; an empty cluster keeps its centroid.
fn means(points: ArrayView2<f32>, assignment: &[u32], previous: &Array2<f32>) -> Array2<f32> {
    let mut sums = Array2::<f32>::zeros(previous.dim());
    for (row, &cluster) in points.rows().into_iter().zip(assignment) {
        let mut sum = sums.row_mut(cluster as usize);
        sum += &row;
    }
    for (mut sum, old) in sums.rows_mut().into_iter().zip(previous.rows()) {
        if sum.iter().all(|&v| v == 0.0) {
            sum.assign(&old);
        }
    }
    normalise_rows(&mut sums);
    sums
}

#[cfg(test)]
mod tests {
    use rand_distr::{Distribution, StandardNormal};

    use super::*;

    fn cloud(points: usize, width: usize, skew: f32, seed: u64) -> Array2<f32> {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let mut rows = Array2::from_shape_fn((points, width), |(_, j)| {
            let normal: f32 = StandardNormal.sample(&mut rng);
            normal + if j == 0 { skew } else { 0.0 }
        });
        normalise_rows(&mut rows);
        rows
    }

    #[test]
    fn no_cluster_is_above_its_bound() {
        for seed in 0..40u64 {
            let (points, count) = (20 + (seed as usize * 37) % 400, 1 + (seed as usize * 11) % 20);
            let skew = seed as f32 / 8.0;
            let rows = cloud(points, 12, skew, seed);
            let clusters = Clusters::fit(rows.view(), count, ClusterSettings::default(), seed).unwrap();
            let bound =
                (1.1 * points as f64 / count as f64).floor().max((points as f64 / count as f64).ceil()) as usize;
            let members = clusters.members();
            assert_eq!(members.iter().map(Vec::len).sum::<usize>(), points);
            let largest = members.iter().map(Vec::len).max().unwrap();
            assert!(largest <= bound, "{points} points, {count} clusters: {largest} above {bound}");
        }
    }

    #[test]
    fn many_clusters_are_found_in_parts_and_keep_the_bound() {
        let rows = cloud(8_000, 12, 1.0, 3);
        let clusters = Clusters::fit(rows.view(), 800, ClusterSettings::default(), 1).unwrap();
        assert_eq!((clusters.centroids.dim(), clusters.assignment.len()), ((800, 12), 8_000));
        let members = clusters.members();
        assert!(members.iter().all(|m| m.len() <= capacity(8_000, 800, 1.1)));
        assert_eq!(members.iter().map(Vec::len).sum::<usize>(), 8_000);
        assert_eq!(clusters, Clusters::fit(rows.view(), 800, ClusterSettings::default(), 1).unwrap());
        // Hardly worse than at once: points lie almost as near to their centroids.
        let near = |clusters: &Clusters| -> f32 {
            let each = clusters.assignment.iter().zip(rows.rows());
            each.map(|(&cluster, row)| row.dot(&clusters.centroids.row(cluster as usize))).sum::<f32>() / 8_000.0
        };
        let at_once = Clusters::within(rows.view(), 800, capacity(8_000, 800, 1.1), 25, 1);
        assert!(near(&clusters) > near(&at_once) - 0.02, "{} and {}", near(&clusters), near(&at_once));
    }

    #[test]
    fn shares_are_whole_and_make_up_all() {
        assert_eq!(shares(&[10, 20, 30], 6), [1, 2, 3]);
        assert_eq!(shares(&[10, 11, 12], 4), [1, 1, 2]);
        assert_eq!(shares(&[5, 5, 5], 4).iter().sum::<usize>(), 4);
    }

    #[test]
    fn coinciding_points_are_spread_evenly() {
        let rows = Array2::from_shape_fn((30, 4), |(_, j)| if j == 1 { 1.0 } else { 0.0 });
        let clusters = Clusters::fit(rows.view(), 6, ClusterSettings::default(), 3).unwrap();
        assert!(clusters.members().iter().all(|m| m.len() == 5));
    }

    #[test]
    fn separated_clouds_are_found_again() {
        let centres = cloud(8, 16, 0.0, 9);
        let noise = cloud(160, 16, 0.0, 10);
        let mut rows = Array2::from_shape_fn((160, 16), |(i, j)| centres[(i % 8, j)] + 0.2 * noise[(i, j)]);
        normalise_rows(&mut rows);
        let clusters = Clusters::fit(rows.view(), 8, ClusterSettings::default(), 1).unwrap();
        for members in clusters.members() {
            assert_eq!(members.len(), 20);
            assert!(members.iter().all(|m| m % 8 == members[0] % 8));
        }
        assert_eq!(clusters, Clusters::fit(rows.view(), 8, ClusterSettings::default(), 1).unwrap());
    }

    #[test]
    fn impossible_counts_are_refused() {
        let rows = cloud(5, 4, 0.0, 1);
        for count in [0, 6] {
            let result = Clusters::fit(rows.view(), count, ClusterSettings::default(), 0);
            assert!(matches!(result, Err(LearnError::Setting { setting: "clusters", .. })));
        }
    }
}
