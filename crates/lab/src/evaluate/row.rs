//! [`Row`]: one line of the results.

use std::collections::BTreeMap;

use serde::Serialize;
use sordino_corpus::Condition;

use super::score::standard_error;
use super::{Answers, Cost, Method, Promise, Record, Score, Subject, median, percent};

/// One line of the results: one system, library, way of answering and condition. Encrypted queries are a sample of all conditions.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Row {
    /// What was asked.
    #[serde(flatten)]
    pub subject: Subject,
    /// Largest number of groups and of their slots at every stage, such as `71 x 77`.
    pub stages: String,
    /// Number of stages.
    pub depth: usize,
    /// Choices of the first stage, where there are several stages.
    pub clusters: Option<usize>,
    /// The impulse response, in a table by them.
    pub room: Option<String>,
    /// Condition, or `mixed`.
    pub condition: String,
    /// Its noise; none where there is none.
    pub snr_db: Option<f32>,
    /// Its kind: `clean`, `noise`, `reverb`, `noise+reverb`, each with `+band` where band-limited.
    pub disturbance: String,
    /// How it answers.
    #[serde(flatten)]
    pub method: Method,
    /// Queries to known tracks.
    pub queries: usize,
    /// Per cent of those whose best track is right, reported known or not; nothing where only a known answer comes back.
    pub top_1: Option<f64>,
    /// Per cent of those whose track is among the best three, as `top_1`.
    pub top_3: Option<f64>,
    /// Standard error of `top_1` in points, over queries; noise and impulse responses are a sample too, and not counted in it.
    pub top_1_error: Option<f64>,
    /// The same over impulse responses, where queries were heard through three or more.
    pub top_1_rooms_error: Option<f64>,
    /// Per cent of those whose best track is right and reported known.
    pub named: Option<f64>,
    /// Per cent of those reported unknown.
    pub lost: Option<f64>,
    /// Queries to tracks outside the library.
    pub unknown_queries: usize,
    /// Per cent of those reported unknown.
    pub rejected: Option<f64>,
    /// Per cent of known clips, as disturbed as in training, that the model said it would report unknown.
    pub promised_lost: Option<f64>,
    /// Per cent of strangers that it said it would report unknown, clips as disturbed as in training.
    pub promised_rejected: Option<f64>,
    /// Per cent of queries whose track and place in it, where the system tells, are right.
    pub located: Option<f64>,
    /// Per cent of queries whose track is in the part of the library that the system looked in, where it tells.
    pub routed: Option<f64>,
    /// Encrypted queries whose answer, or every score of it, equals the clear one.
    pub equal: Option<usize>,
    /// Queries that the server decided and whose winners led by their margins.
    pub certain: Option<usize>,
    /// Of those: another answer came back than in the clear.
    pub unexplained: Option<usize>,
    /// Where the server decides: median lead of the winners, in score units, stage by stage.
    pub leads: Option<String>,
    /// By how much they must lead for a decision to be certain.
    pub margins: Option<String>,
    /// Costs.
    #[serde(flatten)]
    pub cost: Cost,
    /// Median time of the server a query.
    pub server_seconds: Option<f64>,
    /// Median time of the client a query.
    pub client_seconds: Option<f64>,
}

/// What the rows of a table are apart in, besides system and method.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Grouping {
    Condition,
    Room,
}

/// The condition of a row over queries under all conditions.
pub(crate) const MIXED: &str = "mixed";

impl Row {
    /// Columns in the order of a table; what varies within a grid comes after the second of them.
    pub(crate) const COLUMNS: [&str; 50] = [
        "grid",
        "system",
        "tracks",
        "recorded",
        "rows",
        "effort",
        "stages",
        "depth",
        "clusters",
        "seconds",
        "heard_seconds",
        "room",
        "condition",
        "snr_db",
        "disturbance",
        "protocol",
        "probes",
        "answers",
        "resolution",
        "precision",
        "queries",
        "top_1",
        "top_1_error",
        "top_1_rooms_error",
        "top_3",
        "named",
        "lost",
        "unknown_queries",
        "rejected",
        "promised_lost",
        "promised_rejected",
        "located",
        "routed",
        "equal",
        "certain",
        "unexplained",
        "leads",
        "margins",
        "rotations",
        "rotations_in_a_row",
        "bytes_up",
        "bytes_down",
        "key_bytes",
        "index_bytes",
        "server_seconds",
        "client_seconds",
        "training_seconds",
        "training_gigabytes",
        "server_learns",
        "client_learns",
    ];

