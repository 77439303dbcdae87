//! How one trip grows with the library: the same tracks in one, two and three stages, measured side by side, and as priced.
//!
//! ```text
//! cargo run --release -p sordino-benches --example decided_growth OUT [queries] [smallest] [largest]
//! ```
//!
//! Writes to the folder OUT: `growth.csv` (measured and predicted; rows of earlier runs stay, so that a long run can be cut into
//! sizes), `crossovers.csv` (from which size on more stages are faster, by price) and `growth.svg` (processor time of all rows). Without any
//! size between `smallest` and `largest`, only the figure is drawn.

use std::fmt::Write as _;
use std::path::Path;
use std::time::Duration;

use plotters::prelude::*;
use sordino_benches::decided::{Exchange, Tree};
use sordino_benches::{Failure, rng};
use sordino_fhe::calibration::calibrate_with;
use sordino_fhe::decision::{Options, Plan};
use sordino_fhe::params::STANDARD;
use sordino_fhe::{ClientKey, EvaluationKey, SecretKey, ServerKey};
use sordino_lab::evaluate::median;
use sordino_model::cost::{Schedule, Timings, WeightForm};

/// Sizes that are measured. A group must fit one ciphertext, so one stage ends at 2,048.
const SIZES: [usize; 14] = [8, 16, 24, 32, 48, 64, 128, 298, 1_000, 2_048, 5_000, 24_964, 100_000, 1_000_000];
const FLAT_MOST: usize = 2_048;
/// Two stages of more slots than this are left to the price.
const TWO_MOST: usize = 250_000;

const HEADER: &str = "tracks,stages,threads,queries,right,measured_seconds,predicted_seconds,matches,signs,refreshes,\
                      rotations_in_a_row,rotations_a_track,processor_seconds";

/// What the figure shows of a row.
struct Point {
    tracks: usize,
    stages: usize,
    seconds: f64,
}

fn main() -> Result<(), Failure> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let out = arguments.first().ok_or("say which folder to write to")?;
    let number = |i: usize, default| arguments.get(i).map_or(Ok(default), |a| a.parse::<usize>());
    let (queries, smallest, largest) = (number(1, 5)?.max(1), number(2, 0)?, number(3, 1_000_000)?);
    std::fs::create_dir_all(out)?;
    let out = Path::new(out);
    let mut rows = std::fs::read_to_string(out.join("growth.csv")).unwrap_or_else(|_| format!("{HEADER}\n"));
    let sizes: Vec<usize> = SIZES.into_iter().filter(|tracks| (smallest..=largest).contains(tracks)).collect();
    if !sizes.is_empty() {
        measure(out, &sizes, queries, &mut rows)?;
    }
    let points =
        rows.lines().skip(1).map(point).collect::<Option<Vec<_>>>().ok_or("growth.csv is not as it was written")?;
    draw(&out.join("growth.svg"), &points)
}

/// Measures libraries of these sizes, and writes a row as soon as it is there.
fn measure(out: &Path, sizes: &[usize], queries: usize, rows: &mut String) -> Result<(), Failure> {
    let secret = SecretKey::generate(&STANDARD);
    let key = EvaluationKey::generate(&secret, |_| {}).expand();
    let secret = ClientKey::registered(secret, key.id());
    let threads = rayon::current_num_threads();
    let mut timings = calibrate_with(&key, 3)?;
    for &tracks in sizes {
        let shapes = [(1, tracks <= FLAT_MOST), (2, tracks <= TWO_MOST), (3, tracks >= 24)];
        let shapes: Vec<usize> = shapes.into_iter().filter(|(_, fits)| *fits).map(|(stages, _)| stages).collect();
        let before = calibrate_with(&key, 1)?;
        let answered = side_by_side(&secret, &key, tracks, &shapes, queries)?;
        // What the machine could do around these queries.
        let around = before.shortest(&calibrate_with(&key, 1)?);
        answered.iter().for_each(|row| *rows += &line(row, &around, threads));
        std::fs::write(out.join("growth.csv"), &*rows)?;
        timings = timings.shortest(&around);
    }
    Ok(std::fs::write(out.join("crossovers.csv"), crossovers(&timings, threads)?)?)
}

