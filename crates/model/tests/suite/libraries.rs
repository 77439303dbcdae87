//! Tracks come and go: what stays is scored as before, and what went is never named.

use std::collections::BTreeSet;

use sordino_model::{Answer, ClientModel, Label, Library, LibraryError, NewRow, Pair, Protocol, Resolution, Row};

use crate::sample::{features, label, model};

fn new_row(groups: &[usize]) -> NewRow {
    let weights = (0..9).map(|i| 3 * i - 11).collect();
    NewRow { row: Row { weights, bias: 70, start: 20_000 }, groups: groups.to_vec(), flat_bias: -30 }
}

#[test]
fn an_unchanged_library_is_the_same_model() {
    for (seed, outputs) in [(1, &[4, 3][..]), (2, &[3, 2, 4]), (3, &[6])] {
        let (client, server) = model(seed, outputs);
        assert_eq!(Library::of(&client, &server).unwrap().halves().unwrap(), (client, server));
    }
    let (client, _) = model(1, &[4, 3]);
    assert!(Library::of(&client, &model(2, &[4, 3]).1).is_err());
}

#[test]
fn what_stays_is_scored_as_before() {
    let (client, server) = model(5, &[4, 5]);
    let gone = BTreeSet::from([1, 4]);
    let mut library = Library::of(&client, &server).unwrap();
    library.remove(&gone).unwrap();
    let (less_client, less_server) = library.halves().unwrap();
    assert_eq!(less_client.labels().len(), client.labels().len() - 2);
    assert_ne!(less_server.hash(), server.hash());
    let (before, after) = (Pair::new(&client, &server).unwrap(), Pair::new(&less_client, &less_server).unwrap());
    let ranking = |pair: &Pair<'_>, client: &sordino_model::ClientModel, x: &[f32], protocol| {
        let matches = pair.identify(protocol, x).unwrap().matches.into_iter();
        let named = matches.map(|found| (client.labels()[found.label].track_id, found.score));
        named.filter(|(id, _)| !gone.contains(id)).collect::<Vec<_>>()
    };
    for x in features(9, &client, 40).rows() {
        let x = x.to_vec();
        for protocol in [Protocol::Flat, Protocol::Routed { probes: 4 }] {
            assert_eq!(ranking(&before, &client, &x, protocol), ranking(&after, &less_client, &x, protocol));
        }
        let decided = Protocol::Decided { probes: 1, answers: 1, resolution: sordino_model::Resolution::Standard };
        assert!(after.identify(decided, &x).is_ok());
    }
}

#[test]
fn what_comes_is_named_and_goes_again() {
    // A model with a cluster that is neither empty nor full.
    let with_room = |seed| {
        let (client, server) = model(seed, &[4, 5]);
        let library = Library::of(&client, &server).unwrap();
        let counts = server.hierarchy().last().counts();
        let group = (0..counts.len()).find(|&group| (1..library.slots()).contains(&counts[group]))?;
        Some((client, server, library, group))
    };
    let (client, server, mut library, group) = (1..20).find_map(with_room).unwrap();
    library.add(label(77), &[new_row(&[group])], Some(2)).unwrap();
    let (more_client, more_server) = library.halves().unwrap();
    let place = more_client.labels().iter().position(|label| label.track_id == 77).unwrap();
    let outline = more_client.hierarchy();
    let slot = server.hierarchy().last().count(group);
    assert_eq!(outline.label(group, slot), Some(place));
    assert_eq!(more_server.hierarchy().last().row(group, slot), new_row(&[]).row.weights);
    assert_eq!(more_server.own_flat().unwrap().last().bias(0, place), -30);
    let flat = more_client.own_flat().unwrap();
    assert_eq!(flat.start(0, place).unwrap().as_secs(), 20);
    // A copy of a copy would be a copy of the first.
    assert!(flat.lead().copies.contains(&(place as u32, 2)));
    library.remove(&[77].into()).unwrap();
    assert_eq!(library.halves().unwrap(), (client, server));
}

