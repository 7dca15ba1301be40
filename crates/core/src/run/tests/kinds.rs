//! Kinds that are easy to watch.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{Context, Folder, Inputs, Kind, Out, Resources, Result, Stage, Threads, outputs};

pub(super) const KINDS: &[Kind] = &[
    Kind::of::<Sum>(),
    Kind::of::<Rough>(),
    Kind::of::<Odd>(),
    Kind::of::<Crowd>(),
    Kind::of::<Patient>(),
    Kind::of::<Measure>(),
    Kind::of::<Poster>(),
    Kind::of::<Many>(),
];

fn total(ctx: &Context, numbers: &Inputs<Folder>) -> Result<i64> {
    let mut total = 0;
    for number in ctx.inputs(numbers)? {
        let text = String::from_utf8_lossy(&number.artifact.0.read("number")?).into_owned();
        total += text.trim().parse::<i64>().map_err(crate::Error::other)?;
    }
    Ok(total)
}

fn write<S: Stage>(ctx: &Context<S>, output: Out<S, Folder>, text: &str) -> Result<()> {
    let path = ctx.folder(output).join("number");
    std::fs::write(&path, text).map_err(|error| crate::Error::io(path, error))
}

/// The sum of its inputs and a number.
#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Sum {
    #[serde(default)]
    of: Inputs<Folder>,
    #[serde(default)]
    plus: i64,
}

outputs! { Sum:
    /// A number as text.
    NUMBER: Folder = "number";
}

impl Stage for Sum {
    const KIND: &'static str = "sum";
    const VERSION: u32 = 1;

    fn run(&self, ctx: &Context<Self>) -> Result<()> {
        let sum = total(ctx, &self.of)? + self.plus;
        ctx.metric("sum", sum as f64);
        write(ctx, Self::NUMBER, &format!("{sum}\n"))
    }
}

/// The sum in tens: many inputs give one output.
#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Rough {
    of: Inputs<Folder>,
}

outputs! { Rough:
    /// A number as text.
    NUMBER: Folder = "number";
}

impl Stage for Rough {
    const KIND: &'static str = "rough";
    const VERSION: u32 = 1;

    fn run(&self, ctx: &Context<Self>) -> Result<()> {
        write(ctx, Self::NUMBER, &format!("{}\n", total(ctx, &self.of)? / 10 * 10))
    }
}

/// Goes wrong in the way that is asked for.
#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Odd {
    #[serde(default)]
    of: Inputs<Folder>,
    way: String,
}

outputs! { Odd:
    /// A number as text.
    NUMBER: Folder = "number";
    /// Never the same.
    CLOCK: Folder = "clock", volatile;
}

impl Stage for Odd {
    const KIND: &'static str = "odd";
    const VERSION: u32 = 1;

    fn run(&self, ctx: &Context<Self>) -> Result<()> {
        static COUNT: AtomicUsize = AtomicUsize::new(0);
        total(ctx, &self.of)?;
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        match self.way.as_str() {
            "error" => return Err(crate::Error::message("as asked for")),
            "panic" => panic!("as asked for"),
            "nothing" => return write(ctx, Self::CLOCK, "1"),
            "random" => write(ctx, Self::NUMBER, &count.to_string())?,
            _ => write(ctx, Self::NUMBER, "0")?,
        }
        write(ctx, Self::CLOCK, &count.to_string())
    }
}

/// Counts how many of its kind run at once.
#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Crowd {
    number: u64,
    /// 0: every thread.
    threads: usize,
}

/// Threads in use, and the most there ever were.
static NOW: AtomicUsize = AtomicUsize::new(0);
static MOST: AtomicUsize = AtomicUsize::new(0);

/// The fewest threads of a cell that can use all.
static FEWEST: AtomicUsize = AtomicUsize::new(usize::MAX);

pub(super) fn fewest() -> usize {
    FEWEST.load(Ordering::SeqCst)
}

pub(super) fn most() -> usize {
    MOST.load(Ordering::SeqCst)
}

outputs! { Crowd:
    /// A number as text.
    NUMBER: Folder = "number";
}

impl Stage for Crowd {
    const KIND: &'static str = "crowd";
    const VERSION: u32 = 1;

    fn resources(&self) -> Resources {
        let threads = match self.threads {
            0 => Threads::All,
            count => Threads::Count(count),
        };
        Resources { threads, ..Resources::default() }
    }

