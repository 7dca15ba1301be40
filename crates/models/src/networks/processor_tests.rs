//! Networks have the same bits on every processor with fused multiply-adds: logits, gradients to the images and to all parameters,
//! and an update. `just check-arm` computes them with NEON.

use candle_core::Device;

use super::device_tests::{NETWORKS, results};

/// FNV-1a of the bits of all results.
fn digest(name: &str, shape: [usize; 3]) -> u64 {
    let mut digest = 0xcbf2_9ce4_8422_2325u64;
    for (_, tensor) in results(name, shape, &Device::Cpu).unwrap() {
        for value in tensor.flatten_all().unwrap().to_vec1::<f32>().unwrap() {
            digest = (digest ^ u64::from(value.to_bits())).wrapping_mul(0x0100_0000_01b3);
        }
    }
    digest
}

#[cfg(all(target_os = "linux", target_env = "gnu"))]
const DIGESTS: [&str; NETWORKS.len()] = [
    "lenet5 667acf6be1e9ddfc",
    "dann 31abc656ad9ba60f",
    "dann_bn 1e4df2414033af1e",
    "dann_wide c6308652f160935a",
    "squeezenet1_1 63f1c8309759c96e",
    "efficientnet_lite0 287cc3ef93dd31ad",
    "resnet18 4d6fcdcada985e4e",
    "convnext_tiny 45dfb1a08c33a3a0",
    "dinov2_vits14 af04856f5cd61b85",
];

/// Initial weights and losses come from the system's exponentials and logarithms, those of glibc here (`docs/processors.md`).
#[test]
#[cfg(all(target_os = "linux", target_env = "gnu"))]
fn networks_have_the_same_bits_on_every_processor() {
    let found: Vec<String> = NETWORKS
        .iter()
        .map(|&(name, shape)| format!("{name} {:016x}", digest(name, shape)))
        .collect();
    assert_eq!(found, DIGESTS);
}
