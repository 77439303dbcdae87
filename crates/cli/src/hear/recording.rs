//! [`Recording`]: several songs one after the other, told from windows that are asked about one by one.

use std::path::Path;
use std::time::Duration;

use serde::Serialize;
use sordino_audio::{AudioError, DecodeLimits, Window, decode_window};
use sordino_model::{Shade, Verdict};

use super::listener::{Identified, Listener, Passage, STANDARD_INPUT, lengthened, samples, title};
use crate::report::{self, bar, say};

/// Most of a recording that is in memory at a time, in seconds.
const BLOCK_SECONDS: f32 = 3_600.0;

/// Windows begin so many to their length: whatever is played for one and a half lengths fills one of them.
const STEPS: usize = 2;

/// Windows that name nothing or something else, between two of one song, that do not end it.
const GAP: usize = 2 * STEPS;

/// Songs and their times.
#[derive(Serialize)]
pub(crate) struct Recording {
    pub(crate) clip: String,
    /// Length of what was asked about.
    seconds: f64,
    /// How many windows were asked about, and their length.
    windows: usize,
    window_seconds: f32,
    /// In the order of their times.
    pub(crate) songs: Vec<Song>,
    bytes_up: usize,
    bytes_down: usize,
    server_seconds: f64,
}

/// One song, as long as it goes on.
#[derive(Serialize)]
pub(crate) struct Song {
    /// Where in the recording, good to half a window.
    from_seconds: f64,
    to_seconds: f64,
    track_id: u32,
    artist: String,
    title: String,
    /// Windows between the two that name it, and all windows there.
    votes: usize,
    windows: usize,
    /// Named or probably: what a single window says is probable and no more.
    shade: Shade,
    /// The chance that its surest window names it wrongly, if the model says.
    #[serde(skip_serializing_if = "Option::is_none")]
    wrong: Option<f32>,
    /// Where in the track, if the model says.
    #[serde(skip_serializing_if = "Option::is_none")]
    track: Option<Passage>,
}

/// Windows that name one song, surely or probably: the first, the last, how many, and the shade that they have together.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Run {
    song: u32,
    first: usize,
    last: usize,
    votes: usize,
    shade: Shade,
}

impl Recording {
    /// Asks about all of a file, or of standard input. What is sent, and when, follows from its length alone.
    pub(crate) fn hear(listener: &mut Listener<'_>, path: &Path) -> anyhow::Result<Self> {
        let spec = listener.spec()?;
        let (length, seconds) = (spec.query_samples(), f64::from(spec.query_seconds));
        let step = length.div_ceil(STEPS);
        let at = |window: usize| (window * step) as f64 / f64::from(spec.sample_rate);
        let limits = DecodeLimits { min_dbfs: f32::NEG_INFINITY, ..DecodeLimits::for_spec(&spec) };
        let mut answers = Vec::<Identified>::new();
        let mut end = 0.0;
        let progress = bar(0, "windows");
        loop {
            let sound = match path == Path::new(STANDARD_INPUT) {
                true => samples(path, spec.sample_rate, &limits).map_err(lengthened)?,
                false => {
                    let window = Window { start_seconds: at(answers.len()), seconds: BLOCK_SECONDS };
                    match decode_window(path, spec.sample_rate, window, &limits) {
                        Err(AudioError::Window { .. } | AudioError::TooShort { .. }) if !answers.is_empty() => break,
                        sound => sound.map_err(lengthened)?,
                    }
                }
            };
            let windows = (sound.data.len() - length) / step + 1;
            progress.inc_length(windows as u64);
            end = at(answers.len()) + f64::from(sound.seconds());
            for window in sound.data.windows(length).step_by(step) {
                let name = format!("{} at {}", super::name(path), report::clock(at(answers.len())));
                answers.push(listener.samples(name, window)?);
                progress.inc(1);
            }
            if path == Path::new(STANDARD_INPUT) || sound.seconds() + spec.query_seconds < BLOCK_SECONDS {
                break;
            }
        }
        progress.finish_and_clear();
        let told: Vec<Option<(u32, Shade)>> = answers.iter().map(vote).collect();
        let mut songs: Vec<Song> = runs(&told).iter().map(|run| Song::of(run, &answers, at, seconds)).collect();
        part(&mut songs, seconds);
        Ok(Self {
            clip: super::name(path),
            seconds: end,
            windows: answers.len(),
            window_seconds: spec.query_seconds,
            songs,
            bytes_up: answers.iter().map(|answer| answer.bytes_up).sum(),
            bytes_down: answers.iter().map(|answer| answer.bytes_down).sum(),
            server_seconds: answers.iter().map(|answer| answer.seconds.server).sum(),
        })
    }

