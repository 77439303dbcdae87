//! [`Machine`]: on what and with what results were made.

use std::fs;
use std::process::{Command, Stdio};
use std::time::{SystemTime, UNIX_EPOCH};

use serde::Serialize;

use crate::Size;

/// The machine and the versions that results were made with.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Machine {
    /// Processor, as it names itself.
    pub processor: String,
    /// Threads.
    pub threads: usize,
    /// Memory in gigabytes.
    pub memory_gigabytes: Option<u64>,
    /// Operating system and architecture.
    pub system: String,
    /// Version of this program.
    pub version: String,
    /// `release`, or `development`.
    pub build: String,
    /// The day, in UTC: `2026-11-20`.
    pub date: String,
    /// The commit of the sources that it was built from, where those are still there and kept by Git.
    pub commit: Option<String>,
}

impl Machine {
    /// This machine.
    pub fn here() -> Self {
        let field = |file: &str, name: &str| {
            let text = fs::read_to_string(file).ok()?;
            let line = text.lines().find(|line| line.starts_with(name))?;
            Some(line.split_once(':')?.1.trim().to_owned())
        };
        let kilobytes = |text: String| text.split_whitespace().next()?.parse::<u64>().ok();
        Self {
            processor: field("/proc/cpuinfo", "model name").unwrap_or_else(|| "unknown".into()),
            threads: rayon::current_num_threads(),
            memory_gigabytes: field("/proc/meminfo", "MemTotal").and_then(kilobytes).map(|kb| kb / 1_000_000),
            system: format!("{} {}", std::env::consts::OS, std::env::consts::ARCH),
            version: env!("CARGO_PKG_VERSION").into(),
            build: if cfg!(debug_assertions) { "development" } else { "release" }.into(),
            date: today(),
            commit: commit(),
        }
    }

    /// A name for a folder of results of this size made today: `2026-11-20-2core`, and what is not full says so.
    pub fn results_name(&self, size: Size) -> String {
        let part = if size == Size::Full { String::new() } else { format!("-{}", size.name()) };
        format!("{}-{}core{part}", self.date, self.threads)
    }
}

/// The date in UTC.
fn today() -> String {
    let seconds = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |passed| passed.as_secs());
    let (year, month, day) = civil(seconds / 86_400);
    format!("{year}-{month:02}-{day:02}")
}

/// What Git says of the folder of the sources, if there is one.
fn commit() -> Option<String> {
    let asked = Command::new("git")
        .args(["-C", env!("CARGO_MANIFEST_DIR"), "describe", "--always", "--dirty", "--abbrev=10", "--exclude=*"])
        .stderr(Stdio::null())
        .output()
        .ok()?;
    let said = String::from_utf8(asked.stdout).ok()?;
    (asked.status.success() && !said.trim().is_empty()).then(|| said.trim().to_owned())
}

/// The date (UTC) of a day since 1970-01-01, in the proleptic Gregorian calendar: years begin in March, so that the leap
/// day is the last, and 400 years have 146,097 days.
fn civil(day: u64) -> (u64, u64, u64) {
    let day = day + 719_468;
    let (era, day) = (day / 146_097, day % 146_097);
    let year = (day - day / 1_460 + day / 36_524 - day / 146_096) / 365;
    let day = day - (365 * year + year / 4 - year / 100);
    let march = (5 * day + 2) / 153;
    let month = if march < 10 { march + 3 } else { march - 9 };
    (era * 400 + year + u64::from(month <= 2), month, day - (153 * march + 2) / 5 + 1)
}

/// Starts a new measurement of [`peak_gigabytes`]; without effect where the system does not offer it.
pub fn reset_peak() {
    // `5` resets the high-water mark of resident memory (proc(5), /proc/pid/clear_refs); where it cannot be written,
    // the mark of the whole run is reported, which is an upper bound.
    let _ = fs::write("/proc/self/clear_refs", "5");
}

/// The most memory that was resident since, where the system tells.
pub fn peak_gigabytes() -> Option<f64> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find(|line| line.starts_with("VmHWM"))?;
    let kilobytes: f64 = line.split_whitespace().nth(1)?.parse().ok()?;
    Some((kilobytes * 1.024 / 1e3).round() / 1e3)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_have_dates() {
        assert_eq!(civil(0), (1970, 1, 1));
        assert_eq!(civil(11_016), (2000, 2, 29));
        assert_eq!(civil(11_017), (2000, 3, 1));
        assert_eq!(civil(20_777), (2026, 11, 20));
        assert_eq!(civil(47_540), (2100, 2, 28));
        assert_eq!(civil(47_541), (2100, 3, 1));
    }
}
