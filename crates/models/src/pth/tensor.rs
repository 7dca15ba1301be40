//! Tensors in pickles of `torch.save`: views of storages, which lie outside the pickle.

use std::collections::BTreeMap;

use safetensors::Dtype;
use sconce_core::{Error, Result};

use super::pickle::{Object, Pickle, Value};

/// The types of numbers in PyTorch's storages that can be read exactly.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Number {
    F32,
    F64,
    F16,
    Bf16,
    I64,
    I32,
    I16,
    I8,
    U8,
    U16,
    U32,
    Bool,
}

impl Number {
    /// The one of a class of storages (`FloatStorage`) or of a type (`uint16`).
    fn of(name: &str) -> Option<Self> {
        Some(match name {
            "FloatStorage" | "float32" => Self::F32,
            "DoubleStorage" | "float64" => Self::F64,
            "HalfStorage" | "float16" => Self::F16,
            "BFloat16Storage" | "bfloat16" => Self::Bf16,
            "LongStorage" | "int64" => Self::I64,
            "IntStorage" | "int32" => Self::I32,
            "ShortStorage" | "int16" => Self::I16,
            "CharStorage" | "int8" => Self::I8,
            "ByteStorage" | "uint8" => Self::U8,
            "uint16" => Self::U16,
            "uint32" => Self::U32,
            "BoolStorage" | "bool" => Self::Bool,
            _ => return None,
        })
    }

    /// Bytes of one.
    pub(super) fn size(self) -> usize {
        match self {
            Self::F64 | Self::I64 => 8,
            Self::F32 | Self::I32 | Self::U32 => 4,
            Self::F16 | Self::Bf16 | Self::I16 | Self::U16 => 2,
            Self::I8 | Self::U8 | Self::Bool => 1,
        }
    }

    /// The numbers as they are written: floating point and bytes in single precision, as networks compute (of those of
    /// double precision the nearest), flags as bytes, whole numbers in 64 bits; those of 64 bits in single precision too where
    /// that holds all of them.
    pub(super) fn written(self, bytes: &[u8]) -> (Dtype, Vec<u8>) {
        fn each<const N: usize, const M: usize>(
            bytes: &[u8],
            of: impl Fn([u8; N]) -> [u8; M],
        ) -> Vec<u8> {
            let (numbers, _) = bytes.as_chunks::<N>();
            numbers.iter().flat_map(|&number| of(number)).collect()
        }
        let whole = |bytes: Vec<u8>| (Dtype::I64, bytes);
        let single = |bytes: Vec<u8>| (Dtype::F32, bytes);
        match self {
            Self::F32 => single(bytes.to_vec()),
            Self::F64 => single(each(bytes, |b| (f64::from_le_bytes(b) as f32).to_le_bytes())),
            Self::F16 => {
                single(each(bytes, |b| half::f16::from_le_bytes(b).to_f32().to_le_bytes()))
            }
            Self::Bf16 => {
                single(each(bytes, |b| half::bf16::from_le_bytes(b).to_f32().to_le_bytes()))
            }
            Self::U8 => single(each(bytes, |[b]: [u8; 1]| f32::from(b).to_le_bytes())),
            Self::Bool => (Dtype::U8, each(bytes, |[b]: [u8; 1]| [u8::from(b != 0)])),
            Self::I64 => {
                let (numbers, _) = bytes.as_chunks::<8>();
                let mut numbers = numbers.iter().map(|b| i64::from_le_bytes(*b));
                match numbers.all(|number| number.unsigned_abs() <= 1 << 24) {
                    true => single(each(bytes, |b| (i64::from_le_bytes(b) as f32).to_le_bytes())),
                    false => whole(bytes.to_vec()),
                }
            }
            Self::I32 => whole(each(bytes, |b| i64::from(i32::from_le_bytes(b)).to_le_bytes())),
            Self::I16 => whole(each(bytes, |b| i64::from(i16::from_le_bytes(b)).to_le_bytes())),
            Self::I8 => whole(each(bytes, |b| i64::from(i8::from_le_bytes(b)).to_le_bytes())),
            Self::U16 => whole(each(bytes, |b| i64::from(u16::from_le_bytes(b)).to_le_bytes())),
            Self::U32 => whole(each(bytes, |b| i64::from(u32::from_le_bytes(b)).to_le_bytes())),
        }
    }
}

/// A tensor: a part of a storage.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct View {
    /// The storage's name in the file.
    pub(super) storage: String,
    pub(super) number: Number,
    /// Where it begins, counted in numbers.
    pub(super) offset: usize,
    pub(super) shape: Vec<usize>,
    pub(super) strides: Vec<usize>,
}

