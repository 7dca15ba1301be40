//! Local files and folders.

use std::borrow::Cow;
use std::path::{Path, PathBuf};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::stage::engine::Own;
use crate::{Context, Error, Folder, Output, Result, Stage, Yields};

/// Brings a local file or folder in, by content.
///
/// The stage's result is the content: moving the file or touching it re-runs nothing, changing a
/// byte re-runs what depends on it. Symbolic links inside a folder count as what they lead to; those
/// that lead out of it are refused, unless `links` says otherwise.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct File {
    /// The file or folder, relative to the folder of the pipeline file.
    #[schemars(extend("x-sconce-cosmetic" = true))]
    path: PathBuf,
    /// The artifact's type, where the files are more than just files: `weights`, `table`, ….
    /// They have to be named as that type wants them.
    #[serde(default = "files", rename = "type")]
    artifact: String,
    /// Symbolic links inside a folder: only those that lead to something in it (`within`), or all (`follow`), as
    /// in the caches of Hugging Face.
    #[serde(default)]
    #[schemars(extend("x-sconce-cosmetic" = true))]
    links: Links,
}

/// Which symbolic links are followed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
enum Links {
    /// Those that lead to something in the folder.
    #[default]
    Within,
    /// All.
    Follow,
}

fn files() -> String {
    "files".to_owned()
}

// Not by `outputs!`, since the engine and no stage writes it.
impl Yields for File {
    const OUTPUTS: &'static [Output] = &[Output::of::<Folder>("files", "The file or the folder.")];
}

impl Stage for File {
    const KIND: &'static str = "file";
    const VERSION: u32 = 1;

    fn outputs(&self, _: Own) -> Vec<Output> {
        let mut output = Self::OUTPUTS[0].clone();
        output.artifact = Cow::Owned(self.artifact.clone());
        vec![output]
    }

    fn check(&self) -> Result<()> {
        if self.path.as_os_str().is_empty() {
            return Err(Error::parameter("path", "expected a file or a folder"));
        }
        Ok(())
    }

    fn local_path(&self) -> Option<&Path> {
        Some(&self.path)
    }

    fn follows_links(&self) -> bool {
        self.links == Links::Follow
    }

    fn run(&self, _: &Context<Self>) -> Result<()> {
        // The engine takes the content in by itself; a stage sees no paths.
        Err(Error::message(
            "kind `file` is only run by the engine, on the machine that has the file",
        ))
    }
}
