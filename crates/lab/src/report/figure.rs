//! How a [`Figure`] becomes a picture of rows.

use serde_json::Value;

use super::axis::{Axis, Limits};
use super::html::table;
use super::picture::{Panel, picture};
use super::words::{as_number, is_share, said_alike, series_part, spoken, words};
pub(crate) use crate::evaluate::Columns;
use crate::question::figure::{Figure, Kind, Scale};

/// A point of a series: where it lies, and its standard error where that is known.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Point {
    pub(crate) x: f64,
    pub(crate) y: f64,
    pub(crate) error: Option<f64>,
}

/// The points of one series.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Series {
    pub(crate) name: String,
    pub(crate) points: Vec<Point>,
}

impl Figure {
    /// Columns that it needs and that none of `rows` has.
    pub(crate) fn missing(&self, rows: &[Columns]) -> Vec<String> {
        self.columns_of_rows().filter(|column| !rows.iter().any(|row| row.contains_key(*column))).cloned().collect()
    }

    /// The picture as an SVG document, or `None` where no row belongs in it.
    ///
    /// # Errors
    /// A sentence where it cannot be drawn.
    pub(crate) fn draw(&self, rows: &[Columns]) -> Result<Option<String>, String> {
        self.panel(rows).map(|panel| picture(&[panel]).map_err(|error| format!("{}: {error}", self.title))).transpose()
    }

    /// Columns of places and of values; names along the vertical axis lay a figure on its side.
    fn columns(&self) -> (&str, &str) {
        if self.sideways() { (&self.y, &self.x) } else { (&self.x, &self.y) }
    }

    fn sideways(&self) -> bool {
        self.y_scale == Scale::Names
    }

    /// What is to be painted, or `None` where no row belongs in it.
    pub(crate) fn panel(&self, rows: &[Columns]) -> Option<Panel> {
        let rows: Vec<&Columns> = rows.iter().filter(|row| self.shows(row)).collect();
        let names = self.names(&rows);
        let mut series = self.series(&rows, names.as_deref());
        let all = || series.iter().flat_map(|series| &series.points);
        all().next()?;
        let (x_name, y_name) = (self.x_name.clone(), self.y_name.clone());
        let (x_name, y_name) = (x_name.unwrap_or_else(|| words(&self.x)), y_name.unwrap_or_else(|| words(&self.y)));
        let share = if self.sideways() { &x_name } else { &y_name }.ends_with('%');
        let limits = if share { Limits::SHARE } else { Limits::NONE };
        let (place_scale, value_scale) =
            if self.sideways() { (self.y_scale, self.x_scale) } else { (self.x_scale, self.y_scale) };
        let places = match names {
            Some(names) => Axis::Names(names),
            None => Axis::around(&all().map(|point| point.x).collect::<Vec<_>>(), place_scale, Limits::NONE),
        };
        let ends = |point: &Point| {
            let error = point.error.unwrap_or(0.0);
            [point.y - error, (point.y + error).min(limits.most)]
        };
        let values = Axis::around(&all().flat_map(ends).chain(self.from).collect::<Vec<_>>(), value_scale, limits);
        let front = if self.kind == Kind::Front { front(&series) } else { Vec::new() };
        let (x, y) = if self.sideways() {
            let turn = |point: &mut Point| (point.x, point.y) = (point.y, point.x);
            series.iter_mut().flat_map(|series| &mut series.points).for_each(turn);
            (values, places)
        } else {
            (places, values)
        };
        let (title, note) = (self.title.clone(), self.note.clone());
        let kind = if self.sideways() { Kind::Points } else { self.kind };
        let rooms = share && rows.iter().any(|row| row.contains_key(&self.rooms_error()));
        Some(Panel { title, note, x_name, y_name, share, rooms, x, y, kind, series, front })
    }

