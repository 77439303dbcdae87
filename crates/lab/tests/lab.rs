//! Experiments end to end, on a few composed tracks.

use std::io::Read as _;
use std::ops::ControlFlow;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use indicatif::ProgressBar;
use sordino_corpus::Part;
use sordino_lab::evaluate::{Finding, Row};
use sordino_lab::{Lab, Monitor, Music, Question, Results, Silent, Size};
use sordino_learn::run::{Progress, Quiet, Report};

const RUN: &str = r#"
    question = "Does <everything> work?"
    tables = ["queries"]
    [[grid]]
    title = "ours"
    tracks = [24]
    asked = 8
    effort = ["quick"]
    conditions = ["clean", "10dB"]
    crops = 1
    probes = [1]
    unknown = 0.25
    encrypted = 1
    keys = 1
    [[grid]]
    title = "landmarks"
    tracks = [24]
    asked = 8
    systems = ["landmarks"]
    conditions = ["clean"]
    crops = 1
    [[figure]]
    title = "By condition"
    x = "condition"
    y = "top_1"
    series = ["system", "protocol"]
"#;

/// Counts how often something is trained, and keeps what is noted.
#[derive(Default)]
struct Counting(AtomicUsize, Mutex<Vec<String>>);

impl Monitor for Counting {
    fn note(&self, line: &str) {
        self.1.lock().unwrap().push(line.to_owned());
    }

    fn bar(&self, _length: u64, _what: &'static str) -> ProgressBar {
        ProgressBar::hidden()
    }

    fn training(&self) -> Box<dyn Progress> {
        self.0.fetch_add(1, Ordering::Relaxed);
        Box::new(Quiet)
    }
}

fn question(folder: &Path) -> Question {
    std::fs::write(folder.join("run.toml"), RUN).unwrap();
    Question::read(folder, Size::Full).unwrap()
}

/// Dies where queries are first asked, and counts the reports of training.
#[derive(Default)]
struct Dying {
    died: AtomicBool,
    reports: Arc<AtomicUsize>,
}

struct Reports(Arc<AtomicUsize>);

impl Progress for Reports {
    fn report(&self, report: &Report<'_>) -> ControlFlow<()> {
        self.0.fetch_add(usize::from(report.phase.starts_with("routing")), Ordering::Relaxed);
        ControlFlow::Continue(())
    }
}

impl Monitor for Dying {
    fn note(&self, _line: &str) {}

    fn bar(&self, _length: u64, what: &'static str) -> ProgressBar {
        assert!(what != "queries" || self.died.swap(true, Ordering::Relaxed), "killed");
        ProgressBar::hidden()
    }

    fn training(&self) -> Box<dyn Progress> {
        Box::new(Reports(self.reports.clone()))
    }
}

#[test]
fn what_was_learned_survives_a_kill_while_queries_are_asked() {
    let folder = tempfile::tempdir().unwrap();
    let often = RUN.replacen("keys = 1", "keys = 1\nsettings.sordino.checkpoint_every = 5", 1);
    std::fs::write(folder.path().join("run.toml"), often).unwrap();
    let question = Question::read(folder.path(), Size::Smoke).unwrap();
    let (music, cache, monitor) = (Music::default(), folder.path().join("cache"), Dying::default());
    let lab = Lab::new(&music, &cache, &monitor);
    assert!(catch_unwind(AssertUnwindSafe(|| lab.run(&question))).is_err());
    let whole = monitor.reports.swap(0, Ordering::Relaxed);
    let left = || std::fs::read_dir(cache.join("checkpoints")).unwrap().count();
    assert_eq!(left(), 1);
    lab.run(&question).unwrap();
    let again = monitor.reports.load(Ordering::Relaxed);
    assert!(4 * again < whole, "{again} reports after {whole}");
    assert_eq!(left(), 0, "what is done needs no checkpoints");
}

