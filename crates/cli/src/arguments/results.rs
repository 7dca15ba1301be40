//! What is said to the commands that show, compare, search and take out results.

use std::path::PathBuf;

use clap::{Args, ValueEnum};
use sconce_core::ByteSize;

use super::{PipelineArguments, ResourceArguments, TalkArguments};

#[derive(Debug, Args)]
pub(crate) struct PublishArguments {
    #[command(flatten)]
    pub(crate) pipeline: PipelineArguments,
    /// The study's stage; all of the pipeline's studies without a name
    #[arg(value_name = "STAGE")]
    pub(crate) stage: Option<String>,
    /// Copy the page to this file
    #[arg(long, value_name = "FILE")]
    pub(crate) html: Option<PathBuf>,
    /// Print the page to this PDF file, by the chromium or chrome of this machine
    #[arg(long, value_name = "FILE")]
    pub(crate) pdf: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) resources: ResourceArguments,
    #[command(flatten)]
    pub(crate) talk: TalkArguments,
}

#[derive(Debug, Args)]
pub(crate) struct SweepArguments {
    #[command(flatten)]
    pub(crate) pipeline: PipelineArguments,
    /// A parameter and its range, such as `stage.svm.c=log-uniform(1e-3, 10)`; may be repeated
    #[arg(long, value_name = "PATH=RANGE", required = true)]
    pub(crate) over: Vec<String>,
    /// Make this metric large: STAGE.METRIC, STAGE.OUTPUT.METRIC or 'STAGE[AXIS=VALUE].METRIC'
    #[arg(
        long,
        alias = "maximize",
        value_name = "METRIC",
        conflicts_with = "minimise",
        required_unless_present = "minimise"
    )]
    pub(crate) maximise: Option<String>,
    /// Make this metric small
    #[arg(long, alias = "minimize", value_name = "METRIC")]
    pub(crate) minimise: Option<String>,
    /// How many trials are drawn
    #[arg(long, value_name = "N", default_value_t = 20)]
    pub(crate) trials: usize,
    /// The seed of the draws: the same gives the same trials
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub(crate) seed: u64,
    /// Successive halving: all trials with the smallest budget, the best with larger ones
    #[arg(long, value_name = "PATH=LEAST..MOST")]
    pub(crate) budget: Option<String>,
    /// With a budget: one trial in so many goes on, with so many times the budget
    #[arg(long, value_name = "N", default_value_t = 3)]
    pub(crate) eta: u64,
    /// Draw the trials into this file, `.svg` or `.png`
    #[arg(long, value_name = "FILE")]
    pub(crate) plot: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) resources: ResourceArguments,
    /// Print JSON
    #[arg(long)]
    pub(crate) json: bool,
    /// Say only what went wrong, and the result
    #[arg(long, short, conflicts_with = "verbose")]
    pub(crate) quiet: bool,
}

/// How a table of results is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum TableFormat {
    /// For reading in a terminal
    Text,
    /// For spreadsheets and data frames
    Csv,
    /// For programs
    Json,
    /// For Markdown pages
    Markdown,
    /// One page that needs nothing else, with the figures that differ
    Html,
}

#[derive(Debug, Args)]
pub(crate) struct CompareArguments {
    /// The pipeline file, or a run of it
    #[arg(value_name = "FILE[@RUN]")]
    pub(crate) file: String,
    /// Further runs by their numbers; stages or cells, such as `svm` or `svm[c=10]`; without any
    /// those with metrics
    #[arg(value_name = "RUN|CELLS")]
    pub(crate) what: Vec<String>,
    /// A set of rows with `[profile.NAME]` over the file; `A+B` lays both over it; may be repeated
    #[arg(long = "profile", value_name = "NAME")]
    pub(crate) profiles: Vec<String>,
    /// A set of rows of the file as it stands, beside the profiles
    #[arg(long)]
    pub(crate) base: bool,
    /// Set a value in all rows, such as `stage.svm.c=10`; may be repeated
    #[arg(long = "set", value_name = "PATH=VALUE")]
    pub(crate) sets: Vec<String>,
    /// A set of rows with these settings, separated by `;`; may be repeated
    #[arg(long = "variant", value_name = "PATH=VALUE;…")]
    pub(crate) variants: Vec<String>,
    /// Only rows that meet a condition, such as `accuracy > 0.8 and c = 1`
    #[arg(long = "where", value_name = "CONDITION")]
    pub(crate) condition: Option<String>,
    /// Sort by these columns; `-NAME` for the largest first
    #[arg(long, value_name = "COLUMN,…", allow_hyphen_values = true)]
    pub(crate) sort: Option<String>,
    /// These columns in place of those that differ
    #[arg(long, value_name = "COLUMN,…")]
    pub(crate) columns: Option<String>,
    /// At most so many rows
    #[arg(long, short = 'n', value_name = "N")]
    pub(crate) limit: Option<usize>,
    /// How to write it
    #[arg(long, value_enum, default_value = "text")]
    pub(crate) format: TableFormat,
}

#[derive(Debug, Args)]
pub(crate) struct RunsArguments {
    /// Runs of this pipeline file alone; `FILE@RUN` or `RUN` for one run with its cells
    #[arg(value_name = "FILE|RUN")]
    pub(crate) which: Option<String>,
    /// The latest so many; 0 for all
    #[arg(long, short = 'n', value_name = "N", default_value_t = 20)]
    pub(crate) limit: usize,
    /// Print JSON
    #[arg(long)]
    pub(crate) json: bool,
}

/// The tool for which is exported.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum ExportFormat {
    /// Event files: curves, metrics, pictures and parameters, a folder for each cell
    Tensorboard,
    /// A table of the cells and one for the curves of each
    Csv,
    /// A folder `mlruns`, MLflow's file store: an experiment with a run for each cell
    Mlflow,
    /// A Provenance Run Crate: the pipeline, what ran, what of, with what, and what came out
    RoCrate,
}

#[derive(Debug, Args)]
pub(crate) struct ExportArguments {
    #[command(flatten)]
    pub(crate) pipeline: PipelineArguments,
    /// The stage, or some of its cells, such as `svm[c=10]`; all without one
    #[arg(value_name = "STAGE")]
    pub(crate) stage: Option<String>,
    /// The tool
    #[arg(long, value_enum)]
    pub(crate) format: ExportFormat,
    /// The folder to write to; it has to be empty, or not there yet
    #[arg(long, value_name = "DIR")]
    pub(crate) out: PathBuf,
    /// Of the run of this number; without one of the last run that gave these results [ro-crate]
    #[arg(long, value_name = "RUN")]
    pub(crate) run: Option<u64>,
    /// Outputs that are larger do not come along: their digests say what they were [ro-crate]
    #[arg(long, value_name = "SIZE", default_value = "100MiB")]
    pub(crate) max_size: ByteSize,
    /// The license of the exported results, best its address [ro-crate]
    #[arg(long, value_name = "LICENSE", default_value = "not stated")]
    pub(crate) license: String,
}

#[derive(Debug, Args)]
pub(crate) struct UiArguments {
    #[command(flatten)]
    pub(crate) pipeline: PipelineArguments,
    /// The port; 0 for any free one
    #[arg(long, value_name = "PORT", default_value_t = 0)]
    pub(crate) port: u16,
    /// The address to listen on; another than the loopback one lets other machines read
    #[arg(long, value_name = "ADDRESS", default_value_t = std::net::IpAddr::from([127, 0, 0, 1]))]
    pub(crate) address: std::net::IpAddr,
}
