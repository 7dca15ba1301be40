//! PyTorch's own files (`.pth`, `.pt`, `.bin`): pickles of a state dictionary, read without running anything.
//!
//! Both formats of `torch.save` are known: the zip archive of PyTorch 1.6 and later, and the stream of pickles before it,
//! in which torchvision still publishes `vgg16-397923af.pth`. Not through candle's reader, which leaves out tensors of other
//! types without a word, takes no strides from zip files, and empties a dictionary that stands under two keys.

mod dictionary;
mod pickle;
mod tensor;

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufReader, Read};
use std::path::Path;

use safetensors::Dtype;
use safetensors::tensor::TensorView;
use sconce_core::error::{IoResultExt, ResultExt};
use sconce_core::{Error, Result};

use pickle::Value;
use tensor::View;

/// The number with which files of the older format begin, 0x1950a86a20f9469cfc6c, as pickles write it.
const LEGACY: [u8; 10] = [0x6c, 0xfc, 0x9c, 0x46, 0xf9, 0x20, 0x6a, 0xa8, 0x50, 0x19];

/// Tensors of a checkpoint, as they are written into a safetensors file.
#[derive(Debug)]
pub struct Checkpoint {
    tensors: BTreeMap<String, Stored>,
}

/// One tensor: its type, shape and numbers.
#[derive(Debug)]
struct Stored {
    dtype: Dtype,
    shape: Vec<usize>,
    bytes: Vec<u8>,
}

impl Checkpoint {
    /// Reads a file of `torch.save`. Floating point and bytes become single precision; other whole numbers become 64 bits
    /// and flags bytes, except that those of 64 bits become single precision where it holds all of them.
    ///
    /// `key` names the dictionary of the network where there are several: `"state_dict"`, `"model"`, `"ema.model"`, or `""`
    /// for the outermost. `prefix` is what names begin with that are kept, without it; by default `module.` and
    /// `_orig_mod.` go where all names have them.
    ///
    /// # Errors
    /// When the file is none of a state dictionary, or a tensor cannot be read exactly; the message says what it is instead.
    pub fn read(path: &Path, key: Option<&str>, prefix: Option<&str>) -> Result<Self> {
        let mut start = Vec::new();
        File::open(path).at(path)?.take(4096).read_to_end(&mut start).at(path)?;
        let file = BufReader::new(File::open(path).at(path)?);
        let read = if start.starts_with(b"PK") {
            read_zip(file, key, prefix)
        } else if start.first() == Some(&0x80) {
            read_legacy(file, key, prefix)
        } else {
            let what = sconce_data::mistaken::what(&start);
            let what = what.map(|what| format!("{what}; ")).unwrap_or_default();
            Err(Error::message(format!(
                "{what}expected a file of torch.save: a zip archive, or pickles with its magic number"
            )))
        };
        read.map(|tensors| Self { tensors })
    }

    /// Writes a safetensors file.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn write(&self, path: &Path) -> Result<()> {
        let mut views = BTreeMap::new();
        for (name, Stored { dtype, shape, bytes }) in &self.tensors {
            let view = TensorView::new(*dtype, shape.clone(), bytes).map_err(Error::other)?;
            views.insert(name.as_str(), view);
        }
        safetensors::serialize_to_file(views, None, path)
            .map_err(Error::other)
            .doing(|| path.display().to_string())
    }
}

/// Tensors by storage.
type ByStorage = BTreeMap<String, Vec<(String, View)>>;

fn by_storage(tensors: BTreeMap<String, View>) -> ByStorage {
    let mut by_storage = ByStorage::new();
    for (name, view) in tensors {
        by_storage.entry(view.storage.clone()).or_default().push((name, view));
    }
    by_storage
}

/// Takes the views of one storage out of its bytes.
fn store(
    views: &[(String, View)],
    storage: &[u8],
    into: &mut BTreeMap<String, Stored>,
) -> Result<()> {
    for (name, view) in views {
        let (dtype, bytes) = view.number.written(&view.gather(name, storage)?);
        into.insert(name.clone(), Stored { dtype, shape: view.shape.clone(), bytes });
    }
    Ok(())
}

