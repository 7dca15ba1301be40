//! Any program as a stage.

mod journal;
mod parameters;
mod process;
#[cfg_attr(windows, path = "cmd.rs")]
mod shell;
mod workspace;

use std::borrow::Cow;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::stage::engine::Own;
use crate::{
    Anything, Context, Error, Folder, NamedInputs, Output, Result, Stage, Yields, outputs,
};
use parameters::{Environment, Line, Outputs};

/// Runs any program: a script in another language, a tool, a shell line.
///
/// The program starts in an empty private folder. Each input is a read-only folder there, named as
/// the input (`inputs = ["digits"]` gives `digits/`; a gathering input has a folder for each
/// cell); `SCONCE_INPUT_<NAME>` holds its absolute path. The program has to write the paths in
/// `outputs`; all else that it writes is dropped.
///
/// What the program sees of the environment: `PATH`, `HOME`, `USER` and the like; `LANG`, `LC_ALL`,
/// `TZ` and `PYTHONHASHSEED` with fixed values, so that two machines give the same; `TMPDIR`, a
/// private folder; `SCONCE_THREADS`, `OMP_NUM_THREADS` and the like with the threads that it may
/// use; each axis of the stage's matrix under its own name; and what `env` adds. Nothing else.
///
/// A program's curves can be watched while it runs (`sconce show FILE STAGE --live`, `sconce ui`): it adds lines to the
/// file that `SCONCE_JOURNAL` names. A line is a JSON object of numbers, or `name=value` with blanks between: `step=20
/// of=500 loss=0.31`. `step`, `of` (all steps) and `epoch` say where the other numbers belong; they may be left out.
/// Nothing of it is part of a result.
///
/// A shell line stops at the first program that fails, and a pipe fails when any of its programs does, or is ended by a
/// signal: it is run by `bash -e -o pipefail -c`, or by `sh` with the same options where there is no bash. Where `sh` has
/// no `pipefail`, a note says so. A program whose reader stops early (`zcat … | head`) fails too: put
/// `set +o pipefail;` before where that is meant.
///
/// The programs themselves are not part of the key. Bring a script in with kind `file` and name it
/// under `inputs`, so that a changed script runs again.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Command {
    /// A line for the shell (`bash`, else `sh`; `cmd /C` on Windows), or a list: the program and its
    /// arguments, as they are.
    run: Line,
    /// Stages whose results the program reads: a list, or a table of names and stages.
    #[serde(default)]
    inputs: NamedInputs<Anything>,
    /// What the program has to write: a list of paths, which together are the output `files`; or a
    /// table of output names, each with a path or with `{ path = "…", type = "…" }`. The type
    /// `metrics` is a file `metrics.json`, `{"values": {"accuracy": 0.93}}`: its numbers stand in
    /// tables, comparisons and studies.
    outputs: Outputs,
    /// Environment variables that count: a list of names whose values come from the user's
    /// environment, or a table in which `true` stands for the user's value and a text for itself.
    /// A variable that is not set fails the stage: one that may be missing is given a text.
    #[serde(default)]
    env: Environment,
    /// Whether the program is random: then the stage's seed, which follows from the pipeline's, is
    /// part of the key, and the program finds it, as a number below 2^32, in `SCONCE_SEED`.
    #[serde(default)]
    seeded: bool,
}

outputs! { Command:
    /// What the program wrote.
    FILES: Folder = "files";
}

impl Stage for Command {
    const KIND: &'static str = "command";
    const VERSION: u32 = 2;
    const SEEDED: bool = true;
    const FREE_AXES: bool = true;
    const SMALL: bool = true;

    fn outputs(&self, _: Own) -> Vec<Output> {
        let output = |name: &str, artifact: &str| Output {
            name: Cow::Owned(name.to_owned()),
            artifact: Cow::Owned(artifact.to_owned()),
            ..Self::OUTPUTS[0].clone()
        };
        match &self.outputs {
            Outputs::Together(_) => Self::OUTPUTS.to_vec(),
            Outputs::Named(named) => {
                named.iter().map(|(name, one)| output(name, &one.artifact)).collect()
            }
        }
    }

    fn seeded(&self) -> bool {
        self.seeded
    }

    fn can_use_gpu(&self) -> bool {
        true
    }

    fn check(&self) -> Result<()> {
        self.run.check()?;
        self.outputs.check()?;
        self.env.check()?;
        for name in self.inputs.edges().keys() {
            if !is_plain_name(name) {
                return Err(Error::parameter(
                    "inputs",
                    format!(
                        "`{name}` cannot name a folder: expected letters, digits, `-`, `_` or `.`"
                    ),
                ));
            }
        }
        Ok(())
    }

    fn environment(&self) -> &[String] {
        self.env.of_user()
    }

    fn run(&self, ctx: &Context<Self>) -> Result<()> {
        let unset = |name: &&String| !ctx.environment().contains_key(*name);
        if let Some(name) = self.env.of_user().iter().find(unset) {
            return Err(Error::parameter(
                "env",
                format!(
                    "the variable `{name}` is not set (to a text of Unicode) where the run was started: set it, or give \
                     it a value: `env = {{ {name} = \"\" }}`"
                ),
            ));
        }
        let workspace = workspace::prepare(ctx, &self.inputs)?;
        // Many programs take seeds of 32 bits.
        let seed = self.seeded.then_some(ctx.seed() & u64::from(u32::MAX));
        let environment = process::environment(ctx, &workspace, &self.env, seed)?;
        process::run(ctx, &self.run, &workspace, &environment)?;
        workspace::check_inputs(&workspace)?;
        workspace::collect(ctx, &workspace, &self.outputs)
    }
}

fn is_plain_name(name: &str) -> bool {
    let plain = |c: char| c.is_alphanumeric() || "-_.".contains(c);
    !name.is_empty() && !name.starts_with('.') && name.chars().all(plain)
}

#[cfg(test)]
#[cfg(unix)]
mod tests;