/// Queries over one library in one shape.
struct Row {
    tracks: usize,
    stages: usize,
    measured: Duration,
    /// Processor time of all threads: what other work on the machine does not change.
    core_time: Duration,
    right: usize,
    queries: usize,
    schedule: Schedule,
}

/// Asks the same tracks of one, two and three stages in turn.
fn side_by_side(
    secret: &ClientKey,
    key: &ServerKey,
    tracks: usize,
    shapes: &[usize],
    queries: usize,
) -> Result<Vec<Row>, Failure> {
    let trees: Vec<Tree> = shapes.iter().map(|&stages| Tree::balanced(tracks, stages)).collect();
    let models = trees.iter().map(Tree::model).collect::<Result<Vec<_>, _>>()?;
    let options = Options::default();
    let sessions = trees
        .iter()
        .zip(&models)
        .map(|(tree, model)| Exchange::new(secret.clone(), tree, model, options, WeightForm::default()));
    let mut sessions: Vec<Exchange<'_>> = sessions.collect::<Result<_, _>>()?;
    let mut rng = rng(tracks as u64);
    let mut times: Vec<Vec<Duration>> = vec![Vec::new(); shapes.len()];
    let mut core_times = times.clone();
    let mut right = vec![0; shapes.len()];
    for _ in 0..queries {
        let track = sessions[0].any(&mut rng);
        let mut found = Vec::new();
        for (i, session) in sessions.iter_mut().enumerate() {
            let answered = session.ask(key, track, &mut rng)?;
            times[i].push(answered.server);
            core_times[i].extend(answered.core_time);
            right[i] += usize::from(answered.right && answered.track == Some(track));
            found.push(answered.track);
        }
        if found.iter().any(|&f| f != Some(track)) {
            println!("{tracks} tracks: asked for {track}, found {found:?} in {shapes:?} stages");
        }
    }
    let medians: Vec<Duration> = times.into_iter().map(|times| median(times).unwrap_or_default()).collect();
    let core_medians: Vec<Duration> = core_times.into_iter().map(|times| median(times).unwrap_or_default()).collect();
    println!(
        "{tracks} tracks, stages {shapes:?}: {medians:.2?}, processor {core_medians:.2?}, {right:?} of {queries} right"
    );
    let rows = shapes.iter().enumerate().map(|(i, &stages)| {
        let schedule = sessions[i].server.plan().schedule(models[i].shape())?;
        let (measured, core_time, right) = (medians[i], core_medians[i], right[i]);
        Ok(Row { tracks, stages, measured, core_time, right, queries, schedule })
    });
    rows.collect()
}

/// What a query over `tracks` tracks in `stages` stages takes. The weights do not matter, so all are the same.
fn price(tracks: usize, stages: usize) -> Result<Schedule, Failure> {
    let tree = Tree::balanced(tracks, stages);
    let shape = tree.model()?;
    Ok(Plan::new(&STANDARD, &shape, Options::default())?.schedule(shape.shape())?)
}

