//! PyTorch's own files (`.pth`, `.pt`, `.bin`): pickles of a state dictionary, read without running anything.
//!
//! Both formats of `torch.save` are known: the zip archive of PyTorch 1.6 and later, and the stream of pickles before it,
//! in which torchvision still publishes `vgg16-397923af.pth`.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufReader, Read, Seek, SeekFrom};
use std::path::Path;

use candle_core::pickle::{Object, Stack, TensorInfo};
use candle_core::{DType, Device, Tensor};
use sconce_core::error::{IoResultExt, ResultExt};
use sconce_core::{Error, Result};

use crate::Tensors;

/// How files of the older format begin: the pickled number 0x1950a86a20f9469cfc6c.
const LEGACY: [u8; 15] =
    [0x80, 2, 0x8a, 10, 0x6c, 0xfc, 0x9c, 0x46, 0xf9, 0x20, 0x6a, 0xa8, 0x50, 0x19, b'.'];

/// Reads the tensors of a state dictionary; numbers of other types become single precision.
///
/// # Errors
/// When the file is no pickle of a state dictionary, or of a kind that is not known.
pub fn read_pth(path: &Path) -> Result<Tensors> {
    let mut start = Vec::new();
    File::open(path).at(path)?.take(LEGACY.len() as u64).read_to_end(&mut start).at(path)?;
    let tensors = if start == LEGACY {
        read_legacy(path)
    } else if start.starts_with(b"PK") {
        candle_core::pickle::read_all(path).map_err(Error::other)
    } else {
        Err(Error::message(
            "expected a file of torch.save: a zip archive, or pickles with its magic number",
        ))
    };
    let single = |(name, tensor): (String, Tensor)| {
        Ok((name, tensor.to_dtype(DType::F32).map_err(Error::other)?))
    };
    let tensors = tensors
        .and_then(|tensors| tensors.into_iter().map(single).collect::<Result<Tensors>>())
        .doing(|| path.display().to_string())?;
    if tensors.iter().next().is_none() {
        return Err(Error::message(format!(
            "{}: no tensors in the state dictionary",
            path.display()
        )));
    }
    Ok(tensors)
}

/// The magic number, the protocol, facts of the system, the dictionary, the storages' keys; then the storages, each a
/// count and its numbers.
fn read_legacy(path: &Path) -> Result<Vec<(String, Tensor)>> {
    let mut file = BufReader::new(File::open(path).at(path)?);
    file.seek(SeekFrom::Start(LEGACY.len() as u64)).at(path)?;
    let mut next = || -> Result<Object> {
        let mut stack = Stack::empty();
        stack.read_loop(&mut file).and_then(|()| stack.finalize()).map_err(Error::other)
    };
    let (_protocol, _system, state, keys) = (next()?, next()?, next()?, next()?);
    let Object::Dict(entries) = state else {
        return Err(Error::message("expected a state dictionary, found another object"));
    };
    let Object::List(keys) = keys else {
        return Err(Error::message("expected a list of storages"));
    };
    let mut infos = Vec::new();
    for (name, value) in entries {
        let info = value.into_tensor_info(name, Path::new(""));
        infos.extend(info.map_err(Error::other)?);
    }
    let mut of_storage: BTreeMap<String, Vec<TensorInfo>> = BTreeMap::new();
    for info in infos {
        of_storage.entry(info.path.clone()).or_default().push(info);
    }
    let mut tensors = Vec::new();
    for key in keys {
        let Ok(key) = key.unicode() else {
            return Err(Error::message("expected storages' keys to be strings"));
        };
        // candle writes the folder of a zip archive before the key.
        let Some(infos) = of_storage.remove(&format!("/{key}")) else {
            return Err(Error::message(format!("storage {key} belongs to no tensor")));
        };
        let mut count = [0; 8];
        file.read_exact(&mut count).at(path)?;
        let size = infos[0].dtype.size_in_bytes();
        let bytes = usize::try_from(u64::from_le_bytes(count))
            .ok()
            .filter(|count| *count == infos[0].storage_size)
            .and_then(|count| count.checked_mul(size))
            .ok_or_else(|| {
                Error::message(format!("storage {key} has another size than its tensors say"))
            })?;
        let mut storage = vec![0; bytes];
        file.read_exact(&mut storage).at(path)?;
        for info in infos {
            tensors.push((info.name.clone(), view(&info, &storage)?));
        }
    }
    if !of_storage.is_empty() {
        return Err(Error::message("tensors refer to storages that are not in the file"));
    }
    Ok(tensors)
}

