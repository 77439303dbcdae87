//! From a seed to a [`Score`]: sections with material of their own, repeated, varied and put in a form.

use rand::RngExt;
use rand::seq::IndexedRandom;
use rand_chacha::ChaCha8Rng;
use rand_distr::StandardNormal;

use super::pattern::{Arpeggio, Comp, Drums, Motif, Step, bass};
use super::score::{Hit, Note, Part, Role, Score};
use super::style::{Roles, Style};
use super::theory::{Chord, Progression};

/// Orders of sections; a piece cycles through its form.
const FORMS: [&[usize]; 7] = [&[0, 0, 1, 0], &[0, 1], &[0, 0, 1, 1], &[0, 1, 2], &[0, 1, 0, 2], &[0], &[0, 1, 1, 2, 0]];

/// What one section repeats.
struct Section {
    bars: usize,
    roles: Roles,
    progression: Progression,
    motif: Motif,
    second: Motif,
    /// Scale steps between the motif's reference and the tonic.
    register: i32,
    bass: Vec<Step>,
    comp: Comp,
    /// Inversion of the comping chords, in scale steps.
    voicing: i32,
    arpeggio: Arpeggio,
    drums: Drums,
    energy: f32,
}

impl Section {
    fn draw(rng: &mut ChaCha8Rng, style: &Style, band: Roles) -> Self {
        let bars = *[2, 4, 4, 4, 8].choose(rng).unwrap_or(&4);
        let cycle = *[4, 8, 8, 16].choose(rng).unwrap_or(&8);
        Self {
            bars,
            roles: band.section(rng),
            progression: Progression::draw(rng, cycle, style.richness),
            motif: Motif::draw(rng, style),
            second: Motif::draw(rng, style),
            register: rng.random_range(0..8),
            bass: bass(rng, style),
            comp: Comp::draw(rng, style),
            voicing: rng.random_range(-7..1),
            arpeggio: Arpeggio::draw(rng, style),
            drums: Drums::draw(rng, style),
            energy: rng.random_range(0.7..1.0),
        }
    }
}

/// Composes at least `seconds` seconds. The clip begins somewhere in the form, as excerpts do.
pub(super) fn compose(rng: &mut ChaCha8Rng, seconds: f32) -> Score {
    let style = Style::draw(rng);
    let band = Roles::draw(rng);
    let form = *FORMS.choose(rng).unwrap_or(&FORMS[0]);
    let sections: Vec<Section> = (0..3).map(|_| Section::draw(rng, &style, band)).collect();
    let mut writer = Writer::new(rng, &style);
    let mut bar = 0;
    let mut place = writer.rng.random_range(0..form.len());
    while style.time(bar, 0.0) < seconds {
        let section = &sections[form[place % form.len()]];
        writer.section(section, bar);
        bar += section.bars;
        place += 1;
    }
    writer.finish(style.beat())
}

struct Writer<'a> {
    rng: &'a mut ChaCha8Rng,
    style: &'a Style,
    parts: Vec<Part>,
    hits: Vec<Hit>,
}

impl<'a> Writer<'a> {
    fn new(rng: &'a mut ChaCha8Rng, style: &'a Style) -> Self {
        let roles = [Role::Lead, Role::Second, Role::Comp, Role::Arpeggio, Role::Pad, Role::Bass];
        Self { rng, style, parts: roles.map(|role| Part { role, notes: Vec::new() }).into(), hits: Vec::new() }
    }

    fn finish(mut self, beat: f32) -> Score {
        self.parts.retain(|part| !part.notes.is_empty());
        Score { parts: self.parts, hits: self.hits, beat }
    }

    fn section(&mut self, section: &Section, first_bar: usize) {
        let mut motif = section.motif.clone();
        for index in 0..section.bars {
            let bar = first_bar + index;
            let last = index + 1 == section.bars;
            if index % 2 == 0 && index > 0 && self.rng.random_bool(0.4) {
                motif = section.motif.varied(self.rng);
            }
            let chords = [section.progression.at(2 * index), section.progression.at(2 * index + 1)];
            let roles = section.roles;
            if roles.lead {
                self.melody(Role::Lead, &motif.bars[index % 2], section.register, bar, chords, section.energy);
            }
            if roles.second {
                self.melody(Role::Second, &section.second.bars[index % 2], section.register - 7, bar, chords, 0.7);
            }
            if roles.comp {
                self.comp(&section.comp, section.voicing, bar, chords, section.energy);
            }
            if roles.pad {
                self.pad(section.voicing, bar, chords);
            }
            if roles.arpeggio {
                self.arpeggio(&section.arpeggio, bar, chords, section.energy);
            }
            if roles.bass {
                self.bass(&section.bass, bar, chords, section.energy);
            }
            if roles.drums {
                let fill = last && section.bars > 2 && self.rng.random_bool(0.6);
                let drums = if fill { section.drums.filled(self.rng, self.style) } else { section.drums.clone() };
                self.drums(&drums, bar, section.energy);
            }
        }
    }

    /// One bar of a motif, its notes on strong beats pulled to the chord.
    fn melody(&mut self, role: Role, motif: &[Step], register: i32, bar: usize, chords: [Chord; 2], energy: f32) {
        for step in motif {
            let mut degree = register + step.offset;
            if step.at % (2 * self.style.grid) == 0 {
                degree = self.chord(chords, step.at).nearest(degree);
            }
            self.note(role, bar, *step, degree, energy);
        }
    }

