//! A library and its distractors as one.

use ndarray::{Array2, Axis, concatenate};

use super::job::{Gathered, Job};
use crate::LearnError;
use crate::distractors::crowd::Crowd;
use crate::examples::{Classes, Songs};
use crate::space::unit_vectors::{Sight, UnitVectors};

/// What clusters, routers and rows are made of: real classes, then drawn ones.
pub(super) struct Crowded<'a> {
    pub(super) classes: Classes,
    pub(super) songs: Songs,
    /// How often every class is drawn where routing is learned.
    pub(super) frequencies: Vec<f32>,
    pub(super) gathered: Gathered<'a>,
}

impl Job<'_> {
    /// Adds the distractors that the settings want, often none. How much of a hub a row is, and where strangers begin, is told by real
    /// examples alone.
    pub(super) fn crowded<'a>(
        &self,
        songs: Songs,
        works: &Songs,
        mut gathered: Gathered<'a>,
    ) -> Result<Crowded<'a>, LearnError> {
        let (settings, classes) = (self.config.distractors, self.examples.classes().clone());
        let mut frequencies = self.frequencies.clone();
        let rows = match gathered.rows.take() {
            Some(rows) if !settings.is_none() => rows,
            rows => return Ok(Crowded { classes, songs, frequencies, gathered: Gathered { rows, ..gathered } }),
        };
        let work: Vec<u32> = classes.all().iter().map(|&label| works.of(label)).collect();
        let crowd = Crowd::new(rows, &work, settings, self.config.seed)?;
        frequencies.extend(crowd.like().iter().map(|&like| self.frequencies[like as usize]));
        let rotation = self.rotation(&gathered.space);
        let sight = Sight { width: self.config.width, rotation: Some(rotation.view()) };
        let drawn = UnitVectors::new(&crowd, sight, crowd.classes()).prototypes_of(classes.len()..crowd.classes())?;
        let both = concatenate(Axis(0), &[gathered.prototypes.view(), drawn.view()]);
        // Both are as wide as the rotation.
        let prototypes: Array2<f32> = both.unwrap_or(drawn);
        Ok(Crowded {
            classes: classes.with_labels(settings.rows),
            songs: songs.with_labels(settings.rows),
            frequencies,
            gathered: Gathered { prototypes, rows: Some(Box::new(crowd)), ..gathered },
        })
    }
}