/// A zip archive: the dictionary in `data.pkl`, each storage a file in `data`.
fn read_zip(
    file: BufReader<File>,
    key: Option<&str>,
    prefix: Option<&str>,
) -> Result<BTreeMap<String, Stored>> {
    let mut archive = zip::ZipArchive::new(file).map_err(Error::other)?;
    let ends =
        |name: &str, end: &str| name.strip_suffix(end).is_some_and(|rest| rest.ends_with('/'));
    let names: Vec<String> = archive
        .file_names()
        .map(|name| name.map(Cow::into_owned).map_err(Error::other))
        .collect::<Result<_>>()?;
    if names.iter().any(|name| ends(name, "constants.pkl")) {
        return Err(dictionary::torchscript());
    }
    let Some(folder) = names.iter().find_map(|name| name.strip_suffix("data.pkl")) else {
        return Err(Error::message("a zip archive, but none of torch.save: it has no `data.pkl`"));
    };
    let mut entry = |name: &str| -> Result<Vec<u8>> {
        let name = format!("{folder}{name}");
        let mut bytes = Vec::new();
        let mut file = archive.by_name(&name).map_err(Error::other).doing(|| name.clone())?;
        file.read_to_end(&mut bytes).map_err(Error::other).doing(|| name.clone())?;
        Ok(bytes)
    };
    if names.iter().any(|name| *name == format!("{folder}byteorder"))
        && entry("byteorder")? != b"little"
    {
        return Err(Error::message(
            "numbers with their largest byte first: save it on another machine",
        ));
    }
    let pickle = pickle::read(&mut entry("data.pkl")?.as_slice())?;
    let mut tensors = BTreeMap::new();
    for (storage, views) in by_storage(dictionary::tensors(&pickle, key, prefix)?) {
        store(&views, &entry(&format!("data/{storage}"))?, &mut tensors)?;
    }
    Ok(tensors)
}

/// The magic number, the protocol, facts of the system, the dictionary, the storages' keys; then the storages, each a
/// count and its numbers.
fn read_legacy(
    mut file: BufReader<File>,
    key: Option<&str>,
    prefix: Option<&str>,
) -> Result<BTreeMap<String, Stored>> {
    let magic = pickle::read(&mut file)?.root;
    if magic != Value::Long(LEGACY.as_slice().into()) {
        return Err(Error::message(
            "a pickle, but none of torch.save: expected its magic number; save a state dictionary with \
             `torch.save(model.state_dict(), \"weights.pth\")`",
        ));
    }
    let (_protocol, _system) = (pickle::read(&mut file)?, pickle::read(&mut file)?);
    let (state, keys) = (pickle::read(&mut file)?, pickle::read(&mut file)?);
    let tensors = dictionary::tensors(&state, key, prefix)?;
    let sizes = tensor::storage_sizes(&state);
    let mut wanted = by_storage(tensors);
    let mut read = BTreeMap::new();
    let Some(keys) = keys.sequence(&keys.root) else {
        return Err(Error::message("expected a list of storages"));
    };
    for key in keys {
        let Value::Text(key) = key else {
            return Err(Error::message("expected storages' keys to be strings"));
        };
        let mut count = [0; 8];
        file.read_exact(&mut count).map_err(Error::other)?;
        let count = u64::from_le_bytes(count);
        let size = sizes.get(&**key).copied().ok_or_else(|| {
            Error::message(format!("storage {key} belongs to no tensor whose size is known"))
        })?;
        let wrong = || Error::message(format!("storage {key} ends too early"));
        let bytes = count.checked_mul(size as u64).ok_or_else(wrong)?;
        let mut storage = Vec::new();
        let mut bytes_of = file.by_ref().take(bytes);
        let views = wanted.remove(&**key);
        let read_bytes = match &views {
            Some(_) => bytes_of.read_to_end(&mut storage).map(|count| count as u64),
            None => std::io::copy(&mut bytes_of, &mut std::io::sink()),
        };
        if read_bytes.map_err(Error::other)? != bytes {
            return Err(wrong());
        }
        store(views.as_deref().unwrap_or_default(), &storage, &mut read)?;
    }
    match wanted.keys().next() {
        None => Ok(read),
        Some(key) => Err(Error::message(format!("storage {key} is not in the file"))),
    }
}

#[cfg(test)]
mod tests;
