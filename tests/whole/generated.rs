//! Generators of other images than digits: whatever gives images will do.

use crate::bench::Bench;

/// CIFAR-10's binary files, and a folder of photographs of many sizes.
const OTHERS: &str = r#"
[stage.cifar-files]
kind = "file"
path = "cifar-10-batches-bin"
[stage.cifar]
kind = "cifar-10"
files = "cifar-files"
[stage.photograph-files]
kind = "fetch"
digest = "blake3:8904a163fd3e3d20eed39f7e3397ef8aa321eefff369827b8f70fc110d9e926e"
sources = ["embedded:photographs"]
[stage.photographs]
kind = "image-folder"
files = "photograph-files"
splits = []
[defaults.train-gan]
latent = 8
generator.width = 2
discriminator.width = 2
training = { epochs = 1, batch = 5 }
samples = 4
[stage.small]
kind = "train-gan"
images = "cifar"
split = "test"
generator.conditional = true
discriminator.condition = "projected"
[stage.large]
kind = "train-gan"
images = "photographs"
split = ""
size = 64
[stage.few]
kind = "generate"
weights = "small.generator"
arrangement = "each-class"
count = 2
"#;

/// 20 records of a class and three planes of 32 × 32 bytes.
fn records() -> Vec<u8> {
    let record = |i: u32| {
        let bytes = (0..3072u32).map(move |at| (at * (i + 1) % 251) as u8);
        std::iter::once((i % 10) as u8).chain(bytes)
    };
    (0..20).flat_map(record).collect()
}

#[test]
fn any_images_train_a_generator() {
    let bench = Bench::new(OTHERS);
    bench.write("cifar-10-batches-bin/readme.txt", "made up");
    std::fs::write(bench.path("cifar-10-batches-bin/test_batch.bin"), records()).unwrap();
    bench.run(&[]);
    let index = |stage: &str| -> serde_json::Value {
        serde_json::from_str(&bench.read(&format!("artifacts/p/{stage}/index.json"))).unwrap()
    };
    // images, height, width, channels: what the file's header says
    let shape = |stage: &str| {
        let bytes = std::fs::read(bench.path(&format!("artifacts/p/{stage}/pixels.safetensors")));
        let (length, rest) = bytes.as_ref().unwrap().split_at(8);
        let length = u64::from_le_bytes(length.try_into().unwrap()) as usize;
        let header: serde_json::Value = serde_json::from_slice(&rest[..length]).unwrap();
        header["pixels"]["shape"].clone()
    };
    // a row for each of CIFAR's classes
    assert_eq!(shape("few"), serde_json::json!([20, 32, 32, 3]));
    let few = index("few");
    assert_eq!(few["examples"]["classes"][3], "cat");
    assert_eq!(few["examples"]["labels"].as_array().unwrap()[..3], [0, 0, 1]);
    // looks before the first update and after the last
    assert_eq!(shape("large/samples"), serde_json::json!([8, 64, 64, 3]));
}
