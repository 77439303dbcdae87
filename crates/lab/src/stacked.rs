//! [`stacked`]: what a front end makes of many queries, as one matrix.

use ndarray::{Array2, ArrayView1};

/// The features of those queries that could be used, shape `[queries, width]`, beside what they were; and what the others were, with the
/// reason why not.
///
/// # Panics
/// Where features are not of that width.
pub fn stacked<Q, E>(
    heard: impl IntoIterator<Item = (Q, Result<Vec<f32>, E>)>,
    width: usize,
) -> (Array2<f32>, Vec<Q>, Vec<(Q, E)>) {
    let (mut rows, mut asked, mut refused) = (Vec::new(), Vec::new(), Vec::new());
    for (query, features) in heard {
        match features {
            Ok(row) => {
                rows.push(row);
                asked.push(query);
            }
            Err(error) => refused.push((query, error)),
        }
    }
    let mut features = Array2::zeros((rows.len(), width));
    for (mut place, row) in features.rows_mut().into_iter().zip(rows) {
        place.assign(&ArrayView1::from(&row));
    }
    (features, asked, refused)
}

#[cfg(test)]
mod tests {
    use ndarray::array;

    use super::stacked;

    #[test]
    fn what_could_not_be_used_is_handed_back() {
        let heard = [("a", Ok(vec![1.0, 2.0])), ("b", Err("silent")), ("c", Ok(vec![3.0, 4.0]))];
        let (features, asked, refused) = stacked(heard, 2);
        assert_eq!(features, array![[1.0, 2.0], [3.0, 4.0]]);
        assert_eq!((asked, refused), (vec!["a", "c"], vec![("b", "silent")]));
        assert_eq!(stacked::<(), ()>([], 3).0.dim(), (0, 3));
    }
}
