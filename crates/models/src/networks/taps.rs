//! Outputs by name, collected on the way through a network.

use candle_core::{Result, Tensor, bail};

use super::{Network, Pass};

/// The outputs that are asked of a network, each under the place of its tap.
pub(crate) struct Wanted {
    first: usize,
    places: Vec<usize>,
    outputs: Vec<Option<Tensor>>,
}

impl Wanted {
    /// The outputs called `taps`; those of `pass` have to lie behind the one that it begins with.
    pub(crate) fn new(network: &dyn Network, pass: &Pass<'_>, taps: &[&str]) -> Result<Self> {
        let first = match pass.from {
            Some(tap) => place(network, tap)? + 1,
            None => 0,
        };
        let mut places = Vec::with_capacity(taps.len());
        for tap in taps {
            let place = place(network, tap)?;
            if place < first {
                bail!("`{tap}` does not lie behind `{}`", pass.from.unwrap_or_default());
            }
            places.push(place);
        }
        Ok(Self { first, outputs: vec![None; places.len()], places })
    }

    /// The place of the first tap that is computed.
    pub(crate) fn first(&self) -> usize {
        self.first
    }

    /// The place behind the last one that is asked for: nothing from there on need be computed.
    pub(crate) fn end(&self) -> usize {
        self.places.iter().max().map_or(0, |last| last + 1)
    }

    /// Whether the output at `place` is asked for.
    pub(crate) fn contains(&self, place: usize) -> bool {
        self.places.contains(&place)
    }

    /// Keeps the output at `place` if it is asked for; only then it is computed.
    pub(crate) fn keep(
        &mut self,
        place: usize,
        output: impl FnOnce() -> Result<Tensor>,
    ) -> Result<()> {
        if self.contains(place) {
            let output = output()?;
            let wanted = self.outputs.iter_mut().zip(&self.places);
            wanted
                .filter(|(_, at)| **at == place)
                .for_each(|(slot, _)| *slot = Some(output.clone()));
        }
        Ok(())
    }

    /// The outputs in the order in which they were asked for.
    pub(crate) fn outputs(self) -> Vec<Tensor> {
        self.outputs.into_iter().flatten().collect()
    }
}

/// Runs a network whose taps lie one behind the other: `step` computes the output at a place from that before it.
pub(crate) fn run(
    network: &dyn Network,
    x: &Tensor,
    pass: &Pass<'_>,
    taps: &[&str],
    step: impl Fn(usize, &Tensor) -> Result<Tensor>,
) -> Result<Vec<Tensor>> {
    let mut wanted = Wanted::new(network, pass, taps)?;
    let mut x = x.clone();
    for place in wanted.first()..wanted.end() {
        x = step(place, &x)?;
        wanted.keep(place, || Ok(x.clone()))?;
    }
    Ok(wanted.outputs())
}

/// The place of `tap` among the network's taps.
fn place(network: &dyn Network, tap: &str) -> Result<usize> {
    let taps = network.taps();
    match taps.iter().position(|name| *name == tap) {
        Some(place) => Ok(place),
        None => {
            bail!("{} has no tap `{tap}`; there are: {}", network.architecture(), taps.join(", "))
        }
    }
}
