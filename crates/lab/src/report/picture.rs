//! Panels painted one below the other, as an SVG document that needs nothing beside it.
//!
//! Everything is laid out in pixels of a picture 640 wide, with letters that can still be read at 400. `plotters` is
//! the canvas; the layout is our own, because legends, labels and notes must stand inside the picture.

use plotters::coord::Shift;
use plotters::prelude::*;
use plotters::style::FontStyle;
use plotters::style::text_anchor::{HPos, Pos, VPos};

use super::axis::{Axis, number};
use super::figure::{Point, Series};
use super::html::escape;
use super::mark::Mark;
use crate::question::figure::Kind;

/// What is painted on.
pub(crate) type Canvas<'a> = DrawingArea<SVGBackend<'a>, Shift>;
/// Why it could not be painted.
pub(crate) type Failure = Box<dyn std::error::Error>;

const WIDTH: i32 = 640;
const MARGIN: i32 = 14;
const PLOT_HEIGHT: i32 = 262;
/// Height of a row of names.
const ROW: i32 = 22;
/// Sizes of letters, in pixels.
const TITLE: i32 = 19;
const LABEL: i32 = 16;
const NOTE: i32 = 15;
/// Widest label beside a line; longer ones, and more than eight, go into a legend under the plot.
const WIDEST_LABEL: i32 = 215;
/// Heights of a line of text and of a line of the title.
const LINE: i32 = 19;
const TITLE_LINE: i32 = 23;

const INK: RGBColor = RGBColor(34, 34, 34);
const FAINT: RGBColor = RGBColor(95, 95, 95);
const GRID: RGBColor = RGBColor(221, 221, 221);
const AXIS: RGBColor = RGBColor(120, 120, 120);

/// One plot with all that is written around it.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Panel {
    pub(crate) title: String,
    pub(crate) note: String,
    pub(crate) x_name: String,
    pub(crate) y_name: String,
    /// Whether values are shares in per cent.
    pub(crate) share: bool,
    /// Whether some errors are over rooms.
    pub(crate) rooms: bool,
    pub(crate) x: Axis,
    pub(crate) y: Axis,
    pub(crate) kind: Kind,
    pub(crate) series: Vec<Series>,
    /// A grey line under the points.
    pub(crate) front: Vec<(f64, f64)>,
}

impl Panel {
    /// Names of the axes of places and of values.
    pub(crate) fn names(&self) -> (&str, &str) {
        if self.sideways() { (&self.y_name, &self.x_name) } else { (&self.x_name, &self.y_name) }
    }

    /// Series that lie on each other: every later one with the same points as an earlier one, with that one.
    fn coincident(&self) -> Vec<(&str, &str)> {
        let same = |a: &Series, b: &Series| {
            let alike = |(a, b): (&Point, &Point)| a.x == b.x && a.y == b.y;
            a.points.len() > 1 && a.points.len() == b.points.len() && a.points.iter().zip(&b.points).all(alike)
        };
        let earlier = |later: usize| self.series[..later].iter().find(|series| same(series, &self.series[later]));
        let pair = |later: usize| Some((earlier(later)?.name.as_str(), self.series[later].name.as_str()));
        (0..self.series.len()).filter_map(pair).collect()
    }

    /// Whether names stand along the vertical axis.
    fn sideways(&self) -> bool {
        matches!(self.y, Axis::Names(_))
    }

    fn plot_height(&self) -> i32 {
        match &self.y {
            Axis::Names(names) => ROW * names.len() as i32 + 12,
            _ => PLOT_HEIGHT,
        }
    }
}

