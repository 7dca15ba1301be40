//! Fetching content by digest from the first source that has it.

mod http;
mod package;
mod pin;
mod source;
// Package clients are shell scripts there.
#[cfg(test)]
#[cfg(unix)]
mod tests;

use std::ffi::OsString;
use std::path::Path;

use sconce_core::error::IoResultExt;
use sconce_core::system::files;
use sconce_core::{Context, Error, Files, Result};

pub use self::http::Patience;
pub use self::pin::Pin;
use self::source::Locator;
pub use self::source::{ParseSourceError, Source};
use crate::archive::{self, Limits, Unpacked};
use crate::{embedded, place};

/// What is to be fetched.
#[derive(Debug, Clone)]
pub struct Request<'a> {
    /// Digest of the content: of the file's bytes, or of the tree of files
    /// ([`sconce_core::stage::tree_digest`]).
    pub digest: Pin,
    /// The sources, tried in order.
    pub sources: &'a [Source],
    /// The name that a single file gets.
    pub name: &'a str,
    /// Whether archives are unpacked when their name says that they are archives.
    pub unpack: bool,
    /// Bytes that a download, and the files of an archive together, may have.
    pub max_size: u64,
}

/// What of the machine a fetch depends on. It never changes the content, which the digest pins.
#[derive(Debug, Clone)]
pub struct Surroundings {
    /// Where `hf:` sources are, without a slash at the end.
    pub hugging_face: String,
    /// A token for the Hugging Face hub.
    pub hugging_face_token: Option<String>,
    /// Where package clients are searched; none: the process's own search path.
    pub search: Option<OsString>,
    /// How patiently downloads are tried.
    pub patience: Patience,
}

impl Default for Surroundings {
    fn default() -> Self {
        Self {
            hugging_face: "https://huggingface.co".to_owned(),
            hugging_face_token: None,
            search: None,
            patience: Patience::default(),
        }
    }
}

impl Surroundings {
    /// The user's: `HF_ENDPOINT` and `HF_TOKEN`, as the hub's own clients read them.
    #[expect(clippy::disallowed_methods, reason = "where content is from is no part of a key")]
    pub fn from_environment() -> Self {
        let variable = |name| std::env::var(name).ok().filter(|value| !value.is_empty());
        let mut surroundings = Self::default();
        if let Some(endpoint) = variable("HF_ENDPOINT") {
            surroundings.hugging_face = endpoint.trim_end_matches('/').to_owned();
        }
        surroundings.hugging_face_token = variable("HF_TOKEN");
        surroundings
    }
}

/// Puts the content into the folder `to`, from the first source that has it.
///
/// A source's file is also looked for in the mirror folder, under the source's file name. The
/// error lists every source with its cause and tells how to provide the file by hand.
pub fn fetch(
    ctx: &Context,
    request: &Request<'_>,
    surroundings: &Surroundings,
    to: &Path,
) -> Result<()> {
    let mut causes = Vec::new();
    for (index, source) in request.sources.iter().enumerate() {
        for from_mirror in [true, false] {
            ctx.check_cancelled()?;
            let folder = ctx.scratch().join(format!("source-{index}-{from_mirror}"));
            let attempt = Attempt { ctx, request, surroundings, source, folder: &folder };
            let result = if from_mirror {
                attempt.take_from_mirror(to)
            } else {
                attempt.take_from_source(to)
            };
            if folder.exists() {
                std::fs::remove_dir_all(&folder).at(&folder)?;
            }
            match result {
                Ok(true) => return Ok(()),
                Ok(false) => {}
                Err(Error::Cancelled) => return Err(Error::Cancelled),
                Err(error) => {
                    let place = if from_mirror { " (its file in the mirror folder)" } else { "" };
                    ctx.note(format!("{source}{place}: {error}"));
                    causes.push(format!("\n  {source}{place}: {error}"));
                }
            }
        }
    }
    Err(Error::message(format!(
        "no source gave the content {}:{}\n{}",
        request.digest,
        causes.concat(),
        by_hand(ctx, request)
    )))
}

fn by_hand(ctx: &Context, request: &Request<'_>) -> String {
    let outside = |source: &&Source| !matches!(source.locator, Locator::Embedded(_));
    let Some(source) = request.sources.iter().find(outside) else {
        return "add a source such as \"file:PATH\"".to_owned();
    };
    let name = source.file_name();
    let folder = match ctx.mirror() {
        Some(mirror) => format!("the mirror folder {}", mirror.display()),
        None => "a folder and set SCONCE_MIRROR to it".to_owned(),
    };
    format!(
        "to provide it by hand: put the file `{name}` into {folder}, or add \"file:PATH\" to `sources`"
    )
}

struct Attempt<'a> {
    ctx: &'a Context,
    request: &'a Request<'a>,
    surroundings: &'a Surroundings,
    source: &'a Source,
    folder: &'a Path,
}

