//! Columns and their values as a person reads them.

use serde_json::Value;

use super::axis::number;

/// A column's name as words, with its unit.
pub(crate) fn words(column: &str) -> String {
    match column {
        "top_1" | "top1" => "top-1, %",
        "top_3" | "top3" => "top-3, %",
        "named" => "named rightly, %",
        "lost" | "known_lost" => "known songs reported unknown, %",
        "rejected" | "unknown_rejected" => "unknown songs reported unknown, %",
        "promised_lost" => "promised share of known clips reported unknown, %",
        "promised_rejected" => "promised share of strangers reported unknown, %",
        "located" => "place in the track right, %",
        "snr_db" => "signal-to-noise ratio, dB",
        "seconds" => "length of the query, s",
        "rotations" => "blind rotations a query",
        "tracks" | "library" => "tracks in the library",
        "server_seconds" => "server, seconds a query",
        "client_seconds" => "client, seconds a query",
        "training_seconds" => "training, s",
        "training_gigabytes" => "memory of training, GB",
        "processor_seconds" => "processor time of a query, s",
        "bytes_up" => "sent to the server, bytes",
        "bytes_down" => "sent to the client, bytes",
        "hop" => "distance of passages, in lengths of a query",
        "hidden" => "units of the trunk's hidden layer",
        "epochs" => "passes over the clips",
        other => return other.replace('_', " "),
    }
    .into()
}

/// Whether a column holds shares in per cent.
pub(crate) fn is_share(column: &str) -> bool {
    words(column).ends_with('%')
}

/// A value as it stands in a table of all rows.
pub(crate) fn text(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Number(n) => number(n.as_f64().unwrap_or(f64::NAN)),
        Value::Null => String::new(),
        other => other.to_string(),
    }
}

/// A value in the words of a figure: a protocol by its name, a condition with its units.
pub(crate) fn spoken(column: &str, value: &Value) -> String {
    let plain = text(value);
    match column {
        "protocol" | "system" => match plain.as_str() {
            "two-trip" | "two-stage" => "routed".into(),
            "one-trip" => "decided".into(),
            "mfcc-regression" | "regression" => "MFCC regression".into(),
            "neural-sequence" => "neural fingerprints, sequence".into(),
            "neural-vote" => "neural fingerprints, vote".into(),
            _ => plain,
        },
        "condition" => condition(&plain),
        // Sound files of impulse responses.
        "name" => plain.trim_end_matches(".wav").into(),
        "disturbance" => plain.replace('+', " + "),
        // Lists of layers.
        "hidden" => match plain.trim_matches(['[', ']']) {
            "" => "none".into(),
            layers => layers
                .split(", ")
                .map(|units| units.parse().map_or(units.into(), number))
                .collect::<Vec<_>>()
                .join(", "),
        },
        _ => plain,
    }
}

/// `5dB+reverb` as `5 dB + reverb`, `10dB+300-3400Hz` as `10 dB + telephone`.
fn condition(name: &str) -> String {
    let part = |part: &str| match part.strip_suffix("dB") {
        Some(level) => format!("{level} dB"),
        None if part == "300-3400Hz" => "telephone".into(),
        None => part.to_owned(),
    };
    name.split('+').map(part).collect::<Vec<_>>().join(" + ")
}

/// What a column's value adds to the name of a series; nothing where it says nothing.
pub(crate) fn series_part(column: &str, value: &Value) -> String {
    let value_text = spoken(column, value);
    match column {
        _ if value_text.is_empty() => String::new(),
        // What is flat follows no clusters.
        "probes" => match value_text.as_str() {
            "0" => String::new(),
            "1" => "1 probe".into(),
            _ => format!("{value_text} probes"),
        },
        "tracks" | "library" => format!("{value_text} tracks"),
        "seconds" => format!("{value_text} s"),
        "stages" => match value_text.as_str() {
            "1" => "one stage".into(),
            "2" => "two stages".into(),
            "3" => "three stages".into(),
            _ => value_text,
        },
        "row" | "column" | "system" | "grid" | "protocol" | "precision" | "condition" | "disturbance" | "effort"
        | "kind" | "how" => value_text,
        _ => format!("{} {value_text}", column.replace('_', " ")),
    }
}

/// Whether two values of a column say the same, as numbers where both are; older files have other names for protocols.
pub(crate) fn said_alike(column: &str, a: &Value, b: &Value) -> bool {
    same(a, b) || column == "protocol" && spoken(column, a) == spoken(column, b)
}

/// Whether two values say the same: as numbers where both are.
pub(crate) fn same(a: &Value, b: &Value) -> bool {
    match (as_number(a), as_number(b)) {
        (Some(a), Some(b)) => a == b,
        _ => text(a) == text(b),
    }
}

/// A value as a number, also where a setting holds it as text.
pub(crate) fn as_number(value: &Value) -> Option<f64> {
    match value {
        Value::Number(n) => n.as_f64(),
        Value::String(text) => text.parse().ok().filter(|number: &f64| number.is_finite()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn values_are_spoken_in_the_words_of_documents() {
        assert_eq!(spoken("protocol", &json!("two-trip")), "routed");
        assert_eq!(spoken("condition", &json!("-5dB+reverb")), "-5 dB + reverb");
        assert_eq!(spoken("condition", &json!("0dB+300-3400Hz")), "0 dB + telephone");
        assert_eq!(spoken("hidden", &json!("[1024]")), "1,024");
        assert_eq!(spoken("hidden", &json!("[]")), "none");
        assert_eq!(series_part("probes", &json!(0)), "");
        assert_eq!(series_part("probes", &json!(2)), "2 probes");
        assert_eq!(series_part("spill", &json!("2")), "spill 2");
    }

    #[test]
    fn numbers_are_the_same_however_they_are_written() {
        assert!(same(&json!("10.0"), &json!(10)) && !same(&json!(1), &json!("one")) && same(&json!("a"), &json!("a")));
    }

    #[test]
    fn shares_are_known_by_their_unit() {
        assert!(is_share("top_1") && is_share("rejected") && !is_share("rotations"));
    }
}