/// Panels one below the other.
///
/// # Errors
/// What the canvas says.
pub(crate) fn picture(panels: &[Panel]) -> Result<String, Failure> {
    let layouts: Vec<Layout> = panels.iter().map(Layout::of).collect();
    let height: i32 = layouts.iter().map(|layout| layout.height).sum();
    let mut svg = String::new();
    {
        let canvas = SVGBackend::with_string(&mut svg, (WIDTH as u32, height as u32)).into_drawing_area();
        canvas.fill(&WHITE)?;
        let mut top = 0;
        for ((panel, layout), marks) in panels.iter().zip(&layouts).zip(marks(panels)) {
            layout.paint(panel, &canvas, top, &marks)?;
            top += layout.height;
        }
        canvas.present()?;
    }
    let name = panels.iter().map(|panel| panel.title.as_str()).collect::<Vec<_>>().join("; ");
    let name = escape(&name);
    // A picture in a document is read out by its name.
    let head = format!("<svg role=\"img\" aria-label=\"{name}\" ");
    Ok(svg.replacen("<svg ", &head, 1).replace("\n</text>", "</text>"))
}

/// The marks of every panel's series: the same for the same name, wherever panels have names in common.
fn marks(panels: &[Panel]) -> Vec<Vec<Mark>> {
    let mut known: Vec<&str> = Vec::new();
    let mut all = Vec::new();
    for panel in panels {
        let names = || panel.series.iter().map(|series| series.name.as_str());
        if !names().any(|name| known.contains(&name)) {
            known.clear();
        }
        for name in names() {
            if !known.contains(&name) {
                known.push(name);
            }
        }
        all.push(names().filter_map(|name| known.iter().position(|other| *other == name)).map(Mark::of).collect());
    }
    all
}

/// Where everything of a panel stands, in pixels from its top left.
struct Layout {
    title: Vec<String>,
    note: Vec<String>,
    left: i32,
    right: i32,
    /// Where the plot begins.
    top: i32,
    x_labels: Vec<(f64, Vec<String>)>,
    y_marks: Vec<f64>,
    y_labels: Vec<String>,
    plot_height: i32,
    /// Whether every series is named at the end of its line.
    direct: bool,
    /// Entries of the legend under the plot, by row: the series and where its entry begins.
    legend: Vec<Vec<(usize, i32)>>,
    height: i32,
}

impl Layout {
    fn of(panel: &Panel) -> Self {
        let title = wrap(&panel.title, WIDTH - 2 * MARGIN, TITLE, true);
        let y_marks = panel.y.marks(6);
        let y_labels = panel.y.labels(&y_marks);
        let left = MARGIN + y_labels.iter().map(|label| wide(label, LABEL)).max().unwrap_or(0) + 8;
        let longest = panel.series.iter().map(|series| wide(&series.name, LABEL)).max().unwrap_or(0);
        let several = panel.series.len() > 1;
        let direct = several && panel.kind == Kind::Lines && longest <= WIDEST_LABEL && panel.series.len() <= 8;
        let right = if direct { WIDTH - MARGIN - longest - 40 } else { WIDTH - MARGIN - 26 };
        let x_labels = x_labels(panel, right - left);
        let lines = x_labels.iter().map(|(_, lines)| lines.len()).max().unwrap_or(0) as i32;
        let mut note =
            if panel.note.is_empty() { Vec::new() } else { wrap(&panel.note, WIDTH - 2 * MARGIN, NOTE, false) };
        for (one, other) in panel.coincident() {
            note.extend(wrap(&format!("{one} and {other} coincide."), WIDTH - 2 * MARGIN, NOTE, false));
        }
        if panel.series.iter().flat_map(|series| &series.points).any(|point| point.error.is_some()) {
            let over = if panel.rooms { "queries, or over rooms where they vary" } else { "queries" };
            note.extend(wrap(&format!("Bars: one standard error over {over}."), WIDTH - 2 * MARGIN, NOTE, false));
        }
        let legend = if several && !direct { legend(&panel.series) } else { Vec::new() };
        let head = if panel.y_name.is_empty() { 0 } else { LINE + 2 };
        let top = MARGIN + TITLE_LINE * title.len() as i32 + head + 10;
        let below = 8 + LINE * lines + LINE + 8 + (LINE + 3) * legend.len() as i32 + LINE * note.len() as i32 + MARGIN;
        Self {
            title,
            note,
            left,
            right,
            top,
            x_labels,
            y_marks,
            y_labels,
            plot_height: panel.plot_height(),
            direct,
            legend,
            height: top + panel.plot_height() + below,
        }
    }

