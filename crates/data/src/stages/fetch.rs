use schemars::JsonSchema;
use sconce_core::{ByteSize, Context, Error, Folder, Resources, Result, Stage, outputs};
use serde::{Deserialize, Serialize};

use crate::fetch::{Pin, Request, Source, Surroundings, fetch};

/// Fetches a file, or the files of an archive, from the first source that has it.
///
/// The digest pins the content: of a file its BLAKE3, of an unpacked archive or a folder the
/// digest of its tree of names and contents. All sources have to give the same content; one that
/// gives another is passed over, and the message says what digest it has.
///
/// A source's file is looked for in the mirror folder (`SCONCE_MIRROR`) first, under its own name.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Fetch {
    /// The content's digest: `blake3:` and 64 hexadecimal digits, or for a single file the
    /// `sha256:` under which it is published. To learn it, write any and run:
    /// the message says what was found.
    pub digest: Pin,
    /// Where the content can be had from, tried in order: `https://host/path`,
    /// `hf:owner/repo@revision/path` (Hugging Face hub), `file:PATH`, `mirror:NAME` (a file or
    /// folder in the mirror folder), `npm:NAME@VERSION`, `pypi:NAME==VERSION`, `embedded:NAME`
    /// (brought along by the program). `#path` at the end selects a file or folder in an archive.
    #[schemars(extend("x-sconce-cosmetic" = true), length(min = 1))]
    pub sources: Vec<Source>,
    /// The name that a single file gets; by default its name in the first source.
    #[serde(default)]
    pub name: Option<String>,
    /// Whether archives (.zip, .tar, .tar.gz, .tgz, .whl, .gz) are unpacked.
    #[serde(default = "yes")]
    pub unpack: bool,
    /// The most that a download, and the files of an archive together, may have: bytes, or a text
    /// such as "600 MB" or "4 GiB".
    #[serde(default = "most")]
    #[schemars(extend("x-sconce-cosmetic" = true))]
    pub max_size: ByteSize,
}

fn yes() -> bool {
    true
}

fn most() -> ByteSize {
    ByteSize(8 << 30)
}

/// Written, and so part of the key, with the name that the content will have: `sources` is
/// cosmetic, but the first one's name is seen by the stages that follow.
impl Serialize for Fetch {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        use serde::ser::SerializeStruct;
        let mut fields = serializer.serialize_struct("Fetch", 5)?;
        fields.serialize_field("digest", &self.digest)?;
        fields.serialize_field("sources", &self.sources)?;
        fields.serialize_field("name", &self.content_name())?;
        fields.serialize_field("unpack", &self.unpack)?;
        fields.serialize_field("max_size", &self.max_size)?;
        fields.end()
    }
}

impl Fetch {
    fn content_name(&self) -> Option<String> {
        let first = || self.sources.first().map(|source| source.content_name(self.unpack));
        self.name.clone().or_else(first)
    }
}

outputs! { Fetch:
    /// The file or files.
    FILES: Folder = "files";
}

impl Stage for Fetch {
    const KIND: &'static str = "fetch";
    const VERSION: u32 = 1;

    fn resources(&self) -> Resources {
        Resources { memory: 64 << 20, ..Resources::default() }
    }

    fn check(&self) -> Result<()> {
        if self.sources.is_empty() {
            return Err(Error::parameter("sources", "expected at least one source"));
        }
        let name = self.content_name().unwrap_or_default();
        if name.is_empty() || name.contains(['/', '\\', '\0']) || name == "." || name == ".." {
            return Err(Error::parameter("name", format!("expected a file name, found `{name}`")));
        }
        Ok(())
    }

    fn run(&self, ctx: &Context<Self>) -> Result<()> {
        let request = Request {
            digest: self.digest,
            sources: &self.sources,
            name: &self.content_name().unwrap_or_default(),
            unpack: self.unpack,
            max_size: self.max_size.0,
        };
        fetch(ctx, &request, &Surroundings::from_environment(), &ctx.folder(Self::FILES))
    }
}
