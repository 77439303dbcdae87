//! Shortlists, rankings and trips: order, ties, spill, unknown songs.

use proptest::prelude::*;
use rand::RngExt;
use sordino_model::answer::{GroupScores, Next, Ranked, Ranking, Shortlist, Trips};
use sordino_model::stage::{HierarchyShape, StageShape};
use sordino_model::{Answer, ClientError, ClientHierarchy, Lead};

use crate::sample::{bound, rng};

/// Three clusters (and one padding slot) over tracks 0 to 4; track 1 lives in two of them.
fn outline() -> ClientHierarchy {
    let clusters = StageShape::new(4, bound(3), vec![3]).unwrap();
    let tracks = StageShape::new(3, bound(3), vec![2, 3, 1, 0]).unwrap();
    let shape = HierarchyShape::new(vec![clusters, tracks]).unwrap();
    ClientHierarchy::new(shape, vec![0, 0], vec![0, 1, 1, 2, 3, 4]).unwrap()
}

fn scored(group: usize, scores: &[i64]) -> GroupScores {
    GroupScores { group, scores: scores.to_vec() }
}

fn pairs(ranking: &Ranking) -> Vec<(usize, i64)> {
    ranking.tracks.iter().map(|Ranked { label, score, .. }| (*label, *score)).collect()
}

#[test]
fn a_shortlist_is_the_best_slots_first_of_equals_the_smaller() {
    let list = |scores: &[i64], probes| outline().shortlist(0, &[scored(0, scores)], probes).unwrap();
    assert_eq!(list(&[-5, 9, 2], 2), Shortlist(vec![1, 2]));
    assert_eq!(list(&[4, 4, 4], 2), Shortlist(vec![0, 1]));
    assert_eq!(list(&[4, 7, 7], 1), Shortlist(vec![1]));
    assert_eq!(list(&[1, 2, 3], 99), Shortlist(vec![2, 1, 0]));
    assert_eq!(list(&[1, 2, 3], 0), Shortlist(vec![]));
}

#[test]
fn a_track_with_two_slots_is_ranked_once_by_the_better() {
    let ranking = outline().rank(&[scored(0, &[3, -4]), scored(1, &[5, 3, 0])]).unwrap();
    assert_eq!(pairs(&ranking), [(1, 5), (0, 3), (2, 3), (3, 0)]);
    assert_eq!(ranking.top(3).collect::<Vec<_>>(), [1, 0, 2]);
}

#[test]
fn known_means_above_zero() {
    let best = |scores: &[i64]| outline().rank(&[scored(0, scores)]).unwrap();
    assert_eq!(best(&[0, -3]).known(), None);
    assert_eq!(best(&[0, -3]).best(), Some(Ranked { label: 0, score: 0, start: None }));
    assert_eq!(best(&[1, -3]).known(), Some(Ranked { label: 0, score: 1, start: None }));
    assert_eq!(Ranking::default().known(), None);
    let outline = outline().with_lead(Lead { above: Some(4), ..Lead::default() });
    let known = |scores: [i64; 3]| outline.rank_top(&[scored(1, &scores)], 1).unwrap().known().is_some();
    assert!(known([-9, 0, -5]) && !known([5, 9, 6]), "scores in three songs are told by their lead");
}

#[test]
fn scores_that_do_not_fit_are_refused() {
    let outline = outline();
    assert_eq!(outline.rank(&[scored(0, &[1])]), Err(ClientError::Scores { group: 0, found: 1, expected: 2 }));
    assert_eq!(outline.rank(&[scored(4, &[])]), Err(ClientError::Absent { what: "group", found: 4, bound: 4 }));
    assert_eq!(outline.rank(&[scored(3, &[])]).unwrap(), Ranking::default(), "an empty cluster");
    let error = outline.shortlist(2, &[], 1);
    assert_eq!(error, Err(ClientError::Absent { what: "stage", found: 2, bound: 2 }));
    let error = Trips::new(1).decide(&outline, vec![vec![1, 2, 3], vec![]]).map(drop);
    assert_eq!(error, Err(ClientError::Length { table: "replies", found: 2, expected: 1 }));
}

#[test]
fn every_slot_has_its_label_and_padding_none() {
    let outline = outline();
    let label = |group, slot| outline.label(group, slot);
    assert_eq!([label(0, 0), label(0, 1), label(0, 2)], [Some(0), Some(1), None]);
    assert_eq!([label(1, 0), label(1, 2), label(2, 0), label(3, 0)], [Some(1), Some(3), Some(4), None]);
    assert_eq!([label(4, 0), label(usize::MAX, usize::MAX)], [None, None]);
}

#[test]
fn outlines_that_do_not_fit_their_shape_are_refused() {
    let shape = outline().shape().clone();
    let error = ClientHierarchy::new(shape.clone(), vec![0], vec![0; 6]).unwrap_err();
    assert_eq!(error, ClientError::Length { table: "heads", found: 1, expected: 2 });
    let error = ClientHierarchy::new(shape, vec![0, 0], vec![0; 5]).unwrap_err();
    assert_eq!(error, ClientError::Length { table: "slots", found: 5, expected: 6 });
}

