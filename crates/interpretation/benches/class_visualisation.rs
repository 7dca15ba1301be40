//! Steps of class visualisation on SqueezeNet. `class_visualisation.py` runs this with `--serve` beside PyTorch: for each
//! line of its input it makes one step and prints its seconds. Alone it prints the median of 30 steps.

#![allow(
    clippy::disallowed_methods,
    clippy::print_stdout,
    clippy::print_stderr,
    clippy::unwrap_used,
    reason = "a benchmark prints, and fails aloud"
)]

use std::io::{BufRead, Write};
use std::path::Path;
use std::process::ExitCode;
use std::time::Instant;

use candle_core::{Device, Tensor};
use sconce_core::random::{Generator, generator};
use sconce_core::{Error, Result};
use sconce_data::Weights;
use sconce_interpretation::Model;
use sconce_interpretation::visualisation::pixels::{PixelAscent, noise};
use sconce_interpretation::visualisation::standard::Standard;

struct Climb {
    model: Model,
    standard: Standard,
    ascent: PixelAscent,
    rng: Generator,
    u: Tensor,
    iteration: usize,
}

impl Climb {
    fn new() -> Result<Self> {
        let assets = Path::new(env!("CARGO_MANIFEST_DIR")).join("../data/assets");
        let path = assets.join("squeezenet1_1.safetensors");
        let weights = Weights::from_safetensors(&path, None, None, Vec::new())?;
        let model = Model::load(&weights, Some(224), Device::Cpu)?;
        let standard = Standard::new(model.preprocessing().channels, &Device::Cpu);
        let mut rng = generator(1, "jitter");
        let u = noise(&model, 224, &mut rng)?;
        let ascent = PixelAscent::default();
        Ok(Self { model, standard: standard.map_err(Error::other)?, ascent, rng, u, iteration: 0 })
    }

    /// One step's seconds, and the class's probability before it.
    fn step(&mut self) -> Result<(f64, f64)> {
        let start = Instant::now();
        let Self { model, standard, ascent, rng, u, iteration } = self;
        let (progress, next) =
            ascent.advance(model, standard, 76, u, *iteration, rng).map_err(Error::other)?;
        self.u = next;
        self.iteration += 1;
        Ok((start.elapsed().as_secs_f64(), progress.probability))
    }
}

fn run() -> Result<()> {
    let mut climb = Climb::new()?;
    if std::env::args().any(|argument| argument == "--serve") {
        for line in std::io::stdin().lock().lines() {
            line.map_err(Error::other)?;
            println!("{}", climb.step()?.0);
            std::io::stdout().flush().map_err(Error::other)?;
        }
        return Ok(());
    }
    climb.step()?;
    let steps = (0..30).map(|_| climb.step()).collect::<Result<Vec<_>>>()?;
    let mut seconds: Vec<f64> = steps.iter().map(|(seconds, _)| *seconds).collect();
    seconds.sort_by(f64::total_cmp);
    let probability = steps.last().map_or(0.0, |(_, probability)| *probability);
    println!("{:.1} ms a step; tarantula at {probability:.3}", seconds[15] * 1e3);
    Ok(())
}

#[global_allocator]
static MEMORY: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    // SAFETY: no other thread runs yet.
    unsafe { sconce_ops::threads::let_candle_sleep() };
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}
