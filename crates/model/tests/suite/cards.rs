//! The model card says what the issue of a model needs to know.

use sordino_model::Card;

use crate::sample::model;

#[test]
fn a_card_names_sizes_bounds_and_licences() {
    let (client, server) = model(1, &[5, 4]);
    let card = Card {
        source: "composed, seeds 0 to 9".into(),
        unknown: "1 % of known queries refused".into(),
        decisions: "by 700 score units".into(),
        accuracy: "| top-1 |\n|---|\n| 97.0 |".into(),
        notes: vec!["Trained in a test.".into()],
        ..Card::default()
    };
    let text = card.markdown(&client, &server);
    let tracks = client.labels().len();
    let even = tracks.div_ceil(2);
    let stages = server.hierarchy().stages();
    for expected in [
        format!("Library: {tracks} tracks; composed, seeds 0 to 9"),
        "Query: 1 s at 2000 Hz".into(),
        "Base features: 38 (moments statistics, a 6-number learned embedding)".into(),
        "1 % of known queries refused".into(),
        server.hash().to_string(),
        format!("| stage 0 | 1 | 4 | 4.0 | 7 | 6 | 8 | {} |", stages[0].score_bound()),
        format!("| {} |", stages[1].score_bound()),
        format!("| flat 0 | 1 | {tracks} |"),
        "| top-1 |\n|---|\n| 97.0 |".into(),
        format!("| CC BY 4.0 | {even} |"),
        format!("| not stated | {} |", tracks - even),
        "Decided by the server, encrypted\n\nby 700 score units".into(),
        "Trained in a test.".into(),
    ] {
        assert!(text.contains(&expected), "{expected:?} is missing from:\n{text}");
    }
    let bare = Card::default().markdown(&client, &server);
    assert!(bare.contains("source not stated") && bare.contains("Not measured.") && !bare.contains("Decided"));
}
