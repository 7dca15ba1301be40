//! Which cells share a job.

use crate::Digest;
use crate::store::Store;

/// How many cells share a job.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Group {
    /// So many.
    Cells(usize),
    /// As many as take so many seconds one after the other, by what the stage's last results took.
    Seconds(f64),
}

/// A job of unknown cells holds one each.
const MOST: usize = 1000;

impl Group {
    /// How many cells, when the last ones took `took` seconds each.
    pub(super) fn cells(self, took: Option<f64>) -> usize {
        match (self, took) {
            (Self::Cells(cells), _) => cells.max(1),
            (Self::Seconds(seconds), Some(took)) => {
                ((seconds / took.max(1e-3)).floor() as usize).clamp(1, MOST)
            }
            (Self::Seconds(_), None) => 1,
        }
    }
}

/// Seconds that the last results of a stage took, on average of those that took a tenth of the longest or more: the outputs of
/// others may have been written by a sibling.
pub(super) fn seconds_of(store: &Store, pipeline: &str, stage: &str) -> Option<f64> {
    const ENOUGH: usize = 20;
    let last = store.last(pipeline).ok()?;
    let of_stage = |name: &&String| {
        name.strip_prefix(stage).is_some_and(|rest| rest.is_empty() || rest.starts_with('['))
    };
    let keys: Vec<&Digest> =
        last.iter().filter(|(name, _)| of_stage(name)).map(|(_, key)| key).collect();
    let receipts =
        keys.into_iter().take(ENOUGH).filter_map(|key| store.recorded(key).ok().flatten());
    let mut seconds: Vec<f64> = receipts.map(|receipt| receipt.seconds).collect();
    let longest = seconds.iter().copied().fold(0.0, f64::max);
    seconds.retain(|seconds| *seconds >= 0.1 * longest);
    (!seconds.is_empty()).then(|| seconds.iter().sum::<f64>() / seconds.len() as f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_job_holds_what_its_seconds_hold() {
        assert_eq!(Group::Cells(50).cells(Some(3.0)), 50);
        assert_eq!(Group::Cells(0).cells(None), 1);
        assert_eq!(Group::Seconds(600.0).cells(Some(7.0)), 85);
        assert_eq!(Group::Seconds(600.0).cells(Some(601.0)), 1);
        assert_eq!(Group::Seconds(600.0).cells(None), 1, "what is not known is not grouped");
        assert_eq!(Group::Seconds(600.0).cells(Some(0.0)), MOST);
    }
}