    fn shows(&self, row: &Columns) -> bool {
        let (places, values) = self.columns();
        let fits = |(column, values): (&String, &Vec<Value>)| {
            row.get(column).is_some_and(|found| values.iter().any(|value| said_alike(column, value, found)))
        };
        self.only.iter().all(fits)
            && row.get(values).and_then(as_number).is_some()
            && row.get(places).is_some_and(|place| !place.is_null())
    }

    /// What stands along the axis of places where it is no number, in order of appearance or of its first value.
    fn names(&self, rows: &[&Columns]) -> Option<Vec<String>> {
        let (places, values) = self.columns();
        let found = || rows.iter().filter_map(|row| Some((row.get(places)?, row.get(values).and_then(as_number)?)));
        let scale = if self.sideways() { self.y_scale } else { self.x_scale };
        if scale != Scale::Names && found().all(|(place, _)| as_number(place).is_some()) {
            return None;
        }
        let mut names: Vec<(String, f64)> = Vec::new();
        for (place, value) in found() {
            let name = self.place(place);
            if !names.iter().any(|(known, _)| *known == name) {
                names.push((name, value));
            }
        }
        if self.sorted {
            names.sort_by(|a, b| b.1.total_cmp(&a.1));
        }
        Some(names.into_iter().map(|(name, _)| name).collect())
    }

    /// The name of a place.
    fn place(&self, value: &Value) -> String {
        let name = spoken(self.columns().0, value);
        self.say.get(&name).cloned().unwrap_or(name)
    }

    /// Points by series, the place of each as `x` and its value as `y`.
    fn series(&self, rows: &[&Columns], names: Option<&[String]>) -> Vec<Series> {
        let (places, values) = self.columns();
        let mut all: Vec<Series> = Vec::new();
        for row in rows {
            let place = row.get(places).and_then(|place| match names {
                Some(names) => names.iter().position(|name| *name == self.place(place)).map(|place| place as f64),
                None => as_number(place),
            });
            let (Some(x), Some(y)) = (place, row.get(values).and_then(as_number)) else { continue };
            let point = Point { x, y, error: self.error(row, y) };
            let name = self.series_name(row);
            match all.iter_mut().find(|series| series.name == name) {
                Some(series) => series.points.push(point),
                None => all.push(Series { name, points: vec![point] }),
            }
        }
        all.iter_mut().for_each(|series| series.points.sort_by(|a, b| a.x.total_cmp(&b.x)));
        all
    }

    /// What tells the series of a row from the others.
    fn series_name(&self, row: &Columns) -> String {
        let mut parts: Vec<String> = Vec::new();
        for column in &self.series {
            let part = row.get(column).map(|value| series_part(column, value)).unwrap_or_default();
            let part = self.say.get(&part).cloned().unwrap_or(part);
            // A baseline's way of answering has its system's name.
            if !part.is_empty() && !parts.contains(&part) {
                parts.push(part);
            }
        }
        let name = parts.join(", ");
        self.say.get(&name).cloned().unwrap_or(name)
    }

    /// The standard error of a share in points: as the row has it, or as its number of queries gives it.
    fn error(&self, row: &Columns, share: f64) -> Option<f64> {
        let column = |name: &str| row.get(name).and_then(as_number);
        let values = self.columns().1;
        if !is_share(values) {
            return None;
        }
        let queries = || {
            let asked = match values {
                // What older files call `strangers`.
                "rejected" | "unknown_rejected" => column("unknown_queries").or_else(|| column("strangers")),
                _ => column("queries"),
            };
            asked.filter(|asked| *asked > 0.0).map(|asked| (share * (100.0 - share) / asked).max(0.0).sqrt())
        };
        let over_queries = column(&format!("{values}_error")).or_else(queries);
        // Rooms are a sample too, and a smaller one.
        [over_queries, column(&self.rooms_error())].into_iter().flatten().reduce(f64::max)
    }

    /// The column of the standard error over rooms.
    fn rooms_error(&self) -> String {
        format!("{}_rooms_error", self.columns().1)
    }