/// The smallest library from which on more stages stay faster, by price, up to the largest that fewer stages were priced for.
fn crossovers(timings: &Timings, threads: usize) -> Result<String, Failure> {
    let mut out =
        "threads,fewer_stages,more_stages,faster_from_tracks,fewer_seconds_there,more_seconds_there\n".to_owned();
    let sizes: Vec<usize> = (2..64).chain((64..1_000).step_by(16)).collect();
    let priced = (1..=3).map(|stages| sizes.iter().map(|&n| price(n, stages)).collect::<Result<Vec<_>, _>>());
    let priced: Vec<Vec<Schedule>> = priced.collect::<Result<_, _>>()?;
    for threads in [1, threads, 16] {
        for (fewer, more) in [(1, 2), (2, 3), (1, 3)] {
            let seconds = |stages: usize, i: usize| priced[stages - 1][i].predict(timings, threads).as_secs_f64();
            let slower = (0..sizes.len()).rev().find(|&i| seconds(more, i) >= seconds(fewer, i));
            let from = slower.map_or(0, |i| i + 1);
            if let Some(size) = sizes.get(from) {
                let _ = writeln!(
                    out,
                    "{threads},{fewer},{more},{size},{:.4},{:.4}",
                    seconds(fewer, from),
                    seconds(more, from)
                );
                println!("{threads} thread(s): {more} stages are faster than {fewer} from {size} tracks on");
            }
        }
    }
    Ok(out)
}

fn line(row: &Row, timings: &Timings, threads: usize) -> String {
    let Row { tracks, stages, measured, core_time, right, queries, schedule } = row;
    let decisions = schedule.report.decisions;
    format!(
        "{tracks},{stages},{threads},{queries},{right},{:.4},{:.4},{},{},{},{},{:.5},{:.2}\n",
        measured.as_secs_f64(),
        schedule.predict(timings, threads).as_secs_f64(),
        decisions.matches,
        decisions.signs,
        decisions.refreshes,
        schedule.report.rotations_in_a_row,
        decisions.rotations() as f64 / *tracks as f64,
        core_time.as_secs_f64()
    )
}

fn point(line: &str) -> Option<Point> {
    let mut fields = line.split(',');
    let (tracks, stages) = (fields.next()?.parse().ok()?, fields.next()?.parse().ok()?);
    Some(Point { tracks, stages, seconds: fields.next_back()?.parse().ok()? })
}

/// Processor seconds over tracks, both logarithmic, with lines of slope 1, 1/2 and 1/3 through the largest libraries.
fn draw(path: &Path, points: &[Point]) -> Result<(), Failure> {
    let root = SVGBackend::new(path, (800, 560)).into_drawing_area();
    root.fill(&WHITE)?;
    let most = points.iter().map(|p| p.tracks).max().unwrap_or(10) as f64 * 1.5;
    let mut chart = ChartBuilder::on(&root)
        .caption("One trip: processor time of a query (grey: slopes 1, 1/2, 1/3)", ("sans-serif", 18))
        .margin(12)
        .x_label_area_size(45)
        .y_label_area_size(60)
        .build_cartesian_2d((6f64..most).log_scale(), (0.08f64..30.0).log_scale())?;
    chart.configure_mesh().x_desc("tracks").y_desc("processor seconds a query").draw()?;
    let names = ["one stage", "two stages", "three stages"];
    for (i, (name, colour)) in names.into_iter().zip([RED, BLUE, GREEN]).enumerate() {
        let of_these = points.iter().filter(|p| p.stages == i + 1);
        let measured: Vec<(f64, f64)> = of_these.map(|p| (p.tracks as f64, p.seconds)).collect();
        let Some(&(tracks, seconds)) = measured.last() else { continue };
        let slope = |n: f64| (n, seconds * (n / tracks).powf(1.0 / (i + 1) as f64));
        let guide = [slope(tracks / 30.0), slope(tracks)].into_iter().filter(|&(_, s)| s > 0.08);
        chart.draw_series(LineSeries::new(guide, BLACK.mix(0.3)))?;
        chart
            .draw_series(LineSeries::new(measured.clone(), &colour))?
            .label(name)
            .legend(move |(x, y)| PathElement::new(vec![(x, y), (x + 18, y)], colour));
        chart.draw_series(measured.into_iter().map(|point| Circle::new(point, 4, colour.filled())))?;
    }
    chart.configure_series_labels().border_style(BLACK).position(SeriesLabelPosition::UpperLeft).draw()?;
    root.present()?;
    Ok(())
}