impl Attempt<'_> {
    /// Takes the source's file from the mirror folder, if it is there.
    fn take_from_mirror(&self, to: &Path) -> Result<bool> {
        let outside = !matches!(
            self.source.locator,
            Locator::Mirror(_) | Locator::File(_) | Locator::Embedded(_)
        );
        let Some(mirror) = self.ctx.mirror().filter(|_| outside) else { return Ok(false) };
        let path = mirror.join(self.source.file_name());
        if !path.is_file() {
            return Ok(false);
        }
        self.take(&path, to)?;
        Ok(true)
    }

    fn take_from_source(&self, to: &Path) -> Result<bool> {
        let surroundings = self.surroundings;
        match &self.source.locator {
            Locator::Http(url) => self.download(url, None, to)?,
            Locator::HuggingFace { repository, revision, path } => {
                let endpoint = &surroundings.hugging_face;
                let url = format!("{endpoint}/{repository}/resolve/{revision}/{}", encode(path));
                self.download(&url, surroundings.hugging_face_token.as_deref(), to)?;
            }
            Locator::File(path) => self.take(Path::new(path), to)?,
            Locator::Mirror(name) => {
                let mirror = self.ctx.mirror().ok_or_else(|| {
                    Error::message("no mirror folder is set (environment variable SCONCE_MIRROR)")
                })?;
                self.take(&mirror.join(name), to)?;
            }
            Locator::Npm { name, version } => {
                let search = surroundings.search.as_deref();
                let folder = self.folder.join("npm");
                self.take(&package::npm(self.ctx, search, name, version, &folder)?, to)?;
            }
            Locator::Pypi { name, version } => {
                let search = surroundings.search.as_deref();
                let folder = self.folder.join("pypi");
                self.take(&package::pypi(self.ctx, search, name, version, &folder)?, to)?;
            }
            Locator::Embedded(name) => {
                let path = self.folder.join("embedded").join(name);
                embedded::write(name, &path)?;
                self.take(&path, to)?;
            }
        }
        Ok(true)
    }

    fn download(&self, url: &str, bearer: Option<&str>, to: &Path) -> Result<()> {
        let Surroundings { patience, .. } = *self.surroundings;
        let partials = self.ctx.checkpoint().join("downloads");
        let max_size = self.request.max_size;
        let mut tries = 0;
        loop {
            tries += 1;
            let (file, in_parts) =
                http::download(self.ctx, url, bearer, max_size, patience, &partials)?;
            let result = self.take(&file, to);
            // Whole, and either taken or wrong: nothing is left to continue.
            if file.exists() {
                std::fs::remove_file(&file).at(&file)?;
            }
            match result {
                // The parts may be of different content.
                Err(error) if in_parts && tries < patience.attempts => {
                    self.ctx.note(format!("{url}: {error}; starting over"));
                    if self.folder.exists() {
                        std::fs::remove_dir_all(self.folder).at(self.folder)?;
                    }
                }
                result => return result,
            }
        }
    }

    /// Unpacks what the source yielded if it is to be, checks the digest and moves the content.
    fn take(&self, path: &Path, to: &Path) -> Result<()> {
        if path.is_dir() {
            return self.take_folder(path, to);
        }
        let size = path.metadata().at(path)?.len();
        if size > self.request.max_size {
            return Err(Error::message(format!(
                "larger ({size} bytes) than `max_size` allows ({} bytes)",
                self.request.max_size
            )));
        }
        let name = self.source.file_name();
        let is_package = matches!(self.source.locator, Locator::Npm { .. } | Locator::Pypi { .. });
        let select = self.source.select.as_deref();
        let unpack = self.request.unpack && (is_package || archive::is_archive_name(&name));
        if !unpack && select.is_none() {
            return self.take_file(path, to);
        }
        let is_npm = matches!(self.source.locator, Locator::Npm { .. });
        // npm packs everything into one folder, `package` by custom.
        let select =
            select.map(|path| path.strip_prefix("package/").filter(|_| is_npm).unwrap_or(path));
        let limits = Limits { size: self.request.max_size, ..Limits::default() };
        let unpacked = self.folder.join("unpacked");
        match archive::unpack(path, &name, select, is_npm, &unpacked, limits)? {
            Unpacked::File(file) => self.take_file(&file, to),
            Unpacked::Folder(folder) => self.take_folder(&folder, to),
        }
    }

    fn take_file(&self, file: &Path, to: &Path) -> Result<()> {
        self.check_digest(self.request.digest.of_file(file).at(file)?)?;
        self.put(file, &to.join(self.request.name))
    }

    fn take_folder(&self, folder: &Path, to: &Path) -> Result<()> {
        let folder = match &self.source.select {
            Some(select) if !folder.starts_with(self.folder) => folder.join(select),
            _ => folder.to_owned(),
        };
        if folder.is_file() {
            return self.take_file(&folder, to);
        }
        let files = Files::from_folder(&folder)?;
        if let Pin::Sha256(_) = self.request.digest {
            return Err(Error::message(
                "a sha256 pins one file, and this is a folder; expected `blake3:` of its tree",
            ));
        }
        self.check_digest(files.digest().into())?;
        if self.is_ours(&folder) {
            // Whole folders at once: there may be many files.
            let mut tops: Vec<&str> =
                files.iter().filter_map(|(name, ..)| name.split('/').next()).collect();
            tops.dedup();
            return tops.iter().try_for_each(|top| self.put(&folder.join(top), &to.join(top)));
        }
        files.iter().try_for_each(|(name, _, path)| self.put(path, &to.join(name)))
    }

    /// Whether this attempt made it, so that it can be moved.
    fn is_ours(&self, path: &Path) -> bool {
        [self.ctx.scratch(), self.ctx.checkpoint()].iter().any(|ours| path.starts_with(ours))
    }

    /// Moves what is ours, copies what is the user's.
    fn put(&self, from: &Path, to: &Path) -> Result<()> {
        if !self.is_ours(from) {
            return place::copy(from, to);
        }
        if let Some(parent) = to.parent() {
            std::fs::create_dir_all(parent).at(parent)?;
        }
        files::rename(from, to).or_else(|_| std::fs::copy(from, to).map(drop)).at(to)
    }

    fn check_digest(&self, found: Pin) -> Result<()> {
        if found == self.request.digest {
            return Ok(());
        }
        Err(Error::message(format!("the content is another: its digest is {found}")))
    }
}

/// Percent-encodes a path of a URL.
fn encode(path: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~/".contains(&byte);
    path.bytes()
        .map(|byte| if plain(byte) { (byte as char).to_string() } else { format!("%{byte:02X}") })
        .collect()
}
