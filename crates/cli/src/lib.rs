//! The `sordino` program: verbs in the order of the flow. It is a library so that a Python package can carry it.

mod between;
mod calibration;
mod distant;
mod disturbances;
mod hear;
mod keys;
mod library;
mod protocol;
mod report;
mod verbs;
mod wish;

use std::ffi::OsString;

use clap::{ArgAction, CommandFactory as _, Parser, Subcommand};

/// Name a piece of music under encryption: the server learns neither the clip, nor the cluster, nor the answer.
#[derive(Parser)]
#[command(name = "sordino", version, propagate_version = true, max_term_width = 110)]
#[command(
    after_help = "Start with `sordino demo`, which composes a library and does everything below in one go.\n\nExit codes: 0 done, 1 failed, \
    2 not understood, 3 unknown song (`identify --fail-unknown`), 141 nobody read the output."
)]
struct Program {
    #[command(subcommand)]
    verb: Verb,
    /// Print the result as JSON on standard output (progress and notes go to standard error).
    #[arg(long, global = true)]
    json: bool,
    /// No notes and no progress: results and errors alone.
    #[arg(short, long, global = true, conflicts_with = "verbose")]
    quiet: bool,
    /// Say more on standard error; twice for everything. SORDINO_LOG chooses by module.
    #[arg(short, long, global = true, action = ArgAction::Count)]
    verbose: u8,
    /// Threads to use, at most 1,024; 0 means one per core.
    #[arg(long, global = true, default_value_t = 0, value_name = "N", value_parser = clap::value_parser!(u16).range(..=1_024))]
    threads: u16,
}

#[derive(Subcommand)]
enum Verb {
    Synth(verbs::synth::Synth),
    Index(verbs::index::Index),
    Train(verbs::train::Train),
    Library(verbs::library::LibraryVerb),
    Tune(verbs::tune::Tune),
    Calibrate(verbs::calibrate::Calibrate),
    Inspect(verbs::inspect::Inspect),
    Keygen(verbs::keygen::Keygen),
    Identify(verbs::identify::Identify),
    Serve(verbs::serve::Serve),
    Store(verbs::store::Store),
    Evaluate(verbs::evaluate::Evaluate),
    Lab(verbs::lab::Lab),
    Demo(verbs::demo::Demo),
    Completions(verbs::manual::Completions),
    Man(verbs::manual::Man),
}

impl Verb {
    fn run(self, json: bool) -> anyhow::Result<()> {
        match self {
            Self::Synth(verb) => verb.run(json),
            Self::Index(verb) => verb.run(json),
            Self::Train(verb) => verb.run(json),
            Self::Library(verb) => verb.run(json),
            Self::Tune(verb) => verb.run(json),
            Self::Calibrate(verb) => verb.run(json),
            Self::Inspect(verb) => verb.run(json),
            Self::Keygen(verb) => verb.run(json),
            Self::Identify(verb) => verb.run(json),
            Self::Serve(verb) => verb.run(json),
            Self::Store(verb) => verb.run(json),
            Self::Evaluate(verb) => verb.run(json),
            Self::Lab(verb) => verb.run(json),
            Self::Demo(verb) => verb.run(json),
            Self::Completions(verb) => verb.run(Program::command()),
            Self::Man(verb) => verb.run(Program::command()),
        }
    }
}

/// Runs the program with these arguments, the first of which is its name, to its end; returns its exit code. It sets up what a process has
/// once, the log and the threads, and ends the process where the arguments are not understood.
pub fn run(arguments: Vec<OsString>) -> u8 {
    report::begin(&arguments);
    let program = Program::parse_from(arguments);
    // What the decoders complain of comes back as an error for each file; rejected tracks are listed by `index`.
    let quiet = "warn,symphonia=off,sordino_corpus=error";
    let serves = matches!(program.verb, Verb::Serve(_));
    let usual = match (program.verbose, serves) {
        _ if program.quiet => "error,symphonia=off",
        (0, false) => quiet,
        (0, true) | (1, false) => "info,symphonia=off",
        _ => "debug,symphonia=off",
    };
    if program.quiet {
        report::be_quiet();
    }
    let log = tracing_subscriber::fmt()
        .with_env_filter(tracing_subscriber::EnvFilter::try_from_env("SORDINO_LOG").unwrap_or_else(|_| usual.into()))
        .with_writer(|| report::Remarks)
        .with_ansi(false);
    // A server's log is read by machines.
    if serves {
        log.json().init()
    } else {
        log.init()
    }
    let outcome = rayon::ThreadPoolBuilder::new()
        .num_threads(program.threads.into())
        .build_global()
        .map_err(anyhow::Error::from)
        .and_then(|()| program.verb.run(program.json))
        .and_then(|()| report::heard());
    match outcome {
        Ok(()) => 0,
        // As a shell reports a program that such a pipe has ended: 128 and the number of the signal.
        Err(error) if report::is_hang_up(&error) => 128 + 13,
        Err(error) if error.is::<report::UnknownSong>() => 3,
        Err(error) => {
            report::complain(format_args!("sordino: {}", report::sentence(&error)));
            1
        }
    }
}