    /// The rows of one way of answering, groups in the order in which they come.
    pub(crate) fn of(subject: &Subject, answers: &Answers, by: Grouping) -> Vec<Self> {
        let encrypted = answers.records.iter().any(|record| record.equal.is_some());
        let mut groups: Vec<(Option<&str>, &str, Vec<&Record>)> = Vec::new();
        for record in &answers.records {
            let room = (by == Grouping::Room).then_some(record.room.as_str());
            let condition = if encrypted { MIXED } else { &record.condition };
            match groups.iter_mut().find(|(r, c, _)| (*r, *c) == (room, condition)) {
                Some((.., records)) => records.push(record),
                None => groups.push((room, condition, vec![record])),
            }
        }
        let row = |(room, condition, records): (Option<&str>, &str, Vec<&Record>)| Self {
            room: room.map(Into::into),
            ..Self::new(subject, answers, condition, &records)
        };
        groups.into_iter().map(row).collect()
    }

    fn new(subject: &Subject, answers: &Answers, condition: &str, records: &[&Record]) -> Self {
        let Answers { method, cost, margins, promises, records: all } = answers;
        let score = Score::of(records.iter().copied());
        let (snr_db, disturbance) = disturbance(condition);
        let stages: &[usize] = if method.protocol == "flat" { &[] } else { &subject.slots };
        // Where the server decides, nothing is ranked behind the threshold.
        let (ranked, decided) = (margins.is_none(), margins.is_some());
        let compared = score.compared > 0;
        // Times are those of all conditions.
        let seconds =
            |time: fn(&Record) -> Option<f64>| median(all.iter().filter_map(time).map(|ms| ms / 1e3).collect());
        Self {
            subject: subject.clone(),
            stages: stages.iter().map(ToString::to_string).collect::<Vec<_>>().join(" x "),
            depth: stages.len().max(1),
            clusters: stages.first().copied().filter(|_| stages.len() > 1),
            room: None,
            condition: condition.into(),
            snr_db,
            disturbance,
            method: method.clone(),
            queries: score.known,
            top_1: percent(score.top_1, score.known).filter(|_| ranked),
            top_3: percent(score.top_3, score.known).filter(|_| ranked),
            top_1_error: standard_error(score.top_1, score.known).filter(|_| ranked),
            top_1_rooms_error: rooms_error(records).filter(|_| ranked),
            named: percent(score.named, score.known),
            lost: percent(score.lost, score.known),
            unknown_queries: score.unknown,
            rejected: percent(score.rejected, score.unknown),
            promised_lost: promised(promises, |promise| promise.lost),
            promised_rejected: promised(promises, |promise| promise.rejected),
            located: percent(score.located, score.placed),
            routed: percent(score.routed, score.searched),
            equal: compared.then_some(score.equal),
            certain: decided.then_some(score.certain),
            unexplained: (decided && compared).then_some(score.unexplained),
            leads: decided.then(|| leads(records)),
            margins: margins.as_ref().map(|margins| {
                margins.stages.iter().map(|margin| format!("{margin:.0}")).collect::<Vec<_>>().join(" ")
            }),
            cost: cost.clone(),
            server_seconds: seconds(|record| record.server_milliseconds),
            client_seconds: seconds(|record| record.client_milliseconds),
        }
    }
}

/// The mean of what was promised, in per cent with one decimal.
fn promised(promises: &[Promise], share: fn(&Promise) -> f32) -> Option<f64> {
    let sum: f64 = promises.iter().map(|promise| f64::from(share(promise))).sum();
    (!promises.is_empty()).then(|| (1_000.0 * sum / promises.len() as f64).round() / 10.0)
}

/// The standard error of the share of queries whose best track is right, in points, where the impulse responses are the sample: what each of
/// them adds to the share is one draw. Nothing of fewer than three.
fn rooms_error(records: &[&Record]) -> Option<f64> {
    let known = || records.iter().filter(|record| record.in_library);
    let count = known().count() as f64;
    let right = |record: &Record| f64::from(u8::from(record.names(&record.top)));
    let mean = known().map(|record| right(record)).sum::<f64>() / count.max(1.0);
    let mut rooms = BTreeMap::<&str, f64>::new();
    for record in known() {
        *rooms.entry(&record.room).or_default() += right(record) - mean;
    }
    let n = rooms.len() as f64;
    let variance = n / (n - 1.0) * rooms.values().map(|residue| residue * residue).sum::<f64>();
    (rooms.len() >= 3).then(|| (1_000.0 * variance.sqrt() / count).round() / 10.0)
}

