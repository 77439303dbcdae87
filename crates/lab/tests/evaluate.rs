//! Any system is asked and counted the same way.

use std::collections::HashMap;

use sordino_corpus::{CropSplit, synth};
use sordino_front::FeatureSpec;
use sordino_lab::evaluate::{AnswerSettings, Finding, Queries, Response, Subject, System, Table, write_table};
use sordino_lab::{DisturbanceCache, LabError, Silent};
use sordino_learn::Answer;
use sordino_model::Learns;

/// Names the first two tracks of any library, whatever it hears, except silence.
struct Stubborn;

impl System for Stubborn {
    fn name(&self) -> &'static str {
        "stubborn"
    }

    fn learns(&self) -> Learns {
        Learns { server: "nothing", client: "nothing" }
    }

    fn respond(&self, samples: &[f32]) -> Result<Response, LabError> {
        assert_eq!(samples.len(), 24_000, "three seconds at 8 kHz");
        let answer = Answer { tracks: vec![0, 1], known: true, start: Some(0.0), ..Answer::default() };
        Ok(Response { searched: Some(vec![0]), ..answer.into() })
    }
}

#[test]
fn a_system_of_three_functions_is_asked_and_counted() {
    let catalogue = synth::catalogue(4, 1);
    // The last track is not in the library.
    let ids: Vec<u32> = catalogue.tracks[..3].iter().map(|track| track.id).collect();
    let places: HashMap<u32, u32> = ids.iter().copied().zip(0..).collect();
    let conditions = ["clean", "5dB+reverb"].map(String::from);
    let queries = Queries {
        asked: &catalogue,
        ids: &ids,
        places: &places,
        spec: &FeatureSpec::default(),
        seconds: 3.0,
        conditions: &conditions,
        crops: 1,
        split: CropSplit::Start,
        seed: 1,
        fold: 0,
        disturbances: &DisturbanceCache::default(),
        monitor: &Silent,
    };
    let evaluation = Stubborn.evaluate(&queries, &AnswerSettings::default()).unwrap();
    assert!(evaluation.agreements().is_empty(), "nothing is encrypted");
    let mut subject = Subject::default();
    (subject.grid, subject.system) = ("all".into(), "stubborn".into());
    let finding = Finding { subject, evaluation };
    let rows = finding.rows();
    let conditions: Vec<&str> = rows.iter().map(|row| row.condition.as_str()).collect();
    assert_eq!(conditions, ["clean", "5dB+reverb"]);
    for row in &rows {
        assert_eq!((row.queries, row.unknown_queries, row.rejected), (3, 1, Some(0.0)));
        let shares = [row.top_1, row.top_3, row.named, row.lost, row.located, row.routed];
        assert_eq!(shares, [33.3, 66.7, 33.3, 0.0, 33.3, 33.3].map(Some));
    }
    assert!(finding.rooms().iter().all(|row| row.condition == "5dB+reverb" && row.room.is_some()));

    let folder = tempfile::tempdir().unwrap();
    for table in [Table::Rows, Table::Rooms, Table::Queries] {
        write_table(table, std::slice::from_ref(&finding), folder.path(), false).unwrap();
    }
    let lines = |file: &str| std::fs::read_to_string(folder.path().join(file)).unwrap().lines().count();
    assert_eq!((lines("rows.csv"), lines("queries.csv")), (3, 9));
    assert!(lines("rooms.csv") > 1);
    let queries = std::fs::read_to_string(folder.path().join("queries.csv")).unwrap();
    let columns =
        "grid,system,tracks,seconds,fold,track,crop,offset,condition,room,in_library,protocol,probes,precision,top,";
    assert!(queries.starts_with(columns), "{}", queries.lines().next().unwrap());
}
