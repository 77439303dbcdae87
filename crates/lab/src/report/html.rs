//! Rows as a person reads them.

use std::fmt::Write as _;

use serde_json::Value;

use super::axis::number;
use super::figure::Columns;
use super::words::{text, words};

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
