//! Differential evolution.

use rand::{Rng, RngExt};
use sconce_core::{Error, Result};

/// Differential evolution, rand/1/bin: a child `a + F (b − c)` of three other members competes with its parent. Storn and
/// Price, "Differential evolution – a simple and efficient heuristic for global optimization over continuous spaces", 1997.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Evolution {
    /// Generations after the first population, at most.
    pub generations: usize,
    /// F: the weight of the difference.
    pub weight: f64,
    /// CR: the probability of each number to come from the child and not from its parent; one always does.
    pub crossover: f64,
}

/// Costs of candidates.
#[derive(Debug, Clone, PartialEq)]
pub struct Costs {
    /// One for each candidate; the smaller the better.
    pub costs: Vec<f64>,
    /// The candidate that ends the search, if one is good enough.
    pub enough: Option<usize>,
}

/// What a search ended with.
#[derive(Debug, Clone, PartialEq)]
pub struct Evolved {
    /// The candidate that ended the search, or else the best.
    pub best: Vec<f64>,
    /// Its cost.
    pub cost: f64,
    /// Generations after the first population.
    pub generations: usize,
    /// Candidates whose cost was asked for.
    pub evaluations: usize,
}

impl Evolution {
    /// Minimises `cost` within `bounds`, from `population` on. All children of a generation are judged together.
    ///
    /// A number that leaves its bounds is drawn anew within them.
    ///
    /// # Errors
    /// When the population has fewer than four members or other dimensions than `bounds`, or `cost` fails or gives not
    /// one cost a candidate.
    pub fn minimise(
        &self,
        bounds: &[(f64, f64)],
        population: Vec<Vec<f64>>,
        rng: &mut impl Rng,
        mut cost: impl FnMut(&[Vec<f64>]) -> Result<Costs>,
    ) -> Result<Evolved> {
        if population.len() < 4 || population.iter().any(|member| member.len() != bounds.len()) {
            return Err(Error::message(format!(
                "expected a population of 4 or more members of {} numbers",
                bounds.len()
            )));
        }
        let mut judge = |candidates: &[Vec<f64>]| {
            let judged = cost(candidates)?;
            match judged.costs.len() == candidates.len() {
                true => Ok(judged),
                false => Err(Error::message("expected a cost for each candidate")),
            }
        };
        let mut members = population;
        let mut evaluations = members.len();
        let judged = judge(&members)?;
        let mut costs = judged.costs;
        if let Some(place) = judged.enough.filter(|place| *place < members.len()) {
            let (best, cost) = (members.swap_remove(place), costs[place]);
            return Ok(Evolved { best, cost, generations: 0, evaluations });
        }
        for generation in 1..=self.generations {
            let mut children: Vec<Vec<f64>> =
                (0..members.len()).map(|i| self.child(&members, i, bounds, rng)).collect();
            evaluations += children.len();
            let judged = judge(&children)?;
            if let Some(place) = judged.enough.filter(|place| *place < children.len()) {
                let (best, cost) = (children.swap_remove(place), judged.costs[place]);
                return Ok(Evolved { best, cost, generations: generation, evaluations });
            }
            for (i, child) in children.into_iter().enumerate() {
                if judged.costs[i] <= costs[i] {
                    (members[i], costs[i]) = (child, judged.costs[i]);
                }
            }
        }
        let best = (0..members.len()).min_by(|a, b| costs[*a].total_cmp(&costs[*b])).unwrap_or(0);
        let (cost, best) = (costs[best], members.swap_remove(best));
        Ok(Evolved { best, cost, generations: self.generations, evaluations })
    }

    /// The child of member `own`.
    fn child(
        &self,
        members: &[Vec<f64>],
        own: usize,
        bounds: &[(f64, f64)],
        rng: &mut impl Rng,
    ) -> Vec<f64> {
        let mut parents = [own; 4];
        for i in 1..4 {
            while parents[..i].contains(&parents[i]) {
                parents[i] = rng.random_range(0..members.len());
            }
        }
        let [own, a, b, c] = parents.map(|i| &members[i]);
        let always = rng.random_range(0..bounds.len().max(1));
        let number = |(i, (low, high)): (usize, &(f64, f64))| {
            if i != always && rng.random::<f64>() >= self.crossover {
                return own[i];
            }
            let value = a[i] + self.weight * (b[i] - c[i]);
            if (*low..=*high).contains(&value) {
                value
            } else {
                low + rng.random::<f64>() * (high - low)
            }
        };
        bounds.iter().enumerate().map(number).collect()
    }
}
