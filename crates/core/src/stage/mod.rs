//! Kinds of stages: one Rust type each.

pub mod artifact;
pub mod context;
pub mod device;
pub mod document;
pub mod input;
pub mod kind;
pub(crate) mod kinds;
pub(crate) mod metrics;
pub mod output;
pub mod report;
pub mod resources;
pub mod sibling;
pub(crate) mod text;

use std::path::Path;

use schemars::JsonSchema;
use serde::{Serialize, de::DeserializeOwned};

use crate::{Context, Result};

pub use artifact::tree_digest;
pub use kind::{AnyStage, Arity, Kind, Slot, properties};
pub use metrics::METRICS;
pub use output::{Out, Output, Yields};
pub use report::{Reporter, Silent, Update};
pub use resources::{Place, Resources, Threads};
pub use sibling::Sibling;
pub use text::TABLE;

/// What a stage does. The struct is the kind's TOML schema, its documentation and its part of the
/// key; `run` reads the inputs and writes the outputs through the [`Context`].
/// [`outputs!`](crate::outputs) declares what it yields.
///
/// ```
/// use schemars::JsonSchema;
/// use sconce_core::error::IoResultExt;
/// use sconce_core::{Context, Folder, Kind, Result, Stage, outputs};
/// use serde::{Deserialize, Serialize};
///
/// /// Counts.
/// #[derive(Serialize, Deserialize, JsonSchema)]
/// #[serde(deny_unknown_fields)]
/// struct Count {
///     /// The last number.
///     to: usize,
/// }
///
/// outputs! { Count:
///     /// The numbers, one a line.
///     NUMBERS: Folder = "numbers";
/// }
///
/// impl Stage for Count {
///     const KIND: &'static str = "count";
///     const VERSION: u32 = 1;
///
///     fn run(&self, ctx: &Context<Self>) -> Result<()> {
///         let mut text = String::new();
///         for number in 1..=self.to {
///             ctx.progress(number, self.to, "numbers")?;
///             text += &format!("{number}\n");
///         }
///         let path = ctx.folder(Self::NUMBERS).join("numbers.txt");
///         std::fs::write(&path, text).at(path)
///     }
/// }
///
/// // A row of a crate's `KINDS`.
/// let kind = Kind::of::<Count>();
/// assert_eq!(kind.outputs[0].name, "numbers");
/// # let folder = tempfile::tempdir().unwrap();
/// # let ctx = Context::in_folder(folder.path(), kind.outputs).unwrap();
/// # Count { to: 2 }.run(&ctx).unwrap();
/// # let written = std::fs::read_to_string(folder.path().join("out/numbers/numbers.txt")).unwrap();
/// # assert_eq!(written, "1\n2\n");
/// ```
pub trait Stage:
    Yields + Serialize + DeserializeOwned + JsonSchema + Send + Sync + 'static
{
    /// The kind's name in pipeline files: lowercase words with hyphens.
    const KIND: &'static str;
    /// Raised whenever the same parameters and inputs give another result.
    const VERSION: u32;
    /// Whether the result depends on the seed.
    const SEEDED: bool = false;
    /// Whether a matrix may have axes that are no parameters (the stage reads them by
    /// [`Context::coordinates`]).
    const FREE_AXES: bool = false;
    /// Whether it leaves nothing behind in the process that computed it, and its work is too small, or is done in a
    /// process of its own, for another one to be started for each cell: the same worker may compute further cells then.
    const SMALL: bool = false;

    /// Parameters (none of them an input) in which cells may differ whose outputs one of them can write on its way, by
    /// [`Context::siblings`], for less than it takes to compute them one by one. Their resources must not depend on these.
    const TOGETHER: &'static [&'static str] = &[];

    /// The outputs of this very stage, where they depend on the parameters. Only the engine's own
    /// kinds can say so: nobody else has the argument's type.
    #[doc(hidden)]
    fn outputs(&self, _: engine::Own) -> Vec<Output> {
        Self::OUTPUTS.to_vec()
    }

    /// Whether the result of this very stage depends on the seed.
    fn seeded(&self) -> bool {
        Self::SEEDED
    }

    /// What a cell needs while it runs.
    fn resources(&self) -> Resources {
        Resources::default()
    }

    /// Whether a pipeline file can ask for an accelerator. A kind that uses one by itself says so in its resources.
    fn can_use_gpu(&self) -> bool {
        self.resources().gpu
    }

    /// Refuses parameter values that the types let through: [`Error::Parameter`](crate::Error::Parameter) names
    /// the key.
    fn check(&self) -> Result<()> {
        Ok(())
    }

    /// The local file or folder whose content is this stage's result (kind `file` alone).
    fn local_path(&self) -> Option<&Path> {
        None
    }

    /// Whether links below the local path are followed wherever they lead (kind `file` alone).
    fn follows_links(&self) -> bool {
        false
    }

    /// What the text of the stage's [`Document`](document::Document) refers to, in the order of the text. The planner looks
    /// it up before anything runs; what stands there for another profile than `profiles` refers to nothing.
    ///
    /// # Errors
    /// All that is wrong with the text itself.
    fn places(
        text: &str,
        profiles: &[String],
    ) -> Result<Vec<document::Place>, Vec<document::Misplaced>> {
        let _ = (text, profiles);
        Ok(Vec::new())
    }

    /// Names of environment variables whose values are part of the key (kind `command` alone).
    fn environment(&self) -> &[String] {
        &[]
    }

    /// Does the work.
    fn run(&self, ctx: &Context<Self>) -> Result<()>;
}

/// What only kinds of this crate can name.
pub(crate) mod engine {
    /// Keeps a method of [`Stage`](super::Stage) to the engine's own kinds.
    #[derive(Debug, Clone, Copy)]
    pub struct Own;
}
