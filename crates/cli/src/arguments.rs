//! The command line.

mod results;

use std::path::PathBuf;
use std::time::Duration;

use clap::{ArgAction, Args, Parser, Subcommand, ValueEnum};
use sconce_core::{ByteSize, quantity};

use crate::environment;
pub(crate) use results::{
    CompareArguments, ExportArguments, ExportFormat, PublishArguments, RunsArguments,
    SweepArguments, TableFormat, UiArguments,
};

const AFTER: &str = "\
Examples:
  sconce run pipelines/transfer.toml                 everything, as far as it is not done
  sconce run pipelines/transfer.toml svm table       these stages and what they need
  sconce run pipelines/transfer.toml 'svm[layer=fire9]'   these cells of a stage
  sconce run pipelines/transfer.toml --set stage.svm.c=10
  sconce plan pipelines/transfer.toml                what would run, and why
  sconce why pipelines/transfer.toml svm             the whole story of one stage
  sconce show pipelines/transfer.toml head --live    curves and progress while it runs
  sconce ui pipelines/transfer.toml                  all of that on a local page
  sconce kinds fit-svm                               what a stage of this kind can hold

Configuration: `sconce.toml` in the current directory, then
`$XDG_CONFIG_HOME/sconce/config.toml`, can set `store`, `store.remote`, `mirror`, `artifacts`, `device`,
`strict_device`, `jobs`, `threads`, `memory` and `[executor]` (docs/cluster.md). Flags win over variables of the environment, and those over files.

Exit codes: 0 all is well; 1 a cell failed; 2 the command line or the pipeline file is wrong;
130 interrupted.";

fn after() -> String {
    format!("{AFTER}\n\n{}", environment::help())
}

/// Runs deep-learning pipelines: one TOML file in, tables and figures out, every result cached by
/// content.
#[derive(Debug, Parser)]
#[command(name = "sconce", version, after_help = after(), max_term_width = 100)]
pub(crate) struct Arguments {
    #[command(flatten)]
    pub(crate) global: Global,
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// Where things are, and what is told beside a command's own results.
#[derive(Debug, Clone, Default, Args)]
pub(crate) struct Global {
    /// The store's folder [environment: SCONCE_STORE; default: .sconce]
    #[arg(long, global = true, value_name = "DIR", help_heading = "Places")]
    pub(crate) store: Option<PathBuf>,
    /// The store that machines share, such as `s3://bucket/prefix`; without an address the configured
    /// one [environment: SCONCE_REMOTE]
    #[arg(long, global = true, value_name = "ADDRESS", help_heading = "Places", num_args = 0..=1,
          default_missing_value = "")]
    pub(crate) remote: Option<String>,
    /// Take results from the remote store, and put none there
    #[arg(long, global = true, help_heading = "Places")]
    pub(crate) read_only_remote: bool,
    /// Do not ask the remote store
    #[arg(long, global = true, help_heading = "Places")]
    pub(crate) offline: bool,
    /// A folder of files that sources may be taken from [environment: SCONCE_MIRROR]
    #[arg(long, global = true, value_name = "DIR", help_heading = "Places")]
    pub(crate) mirror: Option<PathBuf>,
    /// Where results are shown under human names [default: artifacts]
    #[arg(long, global = true, value_name = "DIR", help_heading = "Places")]
    pub(crate) artifacts: Option<PathBuf>,
    /// Where networks compute: `cpu`; `cuda`, any CUDA device; `cuda:0,cuda:1`, these; `metal`; `auto`, what
    /// there is. Given here, `cpu` wins over what stages say [default: cpu]
    #[arg(
        long,
        global = true,
        value_name = "DEVICE",
        value_delimiter = ',',
        help_heading = "Devices"
    )]
    pub(crate) device: Vec<String>,
    /// Keep results of different classes of devices apart: the class goes into the keys of cells that can
    /// compute on a device
    #[arg(long, global = true, help_heading = "Devices")]
    pub(crate) strict_device: bool,
    /// Tell more: which cells are done already and what took how long; `-vv` every phase of a cell,
    /// `-vvv` steps of trainings [environment: SCONCE_LOG]
    #[arg(long, short, global = true, action = ArgAction::Count, help_heading = "Where time goes")]
    pub(crate) verbose: u8,
    /// Write what took how long to a file that chrome://tracing and ui.perfetto.dev open
    #[arg(long, global = true, value_name = "FILE", help_heading = "Where time goes")]
    pub(crate) trace: Option<PathBuf>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Run what is not done yet
    #[command(after_help = "\
