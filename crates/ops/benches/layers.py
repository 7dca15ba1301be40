#!/usr/bin/env python3
"""Times each layer of `benches/layers/shapes.rs` with this crate and with PyTorch (eager, CPU), in turns.

Run it with a Python that has PyTorch, such as the one that `crates/models/benches/networks.py` sets up:

    ~/.cache/sconce/pytorch/bin/python crates/ops/benches/layers.py --threads 2 --rounds 5 vgg16

Each round runs this crate and then PyTorch on each layer; the ratio is that of the medians over all rounds, of the time
on the clock and of processor time (the latter tells more when the machine is busy; with several threads it counts
waiting in a spin lock as work). Below 1, this crate is faster.
"""

import argparse
import json
import os
import pathlib
import re
import statistics
import subprocess
import time

parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
parser.add_argument("part", nargs="?", default="", help="part of the layers' names")
parser.add_argument("--threads", type=int, default=2)
parser.add_argument("--rounds", type=int, default=5)
parser.add_argument("--repetitions", type=int, default=5)
args = parser.parse_args()
os.environ["OMP_NUM_THREADS"] = os.environ["MKL_NUM_THREADS"] = str(args.threads)

import torch  # noqa: E402  (after the number of threads is set)

torch.set_num_threads(args.threads)
here = pathlib.Path(__file__).resolve().parent
root = here.parents[2]
build = ["cargo", "build", "--release", "-p", "sconce-ops", "--bench", "layers", "--message-format=json"]
built = subprocess.run(build, stdout=subprocess.PIPE, check=True, text=True, cwd=root).stdout
binary = next(m["executable"] for m in map(json.loads, built.splitlines()) if m.get("executable"))
PASSES = ["forward", "input", "weight"]


def layers():
    row = r'^\s+(conv|transposed)\("([^"]+)", \[([^\]]+)\], \[([^\]]+)\]\)'
    for kind, name, shape, filters in re.findall(row, (here / "layers" / "shapes.rs").read_text(), re.M):
        if args.part in name:
            yield kind, name, *[[int(n) for n in part.split(",")] for part in (shape, filters)]


def ours(name):
    env = dict(os.environ, RAYON_NUM_THREADS=str(args.threads))
    out = subprocess.run([binary, name, str(args.repetitions)], env=env, check=True, capture_output=True, text=True)
    rows = [json.loads(line) for line in out.stdout.splitlines()]
    return {row["pass"]: (row["seconds"], row["cpu"]) for row in rows if row["layer"] == name}


def clock():
    return time.perf_counter(), time.process_time()


def theirs(kind, shape, filters):
    (n, c, h, w), (m, k, s, p) = shape, filters
    x = torch.randn(n, c, h, w)
    weight = torch.randn(*((c, m, k, k) if kind == "transposed" else (m, c, k, k))) * 0.1
    function = torch.nn.functional.conv_transpose2d if kind == "transposed" else torch.nn.functional.conv2d
    took = {name: [] for name in PASSES}
    for i in range(args.repetitions + 2):
        start = clock()
        with torch.no_grad():
            y = function(x, weight, None, s, p)
        took["forward"].append((start, clock()))
        gradient = torch.ones_like(y)
        for name, leaf in (("input", x), ("weight", weight)):
            leaf.requires_grad_(True).grad = None
            y = function(x, weight, None, s, p)
            start = clock()
            y.backward(gradient)
            took[name].append((start, clock()))
            leaf.requires_grad_(False)
    return {
        name: tuple(statistics.median(end[i] - start[i] for start, end in t[2:]) for i in (0, 1))
        for name, t in took.items()
    }


print(f"{'layer':30} {'pass':8} {'ours ms':>9} {'torch ms':>9} {'ratio':>6} {'cpu ratio':>9}", flush=True)
for kind, name, shape, filters in layers():
    rounds = [(ours(name), theirs(kind, shape, filters)) for _ in range(args.rounds)]
    for what in PASSES:
        a, b = ([statistics.median(r[side][what][i] for r in rounds) for i in (0, 1)] for side in (0, 1))
        print(
            f"{name:30} {what:8} {a[0] * 1e3:9.2f} {b[0] * 1e3:9.2f} {a[0] / b[0]:6.2f} {a[1] / b[1]:9.2f}",
            flush=True,
        )