#[test]
fn an_experiment_is_run_once_and_reported() {
    let folder = tempfile::tempdir().unwrap();
    let question = question(folder.path());
    let (music, cache, watch) = (Music::default(), folder.path().join("cache"), Counting::default());
    let findings = Lab::new(&music, &cache, &watch).run(&question).unwrap();
    let rows: Vec<Row> = findings.iter().flat_map(Finding::rows).collect();
    assert_eq!(watch.0.load(Ordering::Relaxed), 1);

    let clear = |precision: &str| rows.iter().filter(|row| row.method.precision == precision).collect::<Vec<_>>();
    assert_eq!(clear("integer").len(), 4, "two protocols under two conditions");
    for row in clear("integer") {
        let subject = &row.subject;
        assert_eq!((row.queries, row.unknown_queries, subject.tracks, subject.recorded), (6, 2, 24, 0));
        assert!(row.top_1.unwrap() >= 80.0, "{row:?}");
    }
    for row in clear("encrypted") {
        assert_eq!((row.equal, row.queries + row.unknown_queries, row.condition.as_str()), (Some(1), 1, "mixed"));
    }
    let landmarks = rows.iter().find(|row| row.subject.system == "landmarks").unwrap();
    assert!(landmarks.top_1.unwrap() > 80.0 && landmarks.located.unwrap() > 80.0, "{landmarks:?}");

    // What is done is not done again.
    let again = Lab::new(&music, &cache, &watch).run(&question).unwrap();
    assert_eq!((again == findings, watch.0.load(Ordering::Relaxed)), (true, 1));

    // What is damaged is, with a word, whatever bit it is.
    let units = std::fs::read_dir(cache.join("units")).unwrap().map(|entry| entry.unwrap().path());
    let mut landmarks = units.filter(|path| std::fs::read_to_string(path).unwrap().contains("landmarks"));
    let unit = landmarks.next().unwrap();
    let whole = std::fs::read(&unit).unwrap();
    for place in [5, 64, whole.len() / 2, whole.len() - 2] {
        let mut flipped = whole.clone();
        flipped[place] ^= 1 << (place % 8);
        std::fs::write(&unit, flipped).unwrap();
        watch.1.lock().unwrap().clear();
        let repeated = Lab::new(&music, &cache, &watch).run(&question).unwrap();
        assert!(watch.1.lock().unwrap().iter().any(|line| line.contains("damaged")), "byte {place}");
        let shares = |findings: &[Finding]| -> Vec<_> {
            findings.iter().flat_map(Finding::rows).map(|row| (row.top_1, row.queries)).collect()
        };
        assert_eq!(shares(&repeated), shares(&findings));
    }

    let results = folder.path().join("results");
    let sources = music.sources();
    Results::new(vec!["sordino".into()], Size::Full, sources, findings).write(&results, &question).unwrap();
    let report = std::fs::read_to_string(results.join("report.html")).unwrap();
    assert!(report.contains("Does &lt;everything&gt; work?") && report.contains("<svg"));
    let mut csv = csv::Reader::from_path(results.join("rows.csv")).unwrap();
    assert_eq!(csv.records().count(), rows.len());
    let mut queries = String::new();
    let compressed = std::fs::File::open(results.join("queries.csv.gz")).unwrap();
    flate2::read::GzDecoder::new(compressed).read_to_string(&mut queries).unwrap();
    let columns =
        "grid,system,tracks,seconds,fold,track,crop,offset,condition,room,in_library,protocol,probes,precision,top,";
    assert!(queries.starts_with(columns), "{}", queries.lines().next().unwrap());
    assert!(!results.join("rooms.csv").exists(), "a table that nobody asked for");
}