Examples:
  sconce run transfer.toml
  sconce run transfer.toml table --profile scenes
  sconce run transfer.toml --set stage.svm.c=10 --set vars.epochs=2
  sconce run transfer.toml --jobs 2 --memory 8GiB --json > events.jsonl

Exit codes: 0 all cells have their results; 1 a cell failed; 2 the pipeline file is wrong;
130 interrupted (Ctrl-C once stops cleanly, twice at once).")]
    Run(RunArguments),
    /// Tell what would run, and why
    Plan(PlanArguments),
    /// Bring written studies up to date and take their pages out, as HTML or PDF
    #[command(after_help = "\
Examples:
  sconce publish transfer.toml                       run what is missing, and say where the page is
  sconce publish transfer.toml --html transfer.html --pdf transfer.pdf
  sconce publish transfer.toml study --profile scenes --pdf scenes.pdf

A PDF is printed by chromium or chrome, where one is installed. How a study is written: docs/studies.md.")]
    Publish(PublishArguments),
    /// Tell the whole story of a stage: why it would run, or what its result is made of
    Why(WhyArguments),
    /// Draw the stages and their edges
    Graph(GraphArguments),
    /// Show the results of a stage: outputs, metrics, receipts
    Show(ShowArguments),
    /// Search ranges of parameters for the best value of a metric
    #[command(after_help = "\
Ranges: uniform(0, 1), log-uniform(1e-3, 10), integer(1, 8), choice(a, b).

Examples:
  sconce sweep transfer.toml --over 'stage.svm.c=log-uniform(1e-3, 100)' --maximise check.accuracy
  sconce sweep digits.toml --over 'stage.cnn.training.learning_rate=log-uniform(1e-4, 1e-1)' \\
    --budget stage.cnn.training.epochs=1..9 --trials 27 --minimise cnn.validation_loss

Trials are ordinary cells: what is in the store is not computed again, and the same call after an
interruption goes on where it was. Nothing is shown under artifacts; the last line runs the best.

Exit codes: 0 at least one trial has a result; 1 none has; 2 something is wrong with the call;
130 interrupted.")]
    Sweep(SweepArguments),
    /// Compare runs, profiles, settings or cells side by side; runs nothing
    #[command(after_help = "\
Examples:
  sconce compare transfer.toml 'svm[*]'              cells of a stage
  sconce compare transfer.toml --profile a --profile b
  sconce compare transfer.toml --base --profile a+b  the file itself, and both profiles over it
  sconce compare transfer.toml --variant stage.svm.c=1 --variant 'stage.svm.c=10; vars.size=64'
  sconce compare transfer.toml@11 12                 runs, by the numbers of `sconce runs`
  sconce compare transfer.toml test --where 'accuracy > 0.8 and c = 1' --sort=-accuracy
  sconce compare transfer.toml --profile a --profile b --format html > a-and-b.html

Columns are what differs between the rows: parameters, metrics, seconds, device. What is not in the
store is shown as such. CSV and JSON have numbers with all their digits.")]
    Compare(CompareArguments),
    /// List what was run when, with which settings and by which commit, and how it ended
    #[command(after_help = "\
Examples:
  sconce runs                                        the latest runs of all pipelines
  sconce runs transfer.toml --limit 0                all runs of one
  sconce runs 12                                     run 12 with its cells

A star behind the commit: files were changed and not committed. A question mark: not known, as
nothing ran.")]
    Runs(RunsArguments),
    /// Show a pipeline on a local page: the graph, running cells with their curves, logs, results,
    /// comparisons
    #[command(
        alias = "serve",
        after_help = "\
The address that it prints is the only one: it holds a random token. The page can change nothing.

Examples:
  sconce ui transfer.toml                            open the printed address in a browser
  sconce ui transfer.toml --profile scenes --port 8123
  ssh -L 8123:127.0.0.1:8123 HOST sconce ui transfer.toml --port 8123     of another machine"
    )]
    Ui(UiArguments),
    /// Write results and curves in the form of another tool
    #[command(after_help = "\
