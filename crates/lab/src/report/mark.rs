//! [`Mark`]: the colour, the shape and the dashes of a series, any two of which tell it apart without the third.

use plotters::element::DashedPathElement;
use plotters::prelude::*;

use super::picture::{Canvas, Failure};

/// Okabe and Ito's colours (2008), which those who confuse red and green can tell apart as well.
const COLOURS: [RGBColor; 8] = [
    RGBColor(0, 114, 178),
    RGBColor(213, 94, 0),
    RGBColor(0, 158, 115),
    RGBColor(204, 121, 167),
    RGBColor(0, 0, 0),
    RGBColor(230, 159, 0),
    RGBColor(86, 180, 233),
    RGBColor(110, 110, 110),
];

/// Lengths of a dash and of the gap behind it, in pixels; a gap of 0 is an unbroken line.
const DASHES: [(i32, i32); 4] = [(1, 0), (11, 6), (4, 6), (18, 5)];

/// Outlines around a point, in pixels. An empty one is a circle.
const SHAPES: [&[(i32, i32)]; 6] = [
    &[],
    &[(-5, -5), (5, -5), (5, 5), (-5, 5)],
    &[(0, -7), (6, 5), (-6, 5)],
    &[(0, -7), (7, 0), (0, 7), (-7, 0)],
    &[(0, 7), (6, -5), (-6, -5)],
    &[(-6, -3), (-3, -6), (0, -3), (3, -6), (6, -3), (3, 0), (6, 3), (3, 6), (0, 3), (-3, 6), (-6, 3), (-3, 0)],
];

/// How a series looks.
#[derive(Clone, Copy)]
pub(crate) struct Mark {
    pub(crate) colour: RGBColor,
    dash: (i32, i32),
    shape: &'static [(i32, i32)],
    hollow: bool,
}

impl Mark {
    /// The mark of the series with this number.
    pub(crate) fn of(number: usize) -> Self {
        Self {
            colour: COLOURS[number % COLOURS.len()],
            dash: DASHES[number % DASHES.len()],
            shape: SHAPES[number % SHAPES.len()],
            // The second time round the shapes are hollow.
            hollow: number / SHAPES.len() % 2 == 1,
        }
    }

    /// The marker at a place.
    pub(crate) fn point(&self, canvas: &Canvas, (x, y): (i32, i32)) -> Result<(), Failure> {
        let inside = if self.hollow { WHITE.filled() } else { self.colour.filled() };
        if self.shape.is_empty() {
            // A rim sets a marker off from lines and markers under it.
            canvas.draw(&Circle::new((x, y), 7, WHITE.filled()))?;
            canvas.draw(&Circle::new((x, y), 5, self.colour.filled()))?;
            if self.hollow {
                canvas.draw(&Circle::new((x, y), 3, WHITE.filled()))?;
            }
            return Ok(());
        }
        let outline: Vec<(i32, i32)> = self.shape.iter().map(|(dx, dy)| (x + dx, y + dy)).collect();
        let mut closed = outline.clone();
        closed.extend(&outline[..2]);
        canvas.draw(&PathElement::new(closed.clone(), WHITE.stroke_width(4)))?;
        canvas.draw(&Polygon::new(outline, inside))?;
        if self.hollow {
            canvas.draw(&PathElement::new(closed, self.colour.stroke_width(2)))?;
        }
        Ok(())
    }

    /// The line through places.
    pub(crate) fn line(&self, canvas: &Canvas, points: Vec<(i32, i32)>) -> Result<(), Failure> {
        let style = self.colour.stroke_width(2);
        match self.dash {
            (_, 0) => canvas.draw(&PathElement::new(points, style))?,
            (dash, gap) => canvas.draw(&DashedPathElement::new(points, dash, gap, style))?,
        }
        Ok(())
    }
}