#[test]
fn a_full_group_makes_room_for_one_more() {
    let (client, server) = model(5, &[4, 5]);
    let slots = server.hierarchy().last().outputs();
    let mut library = Library::of(&client, &server).unwrap();
    let row = new_row(&[0]);
    library.add(label(100), &vec![row; slots], None).unwrap();
    assert_eq!(library.slots(), server.hierarchy().last().count(0) + slots);
    let (_, larger) = library.halves().unwrap();
    assert_eq!(larger.hierarchy().last().outputs(), server.hierarchy().last().count(0) + slots);
}

#[test]
fn a_label_changes_and_nothing_else_does() {
    let (client, server) = model(1, &[4, 3]);
    let mut library = Library::of(&client, &server).unwrap();
    let another = Label { track_id: 9_999, title: "Another".into(), ..label(3) };
    library.rename(3, |label| *label = another).unwrap();
    let (renamed, same) = library.halves().unwrap();
    assert_eq!(same, server);
    // An id is no label's to change.
    assert_eq!((renamed.labels()[3].title.as_str(), renamed.labels()[3].track_id), ("Another", 3));
    assert_eq!(renamed.labels()[2], client.labels()[2]);
}

#[test]
fn whoever_has_the_routing_layers_picks_what_the_server_would_find() {
    for (seed, outputs, probes) in [(4, &[4, 3][..], 2), (5, &[5, 6], 1), (6, &[3, 2, 4], 1)] {
        let (client, server) = model(seed, outputs);
        let (picked, routed) = (Protocol::Picked { probes }, Protocol::Routed { probes });
        assert!(client.speaks(picked).is_err() && client.speaks(routed).is_ok());
        let mut library = Library::of(&client, &server).unwrap();
        assert!(library.publish_routing(true) && !library.publish_routing(true));
        let (public, same) = library.halves().unwrap();
        assert_eq!(same, server, "only the client's half changes");
        assert!(public.speaks(picked).is_ok());
        let read = ClientModel::from_bytes(&public.bundle().unwrap().to_bytes()).unwrap();
        assert_eq!(read, public);
        let pair = Pair::new(&read, &server).unwrap();
        let rows = features(9, &client, 30);
        let answers = |protocol| -> Vec<Answer> {
            rows.rows().into_iter().map(|x| pair.identify(protocol, &x.to_vec()).unwrap()).collect()
        };
        assert_eq!(answers(picked), answers(routed));
        assert_eq!(answers(picked), pair.identify_batch(picked, rows.view(), usize::MAX).unwrap());
        let resolution = Resolution::Standard;
        let by_server = answers(Protocol::Decided { probes, answers: 2, resolution });
        let among = Protocol::PickedDecided { probes, answers: 2, resolution };
        assert_eq!(answers(among), by_server);
        assert_eq!(by_server, pair.identify_batch(among, rows.view(), usize::MAX).unwrap());
        // Taken back, the half is what it was; of a model without routing layers there is nothing to give.
        assert!(library.publish_routing(false));
        assert_eq!(library.halves().unwrap(), (client, server));
    }
    let (flat, server) = model(3, &[6]);
    assert!(!Library::of(&flat, &server).unwrap().publish_routing(true));
}

#[test]
fn a_change_that_cannot_be_is_refused_whole() {
    let (client, server) = model(1, &[4, 3]);
    let mut library = Library::of(&client, &server).unwrap();
    let before = library.clone();
    let tracks = client.labels().len() as u32;
    let all_but_two: BTreeSet<u32> = (2..tracks).collect();
    let wide = NewRow { row: Row { weights: vec![1; 10], ..new_row(&[]).row }, ..new_row(&[0]) };
    assert!(matches!(library.remove(&[0, 500].into()), Err(LibraryError::NoTrack { id: 500, .. })));
    assert!(matches!(library.remove(&all_but_two), Err(LibraryError::TooFew { left: 2, .. })));
    assert!(matches!(library.rename(500, |_| ()), Err(LibraryError::NoTrack { .. })));
    assert!(matches!(library.add(label(1), &[], None), Err(LibraryError::Taken { id: 1 })));
    assert!(matches!(library.add(label(500), &[wide], None), Err(LibraryError::Width { found: 10, expected: 9 })));
    assert!(matches!(library.add(label(500), &[new_row(&[99])], None), Err(LibraryError::NoGroup { found: 99, .. })));
    assert!(matches!(library.add(label(500), &[new_row(&[0])], Some(501)), Err(LibraryError::NoTrack { .. })));
    assert_eq!(library, before);
}
