//! The private folder that a program works in: its inputs before, its outputs after.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use super::Command;
use super::parameters::{OutputPath, Outputs};
use crate::error::{IoResultExt, ResultExt};
use crate::stage::metrics;
use crate::system::files::{self, Identity};
use crate::{Anything, CellId, Context, Error, Files, NamedInputs, Result};

/// Where the program works.
pub(super) struct Workspace {
    /// Its working directory.
    pub(super) folder: PathBuf,
    /// Its folder for temporary files.
    pub(super) temporary: PathBuf,
    /// The file to which it may add lines of what it tells.
    pub(super) journal: PathBuf,
    /// The inputs' folders by name.
    pub(super) inputs: Vec<(String, PathBuf)>,
    /// Files of the inputs that share their bytes with the store.
    linked: Vec<Linked>,
}

/// Makes the folder and puts the inputs there.
pub(super) fn prepare(ctx: &Context, inputs: &NamedInputs<Anything>) -> Result<Workspace> {
    // Absolute, because the program's working directory is another than ours.
    let scratch = std::path::absolute(ctx.scratch()).at(ctx.scratch())?;
    let mut workspace = Workspace {
        folder: scratch.join("work"),
        temporary: scratch.join("tmp"),
        journal: scratch.join("journal"),
        inputs: inputs
            .edges()
            .keys()
            .map(|name| (name.clone(), scratch.join("work").join(name)))
            .collect(),
        linked: Vec::new(),
    };
    for folder in [&workspace.folder, &workspace.temporary] {
        fs::create_dir_all(folder).at(folder)?;
    }
    for ((_, slot), (name, folder)) in inputs.edges().iter().zip(&workspace.inputs) {
        let artifacts = ctx.job.inputs.get(slot).map_or(&[][..], Vec::as_slice);
        for from in artifacts {
            let folder = if from.stage.is_empty() {
                folder.clone()
            } else {
                let (stage, coordinates) = (from.stage.clone(), from.coordinates.clone());
                folder.join(CellId { stage, coordinates }.file_name())
            };
            place(&from.artifact, &folder, &mut workspace.linked)
                .doing(|| format!("placing input `{name}`"))?;
        }
    }
    Ok(workspace)
}

/// Larger files, and those of trees of so many, share their bytes with the store.
const LARGE: u64 = 1 << 20;
const MANY: usize = 256;

/// Puts the files of an artifact into `folder`, read-only: clones where the file system has them;
/// else copies of what is small, and hard links, whose reading costs nothing.
fn place(files: &Files, folder: &Path, linked: &mut Vec<Linked>) -> Result<()> {
    fs::create_dir_all(folder).at(folder)?;
    let mut folders = BTreeSet::new();
    let mut clones = true;
    for (name, member, from) in files.iter() {
        let to = folder.join(name);
        if let Some((parent, _)) = name.rsplit_once('/')
            && folders.insert(parent)
        {
            let parent = folder.join(parent);
            fs::create_dir_all(&parent).at(&parent)?;
        }
        clones = clones && reflink_copy::reflink(from, &to).is_ok();
        if !clones {
            let share = member.size > LARGE || files.len() > MANY;
            if share && fs::hard_link(from, &to).is_ok() {
                let stat = FileStat::of(&to).at(&to)?;
                linked.push(Linked { path: to, stat });
                continue;
            }
            fs::copy(from, &to).at(&to)?;
        }
        let mut permissions = fs::metadata(&to).at(&to)?.permissions();
        permissions.set_readonly(true);
        fs::set_permissions(&to, permissions).at(&to)?;
    }
    Ok(())
}

/// A file that shares its bytes with the store.
pub(super) struct Linked {
    path: PathBuf,
    stat: FileStat,
}

#[derive(PartialEq)]
struct FileStat {
    /// Which file it is; a program may well put another one in its place.
    number: u64,
    size: u64,
    modified: Option<SystemTime>,
}

impl FileStat {
    fn of(path: &Path) -> std::io::Result<Self> {
        let metadata = fs::symlink_metadata(path)?;
        let number = Identity::at(path)?.number;
        Ok(Self { number, size: metadata.len(), modified: metadata.modified().ok() })
    }
}

