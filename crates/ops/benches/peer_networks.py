#!/usr/bin/env python3
"""Times VGG16's and SqueezeNet's convolutional parts with this crate and with PyTorch (eager, CPU), in turns.

Set up as `peer.py` (`--example network_times`); then, for example:

    ~/peer/bin/python crates/ops/benches/peer_networks.py --threads 2 --rounds 5 vgg16 --batch 1 8
"""

import argparse
import json
import os
import pathlib
import statistics
import subprocess
import time

parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
parser.add_argument("network", choices=["vgg16", "squeezenet"])
parser.add_argument("--batch", type=int, nargs="+", default=[1])
parser.add_argument("--threads", type=int, default=2)
parser.add_argument("--rounds", type=int, default=5)
parser.add_argument("--repetitions", type=int, default=3)
args = parser.parse_args()
os.environ["OMP_NUM_THREADS"] = os.environ["MKL_NUM_THREADS"] = str(args.threads)

import torch  # noqa: E402  (after the number of threads is set)
from torch import nn  # noqa: E402

torch.set_num_threads(args.threads)
binary = pathlib.Path(__file__).resolve().parents[3] / "target" / "release" / "examples" / "network_times"
PASSES = ["forward", "image gradient"]


class Fire(nn.Module):
    def __init__(self, inputs, squeezed):
        super().__init__()
        self.squeeze = nn.Conv2d(inputs, squeezed, 1)
        self.one = nn.Conv2d(squeezed, 4 * squeezed, 1)
        self.three = nn.Conv2d(squeezed, 4 * squeezed, 3, padding=1)
        self.relu = nn.ReLU(inplace=True)

    def forward(self, x):
        x = self.relu(self.squeeze(x))
        return torch.cat([self.relu(self.one(x)), self.relu(self.three(x))], 1)


def build(name):
    layers = []
    if name == "vgg16":
        inputs = 3
        for outputs, count in [(64, 2), (128, 2), (256, 3), (512, 3), (512, 3)]:
            for _ in range(count):
                layers += [nn.Conv2d(inputs, outputs, 3, padding=1), nn.ReLU(inplace=True)]
                inputs = outputs
            layers.append(nn.MaxPool2d(2, 2))
    else:
        layers = [nn.Conv2d(3, 64, 3, 2), nn.ReLU(inplace=True), nn.MaxPool2d(3, 2, ceil_mode=True)]
        inputs = 64
        for i, squeezed in enumerate([16, 16, 32, 32, 48, 48, 64, 64]):
            layers.append(Fire(inputs, squeezed))
            inputs = 8 * squeezed
            if i in (1, 3):
                layers.append(nn.MaxPool2d(3, 2, ceil_mode=True))
        layers += [nn.Conv2d(inputs, 1000, 1), nn.ReLU(inplace=True)]
    layers += [nn.AdaptiveAvgPool2d(1)]
    return nn.Sequential(*layers).eval().requires_grad_(False)


def ours(batch):
    env = dict(os.environ, RAYON_NUM_THREADS=str(args.threads))
    command = [binary, args.network, str(batch), str(args.repetitions)]
    out = subprocess.run(command, env=env, check=True, capture_output=True, text=True)
    return {row["pass"]: (row["seconds"], row["cpu"]) for row in map(json.loads, out.stdout.splitlines())}


def clock():
    return time.perf_counter(), time.process_time()


def theirs(model, batch):
    x = torch.randn(batch, 3, 224, 224)
    took = {name: [] for name in PASSES}
    for _ in range(args.repetitions + 1):
        start = clock()
        with torch.no_grad():
            model(x)
        took["forward"].append((start, clock()))
        image = x.clone().requires_grad_(True)
        start = clock()
        model(image).sum().backward()
        took["image gradient"].append((start, clock()))
    return {
        name: tuple(statistics.median(end[i] - start[i] for start, end in t[1:]) for i in (0, 1))
        for name, t in took.items()
    }


model = build(args.network)
print(f"{'network':12} {'batch':>5} {'pass':15} {'ours ms':>9} {'torch ms':>9} {'ratio':>6} {'cpu ratio':>9}", flush=True)
for batch in args.batch:
    rounds = [(ours(batch), theirs(model, batch)) for _ in range(args.rounds)]
    for what in PASSES:
        a, b = ([statistics.median(r[side][what][i] for r in rounds) for i in (0, 1)] for side in (0, 1))
        print(
            f"{args.network:12} {batch:5} {what:15} {a[0] * 1e3:9.2f} {b[0] * 1e3:9.2f} "
            f"{a[0] / b[0]:6.2f} {a[1] / b[1]:9.2f}",
            flush=True,
        )