    fn bass(&mut self, line: &[Step], bar: usize, chords: [Chord; 2], energy: f32) {
        for step in line {
            let root = self.chord(chords, step.at).degree;
            // Roots above the fourth degree go an octave down: the bass stays within a sixth.
            let root = if root > 3 { root - 7 } else { root };
            self.note(Role::Bass, bar, *step, root + step.offset - 14, energy);
        }
    }

    fn comp(&mut self, comp: &Comp, voicing: i32, bar: usize, chords: [Chord; 2], energy: f32) {
        match comp {
            Comp::Block(steps) => {
                for step in steps {
                    for degree in voiced(self.chord(chords, step.at), voicing) {
                        self.note(Role::Comp, bar, *step, degree, 0.8 * energy);
                    }
                }
            }
            Comp::Strum(steps, apart) => {
                for step in steps {
                    for (string, degree) in voiced(self.chord(chords, step.at), voicing).into_iter().enumerate() {
                        let late = string as f32 * apart;
                        self.note_late(Role::Comp, bar, *step, degree, 0.8 * energy, late);
                    }
                }
            }
            Comp::Stride => {
                for beat in 0..self.style.beats {
                    let step = Step {
                        at: beat * self.style.grid,
                        length: self.style.grid.div_ceil(2),
                        offset: 0,
                        velocity: 0.8,
                    };
                    let degrees = voiced(self.chord(chords, step.at), voicing);
                    let (low, high) = degrees.split_at(1);
                    for &degree in if beat % 2 == 0 { low } else { high } {
                        self.note(Role::Comp, bar, step, degree, 0.8 * energy);
                    }
                }
            }
        }
    }

    fn pad(&mut self, voicing: i32, bar: usize, chords: [Chord; 2]) {
        let end = self.style.steps();
        let halves: &[(usize, usize)] =
            if chords[0] == chords[1] { &[(0, end)] } else { &[(0, end / 2), (end / 2, end)] };
        for &(at, until) in halves {
            for degree in voiced(self.chord(chords, at), voicing) {
                self.note(Role::Pad, bar, Step { at, length: until - at, offset: 0, velocity: 0.6 }, degree, 1.0);
            }
        }
    }

    fn arpeggio(&mut self, arpeggio: &Arpeggio, bar: usize, chords: [Chord; 2], energy: f32) {
        let end = self.style.steps();
        for (index, at) in (0..end).step_by(arpeggio.pace).enumerate() {
            let degrees: Vec<i32> = self.chord(chords, at).degrees().collect();
            let place = arpeggio.order[index % arpeggio.order.len()];
            let degree = degrees[place % degrees.len()] + 7 * (place / degrees.len()) as i32;
            let accent = if at % self.style.grid == 0 { 0.9 } else { 0.7 };
            let step = Step { at, length: arpeggio.pace, offset: 0, velocity: accent * energy };
            let (start, length) = self.span(bar, step);
            self.push(Role::Arpeggio, start, length * arpeggio.gate, degree, step.velocity);
        }
    }

    fn drums(&mut self, drums: &Drums, bar: usize, energy: f32) {
        for &(at, drum, velocity) in &drums.strokes {
            let start = self.style.time(bar, at as f32) + self.jitter();
            let velocity = velocity * energy * self.rng.random_range(0.85..1.0);
            self.hits.push(Hit { start, drum, velocity });
        }
    }

    /// How far off the grid the next note starts, in seconds.
    fn jitter(&mut self) -> f32 {
        self.style.looseness * self.rng.sample::<f32, _>(StandardNormal)
    }

    /// The chord that sounds at a step of the bar.
    fn chord(&self, chords: [Chord; 2], at: usize) -> Chord {
        chords[usize::from(2 * at >= self.style.steps())]
    }

    fn span(&self, bar: usize, step: Step) -> (f32, f32) {
        let start = self.style.time(bar, step.at as f32);
        (start, self.style.time(bar, (step.at + step.length) as f32) - start)
    }

    fn note(&mut self, role: Role, bar: usize, step: Step, degree: i32, energy: f32) {
        self.note_late(role, bar, step, degree, energy, 0.0);
    }

    fn note_late(&mut self, role: Role, bar: usize, step: Step, degree: i32, energy: f32, late: f32) {
        let (start, length) = self.span(bar, step);
        self.push(role, start + late, length, degree, step.velocity * energy);
    }

    fn push(&mut self, role: Role, start: f32, length: f32, degree: i32, velocity: f32) {
        let start = (start + self.jitter()).max(0.0);
        let pitch = self.style.key.note(degree) as f32 + self.style.tuning;
        if let Some(part) = self.parts.iter_mut().find(|part| part.role == role) {
            part.notes.push(Note { start, length: length.max(0.03), pitch, velocity: velocity.clamp(0.0, 1.0) });
        }
    }
}

/// A chord's degrees moved by octaves so that none lies below `lowest`: inversions follow from the register.
fn voiced(chord: Chord, lowest: i32) -> Vec<i32> {
    let mut degrees: Vec<i32> = chord.degrees().map(|degree| lowest + (degree - lowest).rem_euclid(7)).collect();
    degrees.sort_unstable();
    degrees.dedup();
    degrees
}
