//! Where a training goes on from: one file, replaced by rename: a safetensors file and its digest behind it.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};

use candle_core::{Device, Tensor};
use sconce_core::error::{IoResultExt, ResultExt};
use sconce_core::system::files;
use sconce_core::{Context, Digest, Error, Result};
use serde::{Deserialize, Serialize};

use super::{Best, History, State, Task};
use crate::Tensors;

/// The folders of a training's checkpoints.
pub(super) struct Place {
    /// Of this very training.
    own: PathBuf,
    /// Of all trainings that differ in their number of epochs alone, where one can begin with another.
    shared: Option<PathBuf>,
}

/// A checkpoint that was read.
pub(super) struct Saved {
    pub(super) task: Tensors,
    pub(super) state: State,
}

/// The numbers beside the tensors. Floats are kept as their bits: text would round them.
#[derive(Serialize, Deserialize)]
struct Meta {
    version: u32,
    step: usize,
    sums: Vec<(String, u64)>,
    seen: usize,
    rows: Vec<Vec<(String, u64)>>,
    best_epoch: Option<usize>,
    best_value: Option<u64>,
}

const VERSION: u32 = 1;
/// Hexadecimal digits of the digest at the end.
const DIGEST: usize = 64;
const META: &str = "sconce_training";
const NOW: &str = "now/";
const BEST: &str = "best/";

impl Place {
    pub(super) fn new(ctx: &Context, shared: Option<PathBuf>) -> Self {
        Self { own: ctx.checkpoint().to_owned(), shared }
    }

    fn current(&self) -> PathBuf {
        self.own.join("training.checkpoint")
    }

    /// The checkpoint to go on from: the own one, or the end of the longest training of at most `epochs`.
    pub(super) fn load(&self, epochs: usize) -> Result<Option<Saved>> {
        let current = self.current();
        if current.exists() {
            // What cannot be read is of another version or damaged: begin again rather than fail for ever.
            if let Ok(saved) = read(&current) {
                return Ok(Some(saved));
            }
            std::fs::remove_file(&current).at(&current)?;
        }
        let ends = self.shared.as_deref().map(ends).unwrap_or_default();
        for (_, path) in ends.range(..=epochs).rev() {
            if let Ok(saved) = read(path) {
                return Ok(Some(saved));
            }
        }
        Ok(None)
    }

    pub(super) fn save(&self, task: &Tensors, state: &State) -> Result<()> {
        write(&self.current(), task, state)
    }

    /// Keeps the end of a training of `epochs`, for longer ones to begin with.
    pub(super) fn finish(
        &self,
        epochs: usize,
        fresh: bool,
        task: &dyn Task,
        state: &State,
    ) -> Result<()> {
        let Some(shared) = &self.shared else { return Ok(()) };
        let path = shared.join(format!("epochs-{epochs}.checkpoint"));
        match fresh && path.exists() {
            true => Ok(()),
            false => write(&path, &task.snapshot()?, state),
        }
    }
}

/// The ends of trainings in a folder, by their number of epochs.
fn ends(folder: &Path) -> BTreeMap<usize, PathBuf> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let end = |path: PathBuf| {
        let name = path.file_name()?.to_str()?;
        let epochs = name.strip_prefix("epochs-")?.strip_suffix(".checkpoint")?.parse().ok()?;
        Some((epochs, path))
    };
    entries.filter_map(|entry| end(entry.path())).collect()
}

fn bits(values: &[(String, f64)]) -> Vec<(String, u64)> {
    values.iter().map(|(name, value)| (name.clone(), value.to_bits())).collect()
}

fn floats(values: Vec<(String, u64)>) -> Vec<(String, f64)> {
    values.into_iter().map(|(name, bits)| (name, f64::from_bits(bits))).collect()
}

fn write(path: &Path, task: &Tensors, state: &State) -> Result<()> {
    let meta = Meta {
        version: VERSION,
        step: state.step,
        sums: bits(&state.sums),
        seen: state.seen,
        rows: state.history.rows.iter().map(|row| bits(row)).collect(),
        best_epoch: state.history.best,
        best_value: state.best.as_ref().map(|best| best.value.to_bits()),
    };
    let best = state.best.iter().flat_map(|best| best.task.iter());
    let all = task.iter().map(|t| (NOW, t)).chain(best.map(|t| (BEST, t)));
    let named: Vec<(String, &Tensor)> =
        all.map(|(prefix, (name, tensor))| (format!("{prefix}{name}"), tensor)).collect();
    let meta = [(META.to_owned(), serde_json::to_string(&meta)?)];
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder).at(folder)?;
    }
    let temporary = path.with_extension(format!("{}.tmp", std::process::id()));
    let mut bytes = safetensors::serialize(named, Some(meta.into()))
        .map_err(Error::other)
        .doing(|| format!("writing {}", temporary.display()))?;
    bytes.extend(Digest::of(&bytes).hex().into_bytes());
    File::create(&temporary)
        .and_then(|mut file| file.write_all(&bytes).and_then(|()| file.sync_all()))
        .at(&temporary)?;
    files::rename(&temporary, path).at(path)?;
    // The name, too. One that a loss of power takes costs the time since the checkpoint before.
    if let Some(folder) = path.parent() {
        let _ = files::sync_folder(folder);
    }
    Ok(())
}

fn read(path: &Path) -> Result<Saved> {
    let mut bytes = std::fs::read(path).at(path)?;
    let digest = bytes.split_off(bytes.len().saturating_sub(DIGEST));
    if Digest::of(&bytes).hex().as_bytes() != digest {
        return Err(Error::message(format!("{} is damaged", path.display())));
    }
    let (_, header) = safetensors::SafeTensors::read_metadata(&bytes).map_err(Error::other)?;
    let meta = header.metadata().as_ref().and_then(|meta| meta.get(META));
    let meta = meta.ok_or_else(|| Error::message("expected a checkpoint of a training"))?;
    let meta: Meta = serde_json::from_str(meta)?;
    if meta.version != VERSION {
        return Err(Error::message(format!("expected a checkpoint of version {VERSION}")));
    }
    let tensors =
        candle_core::safetensors::load_buffer(&bytes, &Device::Cpu).map_err(Error::other)?;
    let (mut now, mut best) = (Tensors::default(), Tensors::default());
    for (name, tensor) in tensors {
        if let Some(name) = name.strip_prefix(NOW) {
            now.insert(name, tensor);
        } else if let Some(name) = name.strip_prefix(BEST) {
            best.insert(name, tensor);
        }
    }
    let history =
        History { rows: meta.rows.into_iter().map(floats).collect(), best: meta.best_epoch };
    let best = meta.best_value.map(|value| Best { value: f64::from_bits(value), task: best });
    let state = State { step: meta.step, sums: floats(meta.sums), seen: meta.seen, history, best };
    Ok(Saved { task: now, state })
}