/// The median lead of every stage.
fn leads(records: &[&Record]) -> String {
    let races = || records.iter().filter_map(|record| record.race.as_ref());
    let stages = races().map(|race| race.leads.len()).max().unwrap_or(0);
    let lead =
        |stage: usize| median(races().filter_map(|race| race.leads.get(stage)).map(|&lead| lead as f64).collect());
    let texts = (0..stages).filter_map(lead).map(|lead| format!("{lead:.0}"));
    texts.collect::<Vec<_>>().join(" ")
}

/// What a condition is, in columns.
fn disturbance(condition: &str) -> (Option<f32>, String) {
    let Ok(parsed) = condition.parse::<Condition>() else { return (None, condition.to_owned()) };
    let before =
        [parsed.fast_percent.map(|_| "speed"), parsed.noise_db.map(|_| "noise"), parsed.reverb.then_some("reverb")];
    let phone = parsed.phone.parts().chain(parsed.band_hz.map(|_| "band"));
    let parts: Vec<&str> = before.into_iter().flatten().chain(phone).collect();
    (parsed.noise_db, if parts.is_empty() { "clean".into() } else { parts.join("+") })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::evaluate::{Finding, Race};

    fn answers() -> Answers {
        let record = |room: &str, track: u32, lead: u64| Record {
            track,
            top: vec![4],
            in_library: true,
            room: room.into(),
            condition: "5dB+reverb".into(),
            race: Some(Race { leads: vec![lead], ..Race::default() }),
            ..Record::default()
        };
        let records = vec![record("hall", 4, 3), record("cave", 5, 9), record("hall", 4, 7)];
        Answers { method: Method::default(), cost: Cost::default(), margins: None, promises: Vec::new(), records }
    }

    #[test]
    fn every_field_is_a_column() {
        let rows = Row::of(&Subject::default(), &answers(), Grouping::Condition);
        let value = serde_json::to_value(&rows[0]).unwrap();
        let mut fields: Vec<&str> = value.as_object().unwrap().keys().map(String::as_str).collect();
        let mut columns = Row::COLUMNS.to_vec();
        fields.sort_unstable();
        columns.sort_unstable();
        assert_eq!(fields, columns);
    }

    #[test]
    fn every_column_has_a_meaning() {
        let dictionary = include_str!("../../../../experiments/columns.md");
        for column in Row::COLUMNS.iter().chain(&Record::COLUMNS) {
            assert!(
                dictionary.contains(&format!("`{column}`")),
                "experiments/columns.md does not say what {column} is"
            );
        }
    }

    #[test]
    fn records_are_grouped_by_condition_or_by_room() {
        let finding = Finding {
            subject: Subject::default(),
            evaluation: crate::evaluate::Evaluation { answers: vec![answers()] },
        };
        let row = &finding.rows()[0];
        assert_eq!((row.queries, row.top_1, row.disturbance.as_str()), (3, Some(66.7), "noise+reverb"));
        let rooms = finding.rooms();
        let shares: Vec<_> = rooms.iter().map(|row| (row.room.as_deref().unwrap(), row.queries, row.top_1)).collect();
        assert_eq!(shares, [("cave", 1, Some(0.0)), ("hall", 2, Some(100.0))]);
        // Halls 2 of 2, cave 0 of 1, and a third room: residues 2/2, -1/2 and -1/2 of a mean of a half, over four queries.
        let mut four = answers().records;
        four.push(Record { room: "attic".into(), ..four[1].clone() });
        let over_rooms = rooms_error(&four.iter().collect::<Vec<_>>());
        assert_eq!((over_rooms, row.top_1_rooms_error), (Some((1_000.0 * 2.25_f64.sqrt() / 4.0).round() / 10.0), None));
        let records = &answers().records;
        assert_eq!(leads(&records.iter().collect::<Vec<_>>()), "7");
    }

    #[test]
    fn conditions_are_columns() {
        assert_eq!(disturbance("clean"), (None, "clean".into()));
        assert_eq!(disturbance(MIXED), (None, MIXED.into()));
        assert_eq!(disturbance("-5dB+reverb"), (Some(-5.0), "noise+reverb".into()));
        assert_eq!(disturbance("0dB+300-3400Hz"), (Some(0.0), "noise+band".into()));
        assert_eq!(disturbance("5dB+codec+loudspeaker"), (Some(5.0), "noise+loudspeaker+codec".into()));
    }
}
