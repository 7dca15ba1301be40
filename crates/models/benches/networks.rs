//! The studies' networks at work: one image or batch forwards, its gradient, or one step of training.
//!
//! `networks.py` runs this with `--serve` beside PyTorch: each line of its input names a [case](CASES), each line of its
//! output is the seconds that it took once, on the clock and of processor time. `--memory CASE` prints bytes: before its first run, and at most in it.
//! Alone it prints medians of all cases, or of those with its argument in their names; `RAYON_NUM_THREADS` sets the threads.

#![allow(
    clippy::disallowed_methods,
    clippy::print_stdout,
    clippy::print_stderr,
    clippy::unwrap_used,
    reason = "a benchmark prints, and fails aloud"
)]

use std::hint::black_box;
use std::io::{BufRead, Write};
use std::process::ExitCode;
use std::time::Instant;

use candle_core::{Device, Tensor, Var};
use rayon::prelude::*;
use sconce_core::random::generator;
use sconce_core::{Error, Result};
use sconce_models::init::Init;
use sconce_models::networks::dcgan::{self, Discriminator, Generator, Part};
use sconce_models::networks::two_domains::{DANN, Statistics, TwoDomains, dann_losses};
use sconce_models::optim::{Adam, Method, Optimiser, Sgd};
use sconce_models::variables::Variables;
use sconce_models::{Architecture, Network, architecture, from_tensors};

const CASES: [&str; 10] = [
    "vgg16-forward-1",
    "vgg16-forward-8",
    "vgg16-gradient-1",
    "squeezenet-forward-1",
    "squeezenet-forward-16",
    "squeezenet-gradient-1",
    "squeezenet-gradient-16",
    "dann",
    "dcgan-32",
    "dcgan-64",
];

#[global_allocator]
static MEMORY: mimalloc::MiMalloc = mimalloc::MiMalloc;

type Step = Box<dyn FnMut() -> candle_core::Result<()>>;

fn normal(shape: &[usize]) -> Result<Tensor> {
    Init::Normal { mean: 0.0, std: 1.0 }.draw(shape, &mut generator(1, "data"), &Device::Cpu)
}

/// The network with random weights that no gradient is asked of.
fn frozen(architecture: &dyn Architecture) -> Result<Box<dyn Network>> {
    let variables = Variables::drawn(&architecture.parameters(), 1, &Device::Cpu)?;
    let constant = |v: &sconce_models::variables::Variable| v.var.as_detached_tensor();
    let tensors = variables.iter().map(|v| (v.name.clone(), constant(v))).collect();
    from_tensors(architecture.name(), &tensors)
}

fn forward(architecture: &dyn Architecture, batch: usize) -> Result<Step> {
    let (network, x) = (frozen(architecture)?, normal(&[batch, 3, 224, 224])?);
    Ok(Box::new(move || network.forward_to(&x, "logits").map(drop)))
}

/// The gradient of all logits' sum to the images.
fn gradient(architecture: &dyn Architecture, batch: usize) -> Result<Step> {
    let (network, x) = (frozen(architecture)?, normal(&[batch, 3, 224, 224])?);
    let x = Var::from_tensor(&x).map_err(Error::other)?;
    Ok(Box::new(move || network.forward_to(&x, "logits")?.sum_all()?.backward().map(drop)))
}

fn dann() -> Result<Step> {
    let parameters = DANN.domain_parameters(10, Statistics::Together);
    let variables = Variables::drawn(&parameters, 1, &Device::Cpu)?;
    let network = TwoDomains::new(DANN, Statistics::Together, &variables)?;
    let mut optimiser = Optimiser::new(Method::Sgd(Sgd::default()), &variables)?;
    let (source, target) = (normal(&[64, 3, 28, 28])?, normal(&[64, 3, 28, 28])?);
    let labels: Vec<u32> = (0..64).map(|i| i % 10).collect();
    let labels = Tensor::new(labels, &Device::Cpu).map_err(Error::other)?;
    Ok(Box::new(move || {
        let mut rng = [1, 2].map(|seed| generator(seed, "dropout"));
        let of = dann_losses(&network, [&source, &target], &labels, Some(0.5), &mut rng)?;
        optimiser.step(&(of.label + of.domain)?.backward()?, 0.01)
    }))
}

fn dcgan(width: usize) -> Result<Step> {
    let generator = Part::Generator { latent: 100, width, channels: 1 };
    let discriminator = Part::Discriminator { width, channels: 1 };
    let of_g = Variables::drawn(&generator.parameters(), 1, &Device::Cpu)?;
    let of_d = Variables::drawn(&discriminator.parameters(), 2, &Device::Cpu)?;
    let (g, d) = (Generator::new(&of_g)?, Discriminator::new(&of_d)?);
    let adam = Method::Adam(Adam { betas: [0.5, 0.999], ..Adam::default() });
    let (mut og, mut od) = (Optimiser::new(adam, &of_g)?, Optimiser::new(adam, &of_d)?);
    let images = normal(&[128, 1, 32, 32])?.tanh().map_err(Error::other)?;
    let noise = normal(&[128, 100, 1, 1])?;
    Ok(Box::new(move || dcgan::step((&g, &mut og), (&d, &mut od), &images, &noise, 2e-4).map(drop)))
}

fn make(case: &str) -> Result<Step> {
    let parts: Vec<&str> = case.split('-').collect();
    let number = |text: &str| text.parse().map_err(|_| Error::message(format!("no case `{case}`")));
    let named = |name: &str| match name {
        "squeezenet" => architecture("squeezenet1_1"),
        name => architecture(name),
    };
    match parts.as_slice() {
        ["dann"] => dann(),
        ["dcgan", width] => dcgan(number(width)?),
        [name, "forward", batch] => forward(named(name)?, number(batch)?),
        [name, "gradient", batch] => gradient(named(name)?, number(batch)?),
        _ => Err(Error::message(format!("no case `{case}`; there are: {}", CASES.join(", ")))),
    }
}

