//! [`Figure`]: a picture of rows, as data.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::Value;

/// How values are spaced.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Scale {
    /// Evenly, or as names where they are no numbers.
    #[default]
    Linear,
    /// By their logarithm.
    Log,
    /// As names, in the order in which they come.
    Names,
}

/// How points of a series are joined.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// By a line, from left to right.
    #[default]
    Lines,
    /// Not at all.
    Points,
    /// Not at all, but a line joins what no other point of any series beats with a smaller `x` and a larger `y`.
    Front,
}

/// A picture of some rows.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Figure {
    /// What it shows.
    pub title: String,
    /// Column along the horizontal axis.
    pub x: String,
    /// Column along the vertical axis.
    pub y: String,
    /// Columns whose values tell the series apart.
    #[serde(default)]
    pub series: Vec<String>,
    /// Only rows whose columns have one of these values.
    #[serde(default, rename = "where")]
    pub only: BTreeMap<String, Vec<Value>>,
    /// Spacing along the horizontal axis.
    #[serde(default)]
    pub x_scale: Scale,
    /// Spacing along the vertical axis; `names` lays the figure on its side, with values to the right.
    #[serde(default)]
    pub y_scale: Scale,
    /// Values begin here at the latest.
    #[serde(default)]
    pub from: Option<f64>,
    /// Whether names along an axis are sorted by their first value, the largest first, and not as they appear.
    #[serde(default)]
    pub sorted: bool,
    /// Name of the horizontal axis, where it is not the column's.
    #[serde(default)]
    pub x_name: Option<String>,
    /// Name of the vertical axis, where it is not the column's.
    #[serde(default)]
    pub y_name: Option<String>,
    /// Names of series, of places along the axis or of parts of them, in other words.
    #[serde(default)]
    pub say: BTreeMap<String, String>,
    /// How points are joined.
    #[serde(default)]
    pub kind: Kind,
    /// What to see in it.
    #[serde(default)]
    pub note: String,
}

impl Figure {
    /// The columns that it is drawn from.
    pub(crate) fn columns_of_rows(&self) -> impl Iterator<Item = &String> {
        [&self.x, &self.y].into_iter().chain(&self.series).chain(self.only.keys())
    }
}