/// What a value of a dictionary is.
pub(super) enum Found {
    Tensor(View),
    /// A tensor that cannot be read, and why.
    Unreadable(String),
    /// Something else.
    No,
}

/// The tensor that a value is, seen through the calls that restore parameters and subclasses.
pub(super) fn tensor(pickle: &Pickle, value: &Value) -> Found {
    within(pickle, value, 4)
}

/// The same, seen through at most `depth` calls: a pickle can be made that never ends.
fn within(pickle: &Pickle, value: &Value, depth: usize) -> Found {
    let Some(((module, name), arguments)) = pickle.call(value) else { return Found::No };
    match (module, name) {
        ("torch._utils", "_rebuild_tensor" | "_rebuild_tensor_v2" | "_rebuild_tensor_v3") => {
            match view(pickle, name, arguments) {
                Ok(view) => Found::Tensor(view),
                Err(why) => Found::Unreadable(why),
            }
        }
        ("torch._utils", "_rebuild_parameter" | "_rebuild_parameter_with_state") if depth > 0 => {
            arguments.first().map_or(Found::No, |inner| within(pickle, inner, depth - 1))
        }
        // function, class, arguments, attributes
        ("torch._tensor", "_rebuild_from_type_v2") => match arguments {
            [function, _, inner, _] => match (pickle.global(function), pickle.sequence(inner)) {
                (Some(("torch._utils", name)), Some(inner))
                    if name.starts_with("_rebuild_tensor") =>
                {
                    match view(pickle, name, inner) {
                        Ok(view) => Found::Tensor(view),
                        Err(why) => Found::Unreadable(why),
                    }
                }
                _ => Found::Unreadable("of a class of its own".into()),
            },
            _ => Found::Unreadable("of a class of its own".into()),
        },
        ("torch._utils", name) if name.starts_with("_rebuild_") => {
            let what = name.trim_start_matches("_rebuild_").replace("_", " ");
            Found::Unreadable(format!("a {}", what.trim_end_matches(" v2")))
        }
        _ => Found::No,
    }
}

/// Class and key of a storage.
fn storage<'a>(pickle: &'a Pickle, object: &'a Object) -> Option<(&'a str, &'a str)> {
    let Object::Persistent(place) = object else { return None };
    match pickle.sequence(place)? {
        [Value::Text(kind), class, Value::Text(key), ..] if &**kind == "storage" => {
            Some((pickle.global(class)?.1, key))
        }
        _ => None,
    }
}

/// Bytes of a number in each storage that the pickle names.
pub(super) fn storage_sizes(pickle: &Pickle) -> BTreeMap<&str, usize> {
    let size = |class: &str| match class {
        "ComplexFloatStorage" => Some(8),
        "ComplexDoubleStorage" => Some(16),
        "QInt32Storage" => Some(4),
        "QInt8Storage" | "QUInt8Storage" => Some(1),
        class => Number::of(class).map(Number::size),
    };
    let storages = pickle.objects().iter().filter_map(|object| storage(pickle, object));
    storages.filter_map(|(class, key)| Some((key, size(class)?))).collect()
}

/// Storage, offset, shape, strides, …; of version 3 the type comes seventh.
fn view(pickle: &Pickle, function: &str, arguments: &[Value]) -> std::result::Result<View, String> {
    let odd = || "written in a way that is not known".to_owned();
    let [place, offset, shape, strides, rest @ ..] = arguments else { return Err(odd()) };
    let found = pickle.object(place).and_then(|object| storage(pickle, object));
    let (class, key) = found.ok_or_else(odd)?;
    let class = match (function, rest.get(2).and_then(|dtype| pickle.global(dtype))) {
        ("_rebuild_tensor_v3", Some((_, dtype))) => dtype,
        _ => class,
    };
    let number = Number::of(class).ok_or_else(|| format!("of type {class}"))?;
    let size = |value: &Value| match value {
        Value::Int(size) => usize::try_from(*size).ok(),
        _ => None,
    };
    let sizes = |value: &Value| -> Option<Vec<usize>> {
        pickle.sequence(value)?.iter().map(size).collect()
    };
    match (size(offset), sizes(shape), sizes(strides)) {
        (Some(offset), Some(shape), Some(strides)) if shape.len() == strides.len() => {
            Ok(View { storage: key.to_owned(), number, offset, shape, strides })
        }
        _ => Err(odd()),
    }
}

