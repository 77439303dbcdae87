//! [`Figure`]: a picture of rows, as data.

use std::collections::BTreeMap;

use plotters::prelude::*;
use serde::Deserialize;
use serde_json::{Map, Value};

use crate::report::axis::{Axis, Scale};
use crate::report::html::{escape, table, text, words};

/// Okabe and Ito's colours (2008), which those who confuse red and green can tell apart as well.
const COLOURS: [RGBColor; 8] = [
    RGBColor(0, 114, 178),
    RGBColor(213, 94, 0),
    RGBColor(0, 158, 115),
    RGBColor(204, 121, 167),
    RGBColor(86, 180, 233),
    RGBColor(230, 159, 0),
    RGBColor(90, 90, 90),
    RGBColor(0, 0, 0),
];

const WIDTH: u32 = 820;
const HEIGHT: u32 = 420;

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
    /// Spacing along the vertical axis.
    #[serde(default)]
    pub y_scale: Scale,
    /// How points are joined.
    #[serde(default)]
    pub kind: Kind,
    /// What to see in it.
    #[serde(default)]
    pub note: String,
}

/// A row by its columns.
pub(crate) type Columns = Map<String, Value>;

/// The points of one series.
#[derive(Clone, Debug, PartialEq)]
struct Series {
    name: String,
    points: Vec<(f64, f64)>,
}

impl Figure {
    /// Columns that it needs and that none of `rows` has.
    pub(crate) fn missing(&self, rows: &[Columns]) -> Vec<String> {
        let needed = [&self.x, &self.y].into_iter().chain(&self.series).chain(self.only.keys());
        needed.filter(|column| !rows.iter().any(|row| row.contains_key(*column))).cloned().collect()
    }

    /// The picture as an SVG element and a legend under it, or `None` where no row belongs in it.
    ///
    /// # Errors
    /// A sentence where it cannot be drawn.
    pub(crate) fn draw(&self, rows: &[Columns]) -> Result<Option<String>, String> {
        let rows: Vec<&Columns> = rows.iter().filter(|row| self.shows(row)).collect();
        let names = self.names(&rows);
        let series = self.series(&rows, names.as_deref());
        if series.is_empty() {
            return Ok(None);
        }
        let all = || series.iter().flat_map(|series| &series.points);
        let x = match names {
            Some(names) => Axis::Names(names),
            None => Axis::around(&all().map(|point| point.0).collect::<Vec<_>>(), self.x_scale),
        };
        let y = Axis::around(&all().map(|point| point.1).collect::<Vec<_>>(), self.y_scale);
        let mut svg = String::new();
        self.paint(&mut svg, x, y, &series).map_err(|error| format!("{}: {error}", self.title))?;
        svg.push_str(&legend(&series));
        Ok(Some(svg))
    }

    fn shows(&self, row: &Columns) -> bool {
        let fits = |(column, values): (&String, &Vec<Value>)| {
            row.get(column).is_some_and(|found| values.iter().any(|value| text(value) == text(found)))
        };
        self.only.iter().all(fits) && row.get(&self.y).is_some_and(Value::is_number) && row.contains_key(&self.x)
    }

    /// What stands along the horizontal axis where it is no number, in order of appearance.
    fn names(&self, rows: &[&Columns]) -> Option<Vec<String>> {
        let values = || rows.iter().filter_map(|row| row.get(&self.x));
        if self.x_scale != Scale::Names && values().all(|value| numeric(value).is_some()) {
            return None;
        }
        let mut names = Vec::new();
        for name in values().map(text) {
            if !names.contains(&name) {
                names.push(name);
            }
        }
        Some(names)
    }

    fn series(&self, rows: &[&Columns], names: Option<&[String]>) -> Vec<Series> {
        let mut all: Vec<Series> = Vec::new();
        for row in rows {
            let name = self
                .series
                .iter()
                .map(|column| series_part(column, row.get(column)))
                .filter(|part| !part.is_empty())
                .collect::<Vec<_>>()
                .join(", ");
            let x = row.get(&self.x).and_then(|x| match names {
                Some(names) => names.iter().position(|name| *name == text(x)).map(|place| place as f64),
                None => numeric(x),
            });
            let (Some(x), Some(y)) = (x, row.get(&self.y).and_then(numeric)) else { continue };
            match all.iter_mut().find(|series| series.name == name) {
                Some(series) => series.points.push((x, y)),
                None => all.push(Series { name, points: vec![(x, y)] }),
            }
        }
        all.iter_mut().for_each(|series| series.points.sort_by(|a, b| a.0.total_cmp(&b.0)));
        all
    }

    fn paint(&self, svg: &mut String, x: Axis, y: Axis, all: &[Series]) -> Result<(), Box<dyn std::error::Error>> {
        let root = SVGBackend::with_string(svg, (WIDTH, HEIGHT)).into_drawing_area();
        let (x_label, y_label) = (x.clone(), y.clone());
        let mut chart = ChartBuilder::on(&root)
            .margin(12)
            .margin_right(24)
            .x_label_area_size(44)
            .y_label_area_size(64)
            .build_cartesian_2d(x, y)?;
        chart
            .configure_mesh()
            .bold_line_style(BLACK.mix(0.12))
            .axis_style(BLACK.mix(0.5))
            .x_labels(10)
            .y_labels(8)
            .x_desc(words(&self.x))
            .y_desc(words(&self.y))
            .x_label_formatter(&|value| x_label.label(*value))
            .y_label_formatter(&|value| y_label.label(*value))
            .label_style(("sans-serif", 16))
            .axis_desc_style(("sans-serif", 17))
            .draw()?;
        if self.kind == Kind::Front {
            chart.draw_series(LineSeries::new(front(all), BLACK.mix(0.35).stroke_width(2)))?;
        }
        for (series, colour) in all.iter().zip(COLOURS.iter().cycle()) {
            if self.kind == Kind::Lines {
                chart.draw_series(LineSeries::new(series.points.iter().copied(), colour.stroke_width(2)))?;
            }
            chart.draw_series(series.points.iter().map(|&point| Circle::new(point, 4, colour.filled())))?;
        }
        root.present()?;
        Ok(())
    }

