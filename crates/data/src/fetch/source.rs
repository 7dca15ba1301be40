//! Where content can be had from, as written in a pipeline file.

use std::borrow::Cow;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};

/// A place where content can be had from: `scheme:place`, and `#path` for a file or folder inside
/// an archive.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Source {
    text: String,
    pub(super) locator: Locator,
    pub(super) select: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Locator {
    Http(String),
    HuggingFace { repository: String, revision: String, path: String },
    File(String),
    Mirror(String),
    Npm { name: String, version: String },
    Pypi { name: String, version: String },
    Embedded(String),
}

/// Why a text is no source.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{text}`: {expected}")]
pub struct ParseSourceError {
    text: String,
    expected: String,
}

const SCHEMES: &str = "expected `https://…`, `hf:owner/repo@revision/path`, `file:PATH`, \
    `mirror:NAME`, `npm:NAME@VERSION`, `pypi:NAME==VERSION` or `embedded:NAME`";

impl Source {
    /// Reads a source.
    pub fn parse(text: &str) -> Result<Self, ParseSourceError> {
        let error = |expected: &str| ParseSourceError {
            text: text.to_owned(),
            expected: expected.to_owned(),
        };
        let (place, select) = match text.split_once('#') {
            Some((_, "")) => return Err(error("expected a path after `#`")),
            Some((place, select)) => (place, Some(select.trim_matches('/').to_owned())),
            None => (text, None),
        };
        let (scheme, rest) = place.split_once(':').ok_or_else(|| error(SCHEMES))?;
        let locator = match scheme {
            "https" if rest.starts_with("//") && rest.len() > 2 => Locator::Http(place.to_owned()),
            "http" if is_loopback(rest) => Locator::Http(place.to_owned()),
            "http" => return Err(error("expected `https:` (`http:` is for this machine alone)")),
            "hf" => {
                hugging_face(rest).ok_or_else(|| error("expected `hf:owner/repo@revision/path`"))?
            }
            "file" if !rest.is_empty() => Locator::File(rest.to_owned()),
            "mirror" if is_plain_path(rest) => Locator::Mirror(rest.to_owned()),
            "mirror" => return Err(error("expected a path inside the mirror folder")),
            "npm" => {
                let (name, version) = rest
                    .rsplit_once('@')
                    .filter(|(name, version)| is_npm_name(name) && is_version(version))
                    .ok_or_else(|| error("expected `npm:NAME@VERSION` with one exact version"))?;
                Locator::Npm { name: name.to_owned(), version: version.to_owned() }
            }
            "pypi" => {
                let (name, version) = rest
                    .split_once("==")
                    .filter(|(name, version)| is_word(name) && is_version(version))
                    .ok_or_else(|| error("expected `pypi:NAME==VERSION` with one exact version"))?;
                Locator::Pypi { name: name.to_owned(), version: version.to_owned() }
            }
            "embedded" if is_word(rest) => Locator::Embedded(rest.to_owned()),
            _ => return Err(error(SCHEMES)),
        };
        Ok(Self { text: text.to_owned(), locator, select })
    }

    /// The source as written.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The name of the file that the source yields before unpacking.
    pub(super) fn file_name(&self) -> String {
        let last = |path: &str| {
            let path = path.split(['?']).next().unwrap_or(path).trim_end_matches('/');
            path.rsplit('/').next().unwrap_or(path).to_owned()
        };
        match &self.locator {
            Locator::Http(url) => last(url),
            Locator::HuggingFace { path, .. } | Locator::File(path) | Locator::Mirror(path) => {
                last(path)
            }
            // As `npm pack` names its files.
            Locator::Npm { name, version } => {
                format!("{}-{version}.tgz", name.trim_start_matches('@').replace('/', "-"))
            }
            Locator::Pypi { name, version } => format!("{name}-{version}.whl"),
            Locator::Embedded(name) => name.clone(),
        }
    }

    /// The name of the file that is left after unpacking, if one file is left.
    pub fn content_name(&self, unpack: bool) -> String {
        if let Some(select) = &self.select {
            return select.rsplit('/').next().unwrap_or(select).to_owned();
        }
        let name = self.file_name();
        match name.strip_suffix(".gz") {
            Some(plain) if unpack => plain.to_owned(),
            _ => name,
        }
    }
}

