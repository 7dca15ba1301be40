//! Kind `nearest-neighbours`.

use schemars::JsonSchema;
use sconce_core::{Context, Error, Input, Result, Stage, outputs};
use sconce_data::{Features, Metrics};
use serde::{Deserialize, Serialize};

/// Tells how well features separate classes without any training: each example of the split is
/// classified by its nearest neighbours among the others (Cover and Hart, Nearest Neighbor Pattern
/// Classification, 1967).
#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct NearestNeighbours {
    /// The features, with classes.
    features: Input<Features>,
    /// Neighbours that vote; the nearer class wins a tie.
    k: usize,
    /// The split whose examples are classified.
    #[serde(default = "test")]
    split: String,
}

fn test() -> String {
    "test".to_owned()
}

outputs! { NearestNeighbours:
    /// Accuracy: the share of examples that are right.
    METRICS: Metrics = "metrics";
}

impl Stage for NearestNeighbours {
    const KIND: &'static str = "nearest-neighbours";
    const VERSION: u32 = 1;

    fn check(&self) -> Result<()> {
        if self.k == 0 {
            return Err(Error::parameter("k", "expected at least 1 neighbour"));
        }
        Ok(())
    }

    fn run(&self, ctx: &Context<Self>) -> Result<()> {
        let features = ctx.input(&self.features)?;
        let examples = features.examples();
        let places = examples.in_split(&self.split)?;
        let labels = examples.labels_of(&places)?;
        if places.len() <= self.k {
            let message = format!("expected more than {} examples, found {}", self.k, places.len());
            return Err(Error::Input { slot: "features".into(), message });
        }
        let rows: Vec<&[f32]> = places.iter().map(|&place| features.row(place)).collect();
        let mut right = 0;
        for (i, &label) in labels.iter().enumerate() {
            ctx.progress(i, rows.len(), "examples")?;
            right += usize::from(vote(&rows, &labels, i, self.k) == label);
        }
        let mut metrics = Metrics::default();
        metrics.set("accuracy", right as f64 / rows.len() as f64);
        ctx.metric("accuracy", metrics.get("accuracy")?);
        ctx.write(Self::METRICS, &metrics)
    }
}

/// The class that most of the `k` rows nearest to row `i` have.
fn vote(rows: &[&[f32]], labels: &[u32], i: usize, k: usize) -> u32 {
    let distance = |j: usize| rows[i].iter().zip(rows[j]).map(|(a, b)| (a - b).powi(2)).sum();
    let mut others: Vec<(f32, u32)> =
        (0..rows.len()).filter(|&j| j != i).map(|j| (distance(j), labels[j])).collect();
    others.sort_by(|(a, _), (b, _)| a.total_cmp(b));
    let classes: Vec<u32> = others[..k].iter().map(|&(_, class)| class).collect();
    let votes = |class: &u32| classes.iter().filter(|&other| other == class).count();
    // From the farthest: of equals, `max_by_key` takes the last.
    classes.iter().rev().copied().max_by_key(votes).expect("k is at least 1")
}

#[cfg(test)]
mod tests {
    use super::vote;

    #[test]
    fn most_neighbours_win_and_the_nearer_class_wins_a_tie() {
        let rows: [&[f32]; 5] = [&[0.0], &[1.0], &[2.0], &[3.0], &[9.0]];
        let labels = [7, 1, 0, 0, 1];
        assert_eq!(vote(&rows, &labels, 0, 1), 1);
        assert_eq!(vote(&rows, &labels, 0, 2), 1);
        assert_eq!(vote(&rows, &labels, 0, 3), 0);
        assert_eq!(vote(&rows, &labels, 0, 4), 1);
    }
}
