//! The one evaluation: a [`System`] is asked [`Queries`], and everything else is counted from its [`Record`]s.
//!
//! `sordino evaluate`, `sordino lab run`, the baselines and the benches all come here. Sound goes in, one record per query and way of
//! answering comes out; [`Finding`] turns records into the rows of a table, [`Agreement`] into encrypted beside clear.

mod agreement;
pub(crate) mod encrypted;
mod evaluation;
pub(crate) mod features;
mod finding;
mod method;
mod query;
mod record;
mod row;
mod score;
mod system;
mod table;

pub use agreement::Agreement;
pub use encrypted::Sample;
pub use evaluation::{Answers, Evaluation, Promise};
pub use finding::{Finding, Subject};
pub use method::{Cost, Margins, Method};
pub use query::{Queries, Query};
pub(crate) use record::thousandths;
pub use record::{Race, Record};
pub use row::Row;
pub use score::{Score, median, percent};
pub use system::{AnswerSettings, Response, System};
pub(crate) use system::{in_the_clear, named};
pub(crate) use table::Columns;
pub use table::{Table, write_table};