Examples:
  sconce export transfer.toml --format tensorboard --out events      tensorboard --logdir events
  sconce export transfer.toml 'lenet[*]' --format csv --out tables
  sconce export transfer.toml --format mlflow --out for-mlflow       mlflow ui, in that folder
  sconce export transfer.toml --format ro-crate --out crate          rocrate-validator validate crate")]
    Export(ExportArguments),
    /// List the kinds of stages, or all about one
    Kinds(KindsArguments),
    /// Print the JSON Schema of pipeline files, for editors
    #[command(after_help = "\
Use it in an editor that knows JSON Schema for TOML (taplo, Even Better TOML):
  sconce schema > sconce.schema.json
and as the first line of a pipeline file:
  #:schema ./sconce.schema.json")]
    Schema,
    /// Compute results again, in private, and compare the bits with the store
    Verify(VerifyArguments),
    /// Write the expected digests of all results to FILE's lock, beside it
    #[command(after_help = "\
Examples:
  sconce lock transfer.toml                          from the store, after a run
  sconce lock transfer.toml --profile quick          a profile beside it, in the same file
  sconce run transfer.toml --profile quick --locked  holds a run to it")]
    Lock(LockArguments),
    /// Remove what no pipeline uses from the store
    #[command(after_help = "\
Results of the last run of each pipeline always stay.

Examples:
  sconce gc --dry-run                                what would go
  sconce gc --max-age 30d                            results that were not used for 30 days
  sconce gc --max-size 20GiB                         the least recently used, down to this size
  sconce gc --remote --max-age 90d                   what would go of the remote store; with --yes it goes

Of the remote store, results that were put there longer ago go, and content that no result names; never
what a pin (`sconce push FILE --pin`), a cell that is running somewhere or the last hour needs.")]
    Gc(GcArguments),
    /// Put results into the remote store: those of a pipeline, or all
    #[cfg(feature = "remote")]
    #[command(after_help = "\
A run does so with what it computes; this is for results from before, or that could not be pushed.

Examples:
  sconce push --remote s3://bucket/group             all results of this machine
  sconce push transfer.toml svm                      those of a stage
  sconce push transfer.toml --pin                    and `sconce gc --remote` never removes them")]
    Push(PushArguments),
    /// Bring results, with their content, from the remote store
    #[cfg(feature = "remote")]
    #[command(after_help = "\
A run takes what it needs by itself; this is for what is to be read without one, or offline.

Examples:
  sconce pull transfer.toml                          all results of a pipeline
  sconce pull transfer.toml table                    those of a stage")]
    Pull(TransferArguments),
    /// Look at this machine: devices, threads, store, mirror, configuration
    Doctor(DoctorArguments),
    /// Tell what is in a cluster's queue, and how far it is
    #[command(after_help = "\
Works from any machine that sees the store. Where the queue can be asked it is; docs/cluster.md.")]
    Status(StatusArguments),
    /// Cancel what is in a cluster's queue
    #[command(after_help = "\
Works from any machine that sees the store, as long as the queue can be reached from it; where it
cannot, the jobs see by themselves that they are not wanted.

Examples:
  sconce cancel                                      all that the store records
  sconce cancel sweep.toml                           what one pipeline has in the queue, and its runs stop
  sconce cancel sweep.toml svm[c=10]                 some cells: they fail, and the run goes on with others")]
    Cancel(CancelArguments),
    /// Compute one resolved cell: what `run` starts for each
    #[command(hide = true)]
    Exec(ExecArguments),
}

/// Which pipeline.
#[derive(Debug, Clone, Args)]
pub(crate) struct PipelineArguments {
    /// The pipeline file
    #[arg(value_name = "FILE")]
    pub(crate) file: PathBuf,
    /// Lay `[profile.NAME]` over the file; may be repeated
    #[arg(long = "profile", value_name = "NAME")]
    pub(crate) profiles: Vec<String>,
    /// Set a value, such as `stage.svm.c=10` or `vars.epochs=2`; may be repeated
    #[arg(long = "set", value_name = "PATH=VALUE")]
    pub(crate) sets: Vec<String>,
}