    fn paint(&self, panel: &Panel, canvas: &Canvas, top: i32, marks: &[Mark]) -> Result<(), Failure> {
        let plot =
            Plot { left: self.left, right: self.right, top: top + self.top, bottom: top + self.top + self.plot_height };
        let mut y = top + MARGIN;
        for line in &self.title {
            write(canvas, line, (MARGIN, y), Letters::bold(TITLE, INK), HPos::Left)?;
            y += TITLE_LINE;
        }
        write(canvas, &panel.y_name, (MARGIN, y + 2), Letters::plain(LABEL, FAINT), HPos::Left)?;
        self.axes(panel, canvas, &plot)?;
        let ends = paint_series(panel, canvas, &plot, marks)?;
        if self.direct {
            name_lines(panel, canvas, &plot, &ends, marks)?;
        }
        let lines = self.x_labels.iter().map(|(_, lines)| lines.len()).max().unwrap_or(0) as i32;
        let mut y = plot.bottom + 8 + LINE * lines;
        let middle = (plot.left + plot.right) / 2;
        write(canvas, &panel.x_name, (middle, y), Letters::plain(LABEL, FAINT), HPos::Center)?;
        y += LINE + 8;
        for row in &self.legend {
            for &(number, x) in row {
                let mark = marks[number];
                if panel.kind == Kind::Lines {
                    mark.line(canvas, vec![(x, y + 8), (x + 30, y + 8)])?;
                }
                mark.point(canvas, (x + 15, y + 8))?;
                write(canvas, &panel.series[number].name, (x + 36, y), Letters::plain(LABEL, INK), HPos::Left)?;
            }
            y += LINE + 3;
        }
        for line in &self.note {
            write(canvas, line, (MARGIN, y), Letters::plain(NOTE, FAINT), HPos::Left)?;
            y += LINE;
        }
        Ok(())
    }

    fn axes(&self, panel: &Panel, canvas: &Canvas, plot: &Plot) -> Result<(), Failure> {
        for (mark, label) in self.y_marks.iter().zip(&self.y_labels) {
            let y = plot.y(&panel.y, *mark);
            canvas.draw(&PathElement::new(vec![(plot.left, y), (plot.right, y)], GRID.stroke_width(1)))?;
            write(canvas, label, (plot.left - 8, y - 8), Letters::plain(LABEL, INK), HPos::Right)?;
        }
        let base = vec![(plot.left, plot.bottom), (plot.right, plot.bottom)];
        canvas.draw(&PathElement::new(base, AXIS.stroke_width(1)))?;
        for (mark, lines) in &self.x_labels {
            let x = plot.x(&panel.x, *mark);
            canvas.draw(&PathElement::new(vec![(x, plot.bottom), (x, plot.bottom + 5)], AXIS.stroke_width(1)))?;
            for (row, line) in lines.iter().enumerate() {
                let place = (x, plot.bottom + 9 + LINE * row as i32);
                write(canvas, line, place, Letters::plain(LABEL, INK), HPos::Center)?;
            }
        }
        Ok(())
    }
}

/// The rectangle in which data stand, in pixels.
struct Plot {
    left: i32,
    right: i32,
    top: i32,
    bottom: i32,
}

impl Plot {
    fn x(&self, axis: &Axis, value: f64) -> i32 {
        // Markers must not be cut in half by the edges.
        let (from, to) = (f64::from(self.left + 8), f64::from(self.right - 8));
        (from + (to - from) * axis.place(value)).round() as i32
    }

    fn y(&self, axis: &Axis, value: f64) -> i32 {
        let (from, to) = (f64::from(self.bottom - 6), f64::from(self.top + 6));
        // Numbers grow upwards, names are read downwards.
        let place = if matches!(axis, Axis::Names(_)) { 1.0 - axis.place(value) } else { axis.place(value) };
        (from + (to - from) * place).round() as i32
    }
}

