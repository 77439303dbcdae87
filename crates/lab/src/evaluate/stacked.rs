//! [`Stacked`]: what a front end makes of many queries, as one matrix.

use ndarray::Array2;

use crate::LabError;

/// Queries, and what a front end made of them.
#[derive(Clone, Debug, PartialEq)]
pub struct Stacked<Q, E> {
    /// Features of those that could be used, shape `[queries, width]`.
    pub features: Array2<f32>,
    /// What those were.
    pub asked: Vec<Q>,
    /// What the others were, and why they could not be used.
    pub refused: Vec<(Q, E)>,
}

/// Stacks the features of queries.
///
/// # Errors
/// [`LabError::Setting`] where features are not of that width.
pub fn stacked<Q, E>(
    heard: impl IntoIterator<Item = (Q, Result<Vec<f32>, E>)>,
    width: usize,
) -> Result<Stacked<Q, E>, LabError> {
    let (mut flat, mut asked, mut refused) = (Vec::new(), Vec::new(), Vec::new());
    for (query, features) in heard {
        match features {
            Ok(row) => {
                flat.extend(row);
                asked.push(query);
            }
            Err(error) => refused.push((query, error)),
        }
    }
    let shape = (asked.len(), width);
    let features = Array2::from_shape_vec(shape, flat).map_err(|error| LabError::Setting {
        setting: "features of the queries".into(),
        found: error.to_string(),
        expected: format!("{} by {}", shape.0, shape.1),
    })?;
    Ok(Stacked { features, asked, refused })
}

#[cfg(test)]
mod tests {
    use ndarray::array;

    use super::{Stacked, stacked};

    #[test]
    fn what_could_not_be_used_is_handed_back() {
        let heard = [("a", Ok(vec![1.0, 2.0])), ("b", Err("silent")), ("c", Ok(vec![3.0, 4.0]))];
        let Stacked { features, asked, refused } = stacked(heard, 2).unwrap();
        assert_eq!(features, array![[1.0, 2.0], [3.0, 4.0]]);
        assert_eq!((asked, refused), (vec!["a", "c"], vec![("b", "silent")]));
        assert_eq!(stacked::<(), ()>([], 3).unwrap().features.dim(), (0, 3));
        assert!(stacked::<_, ()>([((), Ok(vec![1.0]))], 2).is_err());
    }
}
