//! `sordino lab plan`: what an experiment will run and take.

use std::time::Duration;

use clap::Args;
use sordino_lab::Lab;

use super::run::Asked;
use super::script;
use crate::report::{self, Terminal, say};

/// Say what an experiment will run, without running it: every unit, with the time and the memory that units like it took with this
/// cache. Columns, conditions and settings are checked.
#[derive(Args)]
#[command(after_help = "Examples:\n  sordino lab plan experiments/scaling --size full\n  \
    sordino lab plan experiments/scaling --size full --cache /shared/lab --slurm 8 > scaling.sh && sbatch scaling.sh\n  \
    sordino lab plan experiments/scaling --size full --cache /shared/lab --snakemake 8 > Snakefile && snakemake -j 8")]
pub(super) struct Plan {
    #[command(flatten)]
    asked: Asked,
    /// Print a Slurm array script in place of the plan, for so many parts.
    #[arg(long, value_name = "PARTS", conflicts_with_all = ["snakemake", "json"])]
    slurm: Option<usize>,
    /// Print a Snakefile in place of the plan, for so many parts.
    #[arg(long, value_name = "PARTS", conflicts_with = "json")]
    snakemake: Option<usize>,
}

impl Plan {
    pub(super) fn run(self, json: bool) -> anyhow::Result<()> {
        let (question, music) = self.asked.open()?;
        let plan = Lab::new(&music, &self.asked.cache, &Terminal).plan(&question)?;
        let parts = |parts: usize| parts.clamp(1, plan.units.len().max(1));
        if let Some(count) = self.slurm {
            say!("{}", script::slurm(&report::command(), parts(count), &plan)?);
            return report::heard();
        }
        if let Some(count) = self.snakemake {
            say!("{}", script::snakemake(&report::command(), parts(count))?);
            return report::heard();
        }
        report::print(json, &plan, |plan| {
            let time = |seconds: f64| report::seconds(Duration::from_secs_f64(seconds));
            for (place, unit) in plan.units.iter().enumerate() {
                let takes = match (unit.done, unit.seconds) {
                    (true, _) => "done".into(),
                    (false, Some(seconds)) => time(seconds),
                    (false, None) => "?".into(),
                };
                say!("{:>4}  {takes:>9}  {}: {}", place + 1, unit.grid, unit.unit);
            }
            let left = plan.units.iter().filter(|unit| !unit.done).count();
            let known = if plan.unpredicted < left { format!(", about {}", time(plan.seconds)) } else { String::new() };
            let unknown = match plan.unpredicted {
                0 => String::new(),
                some => format!("; of {some} nothing is known until units like them have run with this cache"),
            };
            say!("{} units, {left} of them to run{known}{unknown}", plan.units.len());
            let memory = plan.gigabytes.map(|gigabytes| format!("about {gigabytes:.1} GB of memory, "));
            say!("{}{:.1} GB of disk for indexes", memory.unwrap_or_default(), plan.disk_gigabytes);
        })
    }
}