#[test]
fn what_cannot_be_read_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let missing = Question::read(folder.path(), Size::Smoke).unwrap_err().to_string();
    assert!(missing.contains("run.toml"), "{missing}");
    std::fs::write(folder.path().join("run.toml"), "question = 3").unwrap();
    let broken = Question::read(folder.path(), Size::Smoke).unwrap_err().to_string();
    assert!(broken.contains("run.toml") && broken.contains("question"), "{broken}");
}

#[test]
fn a_figure_of_a_column_that_does_not_exist_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let text = RUN.replace("x = \"condition\"", "x = \"weather\"").replace("encrypted = 1", "encrypted = 0");
    std::fs::write(folder.path().join("run.toml"), text).unwrap();
    let error = Question::read(folder.path(), Size::Full).unwrap_err().to_string();
    assert!(error.contains("weather") && error.contains("condition"), "{error}");
}

/// Every experiment of the project, at its smallest: does it run, and can its figures be drawn?
#[test]
fn every_experiment_runs_at_its_smallest() {
    let experiments = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../experiments");
    let folder = tempfile::tempdir().unwrap();
    let (music, cache) = (Music::default(), folder.path().join("cache"));
    let mut run = 0;
    for entry in std::fs::read_dir(&experiments).unwrap() {
        let experiment = entry.unwrap().path();
        if !experiment.join("run.toml").exists() {
            continue;
        }
        for size in Size::ALL {
            Question::read(&experiment, size).unwrap();
        }
        let question = Question::read(&experiment, Size::Smoke).unwrap();
        let findings = Lab::new(&music, &cache, &Silent).run(&question).unwrap();
        let results = folder.path().join(experiment.file_name().unwrap());
        Results::new(Vec::new(), Size::Smoke, music.sources(), findings).write(&results, &question).unwrap();
        let report = std::fs::read_to_string(results.join("report.html")).unwrap();
        assert_eq!(report.matches("<svg").count(), question.figures.len(), "{}", experiment.display());
        run += 1;
    }
    assert!(run >= 8, "{run} experiments");
}

/// The records of findings and what they are of, without what no two runs share: times and memory.
fn timeless(findings: Vec<Finding>) -> Vec<Finding> {
    let blank = |mut finding: Finding| {
        finding.subject.training_seconds = None;
        finding.subject.training_gigabytes = None;
        for record in finding.evaluation.answers.iter_mut().flat_map(|answers| &mut answers.records) {
            (record.server_milliseconds, record.client_milliseconds) = (None, None);
        }
        finding
    };
    findings.into_iter().map(blank).collect()
}

const CHEAP: &str = r#"
    question = "Who is cheap?"
    [[grid]]
    title = "cheap"
    tracks = [8]
    asked = 4
    systems = ["landmarks", "mfcc-pairs", "mfcc-tree"]
    seconds = [5.0]
    conditions = ["clean"]
    crops = 1
"#;

#[test]
fn parts_merged_are_one_run() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("run.toml"), CHEAP).unwrap();
    let question = Question::read(folder.path(), Size::Full).unwrap();
    let (music, watch) = (Music::default(), Counting::default());
    let (apart, whole) = (folder.path().join("apart"), folder.path().join("whole"));
    let parts = Lab::new(&music, &apart, &watch);

    let plan = parts.plan(&question).unwrap();
    let done = |plan: &sordino_lab::Plan| plan.units.iter().filter(|unit| unit.done).count();
    assert_eq!((plan.units.len(), done(&plan), plan.unpredicted), (3, 0, 3));
    let part = |text: &str| text.parse::<Part>().unwrap();
    assert_eq!(parts.run_part(&question, part("1/2")).unwrap(), 2);
    let plan = parts.plan(&question).unwrap();
    assert_eq!((done(&plan), plan.unpredicted), (2, 1));
    assert!(plan.units[0].seconds.unwrap() > 0.0 && plan.disk_gigabytes > 0.0);
    let early = parts.merge(&question).unwrap_err().to_string();
    assert!(early.contains("1 of 3") && early.contains("mfcc-pairs"), "{early}");
    assert_eq!(parts.run_part(&question, part("2/2")).unwrap(), 1);

    let merged = parts.merge(&question).unwrap();
    // What is merged is what a run over the same results says, to the byte.
    let write = |findings: &[Finding], name: &str| {
        let out = folder.path().join(name);
        Results::new(Vec::new(), Size::Full, music.sources(), findings.to_vec()).write(&out, &question).unwrap();
        std::fs::read(out.join("rows.csv")).unwrap()
    };
    assert_eq!(write(&merged, "merged"), write(&parts.run(&question).unwrap(), "run"));
    // And what one run says that was never parted, but for times and memory.
    let once = Lab::new(&music, &whole, &Silent).run(&question).unwrap();
    let (merged, once) = (timeless(merged), timeless(once));
    assert_eq!(write(&merged, "merged"), write(&once, "once"));
    assert_eq!(merged, once);
    // All three know a clean clip, or nearly.
    assert!(once.iter().flat_map(Finding::rows).all(|row| row.top_1.unwrap() >= 75.0));
}