    /// The numbers behind the picture, as an HTML table.
    pub(crate) fn numbers(&self, rows: &[Columns]) -> String {
        let rows: Vec<&Columns> = rows.iter().filter(|row| self.shows(row)).collect();
        let mut columns = self.series.clone();
        columns.extend([self.x.clone(), self.y.clone()]);
        table(&columns, rows)
    }
}

/// What a column's value adds to the name of a series.
fn series_part(column: &str, value: Option<&Value>) -> String {
    match (column, value) {
        (_, None | Some(Value::Null)) => String::new(),
        // What is flat follows no clusters.
        ("probes", Some(value)) => match value.as_u64() {
            Some(0) => String::new(),
            Some(1) => "1 probe".into(),
            _ => format!("{} probes", text(value)),
        },
        ("tracks", Some(value)) => format!("{} tracks", text(value)),
        ("seconds", Some(value)) => format!("{} s", text(value)),
        ("system" | "grid" | "protocol" | "precision" | "condition" | "disturbance" | "effort", Some(value)) => {
            text(value)
        }
        (column, Some(value)) => format!("{} {}", column.replace('_', " "), text(value)),
    }
}

/// The names of several series beside their colours.
fn legend(all: &[Series]) -> String {
    if all.len() < 2 {
        return String::new();
    }
    let entry = |(series, RGBColor(r, g, b)): (&Series, &RGBColor)| {
        format!("<span><i style=\"background:rgb({r},{g},{b})\"></i>{}</span>", escape(&series.name))
    };
    let entries: String = all.iter().zip(COLOURS.iter().cycle()).map(entry).collect();
    format!("<figcaption>{entries}</figcaption>")
}

/// Points that no other point beats with a smaller (or the same) x and a larger y, from left to right.
fn front(all: &[Series]) -> Vec<(f64, f64)> {
    let mut points: Vec<(f64, f64)> = all.iter().flat_map(|series| series.points.iter().copied()).collect();
    points.sort_by(|a, b| a.0.total_cmp(&b.0).then(b.1.total_cmp(&a.1)));
    let mut best = f64::MIN;
    points.retain(|point| {
        let better = point.1 > best;
        best = best.max(point.1);
        better
    });
    points
}

fn numeric(value: &Value) -> Option<f64> {
    match value {
        Value::Number(n) => n.as_f64(),
        // What a knob holds comes as text.
        Value::String(text) => text.parse().ok(),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows() -> Vec<Columns> {
        let row = |tracks: u32, protocol: &str, top: f64| {
            let value = serde_json::json!({"tracks": tracks, "protocol": protocol, "top_1": top, "condition": "5dB"});
            let Value::Object(row) = value else { panic!("an object") };
            row
        };
        vec![row(400, "flat", 99.0), row(5_000, "flat", 97.5), row(400, "two-trip", 98.5), row(5_000, "two-trip", 97.0)]
    }

    fn figure() -> Figure {
        toml::from_str("title = \"t\"\nx = \"tracks\"\ny = \"top_1\"\nseries = [\"protocol\"]\nx_scale = \"log\"")
            .unwrap()
    }

    #[test]
    fn a_figure_has_a_series_per_protocol_and_its_numbers() {
        let svg = figure().draw(&rows()).unwrap().unwrap();
        assert!(svg.starts_with("<svg") && svg.contains("flat") && svg.contains("two-trip"));
        assert_eq!(svg.matches("stroke-width=\"2\"").count(), 2, "two lines: {svg}");
        assert_eq!(svg.matches("r=\"4\"").count(), 4, "four points: {svg}");
        assert!(figure().numbers(&rows()).contains("97.5"));
    }

    #[test]
    fn rows_that_do_not_fit_are_left_out() {
        let mut nothing = figure();
        nothing.only.insert("condition".into(), vec!["clean".into()]);
        assert_eq!(nothing.draw(&rows()).unwrap(), None);
        nothing.x = "no such column".into();
        assert_eq!(nothing.missing(&rows()), ["no such column"]);
    }

    #[test]
    fn the_front_is_what_nothing_beats() {
        let series = |points: &[(f64, f64)]| Series { name: String::new(), points: points.to_vec() };
        let all = [series(&[(1.0, 5.0), (3.0, 4.0)]), series(&[(2.0, 7.0), (2.0, 6.0), (4.0, 9.0)])];
        assert_eq!(front(&all), [(1.0, 5.0), (2.0, 7.0), (4.0, 9.0)]);
    }

    #[test]
    fn names_along_the_axis_keep_their_order() {
        let by_name = Figure { x: "protocol".into(), series: vec![], ..figure() };
        let rows = rows();
        let shown: Vec<&Columns> = rows.iter().collect();
        assert_eq!(by_name.names(&shown).unwrap(), ["flat", "two-trip"]);
    }
}
