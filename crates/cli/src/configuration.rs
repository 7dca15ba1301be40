//! The configuration: flags, then environment variables, then the nearest file that says
//! something.
//!
//! Files: `sconce.toml` in the current directory, then `$XDG_CONFIG_HOME/sconce/config.toml`
//! (`~/.config/sconce/config.toml`). Relative paths start at the file's folder. None of it changes
//! a result.

use std::path::{Path, PathBuf};

use sconce_core::ByteSize;
use serde::Deserialize;

use crate::arguments::Global;
use crate::environment;
use crate::executor::ExecutorSettings;
use crate::failure::Failure;

/// What a configuration file can hold.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct FileSettings {
    store: Option<StoreSettings>,
    mirror: Option<PathBuf>,
    artifacts: Option<PathBuf>,
    device: Option<OneOrMore>,
    strict_device: Option<bool>,
    jobs: Option<usize>,
    threads: Option<usize>,
    memory: Option<ByteSize>,
    executor: Option<ExecutorSettings>,
}

/// The store's folder, or that and more.
#[derive(Debug, Deserialize)]
#[serde(untagged, expecting = "expected a folder, or `path`, `remote` and `read_only`")]
enum StoreSettings {
    Path(PathBuf),
    More(StoreTable),
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct StoreTable {
    path: Option<PathBuf>,
    remote: Option<String>,
    read_only: Option<bool>,
}

impl StoreSettings {
    fn into_table(self) -> StoreTable {
        match self {
            Self::Path(path) => StoreTable { path: Some(path), ..StoreTable::default() },
            Self::More(table) => table,
        }
    }
}

/// The remote store and how it is used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct RemoteSettings {
    /// Its address, such as `s3://bucket/prefix`.
    pub(crate) address: String,
    /// Whether nothing is put there.
    pub(crate) read_only: bool,
    /// Whether it is not asked at all.
    pub(crate) offline: bool,
}

#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum OneOrMore {
    One(String),
    More(Vec<String>),
}

/// The settings of this call.
#[derive(Debug, Default)]
pub(crate) struct Configuration {
    /// The store's folder.
    pub(crate) store: PathBuf,
    /// The remote store.
    pub(crate) remote: Option<RemoteSettings>,
    /// The mirror folder.
    pub(crate) mirror: Option<PathBuf>,
    /// Where the human view goes.
    pub(crate) artifacts: PathBuf,
    /// Devices by name.
    pub(crate) devices: Vec<String>,
    /// Whether a flag names them.
    pub(crate) devices_by_flag: bool,
    /// Whether keys name the class of the device.
    pub(crate) strict_device: bool,
    /// Most cells at once.
    pub(crate) jobs: Option<usize>,
    /// Threads.
    pub(crate) threads: Option<usize>,
    /// Memory.
    pub(crate) memory: Option<ByteSize>,
    /// What a queue is told; of the nearest file that has the table.
    pub(crate) executor: ExecutorSettings,
    /// The files that were read.
    pub(crate) files: Vec<PathBuf>,
}

impl Configuration {
    /// Reads the files and lays flags and environment variables over them.
    pub(crate) fn load(global: &Global) -> Result<Self, Failure> {
        let mut settings = Self {
            devices: global.device.clone(),
            devices_by_flag: !global.device.is_empty(),
            ..Self::default()
        };
        let mut strict_device = global.strict_device.then_some(true);
        let mut store = global.store.clone().or_else(|| environment::path(environment::STORE));
        let mut mirror = global.mirror.clone().or_else(|| environment::path(environment::MIRROR));
        let mut remote = global.remote.clone().filter(|address| !address.is_empty());
        remote = remote.or(environment::text(environment::REMOTE)?);
        let mut read_only = global.read_only_remote.then_some(true);
        let mut artifacts = global.artifacts.clone();
        let mut executor = None;
        for path in candidates() {
            let Some(file) = read(&path)? else { continue };
            let folder = path.parent().unwrap_or(Path::new("."));
            let below = |value: Option<PathBuf>| value.map(|value| folder.join(value));
            let table = file.store.map(StoreSettings::into_table).unwrap_or_default();
            store = store.or_else(|| below(table.path));
            remote = remote.or(table.remote);
            read_only = read_only.or(table.read_only);
            mirror = mirror.or_else(|| below(file.mirror));
            artifacts = artifacts.or_else(|| below(file.artifacts));
            if settings.devices.is_empty() {
                settings.devices = match file.device {
                    Some(OneOrMore::One(device)) => vec![device],
                    Some(OneOrMore::More(devices)) => devices,
                    None => Vec::new(),
                };
            }
            strict_device = strict_device.or(file.strict_device);
            settings.jobs = settings.jobs.or(file.jobs);
            settings.threads = settings.threads.or(file.threads);
            settings.memory = settings.memory.or(file.memory);
            executor = executor.or(file.executor);
            settings.files.push(path);
        }
        settings.executor = executor.unwrap_or_default();
        settings.strict_device = strict_device.unwrap_or(false);
        settings.store = store.unwrap_or_else(|| PathBuf::from(".sconce"));
        settings.remote = remote.map(|address| RemoteSettings {
            address,
            read_only: read_only.unwrap_or(false),
            offline: global.offline,
        });
        settings.artifacts = artifacts.unwrap_or_else(|| PathBuf::from("artifacts"));
        if let Some(mirror) = mirror {
            // Workers may run elsewhere.
            let absolute = std::path::absolute(&mirror).map_err(|error| {
                Failure::usage(format!("the mirror {}: {error}", mirror.display()))
            })?;
            if !absolute.is_dir() {
                return Err(Failure::usage(format!(
                    "the mirror {} is not a folder (SCONCE_MIRROR, --mirror or `mirror` in a \
                     configuration file)",
                    mirror.display()
                )));
            }
            settings.mirror = Some(absolute);
        }
        Ok(settings)
    }
}

impl Configuration {
    /// Where the devices were said.
    pub(crate) fn devices_from(&self) -> &'static str {
        if self.devices_by_flag { "`--device`" } else { "`device` of a configuration file" }
    }
}

/// The places of configuration files, the nearest first.
pub(crate) fn candidates() -> Vec<PathBuf> {
    let mut places = vec![PathBuf::from("sconce.toml")];
    let home = environment::path("XDG_CONFIG_HOME")
        .filter(|path| path.is_absolute())
        .or_else(|| environment::path("HOME").map(|home| home.join(".config")))
        .or_else(|| environment::path("APPDATA"));
    places.extend(home.map(|home| home.join("sconce").join("config.toml")));
    places
}

fn read(path: &Path) -> Result<Option<FileSettings>, Failure> {
    let text = match std::fs::read_to_string(path) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(Failure::usage(format!("{}: {error}", path.display()))),
    };
    toml::from_str(&text).map(Some).map_err(|error| {
        Failure::usage(format!("{}: {}", path.display(), error.to_string().trim()))
    })
}
