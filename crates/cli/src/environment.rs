//! The environment variables: all of them, once, with what they mean.

use std::path::PathBuf;

use crate::failure::Failure;

pub(crate) const STORE: &str = "SCONCE_STORE";
pub(crate) const REMOTE: &str = "SCONCE_REMOTE";
pub(crate) const MIRROR: &str = "SCONCE_MIRROR";
pub(crate) const LOG: &str = "SCONCE_LOG";
pub(crate) const VISIBLE: &str = "CUDA_VISIBLE_DEVICES";
/// Devices that a test plays.
pub(crate) const TEST_DEVICES: &str = "SCONCE_TEST_DEVICES";

/// A program that a test has in this one's place for workers, such as one that an emulator runs.
const TEST_WORKER: &str = "SCONCE_TEST_WORKER";
/// The instruction set that a test keeps to.
#[cfg(feature = "chapters")]
pub(crate) const TEST_PROCESSOR: &str = "SCONCE_TEST_PROCESSOR";

/// Whom a variable tells something.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Reader {
    /// Sconce itself.
    Sconce,
    /// The programs of kind `command`, for which it is set.
    Programs,
    /// Sconce's own tests.
    Tests,
}

/// A variable and what it means.
struct Variable {
    name: &'static str,
    reader: Reader,
    meaning: &'static str,
}

const fn variable(name: &'static str, reader: Reader, meaning: &'static str) -> Variable {
    Variable { name, reader, meaning }
}

const VARIABLES: &[Variable] = &[
    variable(STORE, Reader::Sconce, "the store's folder; --store wins"),
    variable(
        REMOTE,
        Reader::Sconce,
        "the store that machines share, such as s3://bucket/prefix; --remote wins",
    ),
    variable(
        MIRROR,
        Reader::Sconce,
        "a folder of files that sources may be taken from; --mirror wins",
    ),
    variable(
        LOG,
        Reader::Sconce,
        "as -v, -vv, -vvv: info, debug, trace; or by module: sconce_core=debug; -v wins",
    ),
    variable("NO_COLOR", Reader::Sconce, "no colours"),
    variable(VISIBLE, Reader::Sconce, "the CUDA devices that count; each cell sees its own alone"),
    variable("TERM", Reader::Sconce, "plain lines on a terminal that is `dumb`"),
    variable(
        "XDG_CONFIG_HOME",
        Reader::Sconce,
        "the folder of sconce/config.toml; without it ~/.config, and on Windows %APPDATA%",
    ),
    variable("HF_TOKEN", Reader::Sconce, "the token for `hf:` sources"),
    variable("HF_ENDPOINT", Reader::Sconce, "where `hf:` sources are, in place of the hub"),
    variable(
        "SCONCE_INPUT_<NAME>",
        Reader::Programs,
        "the absolute path of the input; letters large, others `_`",
    ),
    variable(
        "SCONCE_JOURNAL",
        Reader::Programs,
        "a file to which lines may be added, such as `step=20 of=500 loss=0.31`, for who watches",
    ),
    variable("SCONCE_SEED", Reader::Programs, "the seed, where the stage is `seeded`"),
    variable("SCONCE_THREADS", Reader::Programs, "threads that the program may use"),
    variable(
        "SCONCE_REFERENCE",
        Reader::Tests,
        "a folder of other implementations' results; without it what compares is skipped",
    ),
    variable("SCONCE_TEST_<NAME>", Reader::Tests, "what a test tells a process that it starts"),
];

/// The variables that Sconce reads, for `--help`.
pub(crate) fn help() -> String {
    const COLUMN: usize = 18;
    let mut text = "Environment:\n".to_owned();
    for one in VARIABLES.iter().filter(|one| one.reader == Reader::Sconce) {
        text += &format!("  {:<COLUMN$}{}\n", one.name, one.meaning);
    }
    text
}

/// The value of a variable, where it is set and not empty.
///
/// # Errors
/// A value that is no Unicode.
pub(crate) fn text(name: &str) -> Result<Option<String>, Failure> {
    match std::env::var(name) {
        Ok(value) => Ok(Some(value).filter(|value| !value.is_empty())),
        Err(std::env::VarError::NotPresent) => Ok(None),
        Err(error) => Err(Failure::usage(format!("{name}: {error}"))),
    }
}