impl View {
    /// The bytes of its numbers in the order of its shape, whatever its strides: a transposed tensor and one with channels
    /// last are saved as they lie.
    pub(super) fn gather(&self, name: &str, storage: &[u8]) -> Result<Vec<u8>> {
        let outside =
            || Error::message(format!("tensor `{name}`: expected all of it inside its storage"));
        let size = self.number.size();
        let count = self.shape.iter().try_fold(1usize, |count, &length| count.checked_mul(length));
        // A view of more numbers than the storage has repeats some: no parameter does, and it could have any size.
        let fits = |count: &usize| count.checked_mul(size).is_some_and(|all| all <= storage.len());
        let count = count.filter(fits).ok_or_else(outside)?;
        let mut gathered = Vec::with_capacity(count * size);
        if count == 0 {
            return Ok(gathered);
        }
        // Rows along the last dimension, or runs of them where they lie one behind the other.
        let mut run = 1;
        let mut outer = self.shape.len();
        while outer > 0 && (self.strides[outer - 1] == run || self.shape[outer - 1] == 1) {
            run *= self.shape[outer - 1];
            outer -= 1;
        }
        let mut place = vec![0usize; outer];
        loop {
            let from =
                place.iter().zip(&self.strides).try_fold(self.offset, |from, (at, stride)| {
                    from.checked_add(at.checked_mul(*stride)?)
                });
            let from = from.and_then(|from| from.checked_mul(size));
            let part = from.and_then(|from| storage.get(from..from.checked_add(run * size)?));
            gathered.extend_from_slice(part.ok_or_else(outside)?);
            let mut axis = outer;
            loop {
                if axis == 0 {
                    return Ok(gathered);
                }
                axis -= 1;
                place[axis] += 1;
                if place[axis] < self.shape[axis] {
                    break;
                }
                place[axis] = 0;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As `torch.save` keeps `arange(1, 7).reshape(2, 3).t()`: the storage in its own order, and strides.
    #[test]
    fn a_transposed_tensor_is_gathered() {
        let storage: Vec<u8> = (0..7u8).flat_map(|i| f32::from(i).to_le_bytes()).collect();
        let of = |strides: &[usize], shape: &[usize]| View {
            storage: "0".into(),
            number: Number::F32,
            offset: 1,
            shape: shape.to_vec(),
            strides: strides.to_vec(),
        };
        let values = |strides: &[usize], shape: &[usize]| {
            let bytes = of(strides, shape).gather("w", &storage).unwrap();
            let (numbers, _) = bytes.as_chunks::<4>();
            numbers.iter().map(|b| f32::from_le_bytes(*b)).collect::<Vec<_>>()
        };
        assert_eq!(values(&[1, 3], &[3, 2]), [1.0, 4.0, 2.0, 5.0, 3.0, 6.0]);
        assert_eq!(values(&[3, 1], &[2, 3]), [1.0, 2.0, 3.0, 4.0, 5.0, 6.0]);
        assert_eq!(values(&[3, 2], &[2, 2]), [1.0, 3.0, 4.0, 6.0]);
        assert_eq!(values(&[], &[]), [1.0]);
        assert_eq!(values(&[4, 4], &[0, 3]), [0.0; 0]);
        for (strides, shape) in [
            ([1, 4], [3, 2]),
            ([0, 0], [100, 100]),
            ([usize::MAX, 9], [3, 2]),
            ([1, 1], [usize::MAX, 3]),
        ] {
            let error = of(&strides, &shape).gather("w", &storage).unwrap_err().to_string();
            assert_eq!(error, "tensor `w`: expected all of it inside its storage");
        }
    }

    #[test]
    fn numbers_are_written_exactly() {
        let written = |number: Number, bytes: &[u8]| number.written(bytes);
        assert_eq!(written(Number::Bool, &[0, 1, 1]), (Dtype::U8, vec![0, 1, 1]));
        let minus_two = (-2i64).to_le_bytes().to_vec();
        assert_eq!(written(Number::I32, &(-2i32).to_le_bytes()), (Dtype::I64, minus_two.clone()));
        assert_eq!(written(Number::I8, &[0xfe]), (Dtype::I64, minus_two));
        let (dtype, bytes) = written(Number::U16, &65_535u16.to_le_bytes());
        assert_eq!((dtype, bytes), (Dtype::I64, 65_535i64.to_le_bytes().to_vec()));
        let single = (7f32).to_le_bytes().to_vec();
        assert_eq!(written(Number::I64, &7i64.to_le_bytes()), (Dtype::F32, single));
        let large = 16_777_217i64.to_le_bytes().to_vec();
        assert_eq!(written(Number::I64, &large), (Dtype::I64, large));
    }
}
