//! Training steps of DANN and DCGAN. `training.py` runs this with `--serve` beside PyTorch: each line of its input names
//! a network, each line of its output is the seconds of one step. Alone it prints medians of 20 steps.

use std::io::{BufRead, Write};
use std::process::ExitCode;
use std::time::Instant;

use candle_core::{Device, Tensor};
use sconce_core::Result;
use sconce_core::random::generator;
use sconce_models::dann::Dann;
use sconce_models::dcgan::{self, Discriminator, Generator};
use sconce_models::init::Init;
use sconce_models::optim::{Adam, Method, Optimiser, Sgd};
use sconce_models::variables::Variables;

type Step = Box<dyn FnMut() -> candle_core::Result<()>>;

fn normal(shape: &[usize]) -> Result<Tensor> {
    Init::Normal { mean: 0.0, std: 1.0 }.draw(shape, &mut generator(1, "data"), &Device::Cpu)
}

fn dann() -> Result<Step> {
    let mut variables = Variables::new(1, &Device::Cpu);
    let network = Dann::new(&mut variables, 10)?;
    let mut optimiser = Optimiser::new(Method::Sgd(Sgd::default()), &variables)?;
    let (source, target) = (normal(&[64, 3, 28, 28])?, normal(&[64, 3, 28, 28])?);
    let labels: Vec<u32> = (0..64).map(|i| i % 10).collect();
    let labels = Tensor::new(labels, &Device::Cpu).map_err(sconce_core::Error::other)?;
    Ok(Box::new(move || {
        network.step(&mut optimiser, [&source, &target], &labels, 0.5, 0.01).map(drop)
    }))
}

fn dcgan(width: usize) -> Result<Step> {
    let (mut of_g, mut of_d) = (Variables::new(1, &Device::Cpu), Variables::new(2, &Device::Cpu));
    let g = Generator::new(&mut of_g, 100, width, 1)?;
    let d = Discriminator::new(&mut of_d, width, 1)?;
    let adam = Method::Adam(Adam { betas: [0.5, 0.999], ..Adam::default() });
    let (mut og, mut od) = (Optimiser::new(adam, &of_g)?, Optimiser::new(adam, &of_d)?);
    let images = normal(&[128, 1, 32, 32])?.tanh().map_err(sconce_core::Error::other)?;
    let noise = normal(&[128, 100, 1, 1])?;
    Ok(Box::new(move || dcgan::step((&g, &mut og), (&d, &mut od), &images, &noise, 2e-4).map(drop)))
}

fn make(name: &str) -> Result<Step> {
    match name {
        "dann" => dann(),
        "dcgan32" => dcgan(32),
        "dcgan64" => dcgan(64),
        other => Err(sconce_core::Error::message(format!("no network `{other}`"))),
    }
}

fn timed(step: &mut Step) -> Result<f64> {
    let start = Instant::now();
    step().map_err(sconce_core::Error::other)?;
    Ok(start.elapsed().as_secs_f64())
}

fn serve() -> Result<()> {
    let mut steps: Vec<(String, Step)> = vec![];
    for name in std::io::stdin().lock().lines() {
        let name = name.map_err(sconce_core::Error::other)?;
        if !steps.iter().any(|(known, _)| *known == name) {
            steps.push((name.clone(), make(&name)?));
        }
        for (_, step) in steps.iter_mut().filter(|(known, _)| *known == name) {
            println!("{}", timed(step)?);
        }
        std::io::stdout().flush().map_err(sconce_core::Error::other)?;
    }
    Ok(())
}

fn alone() -> Result<()> {
    for name in ["dann", "dcgan32", "dcgan64"] {
        let mut step = make(name)?;
        timed(&mut step)?;
        let mut seconds = (0..20).map(|_| timed(&mut step)).collect::<Result<Vec<_>>>()?;
        seconds.sort_by(f64::total_cmp);
        println!("{name:8} {:7.1} ms", seconds[10] * 1e3);
    }
    Ok(())
}

fn main() -> ExitCode {
    let served = std::env::args().any(|argument| argument == "--serve");
    match if served { serve() } else { alone() } {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}