    /// The numbers behind the picture, as an HTML table.
    pub(crate) fn numbers(&self, rows: &[Columns]) -> String {
        let rows: Vec<&Columns> = rows.iter().filter(|row| self.shows(row)).collect();
        let mut columns = self.series.clone();
        columns.extend([self.x.clone(), self.y.clone()]);
        table(&columns, rows)
    }
}

/// Points that no other point beats with a smaller (or the same) x and a larger y, from left to right.
fn front(all: &[Series]) -> Vec<(f64, f64)> {
    let mut points: Vec<(f64, f64)> = all.iter().flat_map(|series| &series.points).map(|p| (p.x, p.y)).collect();
    points.sort_by(|a, b| a.0.total_cmp(&b.0).then(b.1.total_cmp(&a.1)));
    let mut best = f64::MIN;
    points.retain(|point| {
        let better = point.1 > best;
        best = best.max(point.1);
        better
    });
    points
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows() -> Vec<Columns> {
        let row = |tracks: u32, protocol: &str, top: f64| {
            let value = serde_json::json!({"tracks": tracks, "protocol": protocol, "top_1": top, "top_1_error": 1.5,
                "condition": "5dB"});
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
    fn a_figure_has_a_series_per_protocol_its_errors_and_its_numbers() {
        let panel = figure().panel(&rows()).unwrap();
        let names: Vec<&str> = panel.series.iter().map(|series| series.name.as_str()).collect();
        assert_eq!(names, ["flat", "routed"]);
        assert_eq!(panel.series[1].points[1], Point { x: 5_000.0, y: 97.0, error: Some(1.5) });
        assert!(figure().numbers(&rows()).contains("97.5"));
        let Axis::Linear { low, high } = panel.y else { panic!("a linear axis") };
        assert!(low < 95.5 && high == 100.0, "it holds the errors and knows a hundred: {low} to {high}");
        let svg = figure().draw(&rows()).unwrap().unwrap();
        assert!(svg.starts_with("<svg") && svg.contains("flat") && svg.contains("routed") && svg.contains("5,000"));
        assert_eq!(svg, figure().draw(&rows()).unwrap().unwrap(), "same input, same bytes");
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
        let point = |&(x, y): &(f64, f64)| Point { x, y, error: None };
        let series = |points: &[(f64, f64)]| Series { name: String::new(), points: points.iter().map(point).collect() };
        let all = [series(&[(1.0, 5.0), (3.0, 4.0)]), series(&[(2.0, 7.0), (2.0, 6.0), (4.0, 9.0)])];
        assert_eq!(front(&all), [(1.0, 5.0), (2.0, 7.0), (4.0, 9.0)]);
    }

    #[test]
    fn names_along_the_axis_keep_their_order_and_series_say_nothing_twice() {
        let by_name = Figure { x: "protocol".into(), series: vec![], ..figure() };
        let rows = rows();
        let shown: Vec<&Columns> = rows.iter().collect();
        assert_eq!(by_name.names(&shown).unwrap(), ["flat", "routed"]);
        let sideways = Figure { x: "top_1".into(), y: "protocol".into(), y_scale: Scale::Names, ..by_name.clone() };
        let panel = sideways.panel(&self::rows()).unwrap();
        assert!(matches!(panel.y, Axis::Names(_)) && panel.share);
        assert_eq!(panel.series[0].points[0], Point { x: 99.0, y: 0.0, error: Some(1.5) });
        let twice = Figure { series: vec!["system".into(), "protocol".into()], ..figure() };
        let Value::Object(row) = serde_json::json!({"system": "landmarks", "protocol": "landmarks"}) else { panic!() };
        assert_eq!(twice.series_name(&row), "landmarks");
    }

    #[test]
    fn an_error_comes_from_the_number_of_queries_where_no_column_has_it() {
        let Value::Object(row) = serde_json::json!({"queries": 100, "top_1": 50.0}) else { panic!() };
        assert_eq!(figure().error(&row, 50.0), Some(5.0));
        let bare = Columns::new();
        assert_eq!(figure().error(&bare, 50.0), None);
    }
}
