//! What the network says of watched images at points of its training.

use candle_core::{Device, Tensor};
use sconce_core::{Error, Result};
use sconce_data::{Column, Examples, Features, Table};
use sconce_models::Tensors;
use sconce_models::images::Images;
use sconce_models::networks::two_domains::{Domain, Forward, TwoDomains};
use sconce_models::train::View;
use serde_json::json;

/// Images looked at together.
const BATCH: usize = 250;

/// Logits of images, `(images, classes)`, in eval mode.
pub(crate) fn logits(
    network: &TwoDomains,
    images: &Images,
    domain: Domain,
    device: &Device,
) -> Result<Tensor> {
    let rows: Vec<usize> = (0..images.len()).collect();
    let mut all = Vec::new();
    for rows in rows.chunks(BATCH) {
        let x = images.batch(rows, device, |_| View::default())?;
        let logits = network.logits(&x, &mut Forward::eval(domain)).map_err(Error::other)?;
        all.push(logits.to_device(&Device::Cpu).map_err(Error::other)?);
    }
    Tensor::cat(&all, 0).map_err(Error::other)
}

/// The images of one domain that are watched.
#[derive(Debug)]
pub(crate) struct Watched {
    /// Who they are: without labels where they may not be seen.
    pub(crate) examples: Examples,
    pub(crate) images: Images,
}

/// Logits of the watched images of both domains at each checkpoint so far.
#[derive(Debug, Default)]
pub(crate) struct Checkpoints {
    list: Vec<Checkpoint>,
}

#[derive(Debug)]
struct Checkpoint {
    epoch: usize,
    step: usize,
    logits: [Tensor; 2],
}

const DOMAINS: [&str; 2] = ["source", "target"];

impl Checkpoints {
    pub(crate) fn push(&mut self, epoch: usize, step: usize, logits: [Tensor; 2]) {
        self.list.push(Checkpoint { epoch, step, logits });
    }

    /// Puts them into a snapshot of the training.
    pub(crate) fn save(&self, into: &mut Tensors) -> Result<()> {
        for (i, Checkpoint { epoch, step, logits }) in self.list.iter().enumerate() {
            let at =
                Tensor::new(&[*epoch as u32, *step as u32], &Device::Cpu).map_err(Error::other)?;
            into.insert(format!("watched.{i}.at"), at);
            for (logits, domain) in logits.iter().zip(DOMAINS) {
                into.insert(format!("watched.{i}.{domain}"), logits.clone());
            }
        }
        Ok(())
    }

    /// Those of a snapshot.
    pub(crate) fn restore(from: &Tensors) -> Result<Self> {
        let mut all = Self::default();
        for i in 0.. {
            let Some(at) = from.find(&format!("watched.{i}.at")) else { break };
            let at = at.to_vec1::<u32>().map_err(Error::other)?;
            let logits = |domain: &str| from.get(&format!("watched.{i}.{domain}"));
            let [source, target] = DOMAINS.map(logits);
            let [epoch, step] = [0, 1].map(|k| at.get(k).map_or(0, |&n| n as usize));
            all.push(epoch, step, [source?, target?]);
        }
        Ok(all)
    }

    /// A row a checkpoint: its number from 0, epochs and updates done.
    pub(crate) fn table(&self) -> Result<Table> {
        let mut table = Table::new(vec![
            Column::integer("checkpoint"),
            Column::integer("epoch"),
            Column::integer("step"),
        ]);
        for (i, Checkpoint { epoch, step, .. }) in self.list.iter().enumerate() {
            table.push(vec![json!(i), json!(epoch), json!(step)])?;
        }
        Ok(table)
    }

    /// The logits of one domain's images (0: source, 1: target): a row an image, `[checkpoints, classes]` each.
    pub(crate) fn features(&self, domain: usize, examples: Examples) -> Result<Features> {
        let all: Vec<&Tensor> = self.list.iter().map(|c| &c.logits[domain]).collect();
        let stacked = Tensor::stack(&all, 1).map_err(Error::other)?;
        let (_, checkpoints, classes) = stacked.dims3().map_err(Error::other)?;
        let values = stacked.flatten_all().and_then(|t| t.to_vec1()).map_err(Error::other)?;
        Features::new(examples, vec![checkpoints, classes], values)
    }
}