/// What running cells may use.
#[derive(Debug, Clone, Default, Args)]
pub(crate) struct ResourceArguments {
    /// Most cells at once [default: as many as fit]
    #[arg(long, short, value_name = "N", help_heading = "Resources")]
    pub(crate) jobs: Option<usize>,
    /// Threads that cells share [default: those of the machine]
    #[arg(long, value_name = "N", help_heading = "Resources")]
    pub(crate) threads: Option<usize>,
    /// Memory that cells share, such as `16GiB` [default: that of the machine]
    #[arg(long, value_name = "SIZE", help_heading = "Resources")]
    pub(crate) memory: Option<ByteSize>,
    /// Where cells run: `local`, `slurm`, or `command` with `executor.command` of a configuration
    /// file; `local` wins over what stages say [default: local]
    #[arg(long, value_enum, value_name = "WHERE", help_heading = "Resources")]
    pub(crate) executor: Option<Where>,
}

/// Where cells run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Where {
    /// On this machine
    Local,
    /// In the queue of Slurm
    Slurm,
    /// By the command of the configuration
    Command,
}

/// How much is said.
#[derive(Debug, Clone, Default, Args)]
pub(crate) struct TalkArguments {
    /// Print events as JSON, one a line, on standard output
    #[arg(long)]
    pub(crate) json: bool,
    /// Say only what went wrong
    #[arg(long, short, conflicts_with = "verbose")]
    pub(crate) quiet: bool,
}

#[derive(Debug, Args)]
pub(crate) struct RunArguments {
    #[command(flatten)]
    pub(crate) pipeline: PipelineArguments,
    /// The stages that are wanted, or some of their cells, such as `svm[c=10]`; all without any
    #[arg(value_name = "STAGE")]
    pub(crate) stages: Vec<String>,
    /// Run this stage, or these cells, although the result is there; may be repeated; without a
    /// name all that is wanted
    #[arg(long, value_name = "STAGE", num_args = 0..=1, default_missing_value = "*",
          require_equals = true)]
    pub(crate) force: Vec<String>,
    /// Fail where a result is not the one in FILE's lock, and tell whether its inputs, its code or
    /// its bits changed
    #[arg(long)]
    pub(crate) locked: bool,
    /// Go on in the background, where the terminal's end does not end it; what it tells goes to a log
    #[arg(long)]
    pub(crate) detach: bool,
    #[command(flatten)]
    pub(crate) resources: ResourceArguments,
    #[command(flatten)]
    pub(crate) talk: TalkArguments,
}

#[derive(Debug, Args)]
pub(crate) struct PlanArguments {
    #[command(flatten)]
    pub(crate) pipeline: PipelineArguments,
    /// The stages that are wanted, or some of their cells, such as `svm[c=10]`; all without any
    #[arg(value_name = "STAGE")]
    pub(crate) stages: Vec<String>,
    /// Print the stages as they are after defaults, profiles, variables and settings, and where
    /// each value is from
    #[arg(long)]
    pub(crate) resolved: bool,
    /// Print JSON; with --resolved each cell's parameters and inputs, too
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct WhyArguments {
    #[command(flatten)]
    pub(crate) pipeline: PipelineArguments,
    /// The stage, or some of its cells, such as `svm[c=10]`
    #[arg(value_name = "STAGE")]
    pub(crate) stage: String,
}

/// How a graph is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum GraphFormat {
    /// For reading in a terminal
    Text,
    /// For Markdown pages
    Mermaid,
    /// For Graphviz
    Dot,
}

#[derive(Debug, Args)]
pub(crate) struct GraphArguments {
    #[command(flatten)]
    pub(crate) pipeline: PipelineArguments,
    /// How to write it
    #[arg(long, value_enum, default_value = "text")]
    pub(crate) format: GraphFormat,
}