/// Lines, errors and markers of every series; where each series ends.
fn paint_series(panel: &Panel, canvas: &Canvas, plot: &Plot, marks: &[Mark]) -> Result<Vec<(i32, i32)>, Failure> {
    let at = |x: f64, y: f64| (plot.x(&panel.x, x), plot.y(&panel.y, y));
    if panel.front.len() > 1 {
        let line: Vec<(i32, i32)> = panel.front.iter().map(|&(x, y)| at(x, y)).collect();
        canvas.draw(&PathElement::new(line, RGBColor(170, 170, 170).stroke_width(3)))?;
    }
    let step = sidestep(panel, plot);
    let middle = (panel.series.len() as i32 - 1) * step / 2;
    let place = |number: usize, point: &Point| {
        let (x, y) = at(point.x, point.y);
        let shift = number as i32 * step - middle;
        if panel.sideways() { (x, y + shift) } else { (x + shift, y) }
    };
    let most = if panel.share { 100.0 } else { f64::INFINITY };
    for (number, series) in panel.series.iter().enumerate() {
        let mark = marks[number];
        let line: Vec<(i32, i32)> = series.points.iter().map(|point| place(number, point)).collect();
        for (point, &(x, y)) in series.points.iter().zip(&line) {
            let Some(error) = point.error.filter(|error| *error > 0.0) else { continue };
            let ends = |value: f64| [value - error, (value + error).min(most)];
            let bar = match panel.sideways() {
                true => ends(point.x).map(|end| (plot.x(&panel.x, end), y)),
                false => ends(point.y).map(|end| (x, plot.y(&panel.y, end))),
            };
            canvas.draw(&PathElement::new(bar.to_vec(), mark.colour.mix(0.55).stroke_width(2)))?;
        }
        if panel.kind == Kind::Lines && line.len() > 1 {
            mark.line(canvas, line)?;
        }
    }
    for (number, series) in panel.series.iter().enumerate() {
        for point in &series.points {
            marks[number].point(canvas, place(number, point))?;
        }
    }
    if panel.sideways() && panel.series.len() == 1 {
        for point in &panel.series[0].points {
            let (x, y) = place(0, point);
            // A number stands where there is room for it.
            let (x, side) = if x < (plot.left + plot.right) / 2 { (x + 12, HPos::Left) } else { (x - 12, HPos::Right) };
            write(canvas, &number(point.x), (x, y - 8), Letters::plain(LABEL, INK), side)?;
        }
    }
    let end = |(number, series): (usize, &Series)| series.points.last().map(|point| place(number, point));
    Ok(panel.series.iter().enumerate().filter_map(end).collect())
}

/// How far series stand beside each other, so that equal ones do not hide each other, in pixels.
fn sidestep(panel: &Panel, plot: &Plot) -> i32 {
    if panel.sideways() {
        return (ROW / 2 / panel.series.len().max(1) as i32).min(7);
    }
    let mut places: Vec<i32> =
        panel.series.iter().flat_map(|series| &series.points).map(|point| plot.x(&panel.x, point.x)).collect();
    places.sort_unstable();
    places.dedup();
    let gap = places.windows(2).map(|pair| pair[1] - pair[0]).min().unwrap_or(plot.right - plot.left);
    let room = match panel.kind {
        Kind::Lines => gap / 2 / panel.series.len().max(1) as i32,
        Kind::Points | Kind::Front => 0,
    };
    room.min(if matches!(panel.x, Axis::Names(_)) { 6 } else { 5 })
}

