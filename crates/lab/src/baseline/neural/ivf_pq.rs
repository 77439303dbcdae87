//! [`IvfPq`]: approximate search for the largest inner product among many vectors: inverted lists over coarse cells, and
//! product-quantised residuals (Jégou, Douze, Schmid, "Product Quantization for Nearest Neighbor Search", TPAMI 2011).
//!
//! No pure-Rust library of this index was found that is both kept and small: what there is binds to C++ or belongs to a data base.

use ndarray::linalg::general_mat_mul;
use ndarray::{Array2, ArrayView1, ArrayView2, Axis};
use rand::seq::index::sample;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use crate::LabError;

/// Codewords of a part: what a byte can name.
const WORDS: usize = 256;

/// How the index is built and searched.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct IvfPqSettings {
    /// Coarse cells.
    pub cells: usize,
    /// Cells that a query looks into.
    pub probes: usize,
    /// Parts of a vector, one byte each; they must divide its width.
    pub parts: usize,
    /// Vectors that the codebooks are learned from.
    pub training: usize,
    /// Rounds of every k-means.
    pub rounds: usize,
}

impl Default for IvfPqSettings {
    fn default() -> Self {
        Self { cells: 64, probes: 8, parts: 64, training: 16_384, rounds: 12 }
    }
}

/// The index. Vectors go by their place among those that it was built from.
pub struct IvfPq {
    settings: IvfPqSettings,
    /// Shape `[cells, width]`.
    cells: Array2<f32>,
    /// Of every part: shape `[words, width / parts]`.
    books: Vec<Array2<f32>>,
    /// Of every cell: the vectors in it, and their codes one after the other.
    lists: Vec<(Vec<u32>, Vec<u8>)>,
    /// Of every vector: its cell and its row there.
    places: Vec<(u32, u32)>,
}

impl IvfPq {
    /// Indexes `vectors`, shape `[vectors, width]`.
    ///
    /// # Errors
    /// [`LabError::Setting`] for no vectors, no cells, no probes, or parts that do not divide the width.
    pub fn build(vectors: ArrayView2<'_, f32>, settings: IvfPqSettings, seed: u64) -> Result<Self, LabError> {
        let (count, width) = vectors.dim();
        let IvfPqSettings { cells, probes, parts, training, rounds } = settings;
        if count == 0 || cells == 0 || probes == 0 || training == 0 || parts == 0 || !width.is_multiple_of(parts) {
            return Err(LabError::Setting {
                setting: "index".into(),
                found: format!("{settings:?} for {count} vectors of {width}"),
                expected: "some vectors, cells, probes and training vectors, and parts that divide the width".into(),
            });
        }
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let mut chosen = sample(&mut rng, count, training.min(count)).into_vec();
        chosen.sort_unstable();
        let examples = vectors.select(Axis(0), &chosen);
        let cells = k_means(examples.view(), cells.min(chosen.len()), rounds, rng.random());
        let cell_of = nearest(vectors, cells.view());

        let mut residuals = examples;
        for (mut row, &i) in residuals.rows_mut().into_iter().zip(&chosen) {
            row -= &cells.row(cell_of[i] as usize);
        }
        let step = width / parts;
        let seeds: Vec<u64> = (0..parts).map(|_| rng.random()).collect();
        let book = |part: usize| {
            let columns = residuals.slice_axis(Axis(1), (part * step..(part + 1) * step).into());
            k_means(columns, WORDS.min(chosen.len()), rounds, seeds[part])
        };
        let books: Vec<Array2<f32>> = (0..parts).into_par_iter().map(book).collect();

        let encode = |i: usize| -> Vec<u8> {
            let residual = &vectors.row(i) - &cells.row(cell_of[i] as usize);
            let word = |(part, book): (usize, &Array2<f32>)| {
                let columns = residual.slice_axis(Axis(0), (part * step..(part + 1) * step).into());
                // A codebook has at most 256 words.
                nearest(columns.insert_axis(Axis(0)), book.view())[0] as u8
            };
            books.iter().enumerate().map(word).collect()
        };
        let codes: Vec<Vec<u8>> = (0..count).into_par_iter().map(encode).collect();
        let mut lists = vec![(Vec::new(), Vec::new()); cells.nrows()];
        let mut places = Vec::with_capacity(count);
        for (i, (&cell, code)) in cell_of.iter().zip(codes).enumerate() {
            let (ids, list) = &mut lists[cell as usize];
            places.push((cell, ids.len() as u32));
            ids.push(i as u32);
            list.extend(code);
        }
        Ok(Self { settings, cells, books, lists, places })
    }

