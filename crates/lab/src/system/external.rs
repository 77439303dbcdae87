//! [`External`]: a program of anybody's that names clips, spoken to in lines of JSON.
//!
//! 1. The laboratory writes one line about the library: `{"library": [{"track": 12, "file": "/tmp/x/12.wav"}], "rate": 8000,
//!    "query_seconds": 10.0, "settings": {}}`. The files are mono WAV of 16 bits, and hold what a system may hear of each track; settings
//!    are what the question says of the program by its name.
//! 2. The program learns. It may write `{"progress": 0.4}`, and at last `{"ready": true}`, with `"index_bytes": 123456` if it likes.
//! 3. For every query the laboratory writes `{"query": "/tmp/x/query.wav"}`, and the program answers `{"tracks": [12, 7], "known": true}`,
//!    the best first, with `"start": 31.5` if it tells where in the track the query begins, in seconds.
//! 4. After the last query its standard input ends.
//!
//! What it writes to standard error is shown. Queries come one after the other.

use std::collections::HashMap;
use std::fs;
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use sordino_corpus::synth::write_wav;
use sordino_learn::Answer;
use sordino_model::{Learns, ModelHash};
use tempfile::TempDir;
use toml::Table;

use super::Construction;
use super::registry::Recipe;
use crate::LabError;
use crate::evaluate::{AnswerSettings, Evaluation, Queries, Response, System, in_the_clear};

/// A program that a question names.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Program {
    /// What results call it.
    pub(crate) name: String,
    /// The program and its arguments.
    pub(crate) command: Vec<String>,
    /// The sampling rate in Hz of the sound that it takes.
    #[serde(default = "rate")]
    pub(crate) rate: u32,
    /// Where it runs: the folder of the question.
    #[serde(skip)]
    pub(crate) folder: PathBuf,
    /// SHA-256 of every argument that is a file there: another program is asked anew.
    #[serde(default, skip_deserializing)]
    pub(crate) files: Vec<String>,
}

fn rate() -> u32 {
    8_000
}

/// The program while it runs.
pub(crate) struct External {
    program: Program,
    /// Ids of the library's tracks, by their place, the other way round.
    places: HashMap<u32, u32>,
    index_bytes: Option<usize>,
    talk: Mutex<Talk>,
}

/// Both ends of the conversation, and the folder of its sound.
struct Talk {
    child: Child,
    to: ChildStdin,
    from: BufReader<ChildStdout>,
    folder: TempDir,
}

#[derive(Serialize)]
struct Library<'a> {
    library: Vec<Sound>,
    rate: u32,
    query_seconds: f32,
    settings: &'a Table,
}

#[derive(Serialize)]
struct Sound {
    track: u32,
    file: PathBuf,
}

/// A line of a program that learns.
#[derive(Deserialize)]
#[serde(deny_unknown_fields, expecting = "a line such as {\"progress\": 0.5} or {\"ready\": true}")]
struct Learning {
    #[serde(default)]
    ready: bool,
    progress: Option<f32>,
    index_bytes: Option<usize>,
}

/// A line of a program that was asked.
#[derive(Deserialize)]
#[serde(deny_unknown_fields, expecting = "a line such as {\"tracks\": [12, 7], \"known\": true}")]
struct Said {
    tracks: Vec<u32>,
    known: bool,
    start: Option<f32>,
}

impl External {
    /// Starts the program and lets it learn a library.
    pub(crate) fn start(library: &Construction<'_>, program: Program, settings: &Table) -> Result<Self, LabError> {
        let heard = library.library();
        let folder = tempfile::tempdir().map_err(LabError::io(&std::env::temp_dir(), "make a folder in"))?;
        let mut sounds = Vec::with_capacity(heard.len());
        for (place, track) in library.catalogue.tracks.iter().enumerate() {
            let file = folder.path().join(format!("{}.wav", track.id));
            write_wav(&file, &heard.heard(place, program.rate)?, program.rate)?;
            sounds.push(Sound { track: track.id, file });
            (library.progress)("sound", place as f32 / heard.len() as f32);
        }
        let missing = || program.wrong("is empty, expected a program and its arguments".into());
        let (first, arguments) = program.command.split_first().ok_or_else(missing)?;
        let mut child = Command::new(first)
            .args(arguments)
            .current_dir(&program.folder)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .map_err(|error| program.wrong(format!("cannot be started from {}: {error}", program.folder.display())))?;
        let (to, from) = (child.stdin.take(), child.stdout.take());
        let (Some(to), Some(from)) = (to, from) else { return Err(program.wrong("has no input or output".into())) };
        let mut talk = Talk { child, to, from: BufReader::new(from), folder };
        talk.write(
            &program,
            &Library { library: sounds, rate: program.rate, query_seconds: library.seconds, settings },
        )?;
        let index_bytes = loop {
            let Learning { ready, progress, index_bytes } = talk.read(&program)?;
            if ready {
                break index_bytes;
            }
            (library.progress)("learning", progress.unwrap_or(0.0).clamp(0.0, 1.0));
        };
        let places = library.catalogue.tracks.iter().map(|track| track.id).zip(0..).collect();
        Ok(Self { program, places, index_bytes, talk: Mutex::new(talk) })
    }
}