/// The name of every series beside the end of its line, set apart where lines end close together.
fn name_lines(panel: &Panel, canvas: &Canvas, plot: &Plot, ends: &[(i32, i32)], marks: &[Mark]) -> Result<(), Failure> {
    let mut order: Vec<usize> = (0..ends.len()).collect();
    order.sort_by_key(|&number| ends[number].1);
    let sorted: Vec<i32> = order.iter().map(|&number| ends[number].1).collect();
    let places = apart(&sorted, LINE, plot.top - 4, plot.bottom + 4);
    for (&number, &y) in order.iter().zip(&places) {
        let (x_end, y_end) = ends[number];
        let mark = marks[number];
        let thread = vec![(x_end + 8, y_end), (plot.right + 10, y), (plot.right + 16, y)];
        canvas.draw(&PathElement::new(thread, RGBColor(190, 190, 190).stroke_width(1)))?;
        mark.point(canvas, (plot.right + 24, y))?;
        write(canvas, &panel.series[number].name, (plot.right + 36, y - 8), Letters::plain(LABEL, INK), HPos::Left)?;
    }
    Ok(())
}

/// Moves sorted places apart until they are `gap` from each other, as little as need be and between two ends.
fn apart(sorted: &[i32], gap: i32, from: i32, to: i32) -> Vec<i32> {
    // Neighbours that would overlap form a block around the mean of what they want.
    let mut blocks: Vec<(f64, i32)> = Vec::new();
    for &place in sorted {
        blocks.push((f64::from(place), 1));
        while let [.., (a, n), (b, m)] = blocks[..] {
            let half = |count: i32| f64::from(count * gap) / 2.0;
            if a + half(n) <= b - half(m) {
                break;
            }
            blocks.truncate(blocks.len() - 2);
            blocks.push(((a * f64::from(n) + b * f64::from(m)) / f64::from(n + m), n + m));
        }
    }
    let mut places = Vec::new();
    for (middle, count) in blocks {
        let half = f64::from((count - 1) * gap) / 2.0;
        let first = (middle - half).max(f64::from(from)).min(f64::from(to) - 2.0 * half);
        places.extend((0..count).map(|i| (first + f64::from(i * gap)).round() as i32));
    }
    // Blocks that were held at an end may touch the next.
    for i in 1..places.len() {
        places[i] = places[i].max(places[i - 1] + gap);
    }
    places
}

/// Marks at the data, as many as there is room for; lines of the label of each.
fn x_labels(panel: &Panel, width: i32) -> Vec<(f64, Vec<String>)> {
    let plot = Plot { left: 0, right: width, top: 0, bottom: 0 };
    if let Axis::Names(names) = &panel.x {
        let room = width / names.len().max(1) as i32 - 6;
        return names.iter().enumerate().map(|(i, name)| (i as f64, wrap(name, room.max(40), LABEL, false))).collect();
    }
    let mut values: Vec<f64> = panel.series.iter().flat_map(|series| &series.points).map(|point| point.x).collect();
    values.sort_by(f64::total_cmp);
    values.dedup();
    let fits = |marks: &[f64]| {
        let labels = panel.x.labels(marks);
        let ends: Vec<(i32, i32)> =
            marks.iter().zip(&labels).map(|(mark, label)| (plot.x(&panel.x, *mark), wide(label, LABEL))).collect();
        ends.windows(2).all(|pair| pair[1].0 - pair[0].0 > (pair[0].1 + pair[1].1) / 2 + 6)
    };
    // Many data need no mark each; then those that have room, the ends first.
    let marks = if values.len() > 14 || panel.sideways() { panel.x.marks(8) } else { thinned(&values, fits) };
    let labels = panel.x.labels(&marks);
    marks.into_iter().zip(labels).map(|(mark, label)| (mark, vec![label])).collect()
}

/// The values that fit beside each other, the largest and the smallest before those between.
fn thinned(values: &[f64], fits: impl Fn(&[f64]) -> bool) -> Vec<f64> {
    let mut kept: Vec<f64> = Vec::new();
    let ends = [values.len().checked_sub(1), Some(0)].into_iter().flatten();
    for i in ends.chain(1..values.len().saturating_sub(1)) {
        let mut tried = kept.clone();
        tried.push(values[i]);
        tried.sort_by(f64::total_cmp);
        tried.dedup();
        if fits(&tried) {
            kept = tried;
        }
    }
    kept
}

