//! Every example, as it is run by hand.

#[path = "../examples/first_query.rs"]
mod first_query;
#[path = "../examples/one_clip.rs"]
mod one_clip;

#[test]
fn first_query_names_a_track_of_the_committed_model() {
    first_query::main().unwrap();
}

#[test]
fn one_clip_names_a_track_of_a_model_that_it_trains() {
    one_clip::main().unwrap();
}
