//! Identification in the clear: the protocols agree with each other, one at a time and in batches.

use proptest::prelude::*;
use sordino_model::{
    ClientError, ClientHierarchy, ClientModel, Label, ModelHash, Pair, Protocol, Resolution, ServerModel,
};

use crate::sample::{features, model};

fn rebuilt(client: &ClientModel, labels: Vec<Label>, server: ModelHash) -> Result<ClientModel, ClientError> {
    let (hierarchy, flat) = (client.hierarchy().clone(), client.own_flat().cloned());
    ClientModel::new(client.name(), client.front().clone(), hierarchy, flat, labels, server)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn following_every_group_is_flat_over_the_last_stage(seed: u64, outputs in proptest::collection::vec(1usize..6, 1..4)) {
        let (client, server) = model(seed, &outputs);
        // Without its own flat classifier, flat evaluates the last stage.
        let server = ServerModel::new("sample", server.spec_hash(), server.hierarchy().clone(), None).unwrap();
        let (front, outline) = (client.front().clone(), client.hierarchy().clone());
        let client = ClientModel::new("sample", front, outline, None, client.labels().to_vec(), server.hash()).unwrap();
        let pair = Pair::new(&client, &server).unwrap();
        for row in features(seed, &client, 4).rows() {
            let row = row.to_vec();
            let all = pair.identify(Protocol::Routed { probes: 1_000 }, &row).unwrap();
            prop_assert_eq!(all, pair.identify(Protocol::Flat, &row).unwrap());
        }
    }

    #[test]
    fn batches_answer_as_single_clips_do(seed: u64, outputs in proptest::collection::vec(1usize..6, 1..4), probes in 0usize..4) {
        let (client, server) = model(seed, &outputs);
        let pair = Pair::new(&client, &server).unwrap();
        let features = features(seed, &client, 130);
        // The smallest group of a random stage has one slot.
        let decided = Protocol::Decided { probes: 1, answers: 2, resolution: Resolution::Standard };
        for protocol in [Protocol::Flat, Protocol::Routed { probes }, decided] {
            let batch = pair.identify_batch(protocol, features.view(), 3).unwrap();
            prop_assert_eq!(batch.len(), 130);
            for row in [0, 64, 127, 128, 129] {
                let single = pair.identify(protocol, &features.row(row).to_vec()).unwrap();
                prop_assert_eq!(batch[row].known, single.known);
                prop_assert_eq!(&batch[row].matches[..], &single.matches[..single.matches.len().min(3)]);
            }
        }
    }

    #[test]
    fn more_probes_never_lower_the_best_score(seed: u64) {
        let (client, server) = model(seed, &[6, 5]);
        let pair = Pair::new(&client, &server).unwrap();
        for row in features(seed, &client, 8).rows() {
            let best = |probes| pair.identify(Protocol::Routed { probes }, &row.to_vec()).unwrap().matches[0].score.unwrap();
            prop_assert!(best(1) <= best(2) && best(2) <= best(5));
        }
    }
}

#[test]
fn halves_of_two_models_are_refused() {
    let ((client, server), (_, other)) = (model(1, &[3, 2]), model(2, &[3, 2]));
    assert!(Pair::new(&client, &server).is_ok());
    let error = Pair::new(&client, &other).unwrap_err();
    assert!(matches!(error, ClientError::Mismatch { what: "the server half's hash", .. }), "{error}");
    let message = error.to_string();
    assert!(message.contains(&other.hash().to_string()) && message.contains(&client.server_hash().to_string()));
}

#[test]
fn a_hash_alone_does_not_make_a_pair() {
    let (client, server) = model(1, &[3, 2]);
    let what = |server: &ServerModel| {
        let client = rebuilt(&client, client.labels().to_vec(), server.hash()).unwrap();
        match client.check_server(server) {
            Err(ClientError::Mismatch { what, .. }) => what,
            other => panic!("expected a mismatch, got {other:?}"),
        }
    };
    let (hierarchy, flat) = (server.hierarchy().clone(), server.own_flat().cloned());
    let with = |name: &str, spec, hierarchy, flat| ServerModel::new(name, spec, hierarchy, flat).unwrap();
    let spec = server.spec_hash();
    assert_eq!(what(&with("other", spec, hierarchy.clone(), flat.clone())), "the name");
    assert_eq!(what(&with("sample", ModelHash([7; 32]), hierarchy.clone(), flat.clone())), "the feature spec's hash");
    assert_eq!(what(&with("sample", spec, model(1, &[4, 2]).1.hierarchy().clone(), flat)), "the hierarchy");
    assert_eq!(what(&with("sample", spec, hierarchy, None)), "the flat classifier");
}

#[test]
fn client_parts_that_do_not_fit_are_refused() {
    let (client, server) = model(1, &[3, 2]);
    let few = rebuilt(&client, client.labels()[..1].to_vec(), server.hash());
    assert!(matches!(few, Err(ClientError::NoLabel { found: 1, labels: 1, .. })), "{few:?}");
    let build = |hierarchy, flat| {
        ClientModel::new("m", client.front().clone(), hierarchy, flat, client.labels().to_vec(), server.hash())
            .map(drop)
    };
    let outline =
        |heads| ClientHierarchy::new(client.hierarchy().shape().clone(), heads, client.hierarchy().slots().to_vec());
    let wrong = build(outline(vec![1, 1]).unwrap(), None);
    assert!(matches!(wrong, Err(ClientError::Bound { stage: 0, .. })), "{wrong:?}");
    assert!(matches!(build(outline(vec![0, 9]).unwrap(), None), Err(ClientError::Front(_))));
    let two = build(client.hierarchy().clone(), Some(client.hierarchy().clone()));
    assert_eq!(two, Err(ClientError::NotFlat { found: 2 }));
}

#[test]
fn features_of_another_width_or_not_finite_are_refused() {
    let (client, server) = model(1, &[3, 2]);
    let pair = Pair::new(&client, &server).unwrap();
    let width = client.front().width();
    for protocol in [Protocol::Flat, Protocol::Routed { probes: 1 }] {
        assert!(pair.identify(protocol, &vec![0.1; width]).is_ok());
        assert!(pair.identify(protocol, &vec![0.1; width + 1]).is_err());
        assert!(pair.identify(protocol, &vec![f32::NAN; width]).is_err());
        let mut bad = features(1, &client, 3);
        bad[[2, 5]] = f32::INFINITY;
        assert!(pair.identify_batch(protocol, bad.view(), 1).is_err());
    }
}
