//! Many receipts at once, and the numbers that results hold: for tables of results.

use std::collections::BTreeMap;

use super::{Store, parallel};
use crate::stage::metrics::{FILE, METRICS, Numbers};
use crate::store::{OutputRecord, Receipt};
use crate::{Digest, Error, Result};

impl Store {
    /// What was recorded of each key, as [`Store::recorded`] tells it, on several threads.
    pub fn recorded_all(&self, keys: &[Digest]) -> Result<Vec<Option<Receipt>>> {
        parallel::map(parallel::FILES, keys, |key| self.recorded(key)).into_iter().collect()
    }

    /// The numbers of each result by name, on several threads: those in its outputs of type
    /// `metrics`, and those that the cell told while it ran. A name that a second output has, too, is
    /// `output.name` there. Content that is gone or bad gives no numbers.
    pub fn numbers_all(&self, receipts: &[&Receipt]) -> Vec<BTreeMap<String, f64>> {
        parallel::map(parallel::FILES, receipts, |receipt| self.numbers(receipt))
    }

    /// The number called `name` in the output `output` of a result, or in any of them and in what
    /// the cell told where none is named. An error says what there is.
    pub fn number(&self, receipt: &Receipt, output: Option<&str>, name: &str) -> Result<f64> {
        let (found, what) = match output {
            Some(output) => {
                let record = receipt.outputs.get(output);
                let numbers = record.and_then(|record| self.numbers_of(&record.digest));
                (numbers.unwrap_or_default(), format!("output `{output}` of {}", receipt.cell))
            }
            None => (self.numbers(receipt), receipt.cell.to_string()),
        };
        found.get(name).copied().ok_or_else(|| {
            let names: Vec<_> = found.keys().map(|name| format!("`{name}`")).collect();
            let there = match names.is_empty() {
                true => "there are none".to_owned(),
                false => format!("there are: {}", names.join(", ")),
            };
            Error::message(format!("{what} has no metric `{name}`; {there}"))
        })
    }

    fn numbers(&self, receipt: &Receipt) -> BTreeMap<String, f64> {
        let mut all: BTreeMap<String, f64> = BTreeMap::new();
        let is_metrics = |(_, output): &(&String, &OutputRecord)| output.artifact == METRICS;
        let mut outputs: Vec<_> = receipt.outputs.iter().filter(is_metrics).collect();
        // What two runs have in common comes first.
        outputs.sort_by_key(|(_, output)| output.volatile);
        for (output, record) in outputs {
            for (name, value) in self.numbers_of(&record.digest).unwrap_or_default() {
                let name = match all.contains_key(&name) {
                    true => format!("{output}.{name}"),
                    false => name,
                };
                all.insert(name, value);
            }
        }
        for (name, value) in &receipt.metrics {
            all.entry(name.clone()).or_insert(*value);
        }
        all
    }

    /// The verified numbers of one artifact of metrics.
    fn numbers_of(&self, tree: &Digest) -> Option<BTreeMap<String, f64>> {
        let member = self.tree(tree).ok()?.remove(FILE)?;
        let mut bytes = Vec::new();
        self.read_file(Some(&member.digest), &self.blob(&member.digest), &mut bytes).ok()??;
        if Digest::of(&bytes) != member.digest {
            return None;
        }
        Some(serde_json::from_slice::<Numbers>(&bytes).ok()?.values)
    }
}
