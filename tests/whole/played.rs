//! A played Slurm: `sbatch`, `squeue`, `sacct`, `scontrol` and `scancel` that answer as told.

use std::process::Command;

use crate::bench::Bench;
use crate::layout::root;

/// What goes wrong, and what is to come of it.
pub(crate) struct Case {
    pub(crate) name: &'static str,
    /// What each call of `sbatch` does; the last goes on.
    pub(crate) sbatch: &'static [&'static str],
    /// What each call of `squeue` answers; the last goes on.
    pub(crate) squeue: &'static [&'static str],
    /// Whether these are the answers after each call of `sbatch`.
    pub(crate) by_submission: bool,
    pub(crate) sacct: Option<&'static str>,
    /// Further lines of `[executor]`.
    pub(crate) settings: &'static str,
    /// What the cell does after it noted that it began.
    pub(crate) body: &'static str,
    /// Whether the run ends well.
    pub(crate) good: bool,
    /// Words that the run says, each in one line.
    pub(crate) says: &'static [&'static str],
    /// How often a batch is handed over, and how often the cell begins.
    pub(crate) submitted: usize,
    pub(crate) begun: usize,
}

pub(crate) const RUNS: &str = "0|RUNNING|None|node1";

pub(crate) const USUAL: Case = Case {
    name: "",
    sbatch: &["run"],
    squeue: &[RUNS],
    by_submission: false,
    sacct: None,
    settings: "",
    body: "sleep 0.2",
    good: true,
    says: &[],
    submitted: 1,
    begun: 1,
};

pub(crate) const SETTINGS: &str = "[executor]\nname = \"slurm\"\npoll = \"200ms\"\n";

pub(crate) fn bench(case: &Case) -> Bench {
    let bench = Bench::new("");
    let folder = bench.path("").display().to_string();
    let body = case.body.replace("DIR/", &folder);
    let text = format!(
        "[stage.a]\nkind = \"command\"\nrun = '''echo begun >> {folder}begun; {body}; echo done > x'''\noutputs = [\"x\"]\n"
    );
    bench.write("p.toml", &text);
    let mut settings = format!("{SETTINGS}{}\n", case.settings);
    for (name, usual) in [("late", "500ms"), ("lost_after", "1s")] {
        if !case.settings.contains(name) {
            settings += &format!("{name} = \"{usual}\"\n");
        }
    }
    bench.write("sconce.toml", &settings);
    for program in ["sbatch", "squeue", "sacct", "scontrol", "scancel"] {
        bench.write(&format!("bin/{program}"), "");
        std::fs::remove_file(bench.path("bin").join(program)).unwrap();
        std::os::unix::fs::symlink(
            root().join("tests/played/slurm"),
            bench.path("bin").join(program),
        )
        .unwrap();
    }
    bench.write("played/called", "");
    for (program, turns) in [("sbatch", case.sbatch), ("squeue", case.squeue)] {
        for (place, turn) in turns.iter().enumerate() {
            bench.write(&format!("played/{program}.{}", place + 1), &format!("{turn}\n"));
        }
    }
    if case.by_submission {
        bench.write("played/by-submission", "");
    }
    if let Some(text) = case.sacct {
        bench.write("played/sacct.1", text);
    }
    bench
}

pub(crate) fn command(bench: &Bench, arguments: &[&str]) -> Command {
    let mut command = bench.command(arguments);
    let path = format!("{}:/usr/bin:/bin", bench.path("bin").display());
    command.env("PATH", path).env("PLAYED", bench.path("played"));
    command
}

pub(crate) fn submitted(bench: &Bench) -> Vec<String> {
    let called = bench.read("played/called");
    called.lines().filter(|line| line.starts_with("sbatch ")).map(str::to_owned).collect()
}

pub(crate) fn begun(bench: &Bench) -> usize {
    std::fs::read_to_string(bench.path("begun")).unwrap_or_default().lines().count()
}