#[test]
fn two_trips_reach_the_picked_clusters() {
    let outline = outline();
    let trips = Trips::new(2);
    assert_eq!((trips.stage(), trips.groups()), (0, &[0][..]));
    let Next::Trip(trips) = trips.decide(&outline, vec![vec![1, 9, 5]]).unwrap() else {
        panic!("two stages, two trips")
    };
    assert_eq!((trips.stage(), trips.groups()), (1, &[1, 2][..]));
    let Next::Done(ranking) = trips.decide(&outline, vec![vec![-1, 4, 2], vec![3]]).unwrap() else {
        panic!("two trips are all")
    };
    assert_eq!(pairs(&ranking), [(2, 4), (4, 3), (3, 2), (1, -1)]);
}

#[test]
fn the_number_of_groups_asked_for_does_not_depend_on_scores() {
    // Cluster 2 has one slot, so in the third stage two probes find only one path below it.
    let stage = |outputs, counts| StageShape::new(outputs, bound(3), counts).unwrap();
    let shape = HierarchyShape::new(vec![stage(3, vec![3]), stage(2, vec![2, 2, 1]), stage(1, vec![1, 1, 1, 1, 1, 0])]);
    let outline = ClientHierarchy::new(shape.unwrap(), vec![0, 0, 0], vec![0, 1, 2, 3, 4]).unwrap();
    let follow = |first: Vec<i64>| {
        let Next::Trip(trips) = Trips::new(1).decide(&outline, vec![first]).unwrap() else { panic!("a second trip") };
        trips
    };
    assert_eq!(follow(vec![0, 0, 1]).groups(), [2]);
    let asked = |probes, first: Vec<i64>, second: Vec<Vec<i64>>| {
        let Next::Trip(trips) = Trips::new(probes).decide(&outline, vec![first]).unwrap() else {
            panic!("a second trip")
        };
        let Next::Trip(trips) = trips.decide(&outline, second).unwrap() else { panic!("a third trip") };
        (trips.groups().to_vec(), trips.circuit(&outline).unwrap().inputs.len())
    };
    assert_eq!(asked(4, vec![0, 0, 1], vec![vec![3], vec![1, 2], vec![0, 0]]).0, [4, 1, 0, 2]);
    let four = asked(6, vec![0, 0, 1], vec![vec![3], vec![1, 2], vec![0, 0]]);
    assert_eq!(four, (vec![4, 1, 0, 2, 3, 4], 7), "five paths, the best asked for again");
    assert_eq!(
        Trips::new(0).decide(&outline, vec![vec![1, 2, 3]]).map(|n| matches!(n, Next::Trip(t) if t.groups() == [2])),
        Ok(true)
    );
}

proptest! {
    #[test]
    fn a_ranking_is_sorted_and_names_every_scored_track_once(seed: u64, low in -3i64..0, high in 1i64..4) {
        let outline = outline();
        let rng = &mut rng(seed);
        let counts = outline.shape().last().counts().to_vec();
        let groups: Vec<GroupScores> = (0..counts.len())
            .filter(|_| rng.random())
            .collect::<Vec<_>>()
            .into_iter()
            .map(|group| GroupScores { group, scores: (0..counts[group]).map(|_| rng.random_range(low..high)).collect() })
            .collect();
        let ranking = pairs(&outline.rank(&groups).unwrap());
        prop_assert!(ranking.windows(2).all(|w| (w[0].1, std::cmp::Reverse(w[0].0)) > (w[1].1, std::cmp::Reverse(w[1].0))));
        let all = groups.iter().flat_map(|g| g.scores.iter().enumerate().map(|(t, &s)| (outline.label(g.group, t).unwrap(), s)));
        for (label, score) in all.clone() {
            prop_assert_eq!(ranking.iter().filter(|r| r.0 == label).count(), 1);
            prop_assert!(ranking.iter().any(|r| r.0 == label && r.1 >= score));
        }
        for &(label, score) in &ranking {
            prop_assert!(all.clone().any(|found| found == (label, score)));
        }
    }
}

#[test]
fn an_answer_says_where_in_the_track() {
    let outline = outline().with_starts(vec![0, 0, 10_000, 500, 7, 9_999]).unwrap();
    let ranking = outline.rank(&[scored(0, &[3, -4]), scored(1, &[5, 3, 0])]).unwrap();
    let starts: Vec<_> = ranking.tracks.iter().map(|track| track.start.unwrap().as_millis()).collect();
    // Track 1 is found by its second slot.
    assert_eq!(starts, [10_000, 0, 500, 7]);
    // Slots of the last stage are numbered three to a group.
    let answer = Answer::of_slots(&outline, [3, 1, 6, 2, 99], 0);
    let found: Vec<_> = answer.matches.iter().map(|m| (m.label, m.start.unwrap().as_millis())).collect();
    assert_eq!((answer.known, found), (true, vec![(1, 10_000), (4, 9_999)]));
    // Passages of one track are no rivals where the server decides, but another track is another answer.
    let agrees = |slots: [usize; 2]| answer.agrees_with(&Answer::of_slots(&outline, slots, 0));
    assert!(agrees([1, 6]) && !agrees([0, 6]) && !agrees([6, 1]));
    let error = outline.with_starts(vec![0; 5]).unwrap_err();
    assert_eq!(error, ClientError::Length { table: "starts", found: 5, expected: 6 });
}
