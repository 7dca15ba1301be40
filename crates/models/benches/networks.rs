//! The studies' networks at work: one image or batch forwards, its gradient, or one step of training. `networks.py` runs
//! this beside PyTorch.

#![allow(
    clippy::disallowed_methods,
    clippy::print_stdout,
    clippy::print_stderr,
    clippy::unwrap_used,
    reason = "a benchmark prints, and fails aloud"
)]

#[path = "networks/turns.rs"]
mod turns;

use std::process::ExitCode;

use candle_core::{Device, Tensor, Var};
use sconce_core::random::generator;
use sconce_core::{Error, Result};
use sconce_models::average::Average;
use sconce_models::init::Init;
use sconce_models::networks::dcgan::{
    Condition, Discriminator, DiscriminatorLayout, Examples, Generator, GeneratorLayout,
    Initialisation, Loss, Normalisation, Objective, Penalty, Side, step,
};
use sconce_models::networks::two_domains::{DANN, Statistics, TwoDomains, dann_losses};
use sconce_models::optim::{Adam, Method, Optimiser, Sgd};
use sconce_models::variables::Variables;
use sconce_models::{Architecture, Network, architecture, from_tensors};
use sconce_ops::tape;
use turns::Step;

const CASES: [&str; 19] = [
    "vgg16-forward-1",
    "vgg16-forward-8",
    "vgg16-gradient-1",
    "squeezenet-forward-1",
    "squeezenet-forward-16",
    "squeezenet-gradient-1",
    "squeezenet-gradient-16",
    "resnet18-forward-1",
    "resnet50-forward-1",
    "resnet50-gradient-1",
    "efficientnet-forward-1",
    "efficientnet-gradient-1",
    "convnext-forward-1",
    "convnext-gradient-1",
    "dinov2-forward-1",
    "dann",
    "dcgan-32",
    "dcgan-64",
    "modern-32",
];

#[global_allocator]
static MEMORY: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn normal(shape: &[usize], device: &Device) -> Result<Tensor> {
    Init::Normal { mean: 0.0, std: 1.0 }.draw(shape, &mut generator(1, "data"), device)
}

/// The network with random weights that no gradient is asked of.
fn frozen(architecture: &dyn Architecture, device: &Device) -> Result<Box<dyn Network>> {
    let variables = Variables::drawn(&architecture.parameters(), 1, device)?;
    let constant = |v: &sconce_models::variables::Variable| v.var.as_detached_tensor();
    let tensors = variables.iter().map(|v| (v.name.clone(), constant(v))).collect();
    from_tensors(architecture.name(), &tensors)
}

fn forward(architecture: &dyn Architecture, batch: usize, device: &Device) -> Result<Step> {
    let (network, x) = (frozen(architecture, device)?, normal(&[batch, 3, 224, 224], device)?);
    Ok(Box::new(move || network.forward_to(&x, "logits").map(drop)))
}

/// The gradient of all logits' sum to the images.
fn gradient(architecture: &dyn Architecture, batch: usize, device: &Device) -> Result<Step> {
    let (network, x) = (frozen(architecture, device)?, normal(&[batch, 3, 224, 224], device)?);
    let x = Var::from_tensor(&x).map_err(Error::other)?;
    Ok(Box::new(move || {
        tape::gradients(|| Ok((network.forward_to(&x, "logits")?.sum_all()?, ()))).map(drop)
    }))
}

fn dann(device: &Device) -> Result<Step> {
    let parameters = DANN.domain_parameters(10, Statistics::Together);
    let variables = Variables::drawn(&parameters, 1, device)?;
    let network = TwoDomains::new(DANN, Statistics::Together, &variables)?;
    let mut optimiser = Optimiser::new(Method::Sgd(Sgd::default()), &variables)?;
    let (source, target) = (normal(&[64, 3, 28, 28], device)?, normal(&[64, 3, 28, 28], device)?);
    let labels: Vec<u32> = (0..64).map(|i| i % 10).collect();
    let labels = Tensor::new(labels, device).map_err(Error::other)?;
    Ok(Box::new(move || {
        let mut rng = [1, 2].map(|seed| generator(seed, "dropout"));
        let (gradients, ()) = tape::gradients(|| {
            let of = dann_losses(&network, [&source, &target], &labels, Some(0.5), &mut rng)?;
            Ok(((of.label + of.domain)?, ()))
        })?;
        optimiser.step(&gradients, 0.01)
    }))
}

