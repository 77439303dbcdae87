//! [`Knob`]: a setting of the training that an experiment varies.

use serde::Deserialize;
use sordino_learn::TrainConfig;

/// A setting that varies.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Knob {
    /// Column of the results.
    pub name: String,
    /// Paths in the training settings, such as `router.input_bits`, that all take the value.
    pub sets: Vec<String>,
    /// The values.
    pub values: Vec<toml::Value>,
}

/// Names and values of columns that tell the settings of one grid apart.
pub(crate) type Columns = Vec<(String, String)>;

/// Settings, and the columns that tell how they came about.
pub(crate) type Turned = (TrainConfig, Columns);

/// A configuration under every combination of the knobs' values, with the columns that name them.
pub(crate) fn turn(config: &TrainConfig, knobs: &[Knob]) -> Result<Vec<Turned>, String> {
    let Some((knob, rest)) = knobs.split_first() else {
        return Ok(vec![(config.clone(), Vec::new())]);
    };
    let mut all = Vec::new();
    for value in &knob.values {
        let mut tree = toml::Value::try_from(config).map_err(|error| error.to_string())?;
        knob.sets.iter().try_for_each(|path| set(&mut tree, path, value))?;
        let wrong = |error: toml::de::Error| format!("knob {} at {value}: {error}", knob.name);
        let set: TrainConfig = tree.try_into().map_err(wrong)?;
        for (config, mut columns) in turn(&set, rest)? {
            let text = value.as_str().map_or_else(|| value.to_string(), ToOwned::to_owned);
            columns.insert(0, (knob.name.clone(), text));
            all.push((config, columns));
        }
    }
    Ok(all)
}

/// Sets the value at a dotted path, whose last part may be new (a setting without a value is not written).
fn set(tree: &mut toml::Value, path: &str, value: &toml::Value) -> Result<(), String> {
    let no_table = || format!("no settings at the path {path}");
    let (parents, last) = path.rsplit_once('.').unwrap_or(("", path));
    let mut place = tree;
    for part in parents.split('.').filter(|part| !part.is_empty()) {
        place = place.get_mut(part).ok_or_else(no_table)?;
    }
    place.as_table_mut().ok_or_else(no_table)?.insert(last.into(), value.clone());
    Ok(())
}