impl Program {
    /// The same, to be run in a folder.
    ///
    /// # Errors
    /// A sentence where it cannot be told from the systems that there are, or there is nothing to run.
    pub(crate) fn found_in(self, folder: &Path) -> Result<Self, String> {
        if self.name.is_empty() || Recipe::find(&self.name, None).is_ok() {
            return Err(format!("[[system]] name is \"{}\", expected a name that no other system has", self.name));
        }
        if self.command.is_empty() {
            return Err(format!("[[system]] {}: command is empty, expected a program and its arguments", self.name));
        }
        let hash = |argument: &String| Some(ModelHash::of(&fs::read(folder.join(argument)).ok()?).to_string());
        let files = self.command.iter().filter_map(hash).collect();
        Ok(Self { folder: folder.into(), files, ..self })
    }

    fn wrong(&self, reason: String) -> LabError {
        LabError::Program { name: self.name.clone(), command: self.command.join(" "), reason }
    }
}

impl Talk {
    fn write<T: Serialize>(&mut self, program: &Program, line: &T) -> Result<(), LabError> {
        let text = serde_json::to_string(line).map_err(|error| program.wrong(format!("cannot be told: {error}")))?;
        // Why nobody reads it is told by what the program says last, or by how it ended.
        let _ = writeln!(self.to, "{text}").and_then(|()| self.to.flush());
        Ok(())
    }

    fn read<T: DeserializeOwned>(&mut self, program: &Program) -> Result<T, LabError> {
        let mut line = String::new();
        let count =
            self.from.read_line(&mut line).map_err(|error| program.wrong(format!("cannot be heard: {error}")))?;
        if count == 0 {
            let ended = self.child.wait().map_or_else(|error| error.to_string(), |status| status.to_string());
            return Err(program.wrong(format!(
                "ended early ({ended}), expected a line of JSON; what it wrote to standard error may say why"
            )));
        }
        serde_json::from_str(&line).map_err(|error| {
            let line: String = line.trim_end().chars().take(200).collect();
            program.wrong(format!("said `{line}`: {error}"))
        })
    }
}

impl Drop for Talk {
    fn drop(&mut self) {
        // Its input ends with this; one that does not mind is ended.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl System for External {
    fn name(&self) -> &str {
        &self.program.name
    }

    fn learns(&self) -> Learns {
        // Whoever runs it hears the query.
        Learns { server: "the clip and the answer", client: "nothing beyond its answer" }
    }

    fn rate(&self) -> u32 {
        self.program.rate
    }

    fn index_bytes(&self) -> Option<usize> {
        self.index_bytes
    }

    fn evaluate(&self, queries: &Queries<'_>, _: &AnswerSettings) -> Result<Evaluation, LabError> {
        // A clip that it does not name is an answer; a program that fails is none.
        let failed = Mutex::new(None);
        let respond = |samples: &[f32]| {
            self.respond(samples).or_else(|error| {
                failed.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(error);
                Ok(Response::nothing())
            })
        };
        let answers = in_the_clear(self, queries, "clear", respond)?;
        match failed.into_inner().unwrap_or_else(PoisonError::into_inner) {
            Some(error) => Err(error),
            None => Ok(Evaluation { answers: vec![answers] }),
        }
    }

    fn respond(&self, samples: &[f32]) -> Result<Response, LabError> {
        #[derive(Serialize)]
        struct Asked {
            query: PathBuf,
        }
        // A poisoned lock means that another query failed; the conversation goes on behind its last line.
        let mut talk = self.talk.lock().unwrap_or_else(PoisonError::into_inner);
        let query = talk.folder.path().join("query.wav");
        write_wav(&query, samples, self.program.rate)?;
        let start = Instant::now();
        talk.write(&self.program, &Asked { query })?;
        let Said { tracks, known, start: place } = talk.read(&self.program)?;
        let took = start.elapsed();
        let position = |id: &u32| {
            let missing = || self.program.wrong(format!("named track {id}, expected a track of the library"));
            self.places.get(id).copied().ok_or_else(missing)
        };
        let tracks = tracks.iter().take(3).map(position).collect::<Result<_, _>>()?;
        let answer = Answer { tracks, known, start: place, doubt: None };
        Ok(Response { took: Some(took), ..answer.into() })
    }
}
