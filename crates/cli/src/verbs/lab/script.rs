//! Scripts that run an experiment in parts on a cluster.

use sordino_lab::Plan;

/// The command that was given, with another verb of `lab` in the place of its own: without what asked for a script or a part, each word as
/// a shell reads it.
pub(super) fn command(given: &[String], of: &str, verb: &str) -> anyhow::Result<String> {
    let mut words = vec!["sordino".to_owned()];
    let mut rest = given.iter().skip(1);
    let mut found = false;
    while let Some(word) = rest.next() {
        match word.as_str() {
            "--slurm" | "--snakemake" | "--part" => _ = rest.next(),
            flag if ["--slurm=", "--snakemake=", "--part="].iter().any(|start| flag.starts_with(start)) => {}
            word if word == of && !found => {
                found = true;
                words.push(verb.into());
            }
            word => words.push(quoted(word)),
        }
    }
    anyhow::ensure!(found, "the command has no `{of}` in it");
    Ok(words.join(" "))
}

/// A word as a shell takes it for itself.
fn quoted(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./=:,+@".contains(c);
    if !word.is_empty() && word.chars().all(plain) { word.into() } else { format!("'{}'", word.replace('\'', "'\\''")) }
}

/// An array of jobs, one for each part. Merging is the comment at its end: until all parts are done, `merge` says what is missing.
pub(super) fn slurm(given: &[String], parts: usize, plan: &Plan) -> anyhow::Result<String> {
    let (run, merge) = (command(given, "plan", "run")?, command(given, "plan", "merge")?);
    // Twice what is expected, and an hour where nothing is.
    let minutes = (2.0 * plan.seconds / 60.0 / parts as f64).max(60.0).ceil();
    let memory = (1.5 * plan.gigabytes.unwrap_or(4.0)).max(2.0).ceil();
    Ok(format!(
        "#!/bin/bash\n#SBATCH --job-name=sordino\n#SBATCH --array=1-{parts}\n#SBATCH --cpus-per-task=2\n#SBATCH --mem={memory}G\n\
         #SBATCH --time={minutes}\nset -euo pipefail\n{run} --part \"${{SLURM_ARRAY_TASK_ID:?one of 1 to {parts}}}/{parts}\"\n\
         # When all parts are done, from the same folder:\n# {merge}"
    ))
}

/// Rules for all parts and what is gathered from them.
pub(super) fn snakemake(given: &[String], parts: usize) -> anyhow::Result<String> {
    let (run, merge) = (command(given, "plan", "run")?, command(given, "plan", "merge")?);
    // Braces are Snakemake's own.
    let escaped = |text: String| text.replace('{', "{{").replace('}', "}}").replace('\\', "\\\\").replace('"', "\\\"");
    let (run, merge) = (escaped(run), escaped(merge));
    Ok(format!(
        "PARTS = {parts}\n\nrule merge:\n    input: expand(\"part-{{part}}.done\", part=range(1, PARTS + 1))\n    \
         shell: \"{merge}\"\n\nrule part:\n    output: touch(\"part-{{part}}.done\")\n    threads: 2\n    \
         shell: \"{run} --part {{wildcards.part}}/{parts}\""
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scripts_run_what_was_planned() {
        let given = ["target/sordino", "lab", "plan", "an experiment", "--slurm", "3", "--cache=$x", "--size", "full"];
        let given = given.map(str::to_owned);
        assert_eq!(command(&given, "plan", "run").unwrap(), "sordino lab run 'an experiment' '--cache=$x' --size full");
        assert_eq!(quoted("it's"), "'it'\\''s'");
        let rules = snakemake(&given, 3).unwrap();
        assert!(rules.contains("--part {wildcards.part}/3") && rules.contains("PARTS = 3"), "{rules}");
        assert!(command(&given[..2], "plan", "run").is_err());
    }
}
