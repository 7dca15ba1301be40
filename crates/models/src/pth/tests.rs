//! Files that PyTorch 2.15 wrote, by this script:
//!
//! ```python
//! sd = {"conv.weight": torch.arange(24.).reshape(2, 3, 2, 2) / 4, "conv.bias": torch.tensor([-1.5, 2.5])}
//! net = torch.nn.Sequential(torch.nn.Linear(2, 1))
//! with torch.no_grad(): net[0].weight.copy_(torch.tensor([[1., 2.]])); net[0].bias.fill_(3.)
//! adam = torch.optim.Adam(net.parameters()); net(torch.ones(1, 2)).sum().backward(); adam.step()
//! save = lambda what, name, **how: torch.save(what, f"{h}/{name}.pth", **how)
//! save({"epoch": 3, "arch": "small", "state_dict": sd, "best": torch.tensor(.5), "optimizer": adam.state_dict()}, "nested", pickle_protocol=4)
//! save({"epoch": 3, "model": sd, "optimizer": adam.state_dict()}, "nested_legacy", _use_new_zipfile_serialization=False)
//! save({"module." + k: v.to(memory_format=torch.channels_last) if v.dim() == 4 else v for k, v in sd.items()}, "channels_last")
//! save({"a": torch.tensor([-2, 70000], dtype=torch.int32), "b": torch.tensor([True, False]), "c": torch.tensor([-3], dtype=torch.int16),
//!       "d": torch.tensor([-4], dtype=torch.int8), "e": torch.tensor([65535], dtype=torch.uint16), "f": torch.tensor([1 << 40]),
//!       "g": torch.nn.Parameter(torch.tensor([1.5], dtype=torch.bfloat16))}, "types")
//! save({"w": torch.ones(2), "s": torch.eye(2).to_sparse(), "q": torch.ones(2).to(torch.float8_e4m3fn), "c": torch.ones(2, dtype=torch.complex64)}, "unreadable")
//! save({"teacher": sd, "student": sd}, "same_twice")
//! save({"model": sd, "ema": {k: v + 1 for k, v in sd.items()}}, "two")
//! save({"model": net, "epoch": 3}, "module")
//! torch.jit.script(net).save(f"{h}/torchscript.pth")
//! # state_dict, state_dict_legacy: _use_new_zipfile_serialization True and False
//! torch.save({"features.0.weight": arange(6).reshape(2, 3) / 4, "features.0.bias": tensor([-1.5, 2.5]),
//!     "shared": arange(12.).reshape(3, 4)[1:], "half": tensor([.5, .25]).half(), "steps": tensor([7])}, …)
//! ```

use std::path::{Path, PathBuf};

use super::*;

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("src/fixtures").join(format!("{name}.pth"))
}

fn read(name: &str, key: Option<&str>, prefix: Option<&str>) -> Result<Checkpoint> {
    Checkpoint::read(&fixture(name), key, prefix)
}

impl Checkpoint {
    fn numbers(&self, name: &str) -> Vec<f32> {
        let stored = &self.tensors[name];
        assert_eq!(stored.dtype, Dtype::F32, "{name}");
        let (numbers, _) = stored.bytes.as_chunks::<4>();
        numbers.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect()
    }

    /// Whether it holds the script's `sd`, each number and `more`.
    fn is_sd(&self, more: f32) {
        assert_eq!(self.tensors.keys().collect::<Vec<_>>(), ["conv.bias", "conv.weight"]);
        assert_eq!(self.tensors["conv.weight"].shape, [2, 3, 2, 2]);
        let expected: Vec<f32> = (0..24u8).map(|i| f32::from(i) / 4.0 + more).collect();
        assert_eq!(self.numbers("conv.weight"), expected);
        assert_eq!(self.numbers("conv.bias"), [-1.5 + more, 2.5 + more]);
    }
}

#[test]
fn reads_both_formats_of_torch_save() {
    for file in ["state_dict", "state_dict_legacy"] {
        let read = read(file, None, None).unwrap();
        assert_eq!(read.tensors["features.0.weight"].shape, [2, 3]);
        assert_eq!(read.numbers("features.0.weight"), [0.0, 0.25, 0.5, 0.75, 1.0, 1.25]);
        assert_eq!(read.numbers("features.0.bias"), [-1.5, 2.5]);
        assert_eq!(read.numbers("shared"), [4.0, 5.0, 6.0, 7.0, 8.0, 9.0, 10.0, 11.0]);
        assert_eq!(read.numbers("half"), [0.5, 0.25]);
        assert_eq!(read.numbers("steps"), [7.0]);
    }
}