    /// Prints one line for each song.
    pub(crate) fn human(&self) {
        let (length, windows, each) = (report::clock(self.seconds), self.windows, self.window_seconds);
        let songs = match self.songs.len() {
            0 => "no song of the library".into(),
            1 => "1 song".into(),
            songs => format!("{songs} songs"),
        };
        let asked = if windows == 1 { "one window".into() } else { format!("{windows} windows") };
        say!("{}: {songs} in {length}, asked in {asked} of {each} s", self.clip);
        for song in &self.songs {
            let Song { from_seconds, to_seconds, track_id, votes, windows, .. } = song;
            let probably = if song.shade == Shade::Probably { "probably " } else { "" };
            let place = match song.track {
                Some(track) => format!(", {track} of it"),
                None => String::new(),
            };
            say!(
                "    {:>6}-{:<6} {probably}{} (track {track_id}{place}; {votes} of {windows} windows)",
                report::clock(*from_seconds),
                report::clock(*to_seconds),
                title(&song.artist, &song.title)
            );
        }
        let named: f64 = self.songs.iter().map(|song| song.to_seconds - song.from_seconds).sum();
        if self.seconds - named >= 1.0 {
            say!("    {} without a song of the library", report::clock(self.seconds - named));
        }
        say!(
            "    server {}; {} up, {} down",
            report::seconds(Duration::from_secs_f64(self.server_seconds)),
            report::bytes(self.bytes_up as u64),
            report::bytes(self.bytes_down as u64)
        );
    }
}

impl Song {
    /// A run, in seconds.
    fn of(run: &Run, answers: &[Identified], at: impl Fn(usize) -> f64, seconds: f64) -> Self {
        let mine = |answer: &&Identified| vote(answer).is_some_and(|(song, _)| song == run.song);
        let voters: Vec<&Identified> = answers[run.first..=run.last].iter().filter(mine).collect();
        let best = |answer: Option<&&'_ Identified>| answer.and_then(|answer| answer.best.first()).cloned();
        let (first, last) = (best(voters.first()), best(voters.last()));
        let passages = first.as_ref().and_then(|m| m.passage).zip(last.and_then(|m| m.passage));
        Self {
            from_seconds: at(run.first),
            to_seconds: at(run.last) + seconds,
            track_id: run.song,
            artist: first.as_ref().map(|m| m.artist.clone()).unwrap_or_default(),
            title: first.map(|m| m.title).unwrap_or_default(),
            votes: run.votes,
            windows: run.last - run.first + 1,
            shade: run.shade,
            wrong: voters.iter().filter_map(|answer| answer.verdict.wrong).min_by(f32::total_cmp),
            track: passages.map(|(first, last)| Passage {
                from_seconds: first.from_seconds.min(last.from_seconds),
                to_seconds: first.to_seconds.max(last.to_seconds),
            }),
        }
    }
}

/// The song that a window names, surely or probably.
fn vote(answer: &Identified) -> Option<(u32, Shade)> {
    let Verdict { shade, .. } = answer.verdict;
    answer.best.first().filter(|_| shade != Shade::Unknown).map(|best| (best.track_id, shade))
}

