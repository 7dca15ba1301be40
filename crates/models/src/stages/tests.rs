use sconce_core::{Artifact, Context, Files, Folder, Input, Stage, Yields};
use sconce_data::Table;

use super::*;

#[test]
fn a_pickle_becomes_safetensors() {
    let folder = tempfile::tempdir().unwrap();
    let source = tempfile::tempdir().unwrap();
    let fixture = concat!(env!("CARGO_MANIFEST_DIR"), "/src/fixtures/state_dict_legacy.pth");
    std::fs::copy(fixture, source.path().join("model.pth")).unwrap();
    let ctx = Context::in_folder(folder.path(), ReadPth::OUTPUTS)
        .unwrap()
        .with_input("file", Files::from_folder(source.path()).unwrap());
    let file = Input::<Folder>::new("file");
    ReadPth { file, key: None, prefix: None }.run(&ctx).unwrap();
    let bytes = std::fs::read(folder.path().join("out/file/model.safetensors")).unwrap();
    let tensors = crate::Tensors::from_safetensors(&bytes, &candle_core::Device::Cpu).unwrap();
    let names: Vec<_> = tensors.iter().map(|(name, _)| name).collect();
    assert_eq!(names, ["features.0.bias", "features.0.weight", "half", "shared", "steps"]);
    let digest = sconce_core::Digest::of(&bytes).hex();
    assert_eq!(&digest[..16], "bc92c3dce6cf9a5c", "read-pth@{}", ReadPth::VERSION);
}

#[test]
fn parameters_are_counted() {
    let folder = tempfile::tempdir().unwrap();
    let ctx = Context::in_folder(folder.path(), ParameterTable::OUTPUTS).unwrap();
    let stage = ParameterTable { architecture: "vgg16".into() };
    stage.check().unwrap();
    stage.run(&ctx).unwrap();
    let files = Files::from_folder(&folder.path().join("out/table")).unwrap();
    let table = Table::load(&files).unwrap();
    assert_eq!(table.rows.len(), 16 + 3);
    assert_eq!(
        &files.digest().hex()[..16],
        "5aa8ea6d9a54c52e",
        "parameter-table@{}",
        ParameterTable::VERSION
    );
    let wrong = ParameterTable { architecture: "vgg".into() }.check().unwrap_err().to_string();
    assert!(wrong.starts_with("parameter `architecture`: unknown architecture `vgg`; known are: "));
}

#[test]
fn kinds_have_docs() {
    for kind in KINDS {
        let schema = kind.schema();
        assert!(schema.get("description").is_some(), "{kind:?}");
        for (name, field) in sconce_core::stage::properties(&schema) {
            assert!(field.get("description").is_some(), "{kind:?}: {name}");
        }
    }
}
