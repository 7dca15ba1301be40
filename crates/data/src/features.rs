//! Rows of numbers with labels: what a network says of images.

use std::path::Path;
use std::sync::Arc;

use safetensors::Dtype;
use sconce_core::error::IoResultExt;
use sconce_core::{Artifact, Error, Files, Result};
use serde::{Deserialize, Serialize};

use crate::examples::Examples;
use crate::finite::NotFinite;
use crate::tensor_file::{Mapped, TensorWriter};

/// Rows of numbers, one for each example.
///
/// Saved as `features.safetensors` (`features`, f32, rows × dimension; mapped when read) and
/// `features.json` (ids, classes, labels, splits, one row's shape).
#[derive(Debug, Clone)]
pub struct Features {
    examples: Examples,
    shape: Vec<usize>,
    values: Values,
}

#[derive(Debug, Clone)]
enum Values {
    Owned(Arc<Vec<f32>>),
    /// Aligned and a whole number of f32: see `load`.
    Mapped(Mapped),
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Index {
    shape: Vec<usize>,
    examples: Examples,
}

const VALUES: &str = "features.safetensors";
const INDEX: &str = "features.json";

impl Features {
    /// Features from numbers in memory, row after row; `shape` is one row's, such as
    /// `[512, 7, 7]`.
    pub fn new(examples: Examples, shape: Vec<usize>, values: Vec<f32>) -> Result<Self> {
        let features = Self { examples, shape, values: Values::Owned(Arc::new(values)) };
        features.check()?;
        Ok(features)
    }

    fn check(&self) -> Result<()> {
        self.examples.check()?;
        let (n, d, found) = (self.len(), self.dimension(), self.values().len());
        if found != n * d || d == 0 {
            return Err(Error::message(format!(
                "expected {n} rows of {d} numbers, found {found} numbers"
            )));
        }
        Ok(())
    }

    /// Who the rows are.
    pub fn examples(&self) -> &Examples {
        &self.examples
    }

    /// Number of rows.
    pub fn len(&self) -> usize {
        self.examples.len()
    }

    /// Whether there is no row.
    pub fn is_empty(&self) -> bool {
        self.examples.is_empty()
    }

    /// One row's shape before it was flattened, such as `[512, 7, 7]`.
    pub fn shape(&self) -> &[usize] {
        &self.shape
    }

    /// Numbers in a row.
    pub fn dimension(&self) -> usize {
        self.shape.iter().product()
    }

    /// All numbers, row after row: rows × dimension.
    pub fn values(&self) -> &[f32] {
        match &self.values {
            Values::Owned(values) => values,
            Values::Mapped(bytes) => bytemuck::cast_slice(bytes),
        }
    }

    /// The numbers of one row.
    ///
    /// # Panics
    /// When there is no such row.
    pub fn row(&self, row: usize) -> &[f32] {
        let d = self.dimension();
        &self.values()[row * d..(row + 1) * d]
    }

    /// The numbers of the rows `rows`, one after the other: rows × dimension.
    pub fn gather(&self, rows: &[usize]) -> Vec<f32> {
        rows.iter().flat_map(|&row| self.row(row)).copied().collect()
    }

    /// Writes the rows `rows` as features of `examples` into `folder` (of `ctx.output("…")`).
    pub fn write_rows(&self, rows: &[usize], examples: &Examples, folder: &Path) -> Result<()> {
        let mut writer = FeaturesWriter::create(folder, examples, &self.shape)?;
        rows.iter().try_for_each(|&row| writer.push(self.row(row)))?;
        writer.finish()
    }

    /// The same numbers with other labels or splits.
    pub fn with_examples(&self, examples: Examples) -> Result<Self> {
        let features = Self { examples, ..self.clone() };
        features.check()?;
        Ok(features)
    }
}

impl Artifact for Features {
    const TYPE: &'static str = "features";

    fn load(files: &Files) -> Result<Self> {
        let Index { shape, examples } = files.read_json(INDEX)?;
        let (bytes, _) = Mapped::open(files, VALUES, "features", Dtype::F32)?;
        let values = if cfg!(target_endian = "little")
            && bytemuck::try_cast_slice::<u8, f32>(&bytes).is_ok()
        {
            Values::Mapped(bytes)
        } else {
            // Written by another program, without padding to 4 bytes.
            let (numbers, _) = bytes.as_chunks();
            Values::Owned(Arc::new(
                numbers.iter().map(|&number| f32::from_le_bytes(number)).collect(),
            ))
        };
        let features = Self { examples, shape, values };
        features.check()?;
        Ok(features)
    }

    fn save(&self, folder: &Path) -> Result<()> {
        let mut writer = FeaturesWriter::create(folder, &self.examples, &self.shape)?;
        writer.push(self.values())?;
        writer.finish()
    }
}

/// Writes [`Features`] as they come, so that they need not fit into memory.
pub struct FeaturesWriter {
    file: TensorWriter,
    ids: Vec<String>,
    dimension: usize,
    not_finite: NotFinite,
}

impl FeaturesWriter {
    /// Starts writing into `folder` (of `ctx.output("…")`); `shape` is one row's.
    pub fn create(folder: &Path, examples: &Examples, shape: &[usize]) -> Result<Self> {
        examples.check()?;
        let (n, d) = (examples.len(), shape.iter().product::<usize>());
        let index = Index { shape: shape.to_vec(), examples: examples.clone() };
        let path = folder.join(INDEX);
        std::fs::write(&path, serde_json::to_vec(&index)?).at(&path)?;
        let file = TensorWriter::create(folder.join(VALUES), "features", Dtype::F32, &[n, d])?;
        let (ids, not_finite) = (examples.ids.clone(), NotFinite::default());
        Ok(Self { file, ids, dimension: d, not_finite })
    }

    /// Adds numbers: the next rows, or parts of them.
    pub fn push(&mut self, values: &[f32]) -> Result<()> {
        self.not_finite.add(values);
        if cfg!(target_endian = "little") {
            self.file.push(bytemuck::cast_slice(values))
        } else {
            values.iter().try_for_each(|value| self.file.push(&value.to_le_bytes()))
        }
    }

    /// Ends the file.
    ///
    /// # Errors
    /// When numbers are missing, or some are NaN or infinite.
    pub fn finish(self) -> Result<()> {
        if let Some(first) = self.not_finite.first {
            let (row, column) = (first / self.dimension as u64, first % self.dimension as u64);
            let id = self.ids.get(row as usize).map_or("", String::as_str);
            return Err(Error::message(format!(
                "expected finite numbers: {}, first of row {row} (`{id}`) in column {column}",
                self.not_finite.words()
            )));
        }
        self.file.finish()
    }
}