/// DCGAN, or the modern recipe: relativistic pairing, both penalties, an average of the generator.
fn dcgan(width: usize, batch: usize, modern: bool, device: &Device) -> Result<Step> {
    let (channels, size) = (1, 32);
    let norm = Normalisation::Batch;
    let of_generator = GeneratorLayout { latent: 100, width, channels, size, classes: 0, norm };
    let of_discriminator = DiscriminatorLayout {
        width,
        channels,
        size,
        condition: Condition::None,
        classes: 0,
        norm: if modern { Normalisation::None } else { norm },
        norm_first: false,
    };
    let init = Initialisation::default();
    let of_g = Variables::drawn(&of_generator.parameters(init), 1, device)?;
    let of_d = Variables::drawn(&of_discriminator.parameters(init), 2, device)?;
    let (g, d) =
        (Generator::new(of_generator, &of_g)?, Discriminator::new(of_discriminator, &of_d)?);
    let betas = if modern { [0.0, 0.99] } else { [0.5, 0.999] };
    let adam = Method::Adam(Adam { betas, ..Adam::default() });
    let (mut og, mut od) = (Optimiser::new(adam, &of_g)?, Optimiser::new(adam, &of_d)?);
    let images = normal(&[batch, 1, 32, 32], device)?.tanh().map_err(Error::other)?;
    let noise = normal(&[batch, 100], device)?;
    let average = if modern { Some(Average::new(0.999, &of_g)?) } else { None };
    let objective = match modern {
        true => Objective {
            loss: Loss::Relativistic,
            penalty: Penalty { real: 1.0, fake: 1.0, ..Penalty::default() },
            ..Objective::default()
        },
        false => Objective::default(),
    };
    Ok(Box::new(move || {
        let mut g = Side { network: &g, optimiser: &mut og, learning_rate: 2e-4 };
        let mut d = Side { network: &d, optimiser: &mut od, learning_rate: 2e-4 };
        let x = Examples { images: &images, noise: &noise, classes: None };
        step(&mut g, &mut d, &x, &objective, &mut generator(1, "penalty"))?;
        average.as_ref().map_or(Ok(()), Average::update)
    }))
}

fn make(case: &str, device: &Device) -> Result<Step> {
    let parts: Vec<&str> = case.split('-').collect();
    let number = |text: &str| text.parse().map_err(|_| Error::message(format!("no case `{case}`")));
    let named = |name: &str| match name {
        "squeezenet" => architecture("squeezenet1_1"),
        "efficientnet" => architecture("efficientnet_lite0"),
        "convnext" => architecture("convnext_tiny"),
        "dinov2" => architecture("dinov2_vits14"),
        name => architecture(name),
    };
    match parts.as_slice() {
        ["dann"] => dann(device),
        ["dcgan", width] => dcgan(number(width)?, 128, false, device),
        ["dcgan", width, batch] => dcgan(number(width)?, number(batch)?, false, device),
        ["modern", width] => dcgan(number(width)?, 128, true, device),
        [name, "forward", batch] => forward(named(name)?, number(batch)?, device),
        [name, "gradient", batch] => gradient(named(name)?, number(batch)?, device),
        _ => Err(Error::message(format!("no case `{case}`; there are: {}", CASES.join(", ")))),
    }
}

fn main() -> ExitCode {
    let (option, value) = turns::PURGE_DELAY;
    // SAFETY: the option is an integer, and may be set at any time.
    unsafe { libmimalloc_sys::mi_option_set_default(option, value) };
    turns::main(&CASES, make)
}