/// The program whose processes compute cells.
///
/// # Errors
/// When the system does not tell which program this is.
pub(crate) fn worker() -> Result<PathBuf, Failure> {
    match text(TEST_WORKER)? {
        Some(program) => Ok(program.into()),
        None => Ok(std::env::current_exe()?),
    }
}

/// What the queue calls the job that this process is, or a name that no other process has.
pub(crate) fn job() -> Result<String, Failure> {
    // An element of an array, and one that is put back into the queue, keeps its number.
    for name in ["SLURM_JOB_ID", "PBS_JOBID", "LSB_JOBID", "JOB_ID"] {
        if let Some(number) = text(name)? {
            let index = text("SGE_TASK_ID")?.unwrap_or_default();
            return Ok(format!("{name} {number} {index}"));
        }
    }
    let mut bytes = [0; 8];
    getrandom::fill(&mut bytes).map_err(|error| Failure::usage(error.to_string()))?;
    Ok(format!("process {} {bytes:02x?}", std::process::id()))
}

/// The variables by which providers of object stores tell credentials and addresses.
#[cfg(feature = "remote")]
pub(crate) fn of_providers() -> std::collections::BTreeMap<String, String> {
    let theirs = |name: &str| {
        name == "HOME" || ["AWS_", "GOOGLE_", "AZURE_"].iter().any(|start| name.starts_with(start))
    };
    std::env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
        .filter(|(name, _)| theirs(name))
        .collect()
}

/// The path that a variable holds, where it is set and not empty.
pub(crate) fn path(name: &str) -> Option<PathBuf> {
    std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::path::Path;

    use super::*;

    fn root() -> PathBuf {
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
    }

    /// The names that begin with `SCONCE_` in a text, as the table writes them.
    fn names(text: &str) -> BTreeSet<String> {
        let starts = text.match_indices("SCONCE_").map(|(start, _)| &text[start..]);
        let word = |rest: &str| {
            let end = rest.find(|c: char| !c.is_ascii_uppercase() && c != '_');
            rest[..end.unwrap_or(rest.len())].to_owned()
        };
        let families = ["SCONCE_INPUT_", "SCONCE_TEST_"];
        let named = |name: String| match families.iter().find(|one| name.starts_with(**one)) {
            Some(family) => format!("{family}<NAME>"),
            None => name,
        };
        starts.map(word).filter(|name| name != "SCONCE_").map(named).collect()
    }

    fn collect(folder: &Path, found: &mut BTreeSet<String>) {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                collect(&path, found);
            } else if path.extension().is_some_and(|extension| extension == "rs")
                && !path.ends_with("cli/src/environment.rs")
            {
                found.extend(names(&std::fs::read_to_string(&path).unwrap()));
            }
        }
    }

    #[test]
    fn every_variable_of_the_code_is_in_the_table_and_the_other_way_round() {
        let mut found = BTreeSet::from([STORE, REMOTE, MIRROR, LOG].map(str::to_owned));
        collect(&root().join("crates"), &mut found);
        collect(&root().join("tests"), &mut found);
        let ours = |one: &&Variable| one.name.starts_with("SCONCE_");
        let listed = VARIABLES.iter().filter(ours).map(|one| one.name.to_owned());
        assert_eq!(found, listed.collect());
    }

    #[test]
    fn the_page_holds_the_table() {
        let page = std::fs::read_to_string(root().join("docs/configuration.md")).unwrap();
        for reader in [Reader::Sconce, Reader::Programs, Reader::Tests] {
            let rows = VARIABLES.iter().filter(|one| one.reader == reader);
            let rows: String =
                rows.map(|one| format!("| `{}` | {} |\n", one.name, one.meaning)).collect();
            assert!(page.contains(&rows), "docs/configuration.md has not these rows:\n{rows}");
        }
        // Nothing that is gone.
        let rows = page.lines().filter(|line| line.starts_with("| `") && line.contains("` | "));
        let named = |line: &str| VARIABLES.iter().any(|one| line.contains(one.name));
        assert_eq!(rows.filter(|line| !named(line)).collect::<Vec<_>>(), [""; 0]);
    }
}
