//! Successive halving: many trials with a small budget, the best of them with a larger one.
//!
//! K. Jamieson and A. Talwalkar, *Non-stochastic best arm identification and hyperparameter
//! optimization*, AISTATS 2016.

/// A budget, such as the epochs of a training, and how much of everything goes on.
#[derive(Debug, Clone, PartialEq)]
pub struct Halving {
    /// The path of the setting that is the budget: `stage.cnn.training.epochs`.
    pub path: String,
    /// The smallest budget.
    pub least: u64,
    /// The largest, that of the last trials.
    pub most: u64,
    /// One in so many trials goes on, with so many times the budget.
    pub eta: u64,
}

impl Halving {
    /// Reads `PATH=LEAST..MOST`.
    ///
    /// # Errors
    /// What was expected.
    pub fn parse(text: &str, eta: u64) -> Result<Self, String> {
        let expected = || {
            format!("`{text}`: expected PATH=LEAST..MOST, such as stage.cnn.training.epochs=1..27")
        };
        let (path, range) = text.split_once('=').ok_or_else(expected)?;
        let (least, most) = range.split_once("..").ok_or_else(expected)?;
        let whole = |text: &str| text.trim().parse::<u64>().ok();
        match (whole(least), whole(most)) {
            (Some(least), Some(most)) if 0 < least && least < most && !path.trim().is_empty() => {
                if eta < 2 {
                    return Err(format!("one in {eta} cannot go on: expected 2 or more"));
                }
                Ok(Self { path: path.trim().to_owned(), least, most, eta })
            }
            _ => Err(expected()),
        }
    }

    /// The budgets, from the smallest on: the largest, and each an `eta`-th of the next, rounded, as
    /// long as they are no smaller than the smallest.
    pub fn budgets(&self) -> Vec<u64> {
        let mut budgets = vec![self.most];
        let mut share = 1_u64;
        loop {
            share = share.saturating_mul(self.eta);
            // Rounded to the nearest.
            let budget = (self.most + share / 2) / share;
            if budget < self.least || budgets.last() == Some(&budget) {
                budgets.reverse();
                return budgets;
            }
            budgets.push(budget);
        }
    }

    /// How many of `count` trials go on to the next budget: at least one.
    pub fn going_on(&self, count: usize) -> usize {
        let eta = usize::try_from(self.eta).unwrap_or(usize::MAX);
        (count / eta).max(1).min(count)
    }

    /// The setting of a budget.
    pub fn setting(&self, budget: u64) -> String {
        format!("{}={budget}", self.path)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn budgets(range: &str, eta: u64) -> Vec<u64> {
        Halving::parse(&format!("stage.a.epochs={range}"), eta).unwrap().budgets()
    }

    #[test]
    fn budgets_end_with_the_largest() {
        assert_eq!(budgets("1..27", 3), [1, 3, 9, 27]);
        assert_eq!(budgets("2..27", 3), [3, 9, 27]);
        assert_eq!(budgets("1..10", 3), [1, 3, 10]);
        assert_eq!(budgets("5..6", 2), [6]);
        assert_eq!(budgets("1..4", 2), [1, 2, 4]);
    }

    #[test]
    fn one_in_eta_goes_on() {
        let halving = Halving::parse("a=1..27", 3).unwrap();
        let mut counts = vec![27];
        while counts.len() < 5 {
            counts.push(halving.going_on(*counts.last().unwrap()));
        }
        assert_eq!(counts, [27, 9, 3, 1, 1]);
        for bad in ["a", "a=3", "a=0..3", "a=3..3", "a=3..1", "=1..3", "a=1..x"] {
            assert!(Halving::parse(bad, 3).is_err(), "{bad}");
        }
        assert!(Halving::parse("a=1..3", 1).is_err());
    }
}
