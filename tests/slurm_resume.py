#!/usr/bin/env python3
"""A training that comes to its time limit on a real Slurm of one node, again and again, and ends with the same bits.

    tests/slurm_resume.py target/release/sconce [--epochs 30] [--port 22817]

The training takes some minutes on one thread; a job may take one minute, the least that Slurm knows. Its notice comes
before, the training writes a checkpoint, and the next job goes on from there. The result is held to the lock of the
same training on this machine without a stop.
"""

import argparse
import os
import pathlib
import re
import subprocess
import sys
import tempfile

PIPELINE = """
[stage.files]
kind = "fetch"
digest = "blake3:e8e7beb5416fbb96349d2c7af27bd37493cdfae721733c7c39367b1a3dd3b32e"
sources = ["embedded:digits"]
executor = "local"
[stage.digits]
kind = "mnist"
files = "files"
executor = "local"
[stage.lenet]
kind = "train-classifier"
images = "digits"
training.epochs = {epochs}
resources = {{ threads = 1, time = "60s" }}
"""

SETTINGS = '[executor]\nname = "slurm"\npoll = "1s"\nlate = "3s"\n'


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("program")
    parser.add_argument("--epochs", type=int, default=30)
    parser.add_argument("--port", default="22817")
    arguments = parser.parse_args()
    program = str(pathlib.Path(arguments.program).resolve())
    script = str(pathlib.Path(__file__).resolve().parent / "slurm.sh")
    quiet = {"stdin": subprocess.DEVNULL, "stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    with tempfile.TemporaryDirectory(prefix="slurm-resume-") as root:
        root = pathlib.Path(root)

        def sconce(folder, *words):
            done = subprocess.run([program, *words], cwd=folder, capture_output=True, text=True, stdin=subprocess.DEVNULL)
            if done.returncode:
                sys.exit(f"sconce {' '.join(words)}\n{done.stdout}{done.stderr}")
            return done.stderr

        for name in ("here", "there"):
            (root / name).mkdir()
            (root / name / "p.toml").write_text(PIPELINE.format(epochs=arguments.epochs))
        sconce(root / "here", "run", "p.toml", "--threads", "1")
        sconce(root / "here", "lock", "p.toml")
        (root / "there" / "p.lock").write_bytes((root / "here" / "p.lock").read_bytes())
        (root / "there" / "sconce.toml").write_text(SETTINGS)
        subprocess.run([script, "up", root / "slurm", arguments.port], check=True, **quiet)
        os.environ["SLURM_CONF"] = str(root / "slurm" / "slurm.conf")
        try:
            said = sconce(root / "there", "run", "p.toml", "--locked")
        finally:
            subprocess.run(["scancel", "--user=root"], check=False, **quiet)
            subprocess.run([script, "down", root / "slurm"], check=False, **quiet)
    again = len(re.findall("came to its time limit: handed over again from its checkpoint", said))
    if not again:
        sys.exit(f"it did not come to its time limit: more --epochs\n{said}")
    print(f"stopped by its time limit and taken up from its checkpoint {again} times: the same bits")


main()
