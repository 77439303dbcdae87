//! Changes bits of every message, key and half of a model, one at a time, and prints as CSV how many changes were refused: `flips [MOST]`,
//! at most so many bits of each, and a fiftieth of that of the evaluation key, which takes longer.

fn main() {
    let most = std::env::args().nth(1).and_then(|most| most.parse().ok()).unwrap_or(20_000);
    println!("artefact,bits,flipped,refused,harmless,believed");
    for found in sordino_fuzz::flips(most) {
        let sordino_fuzz::Flips { artefact, bits, flipped, refused, harmless } = found;
        println!("{artefact},{bits},{flipped},{refused},{harmless},{}", found.believed());
    }
}
