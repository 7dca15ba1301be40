//! What a running cell tells, and who takes it.

use serde::{Deserialize, Serialize};

/// What a running cell tells.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "update")]
pub enum Update {
    /// So much of `total` is done; `unit` is plural (`images`, `epochs`).
    Progress {
        /// Done so far.
        done: u64,
        /// All there is; 0 when unknown.
        total: u64,
        /// What is counted.
        unit: String,
    },
    /// What is going on, in a few words.
    Note {
        /// The words.
        text: String,
    },
    /// A number of interest, such as a loss.
    Metric {
        /// Its name.
        name: String,
        /// Its value.
        value: f64,
    },
    /// Numbers of a training at a step: a point of the cell's curves.
    Point {
        /// Steps done, from 1.
        step: u64,
        /// The epoch, from 1, that ended with the step and of which the values are; none where they
        /// are of the step.
        epoch: Option<u64>,
        /// The numbers by name.
        values: Vec<(String, f64)>,
    },
}

/// Takes what a running cell tells.
pub trait Reporter: Send + Sync {
    /// Called from any thread, often.
    fn report(&self, update: Update);
}

/// A reporter that drops everything.
pub struct Silent;

impl Reporter for Silent {
    fn report(&self, _: Update) {}
}