/// Whether the host of `//host:port/path` is this machine.
fn is_loopback(rest: &str) -> bool {
    let Some(rest) = rest.strip_prefix("//") else { return false };
    let authority = rest.split('/').next().unwrap_or(rest);
    if authority.contains('@') {
        return false;
    }
    let host = match authority.strip_prefix('[') {
        Some(v6) => v6.split(']').next().unwrap_or(v6),
        None => authority.split(':').next().unwrap_or(authority),
    };
    host == "localhost" || host.parse().is_ok_and(|ip: std::net::IpAddr| ip.is_loopback())
}

fn hugging_face(rest: &str) -> Option<Locator> {
    let (repository, rest) = rest.split_once('@')?;
    let (revision, path) = rest.split_once('/')?;
    let words = repository.strip_prefix("datasets/").unwrap_or(repository);
    let (owner, name) = words.split_once('/')?;
    (is_word(owner) && is_word(name) && is_word(revision) && is_plain_path(path)).then(|| {
        Locator::HuggingFace {
            repository: repository.to_owned(),
            revision: revision.to_owned(),
            path: path.to_owned(),
        }
    })
}

/// Letters, digits, `.`, `_`, `-`, not starting with a sign: safe as a program's argument.
fn is_word(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_alphanumeric() || c == '_')
        && text.chars().all(|c| c.is_ascii_alphanumeric() || "._-".contains(c))
}

fn is_version(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_digit())
        && text.chars().all(|c| c.is_ascii_alphanumeric() || ".+-!_".contains(c))
}

fn is_npm_name(text: &str) -> bool {
    match text.strip_prefix('@') {
        Some(scoped) => scoped.split_once('/').is_some_and(|(a, b)| is_word(a) && is_word(b)),
        None => is_word(text),
    }
}

fn is_plain_path(text: &str) -> bool {
    text.split('/').all(|part| !part.is_empty() && part != "." && part != "..")
        && !text.contains(['\\', '\0'])
}

impl TryFrom<String> for Source {
    type Error = ParseSourceError;

    fn try_from(text: String) -> Result<Self, ParseSourceError> {
        Self::parse(&text)
    }
}

impl From<Source> for String {
    fn from(source: Source) -> Self {
        source.text
    }
}

impl std::fmt::Display for Source {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.text)
    }
}

impl JsonSchema for Source {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "Source".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "string",
            "pattern": "^(https?:|hf:|file:|mirror:|npm:|pypi:|embedded:)"
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_places() {
        for (text, file, content) in [
            ("https://a.org/x/scenes.zip?raw=1#data", "scenes.zip", "data"),
            ("https://a.org/train-images.gz", "train-images.gz", "train-images"),
            ("http://127.0.0.1:81/a.bin", "a.bin", "a.bin"),
            ("http://[::1]:81/a.bin", "a.bin", "a.bin"),
            (
                "hf:timm/vgg16.tv_in1k@main/model.safetensors",
                "model.safetensors",
                "model.safetensors",
            ),
            ("hf:datasets/a/b@1a/x/y.zip#z/t", "y.zip", "t"),
            ("file:/data/a.tar", "a.tar", "a.tar"),
            ("mirror:sub/a.tar", "a.tar", "a.tar"),
            ("npm:@scope/name@1.2.3#data/x", "scope-name-1.2.3.tgz", "x"),
            ("pypi:scikit-learn==1.9.1#a/b.jpg", "scikit-learn-1.9.1.whl", "b.jpg"),
            ("embedded:digits", "digits", "digits"),
        ] {
            let source = Source::parse(text).unwrap();
            assert_eq!(source.file_name(), file, "{text}");
            assert_eq!(source.content_name(true), content, "{text}");
            assert_eq!(String::from(source), text);
        }
    }

    #[test]
    fn refusals() {
        for text in [
            "scenes.zip",
            "ftp://a/b",
            "https:a.org",
            "http://a.org/x",
            "http://127.0.0.1@a.org/x",
            "http://localhost.a.org/x",
            "hf:owner/repo/path",
            "hf:owner/repo@main",
            "hf:owner/repo@main/../x",
            "mirror:../x",
            "mirror:/x",
            "mirror:",
            "npm:left-pad",
            "npm:left-pad@latest",
            "npm:--flag@1.0",
            "npm:../x@1.0",
            "pypi:numpy",
            "pypi:-r==1.0",
            "pypi:numpy==1.0;x",
            "https://a.org/x.zip#",
        ] {
            assert!(Source::parse(text).is_err(), "{text}");
        }
        assert_eq!(
            Source::parse("npm:left-pad@latest").unwrap_err().to_string(),
            "`npm:left-pad@latest`: expected `npm:NAME@VERSION` with one exact version"
        );
    }
}
