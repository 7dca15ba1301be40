//! Networks and a step of their training in other places than by the CPU's kernels: composed of candle's operations on the CPU, and
//! on each device that this machine has.

use candle_core::{Device, Result, Tensor, Var};
use sconce_ops::device::composed;
use sconce_ops::loss::cross_entropy;

use super::{architecture, from_tensors};
use crate::networks::trainable::deterministic::cosines;
use crate::optim::{Method, Optimiser, Sgd};
use crate::variables::Variables;

/// Networks of all kinds of layers, and the side of their input.
pub(super) const NETWORKS: [(&str, [usize; 3]); 9] = [
    ("lenet5", [1, 28, 28]),
    ("dann", [3, 28, 28]),
    ("dann_bn", [3, 28, 28]),
    ("dann_wide", [3, 28, 28]),
    ("squeezenet1_1", [3, 64, 64]),
    ("efficientnet_lite0", [3, 64, 64]),
    ("resnet18", [3, 64, 64]),
    ("convnext_tiny", [3, 32, 32]),
    ("dinov2_vits14", [3, 28, 42]),
];

/// Logits, the gradient to the images, and those to all parameters, by name.
pub(super) fn results(
    name: &str,
    shape: [usize; 3],
    device: &Device,
) -> Result<Vec<(String, Tensor)>> {
    let parameters = architecture(name).unwrap().parameters();
    let variables = Variables::drawn(&parameters, 3, device).unwrap();
    let network = from_tensors(name, &variables.live()).unwrap();
    let images = cosines(&[&[2][..], &shape].concat()).to_device(device)?;
    let images = Var::from_tensor(&images)?;
    let logits = network.forward_to(images.as_tensor(), "logits")?;
    let classes = Tensor::new(&[1u32, 7], device)?;
    let gradients = cross_entropy(&logits, &classes)?.backward()?;
    let mut all = vec![("logits".to_owned(), logits.detach())];
    all.push(("the images' gradient".to_owned(), gradients.get(&images).unwrap().clone()));
    for variable in variables.trained() {
        if let Some(gradient) = gradients.get(&variable.var) {
            all.push((format!("the gradient of {}", variable.name), gradient.clone()));
        }
    }
    let mut optimiser = Optimiser::new(Method::Sgd(Sgd::default()), &variables).unwrap();
    optimiser.step(&gradients, 0.1)?;
    if let Some(first) = variables.trained().next() {
        all.push((format!("{} after an update", first.name), first.var.as_detached_tensor()));
    }
    all.into_iter().map(|(what, t)| Ok((what, t.to_device(&Device::Cpu)?))).collect()
}

/// Largest difference as a share of the largest value.
fn apart(a: &Tensor, b: &Tensor) -> Result<f64> {
    let largest = |t: &Tensor| t.abs()?.flatten_all()?.max(0)?.to_scalar::<f32>().map(f64::from);
    Ok(largest(&(a - b)?)? / largest(a)?.max(1e-20))
}

fn hold(
    place: &str,
    [of_logits, of_gradients]: [f64; 2],
    run: impl Fn(&str, [usize; 3]) -> Result<Vec<(String, Tensor)>>,
) -> Result<()> {
    for (name, shape) in NETWORKS {
        let want = results(name, shape, &Device::Cpu)?;
        let got = run(name, shape)?;
        assert_eq!(want.len(), got.len());
        assert!(want.len() > 4, "{name}: gradients of parameters");
        for ((what, want), (_, got)) in want.iter().zip(&got) {
            let apart = apart(want, got)?;
            let tolerance = if what == "logits" { of_logits } else { of_gradients };
            assert!(apart <= tolerance, "{name} on {place}, {what}: {apart:.2e}");
        }
    }
    Ok(())
}

#[test]
fn composed_networks_equal_those_of_kernels() -> Result<()> {
    // Sums are rounded otherwise, so that here and there another element is the maximum, or a rectifier is open: a jump in the
    // gradient to an image (.7 % of its largest value in SqueezeNet).
    hold("the CPU, composed", [1e-4, 2e-2], |name, shape| {
        composed(|| results(name, shape, &Device::Cpu))
    })
}

/// On a machine with a device: `cargo test --features cuda` (or `cudnn`, `metal`).
#[test]
fn networks_on_devices_equal_those_of_kernels() -> Result<()> {
    let mut seen = false;
    for (name, device) in [("cuda", Device::new_cuda(0)), ("metal", Device::new_metal(0))] {
        let Ok(device) = device else { continue };
        seen = true;
        // of docs/devices.md
        hold(name, [1e-3, 2e-2], |network, shape| results(network, shape, &device))?;
    }
    if !seen {
        println!("skipped: no device");
    }
    Ok(())
}