/// A tensor out of its storage, whatever its strides (a transposed one is saved as it lies).
fn view(info: &TensorInfo, storage: &[u8]) -> Result<Tensor> {
    let (layout, size) = (&info.layout, info.dtype.size_in_bytes());
    let (start, count) = (layout.start_offset(), layout.shape().elem_count());
    let outside =
        || Error::message(format!("tensor `{}`: expected all of it inside its storage", info.name));
    // A view of more numbers than the storage has repeats some: no parameter does, and it could have any size.
    let bytes =
        count.checked_mul(size).filter(|bytes| *bytes <= storage.len()).ok_or_else(outside)?;
    let tensor = |bytes: &[u8]| {
        Tensor::from_raw_buffer(bytes, info.dtype, layout.dims(), &Device::Cpu)
            .map_err(Error::other)
    };
    if layout.is_contiguous() {
        let end = start.checked_add(bytes).ok_or_else(outside)?;
        return tensor(storage.get(start..end).ok_or_else(outside)?);
    }
    let mut gathered = Vec::with_capacity(bytes);
    for place in 0..count {
        let mut rest = place;
        let mut offset = Some(0usize);
        for (&length, &stride) in layout.dims().iter().zip(layout.stride()).rev() {
            let step = (rest % length).checked_mul(stride);
            offset = offset.zip(step).and_then(|(offset, step)| offset.checked_add(step));
            rest /= length;
        }
        let from = offset.and_then(|offset| offset.checked_mul(size)?.checked_add(start));
        let number = from.and_then(|from| storage.get(from..from.checked_add(size)?));
        gathered.extend_from_slice(number.ok_or_else(outside)?);
    }
    tensor(&gathered)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As `torch.save` keeps `arange(1, 7).reshape(2, 3).t()`: the storage in its own order, and strides.
    #[test]
    fn a_transposed_tensor_is_gathered() {
        let storage: Vec<u8> = (0..7u8).flat_map(|i| f32::from(i).to_le_bytes()).collect();
        let of = |stride: Vec<usize>, dims: (usize, usize)| TensorInfo {
            name: "w".into(),
            dtype: DType::F32,
            // candle counts the offset in bytes here.
            layout: candle_core::Layout::new(dims.into(), stride, 4),
            path: "/0".into(),
            storage_size: 7,
        };
        let values = view(&of(vec![1, 3], (3, 2)), &storage).unwrap().to_vec2::<f32>().unwrap();
        assert_eq!(values, [[1.0, 4.0], [2.0, 5.0], [3.0, 6.0]]);
        let whole = view(&of(vec![3, 1], (2, 3)), &storage).unwrap().to_vec2::<f32>().unwrap();
        assert_eq!(whole, [[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]]);
        for (stride, dims) in
            [(vec![1, 4], (3, 2)), (vec![0, 0], (100, 100)), (vec![usize::MAX, 9], (3, 2))]
        {
            let error = view(&of(stride, dims), &storage).unwrap_err().to_string();
            assert_eq!(error, "tensor `w`: expected all of it inside its storage");
        }
    }

    /// torch.save({"features.0.weight": arange(6).reshape(2, 3) / 4, "features.0.bias": tensor([-1.5, 2.5]),
    /// "shared": arange(12.).reshape(3, 4)[1:], "half": tensor([.5, .25]).half(), "steps": tensor([7])}, …), with
    /// _use_new_zipfile_serialization True and False
    #[test]
    fn reads_both_formats_of_torch_save() {
        for file in ["state_dict.pth", "state_dict_legacy.pth"] {
            let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/fixtures").join(file);
            let tensors = read_pth(&path).unwrap();
            let values = |name: &str| {
                tensors.find(name).unwrap().flatten_all().unwrap().to_vec1::<f32>().unwrap()
            };
            assert_eq!(tensors.find("features.0.weight").unwrap().dims(), [2, 3]);
            assert_eq!(values("features.0.weight"), [0.0, 0.25, 0.5, 0.75, 1.0, 1.25]);
            assert_eq!(values("features.0.bias"), [-1.5, 2.5]);
            assert_eq!(values("shared"), [4.0, 5.0, 6.0, 7.0, 8.0, 9.0, 10.0, 11.0]);
            assert_eq!(values("half"), [0.5, 0.25]);
            assert_eq!(values("steps"), [7.0]);
        }
    }

    #[test]
    fn another_file_is_refused() {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("Cargo.toml");
        let error = read_pth(&path).unwrap_err().to_string();
        assert!(error.ends_with(
            "expected a file of torch.save: a zip archive, or pickles with its magic number"
        ));
    }
}
