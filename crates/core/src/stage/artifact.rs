//! What flows along edges: typed sets of files.
//!
//! An artifact is a folder of named files. In the store each file is one blob, and the artifact is
//! a tree: the list of its files' paths, digests and sizes.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::{Deserialize, Serialize, de::DeserializeOwned};

use crate::error::{IoResultExt, ResultExt};
use crate::{Digest, Error, Result};

/// A type that flows along edges, and how it is kept as files.
pub trait Artifact: Sized {
    /// The type's name in messages, receipts and the schema: `image set`, `features`, `table`.
    const TYPE: &'static str;

    /// Reads the artifact from its files.
    fn load(files: &Files) -> Result<Self>;

    /// Writes the artifact's files into `folder`, which exists and is empty.
    fn save(&self, folder: &Path) -> Result<()>;
}

/// One file of an artifact.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Member {
    /// Digest of the file's bytes.
    pub digest: Digest,
    /// Size in bytes.
    pub size: u64,
}

/// The files of one artifact, by path relative to the artifact's folder (`/`-separated).
///
/// A stage gets this from its [`Context`](crate::Context); every file was verified before.
#[derive(Debug, Clone)]
pub struct Files {
    digest: Digest,
    members: Arc<BTreeMap<String, (Member, PathBuf)>>,
}

impl Files {
    /// Files from members and the places where their bytes are.
    pub fn new(members: BTreeMap<String, (Member, PathBuf)>) -> Self {
        let digest = tree_digest(members.iter().map(|(name, (member, _))| (name.as_str(), member)));
        Self { digest, members: Arc::new(members) }
    }

    /// The files below a plain folder, hashed now. Symbolic links are refused.
    pub fn from_folder(folder: &Path) -> Result<Self> {
        let mut members = BTreeMap::new();
        collect(folder, "", &mut members)?;
        Ok(Self::new(members))
    }

    /// Digest of the tree: names and contents.
    pub fn digest(&self) -> Digest {
        self.digest
    }

    /// Number of files.
    pub fn len(&self) -> usize {
        self.members.len()
    }

    /// Whether there is no file.
    pub fn is_empty(&self) -> bool {
        self.members.is_empty()
    }

    /// Sum of the files' sizes in bytes.
    pub fn size(&self) -> u64 {
        self.members.values().map(|(member, _)| member.size).sum()
    }

    /// The files in order of their names: name, member, where its bytes are.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Member, &Path)> {
        self.members.iter().map(|(name, (member, path))| (name.as_str(), member, path.as_path()))
    }

    /// Whether there is a file of this name.
    pub fn contains(&self, name: &str) -> bool {
        self.members.contains_key(name)
    }

    /// Where the bytes of file `name` are. To be read only.
    pub fn path(&self, name: &str) -> Result<&Path> {
        self.members.get(name).map(|(_, path)| path.as_path()).ok_or_else(|| {
            let names: Vec<_> = self.members.keys().take(8).map(String::as_str).collect();
            Error::message(format!("no file `{name}`; there are: {}", names.join(", ")))
        })
    }

    /// The bytes of file `name`.
    pub fn read(&self, name: &str) -> Result<Vec<u8>> {
        // The name that people know, not the place of a blob.
        std::fs::read(self.path(name)?).at(name)
    }

    /// File `name`, read as JSON.
    pub fn read_json<T: DeserializeOwned>(&self, name: &str) -> Result<T> {
        serde_json::from_slice(&self.read(name)?).doing(|| format!("reading `{name}`"))
    }

    /// The name and place of the only file; an error when there are none or several.
    pub fn only(&self) -> Result<(&str, &Path)> {
        let mut members = self.iter();
        match (members.next(), members.next()) {
            (Some((name, _, path)), None) => Ok((name, path)),
            _ => Err(Error::message(format!("expected one file, found {}", self.len()))),
        }
    }
}

/// The digest of a tree: BLAKE3 over one line `name NUL digest NUL size LF` a file, names sorted.
pub fn tree_digest<'a>(members: impl Iterator<Item = (&'a str, &'a Member)>) -> Digest {
    let mut text = Vec::from(&b"sconce tree 1\n"[..]);
    for (name, member) in members {
        text.extend_from_slice(name.as_bytes());
        text.push(0);
        text.extend_from_slice(member.digest.hex().as_bytes());
        text.push(0);
        text.extend_from_slice(member.size.to_string().as_bytes());
        text.push(b'\n');
    }
    Digest::of(&text)
}

fn collect(
    folder: &Path,
    prefix: &str,
    members: &mut BTreeMap<String, (Member, PathBuf)>,
) -> Result<()> {
    for entry in std::fs::read_dir(folder).at(folder)? {
        let entry = entry.at(folder)?;
        let path = entry.path();
        let name = entry.file_name().into_string().map_err(|name| {
            Error::message(format!("{}: the name {name:?} is not UTF-8", folder.display()))
        })?;
        let name = if prefix.is_empty() { name } else { format!("{prefix}/{name}") };
        let kind = entry.file_type().at(&path)?;
        if kind.is_dir() {
            collect(&path, &name, members)?;
        } else if kind.is_file() {
            let digest = Digest::of_file(&path).at(&path)?;
            let size = entry.metadata().at(&path)?.len();
            members.insert(name, (Member { digest, size }, path));
        } else {
            return Err(Error::message(format!(
                "{}: expected a file or a folder (links and devices are not followed)",
                path.display()
            )));
        }
    }
    Ok(())
}

/// An untyped folder: what `file`, `fetch` and `command` yield. [`Artifact::load`] keeps the files.
#[derive(Debug, Clone)]
pub struct Folder(pub Files);

impl Artifact for Folder {
    const TYPE: &'static str = "files";

    fn load(files: &Files) -> Result<Self> {
        Ok(Self(files.clone()))
    }

    fn save(&self, folder: &Path) -> Result<()> {
        for (name, _, from) in self.0.iter() {
            let to = folder.join(name);
            if let Some(parent) = to.parent() {
                std::fs::create_dir_all(parent).at(parent)?;
            }
            std::fs::copy(from, &to).at(&to)?;
        }
        Ok(())
    }
}

/// Marks an input slot that takes an artifact of any type, as its files.
#[derive(Debug, Clone)]
pub struct Anything(pub Files);

impl Artifact for Anything {
    const TYPE: &'static str = "any";

    fn load(files: &Files) -> Result<Self> {
        Ok(Self(files.clone()))
    }

    fn save(&self, folder: &Path) -> Result<()> {
        Folder(self.0.clone()).save(folder)
    }
}