/// Windows that name one song, taken together across gaps of at most [`GAP`], in the order of their first windows. What rests on one
/// window is probable at best: it is left out where that window is not sure itself, or lies in the midst of another song.
fn runs(told: &[Option<(u32, Shade)>]) -> Vec<Run> {
    let mut runs = Vec::<Run>::new();
    for (window, (song, shade)) in told.iter().enumerate().filter_map(|(window, vote)| Some((window, (*vote)?))) {
        match runs.iter_mut().rev().find(|run| run.song == song && window - run.last <= GAP + 1) {
            Some(run) => {
                run.last = window;
                run.votes += 1;
                run.shade = if shade == Shade::Named { shade } else { run.shade };
            }
            None => runs.push(Run { song, first: window, last: window, votes: 1, shade }),
        }
    }
    let all = runs.clone();
    let amid = |run: &Run| all.iter().any(|other| other.votes > 1 && other.first < run.first && run.last < other.last);
    runs.retain(|run| run.votes > 1 || (run.shade == Shade::Named && !amid(run)));
    for run in runs.iter_mut().filter(|run| run.votes == 1) {
        run.shade = Shade::Probably;
    }
    runs
}

/// Where the last window of one song and the first of the next overlap, the change is in the middle. Songs that are mixed with each other
/// keep their times.
fn part(songs: &mut [Song], seconds: f64) {
    for next in 1..songs.len() {
        let (before, after) = songs.split_at_mut(next);
        let (before, after) = (&mut before[next - 1], &mut after[0]);
        if (0.0..seconds).contains(&(before.to_seconds - after.from_seconds)) {
            let middle = 0.5 * (before.to_seconds + after.from_seconds);
            before.to_seconds = middle;
            after.from_seconds = middle;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Windows by letters, small ones where they are not sure; a dot names nothing.
    fn told(windows: &str) -> Vec<(char, usize, usize, usize)> {
        let shade = |c: char| if c.is_uppercase() { Shade::Named } else { Shade::Probably };
        let vote = |c: char| (c != '.').then_some((u32::from(c.to_ascii_uppercase()), shade(c)));
        let letter = |run: Run| {
            let c = char::from_u32(run.song).unwrap();
            if run.shade == Shade::Named { c } else { c.to_ascii_lowercase() }
        };
        let runs = runs(&windows.chars().map(vote).collect::<Vec<_>>());
        runs.into_iter().map(|run| (letter(run), run.first, run.last, run.votes)).collect()
    }

    #[test]
    fn songs_are_runs_of_windows() {
        assert_eq!(told(""), []);
        assert_eq!(told("....."), []);
        assert_eq!(told("AAA.BBB"), [('A', 0, 2, 3), ('B', 4, 6, 3)]);
        // A window that says something else in the midst of a song is an error; at its edge it may be another song.
        assert_eq!(told("AABAA"), [('A', 0, 4, 4)]);
        assert_eq!(told("AAB.."), [('A', 0, 1, 2), ('b', 2, 2, 1)]);
        // Two windows that are not sure say more than one; one says nothing.
        assert_eq!(told("..a..b.b."), [('b', 5, 7, 2)]);
        assert_eq!(told("aAa"), [('A', 0, 2, 3)]);
        // A song that is played again later is listed again.
        assert_eq!(told("AA.....AA"), [('A', 0, 1, 2), ('A', 7, 8, 2)]);
        assert_eq!(told("AA....AA"), [('A', 0, 7, 4)]);
        // Two in turn are both there.
        assert_eq!(told("ABAB"), [('A', 0, 2, 2), ('B', 1, 3, 2)]);
    }

    #[test]
    fn a_song_ends_where_the_next_begins() {
        let song = |from_seconds: f64, to_seconds: f64| Song {
            from_seconds,
            to_seconds,
            track_id: 1,
            artist: String::new(),
            title: String::new(),
            votes: 2,
            windows: 2,
            shade: Shade::Named,
            wrong: None,
            track: None,
        };
        let parted = |mut songs: Vec<Song>| {
            part(&mut songs, 10.0);
            songs.iter().map(|song| (song.from_seconds, song.to_seconds)).collect::<Vec<_>>()
        };
        assert_eq!(parted(vec![song(0.0, 20.0), song(15.0, 40.0)]), [(0.0, 17.5), (17.5, 40.0)]);
        assert_eq!(parted(vec![song(0.0, 20.0), song(25.0, 40.0)]), [(0.0, 20.0), (25.0, 40.0)]);
        // Mixed with each other.
        assert_eq!(parted(vec![song(0.0, 40.0), song(10.0, 30.0)]), [(0.0, 40.0), (10.0, 30.0)]);
    }
}