    /// The `count` vectors with the largest inner products with `query`, best first, with those products as the codes have them.
    pub fn search(&self, query: ArrayView1<'_, f32>, count: usize) -> Vec<(u32, f32)> {
        let coarse = self.cells.dot(&query);
        let mut order: Vec<usize> = (0..coarse.len()).collect();
        order.sort_by(|&a, &b| coarse[b].total_cmp(&coarse[a]));
        let step = query.len() / self.settings.parts;
        let mut table = vec![0.0; self.settings.parts * WORDS];
        for (part, (book, out)) in self.books.iter().zip(table.chunks_exact_mut(WORDS)).enumerate() {
            let products = book.dot(&query.slice_axis(Axis(0), (part * step..(part + 1) * step).into()));
            out[..products.len()].copy_from_slice(products.as_slice().unwrap_or_default());
        }
        let mut best: Vec<(u32, f32)> = Vec::with_capacity(count + 1);
        for &cell in order.iter().take(self.settings.probes) {
            let (ids, codes) = &self.lists[cell];
            for (&id, code) in ids.iter().zip(codes.chunks_exact(self.settings.parts)) {
                let words = table.chunks_exact(WORDS).zip(code);
                let score = coarse[cell] + words.map(|(products, &word)| products[usize::from(word)]).sum::<f32>();
                if best.len() < count || best.last().is_some_and(|&(_, worst)| score > worst) {
                    let at = best.partition_point(|&(_, other)| other >= score);
                    best.insert(at, (id, score));
                    best.truncate(count);
                }
            }
        }
        best
    }

    /// A vector as its code has it.
    pub fn vector(&self, id: u32) -> Vec<f32> {
        let (cell, row) = self.places[id as usize];
        let parts = self.settings.parts;
        let code = &self.lists[cell as usize].1[row as usize * parts..][..parts];
        let residual = self.books.iter().zip(code).flat_map(|(book, &word)| book.row(usize::from(word)).to_vec());
        residual.zip(self.cells.row(cell as usize)).map(|(residual, centre)| residual + centre).collect()
    }

    /// Bytes of the lists and the codebooks.
    pub fn bytes(&self) -> usize {
        let lists: usize = self.lists.iter().map(|(ids, codes)| size_of_val(&ids[..]) + codes.len()).sum();
        let books: usize = self.books.iter().map(|book| book.len() * size_of::<f32>()).sum();
        lists + books + self.cells.len() * size_of::<f32>() + size_of_val(&self.places[..])
    }
}

/// Row of `centres` nearest to every row of `points`.
pub(crate) fn nearest(points: ArrayView2<'_, f32>, centres: ArrayView2<'_, f32>) -> Vec<u32> {
    const ROWS: usize = 256;
    let half: Vec<f32> = centres.rows().into_iter().map(|row| 0.5 * row.dot(&row)).collect();
    let chunk = |points: ArrayView2<f32>| -> Vec<u32> {
        let mut products = Array2::zeros((points.nrows(), centres.nrows()));
        general_mat_mul(1.0, &points, &centres.t(), 0.0, &mut products);
        let best = |row: ArrayView1<f32>| {
            let value = |i: usize| row[i] - half[i];
            (1..row.len()).fold(0, |best, i| if value(i) > value(best) { i } else { best }) as u32
        };
        products.rows().into_iter().map(best).collect()
    };
    let chunks: Vec<ArrayView2<f32>> = points.axis_chunks_iter(Axis(0), ROWS).collect();
    if chunks.len() == 1 {
        return chunk(points);
    }
    chunks.into_par_iter().map(chunk).collect::<Vec<_>>().concat()
}

