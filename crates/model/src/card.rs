//! [`Card`]: the model card, for people.

use std::collections::BTreeMap;
use std::fmt::Write;

use crate::stage::Hierarchy;
use crate::{ClientModel, HeldOut, MAX_SCORE, ServerModel};

/// What the halves do not say themselves about a model. Every text is Markdown.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Card {
    /// Where the tracks came from, e.g. "synthesised, seeds 0 to 199".
    pub source: String,
    /// How unknown songs were calibrated, e.g. "1 % of held-out known queries are refused".
    pub unknown: String,
    /// From which margins on the server's encrypted decisions are certain, or empty.
    pub decisions: String,
    /// Accuracy table, or empty.
    pub accuracy: String,
    /// The settings of training as TOML, kept as `train.toml` beside the card; or empty.
    pub settings: String,
    /// Where the sound of each track lies, by its id, kept as `files.json` beside the card. It is the operator's and in neither half.
    pub files: BTreeMap<u32, String>,
    /// Clips that training has not seen, kept as `held-out.safetensors` beside the card.
    pub held_out: HeldOut,
    /// Anything else worth knowing, a paragraph each.
    pub notes: Vec<String>,
}

impl Card {
    /// What a card in Markdown says of where the tracks came from and how unknown songs were calibrated; nothing of what it does not say.
    pub fn read(markdown: &str) -> Self {
        let after = |start: &str| markdown.lines().find_map(|line| line.strip_prefix(start)).unwrap_or_default();
        let source = after("- Library: ").split_once(" tracks; ").map_or("", |(_, source)| source);
        Self { source: source.into(), unknown: after("- Unknown songs: ").into(), ..Self::default() }
    }

    /// The card of a model, as Markdown.
    pub fn markdown(&self, client: &ClientModel, server: &ServerModel) -> String {
        let mut text = String::new();
        // Writing to a string cannot fail.
        let _ = self.write(&mut text, client, server);
        text
    }

    fn write(&self, out: &mut String, client: &ClientModel, server: &ServerModel) -> std::fmt::Result {
        let or =
            |text: &'_ str, otherwise: &'_ str| if text.is_empty() { otherwise.to_owned() } else { text.to_owned() };
        writeln!(out, "# Model card: {}\n", client.name())?;
        writeln!(out, "- Library: {} tracks; {}", client.labels().len(), or(&self.source, "source not stated"))?;
        if let Ok(spec) = client.front().spec() {
            writeln!(
                out,
                "- Query: {} s at {} Hz, mono; FFT {}, hop {}, {} {:?} mel bands {}-{} Hz",
                spec.query_seconds,
                spec.sample_rate,
                spec.fft_size,
                spec.hop,
                spec.mel_bands,
                spec.mel_scale,
                spec.mel_min_hz,
                spec.mel_max_hz
            )?;
            let network = client.front().network().map_or("no".into(), |n| format!("a {}-number", n.width()));
            let statistics = match client.front().has_statistics() {
                true => format!("{:?} statistics", spec.statistics).to_lowercase(),
                false => "no statistics".into(),
            };
            writeln!(out, "- Base features: {} ({statistics}, {network} learned embedding)", client.front().width())?;
        } else {
            writeln!(out, "- Query: a vector of {} numbers", client.front().width())?;
        }
        let last = client.hierarchy().shape().last();
        let slots = last.used() as f64 / client.labels().len().max(1) as f64;
        writeln!(
            out,
            "- Slots a track: {slots:.2}, one for each of its passages in each cluster that the passage lives in"
        )?;
        writeln!(out, "- Unknown songs: {}", or(&self.unknown, "calibration not stated"))?;
        writeln!(out, "- Server half: SHA-256 `{}`\n", server.hash())?;

        writeln!(out, "## Stages\n")?;
        writeln!(
            out,
            "Scores of any client that keeps its bounds stay within the bound given; {MAX_SCORE} is the most that fits.\n"
        )?;
        writeln!(
            out,
            "| stage | groups | largest group | mean group | width | input bits | weight bits | score bound |"
        )?;
        writeln!(out, "|---|---|---|---|---|---|---|---|")?;
        self.stages(out, "stage", client, server.hierarchy(), client.hierarchy().heads())?;
        if let (Some(flat), Some(outline)) = (server.own_flat(), client.own_flat()) {
            self.stages(out, "flat", client, flat, outline.heads())?;
        }

        if !self.decisions.is_empty() {
            writeln!(out, "\n## Decided by the server, encrypted\n\n{}", self.decisions)?;
        }

        writeln!(out, "\n## Accuracy\n\n{}\n", or(&self.accuracy, "Not measured."))?;
        writeln!(out, "## Licences of the tracks\n\n| licence | tracks |\n|---|---|")?;
        let mut licences: BTreeMap<&str, usize> = BTreeMap::new();
        for label in client.labels() {
            *licences.entry(if label.licence.is_empty() { "not stated" } else { &label.licence }).or_default() += 1;
        }
        for (licence, tracks) in licences {
            writeln!(out, "| {} | {tracks} |", licence.replace('|', "\\|").replace(['\n', '\r'], " "))?;
        }
        self.notes.iter().try_for_each(|note| writeln!(out, "\n{note}"))
    }

    fn stages(
        &self,
        out: &mut String,
        name: &str,
        client: &ClientModel,
        hierarchy: &Hierarchy,
        heads: &[usize],
    ) -> std::fmt::Result {
        for (i, (stage, &head)) in hierarchy.stages().iter().zip(heads).enumerate() {
            let used = stage.shape().used();
            let reached = stage.counts().iter().filter(|&&count| count > 0).count();
            let bits = client.front().heads().get(head).map_or(0, |head| head.quantiser().bits);
            writeln!(
                out,
                "| {name} {i} | {} | {} | {:.1} | {} | {bits} | {} | {} |",
                stage.groups(),
                stage.counts().iter().max().unwrap_or(&0),
                used as f64 / reached.max(1) as f64,
                stage.input().width,
                weight_bits(stage.weights()),
                stage.score_bound(),
            )?;
        }
        Ok(())
    }
}

/// Fewest bits, with the sign, that hold every weight.
fn weight_bits(weights: &[i8]) -> u32 {
    let largest = weights.iter().map(|w| w.unsigned_abs()).max().unwrap_or(0);
    (1 + u8::BITS - largest.leading_zeros()).min(u8::BITS)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_card_is_read_as_it_is_written() {
        let written =
            "# Model card: m\n\n- Library: 12 tracks; index a; b\n- Slots a track: 3.00\n- Unknown songs: few lost\n";
        let card = Card::read(written);
        assert_eq!((card.source.as_str(), card.unknown.as_str()), ("index a; b", "few lost"));
        assert_eq!(Card::read("nothing"), Card::default());
    }
}