/// Seconds on the clock, and of all threads on a processor.
fn timed(step: &mut Step) -> Result<[f64; 2]> {
    let (start, used) = (Instant::now(), processor_time()?);
    step().map_err(Error::other)?;
    let took = start.elapsed().as_secs_f64();
    Ok([took, processor_time()? - used])
}

/// Seconds that this process has used; 0 where the system does not tell.
fn processor_time() -> Result<f64> {
    let mut nanoseconds = 0.0;
    let Ok(tasks) = std::fs::read_dir("/proc/self/task") else { return Ok(0.0) };
    for task in tasks {
        let path = task.map_err(Error::other)?.path().join("schedstat");
        let line = std::fs::read_to_string(path).unwrap_or_default();
        nanoseconds += line.split(' ').next().and_then(|n| n.parse::<f64>().ok()).unwrap_or(0.0);
    }
    Ok(nanoseconds * 1e-9)
}

/// Single-precision operations a second of all threads together, of multiply-adds in registers: the peak.
fn peak() -> f64 {
    let best = (0..5).map(|_| {
        let start = Instant::now();
        let operations: usize = (0..rayon::current_num_threads())
            .into_par_iter()
            .with_max_len(1)
            .map(|_| multiply_add())
            .sum();
        operations as f64 / start.elapsed().as_secs_f64()
    });
    best.fold(0.0, f64::max)
}

/// Returns the number of operations done.
fn multiply_add() -> usize {
    #[cfg(target_arch = "x86_64")]
    {
        if is_x86_feature_detected!("avx512f") {
            // SAFETY: the processor has the instructions.
            return unsafe { multiply_add_avx512() };
        }
        if is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma") {
            // SAFETY: likewise.
            return unsafe { multiply_add_avx2() };
        }
    }
    multiply_add_of::<4>()
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f")]
unsafe fn multiply_add_avx512() -> usize {
    multiply_add_of::<16>()
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2,fma")]
unsafe fn multiply_add_avx2() -> usize {
    multiply_add_of::<8>()
}

/// Ten chains of vectors of `L`: more than the latency of a multiply-add times its throughput.
#[inline(always)]
fn multiply_add_of<const L: usize>() -> usize {
    const COUNT: usize = 20_000_000;
    const CHAINS: usize = 10;
    let (a, b) = (black_box([0.999f32; L]), black_box([0.001f32; L]));
    let mut sums = [[1f32; L]; CHAINS];
    for _ in 0..COUNT {
        for sum in &mut sums {
            for l in 0..L {
                sum[l] = sum[l].mul_add(a[l], b[l]);
            }
        }
    }
    black_box(sums);
    2 * L * CHAINS * COUNT
}

fn serve() -> Result<()> {
    let mut current: Option<(String, Step)> = None;
    for case in std::io::stdin().lock().lines() {
        let case = case.map_err(Error::other)?;
        if case == "peak" {
            println!("{} 0", peak());
        } else {
            let mut kept = current.take().filter(|(known, _)| *known == case);
            let (_, step) = match &mut kept {
                Some(kept) => kept,
                None => kept.insert((case.clone(), make(&case)?)),
            };
            let [seconds, processor] = timed(step)?;
            println!("{seconds} {processor}");
            current = kept;
        }
        std::io::stdout().flush().map_err(Error::other)?;
    }
    Ok(())
}

/// A line of `/proc/self/status` in bytes.
fn status(field: &str) -> Result<usize> {
    let status = std::fs::read_to_string("/proc/self/status").map_err(Error::other)?;
    let line = status.lines().find_map(|line| line.strip_prefix(field)?.strip_prefix(':'));
    let kib = line.and_then(|line| line.trim().strip_suffix("kB")?.trim().parse::<usize>().ok());
    kib.map(|kib| kib * 1024).ok_or_else(|| Error::message(format!("no `{field}` in the status")))
}

fn memory(case: &str) -> Result<()> {
    let mut step = make(case)?;
    // sets the largest size so far back to the present one
    std::fs::write("/proc/self/clear_refs", "5").map_err(Error::other)?;
    let before = status("VmRSS")?;
    timed(&mut step)?;
    timed(&mut step)?;
    println!("{before} {}", status("VmHWM")?);
    Ok(())
}

/// All cases with `part` in their names.
fn alone(part: &str) -> Result<()> {
    println!("peak {:.0} GFLOP/s", peak() * 1e-9);
    // cargo adds a flag of its own
    for case in CASES.iter().filter(|case| part.starts_with('-') || case.contains(part)) {
        let mut step = make(case)?;
        timed(&mut step)?;
        let mut took = (0..10).map(|_| timed(&mut step)).collect::<Result<Vec<_>>>()?;
        let mut median = |i: usize| {
            took.sort_by(|a, b| a[i].total_cmp(&b[i]));
            took[5][i] * 1e3
        };
        println!("{case:24} {:8.1} ms, processors {:8.1} ms", median(0), median(1));
    }
    Ok(())
}

fn main() -> ExitCode {
    // SAFETY: no other thread runs yet.
    unsafe { sconce_ops::threads::let_candle_sleep() };
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let done = match arguments.as_slice() {
        ["--serve"] => serve(),
        ["--memory", case] => memory(case),
        parts => alone(parts.first().copied().unwrap_or_default()),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}
