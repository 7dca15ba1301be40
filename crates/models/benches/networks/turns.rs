//! A program of cases to be timed by turns with another's.
//!
//! With `--serve` each line of its input names a case, each line of its output is the seconds that it took once, on the
//! clock and of processor time; the case `peak` gives what the machine can do. `--memory CASE` prints bytes: before its first
//! run, and at most in it. Alone it prints medians of all cases, or of those with its argument in their names;
//! `RAYON_NUM_THREADS` sets the threads.
//!
//! With `--device cuda` first, tensors live on a GPU. A line may then say how many steps are timed at a stretch, behind the case:
//! the seconds are those of one, with the GPU's work done. With `--tf32` behind it, matrix products round their factors so.

use std::hint::black_box;
use std::io::{BufRead, Write};
use std::process::ExitCode;
use std::time::Instant;

use candle_core::Device;
use rayon::prelude::*;
use sconce_core::{Error, Result};

/// What is timed.
pub(crate) type Step = Box<dyn FnMut() -> candle_core::Result<()>>;

/// Makes a case by its name.
pub(crate) type Make = fn(&str, &Device) -> Result<Step>;

/// Seconds of one of `count` steps on the clock, and of all threads on a processor.
fn timed(step: &mut Step, count: u32, device: &Device) -> Result<[f64; 2]> {
    device.synchronize().map_err(Error::other)?;
    let (start, used) = (Instant::now(), processor_time()?);
    for _ in 0..count {
        step().map_err(Error::other)?;
    }
    device.synchronize().map_err(Error::other)?;
    let took = start.elapsed().as_secs_f64();
    Ok([took, processor_time()? - used].map(|seconds| seconds / f64::from(count)))
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

fn serve(make: Make, device: &Device) -> Result<()> {
    let mut current: Option<(String, Step)> = None;
    for line in std::io::stdin().lock().lines() {
        let line = line.map_err(Error::other)?;
        let (case, count) = line.split_once(' ').unwrap_or((&line, "1"));
        let count = count.parse().map_err(|_| Error::message(format!("no number `{count}`")))?;
        if case == "peak" {
            println!("{} 0", peak());
        } else {
            let mut kept = current.take().filter(|(known, _)| known == case);
            let (_, step) = match &mut kept {
                Some(kept) => kept,
                None => kept.insert((case.to_owned(), make(case, device)?)),
            };
            let [seconds, processor] = timed(step, count, device)?;
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

fn memory(make: Make, case: &str) -> Result<()> {
    let mut step = make(case, &Device::Cpu)?;
    // what making the case left behind is not the step's to use
    // SAFETY: it may be called at any time.
    unsafe { libmimalloc_sys::mi_collect(true) };
    // sets the largest size so far back to the present one
    std::fs::write("/proc/self/clear_refs", "5").map_err(Error::other)?;
    let before = status("VmRSS")?;
    timed(&mut step, 2, &Device::Cpu)?;
    println!("{before} {}", status("VmHWM")?);
    Ok(())
}

/// All cases with `part` in their names.
fn alone(cases: &[&str], make: Make, part: &str, device: &Device) -> Result<()> {
    println!("peak {:.0} GFLOP/s", peak() * 1e-9);
    // cargo adds a flag of its own
    for case in cases.iter().filter(|case| part.starts_with('-') || case.contains(part)) {
        let mut step = make(case, device)?;
        timed(&mut step, 1, device)?;
        let times = (0..10).map(|_| timed(&mut step, 1, device));
        let mut took = times.collect::<Result<Vec<_>>>()?;
        let mut median = |i: usize| {
            took.sort_by(|a, b| a[i].total_cmp(&b[i]));
            took[5][i] * 1e3
        };
        println!("{case:24} {:8.1} ms, processors {:8.1} ms", median(0), median(1));
    }
    Ok(())
}

fn run(cases: &[&str], make: Make, arguments: &[&str]) -> Result<()> {
    let (device, arguments) = match arguments {
        ["--device", "cuda", rest @ ..] => (Device::new_cuda(0).map_err(Error::other)?, rest),
        ["--device", "metal", rest @ ..] => (Device::new_metal(0).map_err(Error::other)?, rest),
        rest => (Device::Cpu, rest),
    };
    let arguments = match arguments {
        ["--tf32", rest @ ..] => {
            candle_core::cuda::set_gemm_reduced_precision_f32(true);
            rest
        }
        rest => rest,
    };
    match arguments {
        ["--serve"] => serve(make, &device),
        ["--memory", case] => memory(make, case),
        parts => alone(cases, make, parts.first().copied().unwrap_or_default(), &device),
    }
}

/// Of mimalloc's `mi_option_purge_delay`, in milliseconds: as the program has it, memory stays for the next step.
pub(crate) const PURGE_DELAY: (i32, std::ffi::c_long) = (15, 10_000);

/// The program of these cases, each made by its name.
pub(crate) fn main(cases: &[&str], make: Make) -> ExitCode {
    // SAFETY: no other thread runs yet.
    unsafe { sconce_ops::threads::let_candle_sleep() };
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match run(cases, make, &arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}
