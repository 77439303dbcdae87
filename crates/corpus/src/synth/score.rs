//! [`Score`]: who plays what and when, in seconds and semitones; independent of any sampling rate.

/// A note.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Note {
    /// Start in seconds.
    pub(super) start: f32,
    /// Length in seconds until it is released.
    pub(super) length: f32,
    /// Pitch as a MIDI note, fractions allowed.
    pub(super) pitch: f32,
    /// Loudness, 0 to 1.
    pub(super) velocity: f32,
}

impl Note {
    /// Frequency in Hz.
    pub(super) fn hertz(&self) -> f32 {
        440.0 * ((self.pitch - 69.0) / 12.0).exp2()
    }
}

/// The pieces of a drum kit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Drum {
    Kick,
    Snare,
    Hat,
    OpenHat,
    Clap,
    LowTom,
    HighTom,
    Shaker,
}

impl Drum {
    pub(super) const ALL: [Self; 8] =
        [Self::Kick, Self::Snare, Self::Hat, Self::OpenHat, Self::Clap, Self::LowTom, Self::HighTom, Self::Shaker];
}

/// One stroke.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Hit {
    /// Start in seconds.
    pub(super) start: f32,
    pub(super) drum: Drum,
    /// Loudness, 0 to 1.
    pub(super) velocity: f32,
}

/// Which kind of sound a part wants.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Role {
    Lead,
    Second,
    Comp,
    Arpeggio,
    Pad,
    Bass,
}

/// One player's notes.
#[derive(Clone, Debug)]
pub(super) struct Part {
    pub(super) role: Role,
    pub(super) notes: Vec<Note>,
}

/// A whole piece.
#[derive(Clone, Debug)]
pub(super) struct Score {
    pub(super) parts: Vec<Part>,
    pub(super) hits: Vec<Hit>,
    /// Seconds in a beat: echoes follow it.
    pub(super) beat: f32,
}
