//! Safetensors files of one large tensor: mapped when read, written as they come.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::ops::{Deref, Range};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use memmap2::Mmap;
use safetensors::{Dtype, SafeTensors};
use sconce_core::error::{IoResultExt, ResultExt};
use sconce_core::{Error, Files, Result};

/// Maps a file into memory.
pub(crate) fn map(path: &Path) -> Result<Mmap> {
    let file = File::open(path).at(path)?;
    // SAFETY: artifacts' files are blobs of the store, which are written once, made read-only and
    // never truncated; nothing else is mapped.
    unsafe { Mmap::map(&file) }.at(path)
}

/// The bytes of one tensor in a mapped file.
#[derive(Debug, Clone)]
pub(crate) struct Mapped {
    map: Arc<Mmap>,
    range: Range<usize>,
}

impl Deref for Mapped {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.map[self.range.clone()]
    }
}

impl Mapped {
    /// Maps tensor `name` of file `file` of an artifact; also its shape.
    pub(crate) fn open(
        files: &Files,
        file: &str,
        name: &str,
        dtype: Dtype,
    ) -> Result<(Self, Vec<usize>)> {
        let map = map(files.path(file)?)?;
        let (range, shape) = Self::find(&map, name, dtype).doing(|| format!("reading `{file}`"))?;
        Ok((Self { map: Arc::new(map), range }, shape))
    }

    fn find(map: &[u8], name: &str, dtype: Dtype) -> Result<(Range<usize>, Vec<usize>)> {
        let tensors = SafeTensors::deserialize(map).map_err(Error::other)?;
        let tensor = tensors.tensor(name).map_err(Error::other)?;
        if tensor.dtype() != dtype {
            return Err(Error::message(format!(
                "tensor `{name}`: expected {dtype:?}, found {:?}",
                tensor.dtype()
            )));
        }
        let data = tensor.data();
        let start = data.as_ptr() as usize - map.as_ptr() as usize;
        Ok((start..start + data.len(), tensor.shape().to_vec()))
    }
}

/// Writes one tensor's bytes as they come.
pub(crate) struct TensorWriter {
    file: BufWriter<File>,
    path: PathBuf,
    missing: usize,
}

impl TensorWriter {
    pub(crate) fn create(path: PathBuf, name: &str, dtype: Dtype, shape: &[usize]) -> Result<Self> {
        let missing = shape.iter().product::<usize>() * dtype.bitsize() / 8;
        let tensor = serde_json::json!({
            "dtype": dtype.to_string(), "shape": shape, "data_offsets": [0, missing]
        });
        let mut header = serde_json::json!({ name: tensor }).to_string();
        // Padded so that the numbers are aligned when the file is mapped.
        while !header.len().is_multiple_of(8) {
            header.push(' ');
        }
        let mut file = BufWriter::with_capacity(1 << 20, File::create(&path).at(&path)?);
        file.write_all(&(header.len() as u64).to_le_bytes()).at(&path)?;
        file.write_all(header.as_bytes()).at(&path)?;
        Ok(Self { file, path, missing })
    }

    pub(crate) fn push(&mut self, bytes: &[u8]) -> Result<()> {
        self.missing = self.missing.checked_sub(bytes.len()).ok_or_else(|| {
            Error::message(format!("{}: more bytes than the shape holds", self.path.display()))
        })?;
        self.file.write_all(bytes).at(&self.path)
    }

    pub(crate) fn finish(mut self) -> Result<()> {
        if self.missing > 0 {
            let path = self.path.display();
            return Err(Error::message(format!("{path}: {} bytes are missing", self.missing)));
        }
        self.file.flush().at(&self.path)
    }
}
