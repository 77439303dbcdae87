//! [`Queries`]: clips cut from tracks and disturbed, beside what each of them is.

use std::collections::HashMap;

use sordino_corpus::{Catalogue, Condition, CropSplit, QuerySet, QuerySpec, Rejected, SoundOptions};
use sordino_front::FeatureSpec;

use crate::{DisturbanceCache, LabError, Monitor};

/// What is asked, of which tracks.
#[derive(Clone, Copy)]
pub struct Queries<'a> {
    /// Tracks that are asked about, whether or not they are in the library.
    pub asked: &'a Catalogue,
    /// Ids of the library's tracks, by their place.
    pub ids: &'a [u32],
    /// The places in the library of the asked tracks that are in it, by their ids.
    pub places: &'a HashMap<u32, u32>,
    /// How frames lie in sound, at the library's sampling rate.
    pub spec: &'a FeatureSpec,
    /// Length of a query in seconds.
    pub seconds: f32,
    /// Every crop is heard under each of these.
    pub conditions: &'a [String],
    /// Crops per track.
    pub crops: usize,
    /// Where crops may lie.
    pub split: CropSplit,
    /// Fixes crops, noises and impulse responses.
    pub seed: u64,
    /// Which fold of the library is asked, from 0.
    pub fold: usize,
    /// Noise and impulse responses, of which queries hear their own part.
    pub disturbances: &'a DisturbanceCache,
    /// Who is told how it goes on.
    pub monitor: &'a dyn Monitor,
}

/// What a query is.
#[derive(Clone, Debug, PartialEq)]
pub struct Query {
    /// Its track's id.
    pub track: u32,
    /// Which crop of the track, from 0.
    pub crop: usize,
    /// Where it begins, in samples from the start of the track.
    pub offset: usize,
    /// The same in seconds.
    pub start: f32,
    /// Its condition.
    pub condition: String,
    /// Name of the impulse response that it is heard through; empty for none.
    pub room: String,
    /// The track's place in the library, if it is in it.
    pub place: Option<u32>,
}

impl Queries<'_> {
    /// The spec of queries at another sampling rate, in Hz.
    pub(crate) fn spec_at(&self, rate: u32) -> FeatureSpec {
        FeatureSpec { sample_rate: rate, ..self.spec.clone() }
    }

    /// Renders every query at the sampling rate of `spec` and maps its samples, tracks in parallel. Queries come in the order of tracks,
    /// crops and conditions. The monitor hears of tracks that cannot be read or are too short.
    ///
    /// # Errors
    /// [`LabError::Corpus`] for conditions and lengths out of range, [`LabError::Format`] for noise that cannot be had,
    /// [`LabError::Setting`] where not one track can be asked about: shares of nothing say nothing.
    pub fn render<T: Send>(
        &self,
        spec: &FeatureSpec,
        map: impl Fn(&[f32]) -> T + Sync,
    ) -> Result<Vec<(Query, T)>, LabError> {
        let conditions = self.conditions.iter().map(|text| text.parse()).collect::<Result<Vec<Condition>, _>>()?;
        let mut wanted = QuerySpec::new(self.seconds, conditions, self.seed);
        (wanted.crops, wanted.split) = (self.crops, self.split);
        let disturbances = self.disturbances.at(spec.sample_rate, self.monitor)?;
        let (noise, impulses) = (&disturbances.queries.noise, &disturbances.queries.impulses);
        let set = QuerySet::new(self.asked, spec, &wanted, noise, impulses, SoundOptions::default())?;
        let bar = self.monitor.bar(set.len() as u64, "queries");
        let (places, texts) = (self.places, self.conditions);
        let (rendered, rejected) = set.map(|query| {
            let value = map(&query.samples);
            bar.inc(1);
            let query = Query {
                track: query.id,
                crop: query.crop,
                offset: query.offset,
                start: query.offset as f32 / spec.sample_rate as f32,
                condition: texts[query.condition].clone(),
                room: query.room.unwrap_or_default(),
                place: places.get(&query.id).copied(),
            };
            (query, value)
        });
        bar.finish_and_clear();
        if rendered.is_empty() {
            let none = "no track to ask about".into();
            let reason = |entry: &Rejected| format!("none: {}: {}", entry.source, entry.reason);
            return Err(LabError::Setting {
                setting: "what can be asked".into(),
                found: rejected.first().map_or(none, reason),
                expected: "a track whose sound is where the index says; index again where it has moved".into(),
            });
        }
        for entry in rejected {
            self.monitor.note(&format!("not asked: {}: {}", entry.source, entry.reason));
        }
        Ok(rendered)
    }
}
