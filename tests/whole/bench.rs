//! A folder with a pipeline, and the command in it.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

/// A private folder in which `sconce` is called.
pub(crate) struct Bench {
    folder: tempfile::TempDir,
}

/// What a call said.
pub(crate) struct Said {
    pub(crate) code: Option<i32>,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl Bench {
    /// A folder with the pipeline file `p.toml`.
    pub(crate) fn new(pipeline: &str) -> Self {
        let bench = Self { folder: tempfile::tempdir().unwrap() };
        bench.write("p.toml", pipeline);
        bench
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(crate) fn write(&self, name: &str, text: &str) {
        let path = self.path(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }

    pub(crate) fn read(&self, name: &str) -> String {
        let path = self.path(name);
        std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
    }

    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_sconce"));
        command
            .args(arguments)
            .current_dir(self.folder.path())
            .env("XDG_CONFIG_HOME", self.folder.path().join("no-configuration"))
            .env_remove("SCONCE_STORE")
            .env_remove("SCONCE_REMOTE")
            .env_remove("SCONCE_MIRROR")
            .env_remove("SCONCE_LOG")
            .env_remove("CUDA_VISIBLE_DEVICES")
            .stdin(Stdio::null());
        command
    }

    pub(crate) fn sconce(&self, arguments: &[&str]) -> Said {
        Said::from(self.command(arguments).output().unwrap())
    }

    /// `sconce run p.toml` with more arguments; it has to succeed.
    pub(crate) fn run(&self, more: &[&str]) -> Said {
        let said = self.sconce(&[&["run", "p.toml"], more].concat());
        assert_eq!(said.code, Some(0), "{}", said.err);
        said
    }

    pub(crate) fn start(&self, arguments: &[&str]) -> Child {
        let mut command = self.command(arguments);
        command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
    }

    /// All files that are shown, by name.
    pub(crate) fn shown(&self) -> BTreeMap<String, Vec<u8>> {
        let mut files = BTreeMap::new();
        collect(&self.path("artifacts"), "", &mut files);
        files
    }

    /// Waits until a file is there.
    pub(crate) fn wait_for(&self, name: &str) -> String {
        let start = Instant::now();
        loop {
            match std::fs::read_to_string(self.path(name)) {
                Ok(text) if !text.is_empty() => return text,
                _ if start.elapsed() > Duration::from_secs(60) => panic!("no {name}"),
                _ => std::thread::sleep(Duration::from_millis(2)),
            }
        }
    }
}

impl From<Output> for Said {
    fn from(output: Output) -> Self {
        Self {
            code: output.status.code(),
            out: String::from_utf8(output.stdout).unwrap(),
            err: String::from_utf8(output.stderr).unwrap(),
        }
    }
}

impl Said {
    /// The cells of the lines that begin with a status word.
    pub(crate) fn cells(&self, word: &str) -> Vec<&str> {
        let cell = |line: &'_ &str| line.trim_start().starts_with(word);
        let lines = self.err.lines().filter(cell);
        lines.filter_map(|line| line.split_whitespace().nth(1)).collect()
    }
}

fn collect(folder: &Path, prefix: &str, files: &mut BTreeMap<String, Vec<u8>>) {
    let Ok(entries) = std::fs::read_dir(folder) else { return };
    for entry in entries {
        let entry = entry.unwrap();
        let name = format!("{prefix}{}", entry.file_name().to_string_lossy());
        if entry.file_type().unwrap().is_dir() {
            collect(&entry.path(), &format!("{name}/"), files);
        } else {
            files.insert(name, std::fs::read(entry.path()).unwrap());
        }
    }
}

/// Whether a process is alive; one that nobody has reaped is not.
pub(crate) fn is_alive(pid: &str) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{}/stat", pid.trim()));
    if cfg!(target_os = "linux") {
        return stat.is_ok_and(|stat| !stat.contains(") Z "));
    }
    Command::new("kill").args(["-0", pid.trim()]).status().is_ok_and(|status| status.success())
}

pub(crate) fn signal(name: &str, pid: u32) {
    let status = Command::new("kill").args([&format!("-{name}"), &pid.to_string()]).status();
    assert!(status.unwrap().success());
}

/// Waits until a condition holds.
pub(crate) fn eventually(what: &str, mut holds: impl FnMut() -> bool) {
    let start = Instant::now();
    while !holds() {
        assert!(start.elapsed() < Duration::from_secs(120), "never: {what}");
        std::thread::sleep(Duration::from_millis(10));
    }
}
