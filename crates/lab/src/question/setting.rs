//! [`Setting`]: a setting of a system that an experiment varies.

use serde::Deserialize;
use toml::{Table, Value};

/// A setting that varies.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Setting {
    /// Column of the results.
    pub name: String,
    /// Paths in the system's settings, such as `router.input_bits`, that all take the value.
    pub sets: Vec<String>,
    /// The values.
    pub values: Vec<Value>,
}

/// Names and values of columns that tell the settings of one grid apart.
pub(crate) type Columns = Vec<(String, String)>;

/// Settings under every combination of the values of what varies, with the columns that name them.
pub(crate) fn combinations(settings: &Table, varied: &[Setting]) -> Result<Vec<(Table, Columns)>, String> {
    let Some((setting, rest)) = varied.split_first() else {
        return Ok(vec![(settings.clone(), Vec::new())]);
    };
    let mut all = Vec::new();
    for value in &setting.values {
        let mut changed = settings.clone();
        setting.sets.iter().try_for_each(|path| set(&mut changed, path, value))?;
        for (settings, mut columns) in combinations(&changed, rest)? {
            let text = value.as_str().map_or_else(|| value.to_string(), ToOwned::to_owned);
            columns.insert(0, (setting.name.clone(), text));
            all.push((settings, columns));
        }
    }
    Ok(all)
}

/// Sets the value at a dotted path, whose last part may be new (a setting without a value is not written).
fn set(settings: &mut Table, path: &str, value: &Value) -> Result<(), String> {
    let no_table = || format!("no settings at the path {path}");
    let (parents, last) = path.rsplit_once('.').unwrap_or(("", path));
    let mut place = settings;
    for part in parents.split('.').filter(|part| !part.is_empty()) {
        place = place.get_mut(part).and_then(Value::as_table_mut).ok_or_else(no_table)?;
    }
    place.insert(last.into(), value.clone());
    Ok(())
}