/// Entries of a legend in columns that are as wide as the widest of them.
fn legend(series: &[Series]) -> Vec<Vec<(usize, i32)>> {
    let entry = 36 + 18 + series.iter().map(|series| wide(&series.name, LABEL)).max().unwrap_or(0);
    let columns = ((WIDTH - 2 * MARGIN) / entry).clamp(1, 4) as usize;
    let numbers: Vec<usize> = (0..series.len()).collect();
    let row = |row: &[usize]| row.iter().enumerate().map(|(i, &number)| (number, MARGIN + i as i32 * entry)).collect();
    numbers.chunks(columns).map(row).collect()
}

/// Size, weight and colour of a piece of text.
struct Letters {
    size: i32,
    bold: bool,
    colour: RGBColor,
}

impl Letters {
    fn plain(size: i32, colour: RGBColor) -> Self {
        Self { size, bold: false, colour }
    }

    fn bold(size: i32, colour: RGBColor) -> Self {
        Self { size, bold: true, colour }
    }
}

/// Writes one line with its top at a place.
fn write(canvas: &Canvas, line: &str, place: (i32, i32), letters: Letters, side: HPos) -> Result<(), Failure> {
    // The backend divides the size by this.
    let size = f64::from(letters.size) * 1.24;
    let weight = if letters.bold { FontStyle::Bold } else { FontStyle::Normal };
    let style =
        TextStyle::from(("sans-serif", size, weight).into_font()).color(&letters.colour).pos(Pos::new(side, VPos::Top));
    canvas.draw(&Text::new(line.to_owned(), place, style))?;
    Ok(())
}

/// About how many pixels a line takes in the widest of the usual fonts.
fn wide(line: &str, size: i32) -> i32 {
    let units = |c: char| match c {
        'i' | 'j' | 'l' | 't' | 'f' | 'r' | 'I' | '.' | ',' | ':' | ';' | '\'' | '(' | ')' | ' ' | '-' => 0.36,
        'm' | 'w' | 'M' | 'W' | '%' => 0.9,
        'A'..='Z' | '0'..='9' | '+' => 0.67,
        _ => 0.59,
    };
    (line.chars().map(units).sum::<f64>() * f64::from(size)).ceil() as i32
}

/// Text in lines of at most a width, broken at spaces.
fn wrap(text: &str, width: i32, size: i32, bold: bool) -> Vec<String> {
    let room = if bold { width * 9 / 10 } else { width };
    let mut lines: Vec<String> = Vec::new();
    for word in text.split_whitespace() {
        match lines.last_mut() {
            Some(line) if wide(&format!("{line} {word}"), size) <= room => {
                line.push(' ');
                line.push_str(word);
            }
            _ => lines.push(word.to_owned()),
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_set_apart_between_two_ends() {
        assert_eq!(apart(&[10, 50], 20, 0, 100), [10, 50]);
        assert_eq!(apart(&[48, 52], 20, 0, 100), [40, 60]);
        assert_eq!(apart(&[1, 2, 3], 20, 0, 100), [0, 20, 40]);
        assert_eq!(apart(&[99, 100], 20, 0, 100), [80, 100]);
    }

    #[test]
    fn text_is_broken_at_spaces() {
        assert_eq!(wrap("one two three", 70, 16, false), ["one two", "three"]);
        assert_eq!(wrap("", 60, 16, false), Vec::<String>::new());
    }

    #[test]
    fn marks_stand_at_the_data_as_far_as_there_is_room() {
        let fits = |marks: &[f64]| marks.windows(2).all(|pair| pair[1] - pair[0] >= 2.0);
        assert_eq!(thinned(&[1.0, 2.0, 3.0, 5.0, 5.5, 6.0], fits), [1.0, 3.0, 6.0]);
        assert_eq!(thinned(&[4.0], fits), [4.0]);
    }
}
