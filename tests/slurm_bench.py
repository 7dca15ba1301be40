#!/usr/bin/env python3
"""What a cell costs on a real Slurm of one node, beside a bare `sbatch --wait`, in one run.

    tests/slurm_bench.py target/release/sconce [--cells 500] [--group 50] [--port 21817]

  bare        `sbatch --wait` of a job of one line, which asks every two seconds whether it is over; and the time from
              `sbatch` until the job has done its work
  sweep       so many trivial cells on this machine alone, in the queue one a job, and in groups: seconds a cell

The results of both are held to the lock of the local run (`--locked`): the same bits. Needs what tests/slurm.sh needs.
"""

import argparse
import os
import pathlib
import statistics
import subprocess
import sys
import tempfile
import time

PIPELINE = """
max_cells = {most}
[stage.point]
kind = "command"
matrix.x = [{values}]
run = "echo $(( x * x )) > n"
outputs = ["n"]
[stage.sum]
kind = "command"
inputs = ["point[*]"]
run = "cat point/*/n | sort -n | sha256sum > sum"
outputs = ["sum"]
"""

SETTINGS = """
[executor]
name = "slurm"
poll = "1s"
group = {group}
"""


def called(arguments, folder):
    """Seconds of a call that has to succeed."""
    start = time.perf_counter()
    done = subprocess.run(arguments, cwd=folder, capture_output=True, text=True, stdin=subprocess.DEVNULL)
    took = time.perf_counter() - start
    if done.returncode:
        sys.exit(f"{' '.join(map(str, arguments))}\n{done.stdout}{done.stderr}")
    return took


def bare(folder, times):
    """Medians of `sbatch --wait`, and of the time until the job has done its work."""
    waited, worked = [], []
    for number in range(times):
        mark = folder / f"mark-{number}"
        start = time.time()
        waited.append(called(["sbatch", "--wait", "--quiet", "--output=/dev/null", f"--wrap=date +%s.%N > {mark}"], folder))
        worked.append(float(mark.read_text()) - start)
    return statistics.median(waited), statistics.median(worked)


def machine(root, name, cells, group=None, lock=None):
    folder = root / name
    folder.mkdir()
    values = ", ".join(map(str, range(cells)))
    (folder / "p.toml").write_text(PIPELINE.format(most=cells + 10, values=values))
    if group:
        (folder / "sconce.toml").write_text(SETTINGS.format(group=group))
        (folder / "p.lock").write_bytes(lock.read_bytes())
    return folder


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("program")
    parser.add_argument("--cells", type=int, default=500)
    parser.add_argument("--group", type=int, default=50)
    parser.add_argument("--port", default="21817")
    arguments = parser.parse_args()
    program = str(pathlib.Path(arguments.program).resolve())
    script = str(pathlib.Path(__file__).resolve().parent / "slurm.sh")
    quiet = {"stdin": subprocess.DEVNULL, "stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}

    def load():
        return f"load {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores"

    with tempfile.TemporaryDirectory(prefix="slurm-bench-") as root:
        root = pathlib.Path(root)
        slurm = root / "slurm"
        subprocess.run([script, "up", slurm, arguments.port], check=True, **quiet)
        os.environ["SLURM_CONF"] = str(slurm / "slurm.conf")
        try:
            wait, work = bare(root, 7)
            print(f"bare sbatch --wait: {wait:.2f} s, until its work is done {work:.2f} s (medians of 7; {load()})", flush=True)
            here = machine(root, "here", arguments.cells)
            took = called([program, "run", "p.toml", "-q"], here)
            called([program, "lock", "p.toml"], here)
            cells = arguments.cells + 1
            print(f"{cells} cells here: {took:.1f} s, {1000 * took / cells:.0f} ms a cell ({load()})", flush=True)
            for group in (1, arguments.group):
                there = machine(root, f"group-{group}", arguments.cells, group, here / "p.lock")
                took = called([program, "run", "p.toml", "-q", "--locked"], there)
                each = took / cells
                print(
                    f"{cells} cells in the queue, {group} a job: {took:.1f} s, {1000 * each:.0f} ms a cell, "
                    f"{each / wait:.3f} of a bare sbatch --wait; the same bits ({load()})",
                    flush=True,
                )
        finally:
            subprocess.run(["scancel", "--user=root"], check=False, **quiet)
            subprocess.run([script, "down", slurm], check=False, **quiet)


main()