#[test]
fn the_networks_dictionary_is_found() {
    read("nested", None, None).unwrap().is_sd(0.0);
    read("nested", Some("state_dict"), None).unwrap().is_sd(0.0);
    read("nested_legacy", None, None).unwrap().is_sd(0.0);
    read("channels_last", None, None).unwrap().is_sd(0.0);
    read("channels_last", Some(""), Some("module.")).unwrap().is_sd(0.0);
    for key in [None, Some("teacher"), Some("student")] {
        read("same_twice", key, None).unwrap().is_sd(0.0);
    }
    read("two", Some("model"), None).unwrap().is_sd(0.0);
    read("two", Some("ema"), None).unwrap().is_sd(1.0);
    let outer = read("nested", Some(""), None).unwrap();
    assert_eq!(outer.numbers("best"), [0.5]);
    let conv = read("nested", Some("state_dict"), Some("conv.")).unwrap();
    assert_eq!(conv.numbers("bias"), [-1.5, 2.5]);
}

#[test]
fn whole_numbers_and_flags_are_kept() {
    let read = read("types", None, None).unwrap();
    let stored = |name: &str| {
        let Stored { dtype, bytes, .. } = &read.tensors[name];
        let (numbers, _) = bytes.as_chunks::<8>();
        (*dtype, numbers.iter().map(|b| i64::from_le_bytes(*b)).collect::<Vec<_>>())
    };
    assert_eq!(stored("a"), (Dtype::I64, vec![-2, 70_000]));
    assert_eq!(stored("c"), (Dtype::I64, vec![-3]));
    assert_eq!(stored("d"), (Dtype::I64, vec![-4]));
    assert_eq!(stored("e"), (Dtype::I64, vec![65_535]));
    assert_eq!(stored("f"), (Dtype::I64, vec![1 << 40]));
    assert_eq!(read.numbers("g"), [1.5]);
    let flags = &read.tensors["b"];
    assert_eq!((flags.dtype, flags.bytes.as_slice()), (Dtype::U8, [1, 0].as_slice()));
}

#[test]
fn what_cannot_be_read_is_told() {
    let said = |name: &str, key: Option<&str>, prefix: Option<&str>| {
        read(name, key, prefix).err().unwrap().to_string()
    };
    for (name, key, prefix, expected) in [
        ("unreadable", None, None, "`c` is of type ComplexFloatStorage"),
        ("unreadable", None, None, "`q` is of type float8_e4m3fn"),
        ("unreadable", None, None, "`s` is a sparse tensor"),
        ("two", None, None, "parameter `key`: expected the key of the network"),
        ("two", None, None, "\"model\" (2 tensors), \"ema\" (2 tensors)"),
        ("two", Some("modle"), None, "no `modle` in the checkpoint; there are: model, ema"),
        (
            "two",
            Some("model"),
            Some("net."),
            "parameter `prefix`: no tensor's name begins with `net.`",
        ),
        ("module", None, None, "a whole module (`torch.nn.modules.container.Sequential`)"),
        ("module", Some("model"), None, "torch.save(model.state_dict(), \"weights.pth\")"),
        ("torchscript", None, None, "a TorchScript archive"),
    ] {
        let said = said(name, key, prefix);
        assert!(said.contains(expected), "{name}: {said}");
    }
}

#[test]
fn another_file_is_refused() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("Cargo.toml");
    let error = Checkpoint::read(&path, None, None).unwrap_err().to_string();
    assert!(error.ends_with(
        "expected a file of torch.save: a zip archive, or pickles with its magic number"
    ));
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("page.pth");
    std::fs::write(&path, "<html><title>Sign in</title></html>").unwrap();
    let error = Checkpoint::read(&path, None, None).unwrap_err().to_string();
    assert!(error.contains("a web page (\"Sign in\") in place of weights"), "{error}");
}

/// Every file cut short or with a byte changed is read or refused, and nothing else.
#[test]
fn damaged_files_are_no_trouble() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("damaged.pth");
    for name in ["nested_legacy", "state_dict_legacy", "types"] {
        let whole = std::fs::read(fixture(name)).unwrap();
        for at in 0..whole.len().min(1500) {
            let mut changed = whole.clone();
            changed[at] = changed[at].wrapping_add(97);
            std::fs::write(&path, &changed).unwrap();
            let _ = Checkpoint::read(&path, None, None);
            std::fs::write(&path, &whole[..at]).unwrap();
            assert!(Checkpoint::read(&path, None, None).is_err(), "{name} up to {at}");
        }
    }
}
