//! Rows as a person reads them.

use std::fmt::Write as _;

use serde_json::Value;

use crate::report::axis::number;
use crate::report::figure::Columns;

/// Rows as an HTML table.
pub(crate) fn table<'a>(columns: &[String], rows: impl IntoIterator<Item = &'a Columns>) -> String {
    let mut html = String::from("<table><thead><tr>");
    for column in columns {
        let _ = write!(html, "<th>{}</th>", escape(&words(column)));
    }
    html.push_str("</tr></thead><tbody>");
    for row in rows {
        html.push_str("<tr>");
        for column in columns {
            let _ = match row.get(column) {
                Some(Value::Number(n)) => {
                    write!(html, "<td class=\"n\">{}</td>", number(n.as_f64().unwrap_or(f64::NAN)))
                }
                Some(value) if !value.is_null() => write!(html, "<td>{}</td>", escape(&text(value))),
                _ => write!(html, "<td></td>"),
            };
        }
        html.push_str("</tr>");
    }
    html.push_str("</tbody></table>");
    html
}

/// A value as a person reads it.
pub(crate) fn text(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Number(n) => number(n.as_f64().unwrap_or(f64::NAN)),
        other => other.to_string(),
    }
}

/// A column's name as words, with its unit.
pub(crate) fn words(column: &str) -> String {
    match column {
        "top_1" => "top-1, %".into(),
        "top_3" => "top-3, %".into(),
        "lost" => "known reported unknown, %".into(),
        "rejected" => "unknown reported unknown, %".into(),
        "snr_db" => "signal-to-noise ratio, dB".into(),
        "seconds" => "query, s".into(),
        "rotations" => "blind rotations".into(),
        "tracks" => "tracks in the library".into(),
        other => other.replace('_', " "),
    }
}

/// Text that is safe between tags.
pub(crate) fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_cannot_leave_its_element() {
        assert_eq!(escape("<a b=\"c\">&"), "&lt;a b=&quot;c&quot;&gt;&amp;");
    }
}