#[test]
fn a_question_may_name_a_program() {
    let folder = tempfile::tempdir().unwrap();
    // Names the first track whatever it hears.
    let program = r#"
        read -r library
        first=$(printf '%s' "$library" | sed 's/^{"library":\[{"track":\([0-9]*\),.*/\1/')
        test -f "$(printf '%s' "$library" | sed 's/^[^}]*"file":"\([^"]*\)".*/\1/')" || exit 3
        echo '{"progress": 0.5}'
        echo '{"ready": true, "index_bytes": 7}'
        while read -r query; do echo "{\"tracks\": [$first], \"known\": true, \"start\": 1.5}"; done
    "#;
    std::fs::write(folder.path().join("mine.sh"), program).unwrap();
    let text = CHEAP.replace(r#"["landmarks", "mfcc-pairs", "mfcc-tree"]"#, r#"["mine"]"#)
        + "[[system]]\nname = \"mine\"\ncommand = [\"sh\", \"mine.sh\"]\n";
    let run = |text: &str, cache: &str| {
        std::fs::write(folder.path().join("run.toml"), text).unwrap();
        let question = Question::read(folder.path(), Size::Full).map_err(|error| error.to_string())?;
        let music = Music::default();
        let lab = Lab::new(&music, &folder.path().join(cache), &Silent);
        lab.run(&question).map_err(|error| error.to_string())
    };
    let findings = run(&text, "cache").unwrap();
    let row = &findings[0].rows()[0];
    assert_eq!((row.subject.system.as_str(), row.queries, row.subject.index_bytes), ("mine", 4, Some(7)));
    assert_eq!((row.top_1, row.lost), (Some(25.0), Some(0.0)));
    assert!(row.server_seconds.is_some());

    // What goes wrong is said, whoever's fault it is.
    let wrong = |program: &str| {
        std::fs::write(folder.path().join("mine.sh"), program).unwrap();
        run(&text, "cache").unwrap_err()
    };
    let early = wrong("read -r library; exit 5");
    assert!(early.contains("mine") && early.contains("ended early") && early.contains('5'), "{early}");
    let garbled = wrong("read -r library; echo hello; cat > /dev/null");
    assert!(garbled.contains("`hello`"), "{garbled}");
    let stranger = wrong(
        "read -r library; echo '{\"ready\": true}'; while read -r q; do echo '{\"tracks\": [99], \"known\": true}'; done",
    );
    assert!(stranger.contains("named track 99"), "{stranger}");
    let missing = run(&text.replace("\"sh\"", "\"no such program\""), "cache").unwrap_err();
    assert!(missing.contains("no such program"), "{missing}");
    let taken = run(&text.replace("name = \"mine\"", "name = \"landmarks\""), "cache").unwrap_err();
    assert!(taken.contains("landmarks") && taken.contains("no other system"), "{taken}");
}