/// Lloyd's k-means from distinct points. A centre that loses all its points moves to a random one.
pub(crate) fn k_means(points: ArrayView2<'_, f32>, count: usize, rounds: usize, seed: u64) -> Array2<f32> {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let mut centres = points.select(Axis(0), &sample(&mut rng, points.nrows(), count).into_vec());
    for _ in 0..rounds {
        let assignment = nearest(points, centres.view());
        let mut sizes = vec![0usize; count];
        let mut sums = Array2::<f32>::zeros(centres.raw_dim());
        for (point, &centre) in points.rows().into_iter().zip(&assignment) {
            let mut sum = sums.row_mut(centre as usize);
            sum += &point;
            sizes[centre as usize] += 1;
        }
        for (mut sum, &size) in sums.rows_mut().into_iter().zip(&sizes) {
            if size == 0 {
                sum.assign(&points.row(rng.random_range(0..points.nrows())));
            } else {
                sum /= size as f32;
            }
        }
        centres = sums;
    }
    centres
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Unit vectors around some directions, as segments of music are.
    fn vectors(count: usize, width: usize, seed: u64) -> Array2<f32> {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let mut normal = || (0..6).map(|_| rng.random_range(-1.0..1.0f32)).sum::<f32>();
        let centres = Array2::from_shape_simple_fn((30, width), &mut normal);
        let mut rows = Array2::from_shape_simple_fn((count, width), normal);
        for (i, mut row) in rows.rows_mut().into_iter().enumerate() {
            row += &centres.row(i % 30);
            let norm = row.dot(&row).sqrt();
            row /= norm;
        }
        rows
    }

    #[test]
    fn most_true_neighbours_are_found() {
        let (library, queries) = (vectors(6_000, 32, 1), vectors(100, 32, 1));
        let mut rng = ChaCha8Rng::seed_from_u64(7);
        let settings = IvfPqSettings { cells: 32, probes: 8, parts: 16, training: 3_000, rounds: 8 };
        let index = IvfPq::build(library.view(), settings, 3).unwrap();
        let (mut first, mut among) = (0, 0);
        for query in queries.rows() {
            let query = query.mapv(|v| v + 0.03 * rng.random_range(-1.0..1.0f32));
            let products = library.dot(&query);
            let best = (1..products.len()).fold(0, |a, b| if products[b] > products[a] { b } else { a }) as u32;
            let found = index.search(query.view(), 10);
            first += usize::from(found[0].0 == best);
            among += usize::from(found.iter().any(|&(id, _)| id == best));
            assert!(found.windows(2).all(|pair| pair[0].1 >= pair[1].1));
            let (id, score) = found[0];
            let decoded: f32 = index.vector(id).iter().zip(&query).map(|(a, b)| a * b).sum();
            assert!((decoded - score).abs() < 1e-4);
        }
        assert!(first >= 90 && among >= 98, "recall {first} at 1 and {among} at 10, of 100");
    }

    #[test]
    fn with_a_word_for_every_vector_the_search_is_exact() {
        let library = vectors(200, 8, 4);
        let settings = IvfPqSettings { cells: 200, probes: 200, parts: 4, training: 200, rounds: 2 };
        let index = IvfPq::build(library.view(), settings, 1).unwrap();
        for (id, row) in library.rows().into_iter().enumerate() {
            let found = index.search(row, 1)[0];
            assert_eq!(found.0, id as u32);
            assert!((found.1 - 1.0).abs() < 1e-4);
        }
    }

    #[test]
    fn impossible_settings_are_refused() {
        let library = vectors(20, 8, 4);
        let build = |settings| IvfPq::build(library.view(), settings, 1);
        for settings in [
            IvfPqSettings { parts: 3, ..IvfPqSettings::default() },
            IvfPqSettings { cells: 0, ..IvfPqSettings::default() },
            IvfPqSettings { probes: 0, ..IvfPqSettings::default() },
        ] {
            assert!(build(settings).is_err(), "{settings:?}");
        }
        assert!(
            IvfPq::build(Array2::zeros((0, 8)).view(), IvfPqSettings { parts: 8, ..IvfPqSettings::default() }, 1)
                .is_err()
        );
    }
}