/// Inputs are read-only, but not for a program that may do everything. One that wrote to an input
/// has no result, and the store finds the damage by itself.
pub(super) fn check_inputs(workspace: &Workspace) -> Result<()> {
    for linked in &workspace.linked {
        if let Ok(stat) = FileStat::of(&linked.path)
            && stat.number == linked.stat.number
            && stat != linked.stat
        {
            let name = linked.path.strip_prefix(&workspace.folder).unwrap_or(&linked.path);
            return Err(Error::message(format!(
                "the program wrote to its input `{}`; expected it to write to its outputs alone",
                name.display()
            )));
        }
    }
    Ok(())
}

/// Moves what the program wrote into the cell's outputs, once all of it is there.
pub(super) fn collect(
    ctx: &Context<Command>,
    workspace: &Workspace,
    outputs: &Outputs,
) -> Result<()> {
    let paths: Vec<&str> = match outputs {
        Outputs::Together(paths) => paths.iter().map(String::as_str).collect(),
        Outputs::Named(named) => named.values().map(|one| one.path.as_str()).collect(),
    };
    let there = |path: &&str| std::fs::symlink_metadata(workspace.folder.join(path)).is_ok();
    let missing: Vec<_> =
        paths.iter().filter(|path| !there(path)).map(|path| format!("`{path}`")).collect();
    if !missing.is_empty() {
        return Err(Error::message(format!(
            "the program ended well but did not write {}; it wrote {}",
            missing.join(", "),
            written(workspace)?
        )));
    }
    for path in &paths {
        refuse_links(&workspace.folder.join(path), path)?;
    }
    match outputs {
        Outputs::Together(paths) => {
            let output = ctx.folder(Command::FILES);
            for path in paths {
                let to = output.join(Path::new(path).components().collect::<PathBuf>());
                if let Some(parent) = to.parent() {
                    fs::create_dir_all(parent).at(parent)?;
                }
                transfer(&workspace.folder.join(path), &to)?;
            }
        }
        Outputs::Named(named) => {
            for (name, OutputPath { path, artifact }) in named {
                let (from, output) = (workspace.folder.join(path), ctx.output(name)?);
                if from.is_dir() {
                    for entry in fs::read_dir(&from).at(&from)? {
                        let entry = entry.at(&from)?;
                        transfer(&entry.path(), &output.join(entry.file_name()))?;
                    }
                } else if let Some(file) = from.file_name() {
                    transfer(&from, &output.join(file))?;
                }
                metrics::check(name, artifact, &output)?;
            }
        }
    }
    Ok(())
}

/// Moves a file or a folder; the scratch folder and the outputs are on one file system.
fn transfer(from: &Path, to: &Path) -> Result<()> {
    if from.is_dir() && to.exists() {
        // One of the outputs lies inside another.
        for entry in fs::read_dir(from).at(from)? {
            let entry = entry.at(from)?;
            transfer(&entry.path(), &to.join(entry.file_name()))?;
        }
        return Ok(());
    }
    files::rename(from, to).at(to)
}

fn refuse_links(path: &Path, name: &str) -> Result<()> {
    let metadata = fs::symlink_metadata(path).at(path)?;
    if metadata.is_symlink() {
        return Err(link(name));
    }
    if metadata.is_dir() {
        for entry in fs::read_dir(path).at(path)? {
            let entry = entry.at(path)?;
            let name = format!("{name}/{}", entry.file_name().to_string_lossy());
            refuse_links(&entry.path(), &name)?;
        }
    }
    Ok(())
}

fn link(path: &str) -> Error {
    Error::message(format!(
        "output `{path}` is a symbolic link; expected a file or a folder, because what a link \
         names may change"
    ))
}

/// What lies in the working directory besides the inputs, for the error.
fn written(workspace: &Workspace) -> Result<String> {
    const MOST: usize = 8;
    let mut names = Vec::new();
    for entry in fs::read_dir(&workspace.folder).at(&workspace.folder)? {
        let entry = entry.at(&workspace.folder)?;
        let name = entry.file_name().to_string_lossy().into_owned();
        if workspace.inputs.iter().all(|(input, _)| *input != name) {
            names.push(format!("`{name}`"));
        }
    }
    names.sort_unstable();
    if names.is_empty() {
        return Ok("nothing".to_owned());
    }
    let more = names.len().saturating_sub(MOST);
    names.truncate(MOST);
    let list = names.join(", ");
    Ok(if more > 0 { format!("{list} and {more} more") } else { list })
}