    fn run(&self, ctx: &Context<Self>) -> Result<()> {
        if self.threads == 0 {
            FEWEST.fetch_min(ctx.threads(), Ordering::SeqCst);
        }
        let now = NOW.fetch_add(ctx.threads(), Ordering::SeqCst) + ctx.threads();
        MOST.fetch_max(now, Ordering::SeqCst);
        std::thread::sleep(Duration::from_millis(15));
        NOW.fetch_sub(ctx.threads(), Ordering::SeqCst);
        write(ctx, Self::NUMBER, &self.number.to_string())
    }
}

/// Works until the run is asked to stop, or for a while.
#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Patient {
    milliseconds: usize,
}

outputs! { Patient:
    /// A number as text.
    NUMBER: Folder = "number";
}

impl Stage for Patient {
    const KIND: &'static str = "patient";
    const VERSION: u32 = 1;

    fn run(&self, ctx: &Context<Self>) -> Result<()> {
        for done in 0..self.milliseconds {
            ctx.progress(done, self.milliseconds, "milliseconds")?;
            std::thread::sleep(Duration::from_millis(1));
        }
        write(ctx, Self::NUMBER, "1")
    }
}

/// Yields a metric.
#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Measure {
    share: f64,
    #[serde(default)]
    note: u32,
}

/// Numbers as texts read them.
pub(super) struct Numbers(String);

impl crate::Artifact for Numbers {
    const TYPE: &'static str = crate::stage::METRICS;

    fn load(files: &crate::Files) -> Result<Self> {
        Ok(Self(String::from_utf8_lossy(&files.read("metrics.json")?).into_owned()))
    }

    fn save(&self, folder: &std::path::Path) -> Result<()> {
        let path = folder.join("metrics.json");
        std::fs::write(&path, &self.0).map_err(|error| crate::Error::io(path, error))
    }
}

outputs! { Measure:
    /// The share.
    METRICS: Numbers = "metrics";
}

impl Stage for Measure {
    const KIND: &'static str = "measure";
    const VERSION: u32 = 1;

    fn run(&self, ctx: &Context<Self>) -> Result<()> {
        let text = format!("{{ \"values\": {{ \"share\": {} }} }}", self.share);
        ctx.write(Self::METRICS, &Numbers(text))
    }
}

/// Writes its text.
#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Poster {
    #[schemars(extend("x-sconce-text" = true))]
    text: String,
    #[serde(default)]
    #[schemars(extend("x-sconce-text" = true))]
    lines: Vec<String>,
}

outputs! { Poster:
    /// The text.
    NUMBER: Folder = "number";
}

impl Stage for Poster {
    const KIND: &'static str = "poster";
    const VERSION: u32 = 1;

    fn run(&self, ctx: &Context<Self>) -> Result<()> {
        write(ctx, Self::NUMBER, &format!("{}|{}", self.text, self.lines.join("|")))
    }
}

/// Writes its number, and those of cells that wait for it, but for 4.
#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Many {
    number: i64,
    /// Tells tests apart; `late` and `early` fail for number 1 after the others were written or before.
    way: String,
}

/// The numbers of the stages that were run, with their threads, by their way.
static MANY: Mutex<BTreeMap<String, Vec<(i64, usize)>>> = Mutex::new(BTreeMap::new());

pub(super) fn take_runs(way: &str) -> Vec<(i64, usize)> {
    MANY.lock().unwrap_or_else(PoisonError::into_inner).remove(way).unwrap_or_default()
}

outputs! { Many:
    /// A number as text.
    NUMBER: Folder = "number";
}

impl Stage for Many {
    const KIND: &'static str = "many";
    const VERSION: u32 = 1;
    const TOGETHER: &'static [&'static str] = &["number"];

    fn resources(&self) -> Resources {
        Resources { threads: Threads::All, ..Resources::default() }
    }

    fn run(&self, ctx: &Context<Self>) -> Result<()> {
        let mut runs = MANY.lock().unwrap_or_else(PoisonError::into_inner);
        runs.entry(self.way.clone()).or_default().push((self.number, ctx.threads()));
        drop(runs);
        let fails = |way| self.number == 1 && self.way == way;
        if fails("early") {
            return Err(crate::Error::message("as asked for"));
        }
        for sibling in ctx.siblings() {
            let number = sibling.stage().number;
            let path = sibling.folder(Self::NUMBER)?.join("number");
            std::fs::write(&path, number.to_string())
                .map_err(|error| crate::Error::io(path, error))?;
            if number != 4 {
                sibling.finish()?;
            }
        }
        if fails("late") {
            return Err(crate::Error::message("as asked for"));
        }
        write(ctx, Self::NUMBER, &self.number.to_string())
    }
}
