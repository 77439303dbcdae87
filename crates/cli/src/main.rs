//! The `sordino` program.

use std::process::ExitCode;

fn main() -> ExitCode {
    sordino_cli::run(std::env::args_os().collect()).into()
}