#[derive(Debug, Args)]
pub(crate) struct ShowArguments {
    #[command(flatten)]
    pub(crate) pipeline: PipelineArguments,
    /// The stage, or some of its cells, such as `svm[c=10]`
    #[arg(value_name = "STAGE")]
    pub(crate) stage: String,
    /// Print the stage as it is after defaults, profiles, variables and settings, and where each
    /// value is from, in place of its results
    #[arg(long, conflicts_with = "json")]
    pub(crate) resolved: bool,
    /// Show curves, progress and time left while the cells run, and what was told by those that were
    /// killed or failed; without a terminal once
    #[arg(long, conflicts_with_all = ["json", "resolved"])]
    pub(crate) live: bool,
    /// Print what the cells' programs printed, in place of their results
    #[arg(long, conflicts_with_all = ["json", "resolved", "live"])]
    pub(crate) log: bool,
    /// Print the receipts as JSON
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct KindsArguments {
    /// The kind; all without one
    #[arg(value_name = "KIND")]
    pub(crate) kind: Option<String>,
}

#[derive(Debug, Args)]
pub(crate) struct VerifyArguments {
    #[command(flatten)]
    pub(crate) pipeline: PipelineArguments,
    /// The stages to verify, or some of their cells, such as `svm[c=10]`; all without any
    #[arg(value_name = "STAGE")]
    pub(crate) stages: Vec<String>,
    #[command(flatten)]
    pub(crate) resources: ResourceArguments,
    #[command(flatten)]
    pub(crate) talk: TalkArguments,
}

#[derive(Debug, Args)]
pub(crate) struct LockArguments {
    #[command(flatten)]
    pub(crate) pipeline: PipelineArguments,
}

#[derive(Debug, Args)]
pub(crate) struct GcArguments {
    /// Remove results that were not used for so long, such as `30d`
    #[arg(long, value_name = "AGE", value_parser = quantity::duration)]
    pub(crate) max_age: Option<Duration>,
    /// Remove the least recently used results until the store has at most this size
    #[arg(long, value_name = "SIZE")]
    pub(crate) max_size: Option<ByteSize>,
    /// Only tell what would go
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// With --remote: remove it, and do not just tell
    #[arg(long, conflicts_with = "dry_run")]
    pub(crate) yes: bool,
}

/// Which results go over.
#[cfg(feature = "remote")]
#[derive(Debug, Args)]
pub(crate) struct TransferArguments {
    /// The pipeline file
    #[arg(value_name = "FILE")]
    file: Option<PathBuf>,
    /// The stages, or some of their cells, such as `svm[c=10]`; all without any
    #[arg(value_name = "STAGE")]
    pub(crate) stages: Vec<String>,
    /// Lay `[profile.NAME]` over the file; may be repeated
    #[arg(long = "profile", value_name = "NAME", requires = "file")]
    profiles: Vec<String>,
    /// Set a value, such as `stage.svm.c=10` or `vars.epochs=2`; may be repeated
    #[arg(long = "set", value_name = "PATH=VALUE", requires = "file")]
    sets: Vec<String>,
}

#[cfg(feature = "remote")]
#[derive(Debug, Args)]
pub(crate) struct PushArguments {
    #[command(flatten)]
    pub(crate) which: TransferArguments,
    /// Keep `sconce gc --remote` from removing these results, under the pipeline's name
    #[arg(long, requires = "file")]
    pub(crate) pin: bool,
}

#[cfg(feature = "remote")]
impl TransferArguments {
    pub(crate) fn pipeline(&self) -> Option<PipelineArguments> {
        let (profiles, sets) = (self.profiles.clone(), self.sets.clone());
        Some(PipelineArguments { file: self.file.clone()?, profiles, sets })
    }
}

#[derive(Debug, Args)]
pub(crate) struct DoctorArguments {
    /// Hash everything in the store, and quarantine what is damaged
    #[arg(long)]
    pub(crate) check_store: bool,
}

#[derive(Debug, Args)]
pub(crate) struct StatusArguments {
    /// The pipeline file; all pipelines without one
    #[arg(value_name = "FILE")]
    pub(crate) file: Option<PathBuf>,
    /// Print JSON
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct CancelArguments {
    /// The pipeline file; all pipelines without one
    #[arg(value_name = "FILE")]
    pub(crate) file: Option<PathBuf>,
    /// Stages or cells, such as `svm` or `svm[c=10]`; without one all, and the runs stop
    #[arg(value_name = "STAGE")]
    pub(crate) stages: Vec<String>,
}

#[derive(Debug, Args)]
pub(crate) struct ExecArguments {
    /// The resolved cell as JSON; `-` for the first line of standard input, which then is the
    /// worker's life line: the line `cancel` asks it to stop, and its end ends the worker
    #[arg(value_name = "CELL.json")]
    pub(crate) cell: PathBuf,
    /// Compute one element of what was handed to a queue; CELL.json is its number then
    #[arg(long, value_name = "ID")]
    pub(crate) batch: Option<String>,
    /// Send what took how long to the parent, as far as this filter wants it
    #[arg(long, value_name = "FILTER")]
    pub(crate) spans: Option<String>,
}
