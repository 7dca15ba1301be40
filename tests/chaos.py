#!/usr/bin/env python3
"""Runs on a real one-node Slurm with drivers, jobs and the controller killed at random moments.

    tests/chaos.py target/release/sconce [RUNS] [AT ONCE] [SEED]

Each run is a pipeline of 14 cells in its own folder. Its driver is started again until it ends by itself. What
is counted: runs that do not come to the right result (lost), cells that began after their result was there
(doubled), and cells whose program came to its end more than once, which a kill between a program's end and its
receipt allows.
"""

import collections
import json
import os
import pathlib
import random
import signal
import subprocess
import sys
import tempfile
import threading
import time

PIPELINE = """
[stage.first]
kind = "command"
run = "echo first 0 begins $(date +%s.%N) >> LOG; sleep 0.3; echo 7 > n; echo first 0 ends $(date +%s.%N) >> LOG"
outputs = ["n"]
[stage.point]
kind = "command"
matrix.x = [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12]
inputs = ["first"]
run = "echo point $x begins $(date +%s.%N) >> LOG; sleep 0.$x; echo $(( $(cat first/n) * x )) > n; echo point $x ends $(date +%s.%N) >> LOG"
outputs = ["n"]
[stage.sum]
kind = "command"
inputs = ["point[*]"]
run = "echo sum 0 begins $(date +%s.%N) >> LOG; cat point/*/n | sort -n | tr '\\n' ' ' > n; echo sum 0 ends $(date +%s.%N) >> LOG"
outputs = ["n"]
"""

SETTINGS = """
[executor]
name = "slurm"
group = 4
poll = "500ms"
late = "2s"
lost_after = "12s"
patience = "10s"
retries = 1000
max_memory = "512MiB"
"""

# A controller that is killed before its node has registered with it takes jobs for running that have ended; one after
# the other, nothing goes on. Here the node registers again every 40 seconds.
CONTROLLER_SECONDS = 45

RIGHT = " ".join(str(7 * x) for x in range(1, 13))


class Run(threading.Thread):
    def __init__(self, number, program, folder):
        super().__init__(daemon=True)
        self.number, self.program, self.folder = number, program, folder
        self.driver, self.starts, self.code, self.said = None, 0, None, ""
        folder.mkdir()
        (folder / "p.toml").write_text(PIPELINE.replace("LOG", str(folder / "log")))
        (folder / "sconce.toml").write_text(SETTINGS)

    def run(self):
        until = time.monotonic() + 900
        while time.monotonic() < until:
            self.starts += 1
            out = (self.folder / f"driver-{self.starts}").open("w")
            self.driver = subprocess.Popen([self.program, "run", "p.toml"], cwd=self.folder, stdout=out, stderr=out,
                                           stdin=subprocess.DEVNULL)
            self.code = self.driver.wait()
            if self.code >= 0:
                break
            time.sleep(random.random())
        self.driver = None

    def judge(self):
        """Lost, cells that began after their receipt, cells that ended more than once."""
        path = self.folder / "log"
        log = [line.split() for line in path.read_text().splitlines()] if path.exists() else []
        result = self.folder / "artifacts/p/sum/n"
        lost = self.code != 0 or not result.exists() or result.read_text().split() != RIGHT.split()
        done = {}
        for path in (self.folder / ".sconce/receipts").glob("*/*.json"):
            cell = json.loads(path.read_text())["receipt"]["cell"]
            place = (cell["stage"], str(dict(cell.get("coordinates", [])).get("x", 0)))
            done[place] = path.stat().st_mtime
        doubled = [entry for entry in log if entry[2] == "begins" and float(entry[3]) > done.get((entry[0], entry[1]), 1e18)]
        ends = collections.Counter((entry[0], entry[1]) for entry in log if entry[2] == "ends")
        return lost, doubled, [cell for cell, times in ends.items() if times > 1]


def kill(pid):
    try:
        os.kill(pid, signal.SIGKILL)
        return True
    except (ProcessLookupError, TypeError):
        return False


def jobs(root):
    """Processes of jobs: those of elements and of cells."""
    found = []
    for entry in pathlib.Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                words = (entry / "cmdline").read_bytes().split(b"\0")
            except OSError:
                continue
            if b"exec" in words and any(word.startswith(str(root).encode()) for word in words):
                found.append(int(entry.name))
    return found


def main():
    program = str(pathlib.Path(sys.argv[1]).resolve())
    count, at_once, seed = (int(value) for value in (sys.argv[2:] + ["100", "8", "1"][len(sys.argv) - 2:]))
    random.seed(seed)
    here = pathlib.Path(__file__).parent
    root = pathlib.Path(tempfile.mkdtemp(prefix="chaos-"))
    slurm = root / "slurm"
    script = [str(here / "slurm.sh")]
    quiet = {"stdin": subprocess.DEVNULL, "stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    environment = {**os.environ, "CPUS": "16", "MEM": "65536", "SLURMD_TIMEOUT": "6"}
    subprocess.run([*script, "up", str(slurm), "19817"], check=True, env=environment, **quiet)
    os.environ["SLURM_CONF"] = str(slurm / "slurm.conf")
    waiting = [Run(number, program, root / f"run-{number}") for number in range(count)]
    running, over, kills = [], [], collections.Counter()
    begin = controller = time.monotonic()
    try:
        while waiting or running:
            while waiting and len(running) < at_once:
                run = waiting.pop()
                run.start()
                running.append(run)
            time.sleep(random.uniform(0.1, 0.8))
            what = random.choices(["driver", "job", "controller", "nothing"], [4, 4, 1, 4])[0]
            if what == "driver":
                # A driver that is killed for ever cannot see that something is missing for long.
                run = random.choice(running)
                driver = run.driver if run.starts <= 5 else None
                kills[what] += bool(driver) and kill(driver.pid)
            elif what == "job":
                found = jobs(root)
                kills[what] += bool(found) and kill(random.choice(found))
            elif what == "controller" and time.monotonic() - controller > CONTROLLER_SECONDS:
                kills[what] += kill(int((slurm / "run/slurmctld.own").read_text()))
                time.sleep(random.uniform(0, 1.5))
                subprocess.run([*script, "controller", str(slurm)], check=True, **quiet)
                controller = time.monotonic()
            # Slurm drains a node on which a job could not be started; an operator brings it back.
            subprocess.run(["timeout", "5", "scontrol", "update", "NodeName=localhost", "State=RESUME"], check=False, **quiet)
            for run in [run for run in running if not run.is_alive()]:
                running.remove(run)
                over.append(run)
                lost, doubled, twice = run.judge()
                if lost or doubled:
                    print(f"run {run.number}: lost {lost}, doubled {doubled}, see {run.folder}", flush=True)
    finally:
        subprocess.run(["scancel", "--user=root"], check=False, **quiet)
        subprocess.run([*script, "down", str(slurm)], check=False, **quiet)
    judged = [run.judge() for run in over]
    lost, doubled = sum(one[0] for one in judged), sum(len(one[1]) for one in judged)
    twice, starts = sum(len(one[2]) for one in judged), sum(run.starts for run in over)
    print(f"{len(over)} runs in {time.monotonic() - begin:.0f} s, {starts} drivers; killed: {dict(kills)}")
    print(f"lost {lost}, doubled {doubled}, programs that ended twice {twice}")
    sys.exit(bool(lost or doubled))


main()
