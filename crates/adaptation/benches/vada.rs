//! One update of VADA with its network, 64 images of each domain. `crates/models/benches/networks.py` runs this beside
//! PyTorch.

#![allow(
    clippy::disallowed_methods,
    clippy::print_stdout,
    clippy::print_stderr,
    clippy::unwrap_used,
    reason = "a benchmark prints, and fails aloud"
)]

#[path = "../../models/benches/networks/turns.rs"]
mod turns;

use std::process::ExitCode;

use candle_core::{Device, Tensor};
use sconce_adaptation::method::Vada;
use sconce_adaptation::update::{Draws, Examples, vada};
use sconce_core::random::generator;
use sconce_core::{Error, Result};
use sconce_models::average::Average;
use sconce_models::init::Init;
use sconce_models::networks::two_domains::{Statistics, TwoDomains, VADA};
use sconce_models::optim::{Adam, Method, Optimiser};
use sconce_models::variables::Variables;
use sconce_ops::tape;
use turns::Step;

#[global_allocator]
static MEMORY: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn normal(purpose: &str, device: &Device) -> Result<Tensor> {
    let normal = Init::Normal { mean: 0.0, std: 1.0 };
    normal.draw(&[64, 3, 28, 28], &mut generator(1, purpose), device)
}

fn make(_: &str, device: &Device) -> Result<Step> {
    let parameters = VADA.domain_parameters(10, Statistics::Apart);
    let variables = Variables::drawn(&parameters, 1, device)?;
    let mut network = TwoDomains::new(VADA, Statistics::Apart, &variables)?;
    (network.dropout, network.noise) = (0.5, 1.0);
    let adam = Method::Adam(Adam { betas: [0.5, 0.999], ..Adam::default() });
    let mut optimiser = Optimiser::new(adam, &variables)?;
    let average = Average::new(0.998, &variables)?;
    let (source, target) = (normal("source", device)?, normal("target", device)?);
    let labels: Vec<u32> = (0..64).map(|i| i % 10).collect();
    let labels = Tensor::new(labels, device).map_err(Error::other)?;
    let mut step = 0;
    Ok(Box::new(move || {
        step += 1;
        let of = |purpose: &str| generator(step, purpose);
        let draws = Draws { source: of("source"), target: of("target"), of: &of };
        let x = Examples { source: &source, target: &target, classes: &labels };
        let (gradients, ()) = tape::gradients(|| {
            let update = vada(&network, &x, Vada::default(), &draws, |_, gradients| {
                optimiser.step(gradients, 1e-3)
            })?;
            Ok((update.loss, ()))
        })?;
        optimiser.step(&gradients, 1e-3)?;
        average.update()
    }))
}

fn main() -> ExitCode {
    let (option, value) = turns::PURGE_DELAY;
    // SAFETY: the option is an integer, and may be set at any time.
    unsafe { libmimalloc_sys::mi_option_set_default(option, value) };
    turns::main(&["vada"], make)
}
