//! [`Features`]: what a front end makes of many queries, as one matrix.

use ndarray::Array2;

use super::Query;
use crate::LabError;

/// Queries, and what a front end made of them.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Features {
    /// Base features of those that could be used, shape `[queries, width]`.
    pub(crate) rows: Array2<f32>,
    /// What those are.
    pub(crate) queries: Vec<Query>,
    /// What the others are, such as silence: asked, but not named.
    pub(crate) refused: Vec<Query>,
}

impl Features {
    /// Stacks the features of queries, `width` each.
    ///
    /// # Errors
    /// [`LabError::Setting`] for features of another width.
    pub(crate) fn stack<E>(
        rendered: impl IntoIterator<Item = (Query, Result<Vec<f32>, E>)>,
        width: usize,
    ) -> Result<Self, LabError> {
        let (mut flat, mut queries, mut refused) = (Vec::new(), Vec::new(), Vec::new());
        for (query, features) in rendered {
            match features {
                Ok(row) => {
                    flat.extend(row);
                    queries.push(query);
                }
                Err(_) => refused.push(query),
            }
        }
        let shape = (queries.len(), width);
        let rows = Array2::from_shape_vec(shape, flat).map_err(|error| LabError::Setting {
            setting: "features of the queries".into(),
            found: error.to_string(),
            expected: format!("{} by {}", shape.0, shape.1),
        })?;
        Ok(Self { rows, queries, refused })
    }
}

#[cfg(test)]
mod tests {
    use ndarray::array;

    use super::*;

    fn query(track: u32) -> Query {
        let (condition, room) = ("clean".into(), String::new());
        Query { track, crop: 0, offset: 0, start: 0.0, condition, room, place: None }
    }

    #[test]
    fn what_could_not_be_used_is_handed_back() {
        let rendered = [(query(1), Ok(vec![1.0, 2.0])), (query(2), Err("silent")), (query(3), Ok(vec![3.0, 4.0]))];
        let features = Features::stack(rendered, 2).unwrap();
        assert_eq!(features.rows, array![[1.0, 2.0], [3.0, 4.0]]);
        assert_eq!((features.queries, features.refused), (vec![query(1), query(3)], vec![query(2)]));
        assert_eq!(Features::stack::<()>([], 3).unwrap().rows.dim(), (0, 3));
        assert!(Features::stack::<()>([(query(1), Ok(vec![1.0]))], 2).is_err());
    }
}
