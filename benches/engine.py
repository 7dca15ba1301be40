#!/usr/bin/env python3
"""Times the engine beside its peers: no-op runs, one change, and a folder of many files.

    python3 benches/engine.py [--sconce target/release/sconce] [--runs 15] [--stages 200] [--files 10000]

Peers are run where they are installed: make, doit, snakemake, dvc (`pip install doit snakemake dvc`
in a virtual environment outside the tree) and b3sum. Every figure is the median of its runs, in
milliseconds of wall time, all taken in one call of this script.
"""

import argparse
import os
import pathlib
import shutil
import statistics
import subprocess
import sys
import tempfile
import time


def sconce_pipeline(folder, stages):
    """One stage for each number; every tenth reads the one before it."""
    lines = ['name = "bench"']
    for i in range(stages):
        lines += [f"[stage.s{i}]", 'kind = "command"', f'run = "echo $$(({i} * 2)) > out.txt"', 'outputs = ["out.txt"]']
        if i % 10:
            lines.append(f'inputs = ["s{i - 1}"]')
    (folder / "p.toml").write_text("\n".join(lines).replace("$$((", "$((") + "\n")


def makefile(folder, stages):
    rules = ["all: " + " ".join(f"s{i}.txt" for i in range(stages))]
    for i in range(stages):
        need = f"s{i - 1}.txt" if i % 10 else ""
        rules.append(f"s{i}.txt: {need}\n\techo $$(({i} * 2)) > $@")
    (folder / "Makefile").write_text("\n".join(rules) + "\n")


def dodo(folder, stages):
    (folder / "dodo.py").write_text(f"""
def task_s():
    for i in range({stages}):
        yield dict(name=str(i), actions=[f"echo $(({{i}} * 2)) > d{{i}}.txt"], targets=[f"d{{i}}.txt"],
                   file_dep=[f"d{{i - 1}}.txt"] if i % 10 else [], uptodate=[True])
""")


def snakefile(folder, stages):
    rules = ["rule all:\n    input: " + repr([f"k{i}.txt" for i in range(stages)])]
    for i in range(stages):
        need = f'    input: "k{i - 1}.txt"\n' if i % 10 else ""
        rules.append(f'rule r{i}:\n{need}    output: "k{i}.txt"\n    shell: "echo $(({i} * 2)) > {{output}}"')
    (folder / "Snakefile").write_text("\n".join(rules) + "\n")


def dvc(folder, stages):
    lines = ["stages:"]
    for i in range(stages):
        lines += [f"  s{i}:", f"    cmd: echo $(({i} * 2)) > v{i}.txt", f"    outs: [v{i}.txt]"]
        if i % 10:
            lines.append(f"    deps: [v{i - 1}.txt]")
    (folder / "dvc.yaml").write_text("\n".join(lines) + "\n")
    quiet(["git", "init", "-q"], folder)
    quiet(["dvc", "init", "-q"], folder)


def quiet(command, folder):
    done = subprocess.run(command, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    if done.returncode:
        sys.exit(f"{' '.join(map(str, command))}: {done.stdout.decode()}")


def wall(command, folder, runs, before=lambda run: None):
    times = []
    for run in range(runs):
        before(run)
        start = time.perf_counter()
        quiet(command, folder)
        times.append((time.perf_counter() - start) * 1e3)
    return statistics.median(times)


def row(what, ms, goal=""):
    print(f"{what:<58} {ms:>10.1f} ms   {goal}", flush=True)


def main():
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--sconce", default="target/release/sconce", type=pathlib.Path)
    arguments.add_argument("--runs", default=15, type=int)
    arguments.add_argument("--stages", default=200, type=int)
    arguments.add_argument("--files", default=10_000, type=int)
    options = arguments.parse_args()
    sconce = options.sconce.resolve()
    if not sconce.exists():
        sys.exit(f"{sconce} is not there: cargo build --release --package sconce")
    stages, runs = options.stages, options.runs
    for name in ("SCONCE_STORE", "SCONCE_MIRROR"):
        os.environ.pop(name, None)

    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        sconce_pipeline(folder, stages)
        run = [sconce, "run", "p.toml"]
        start = time.perf_counter()
        quiet(run, folder)
        row(f"sconce: first run of {stages} stages", (time.perf_counter() - start) * 1e3)
        row(f"sconce: no-op of {stages} stages", wall(run, folder, runs), "goal 50")
        last = stages - 1
        # The same stage in its own right, so that what a change costs beside it can be told.
        one = wall(["sh", "-c", "echo 1 > out.txt"], folder, runs)
        text = (folder / "p.toml").read_text()

        def change(i):
            (folder / "p.toml").write_text(text.replace(f"$(({last} * 2))", f"$(({last} * {i + 3}))"))

        row(f"sconce: one parameter of {stages} changed", wall(run, folder, runs, change), f"goal 150 + {one:.1f}")

    peers = [
        ("make", makefile, ["make", "-s"]),
        ("doit", dodo, ["doit"]),
        ("snakemake", snakefile, ["snakemake", "--cores", "2", "-q"]),
        ("dvc", dvc, ["dvc", "repro", "-q"]),
    ]
    for peer, write, command in peers:
        if shutil.which(peer) is None:
            print(f"{peer}: not installed, left out")
            continue
        with tempfile.TemporaryDirectory() as name:
            folder = pathlib.Path(name)
            write(folder, stages)
            quiet(command, folder)
            row(f"{peer}: no-op of {stages} stages", wall(command, folder, min(runs, 5)))

    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        data = folder / "data"
        for i in range(options.files):
            path = data / f"{i % 100:02}" / f"{i}.txt"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(f"file {i}\n" * 20)
        (folder / "p.toml").write_text(
            'name = "bench"\n[stage.data]\nkind = "file"\npath = "data"\n'
            '[stage.count]\nkind = "command"\ninputs = ["data"]\nrun = "ls data | wc -l > n.txt"\noutputs = ["n.txt"]\n'
        )
        run = [sconce, "run", "p.toml"]
        quiet(run, folder)
        time.sleep(0.1)
        quiet(run, folder)
        row(f"sconce: no-op, folder of {options.files} files", wall(run, folder, runs), "goal 60")

        def touch(i):
            (data / "00" / "0.txt").write_text(f"changed {i} {time.time()}\n")

        alone = [sconce, "run", "p.toml", "data"]
        row("sconce: one file changed, the folder's stage", wall(alone, folder, runs, touch), "goal 200")
        row("sconce: one file changed, with the command that reads it", wall(run, folder, runs, touch))


if __name__ == "__main__":
    main()
