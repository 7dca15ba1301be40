#!/usr/bin/env python3
"""A step of class visualisation on SqueezeNet, 224 × 224, Sconce beside PyTorch (eager, CPU), two steps each in turn in one run, the
second timed.

    python3 -m venv /somewhere/outside && /somewhere/outside/bin/pip install torch torchvision
    /somewhere/outside/bin/python crates/interpretation/benches/class_visualisation.py [THREADS…] [--steps N]

Both do the practical's step with the same weights: roll, logit − λ‖u‖², gradient to the picture alone, a step of length 5,
roll back, clamp, and a blur every 10 steps. Prints medians in milliseconds and the ratio ours/PyTorch (median of the
ratios of neighbouring steps).
"""
import argparse, json, pathlib, random, subprocess, sys
import torch
from torchvision.models import squeezenet1_1
from torchvision.transforms.functional import gaussian_blur
from turns import Server, compared

ASSETS = pathlib.Path(__file__).resolve().parents[2] / "data" / "assets"
MEAN, STD = (torch.tensor(v)[:, None, None] for v in ([.485, .456, .406], [.229, .224, .225]))
TARANTULA = 76


def weights():
    data = (ASSETS / "squeezenet1_1.safetensors").read_bytes()
    size = int.from_bytes(data[:8], "little")
    header = json.loads(data[8:8 + size])
    header.pop("__metadata__", None)
    read = lambda t: torch.frombuffer(bytearray(data[8 + size:][slice(*t["data_offsets"])]), dtype=torch.float32)
    return {name: read(tensor).reshape(tensor["shape"]) for name, tensor in header.items()}


def theirs():
    network = squeezenet1_1()
    network.load_state_dict(weights())
    network.eval().requires_grad_(False)
    offset, scale = 255 * MEAN - torch.tensor([123., 117., 104.])[:, None, None], 255 * STD
    low, high = -MEAN / STD, (1 - MEAN) / STD
    torch.manual_seed(1)
    state = {"u": torch.randn(1, 3, 224, 224), "t": 0}

    def step():
        down, right = random.randint(-16, 16), random.randint(-16, 16)
        u = torch.roll(state["u"], (down, right), (2, 3)).requires_grad_(True)
        score = network(u * scale + offset)[0, TARANTULA] - 1e-3 * u.square().sum()
        score.backward()
        with torch.no_grad():
            u = u + 5 * u.grad / u.grad.norm()
            u = torch.clamp(torch.roll(u, (-down, -right), (2, 3)), low, high)
            if state["t"] % 10 == 0:
                u = gaussian_blur(u, 5, .5)
        state["u"], state["t"] = u, state["t"] + 1
        return score.item()
    return step


def binary():
    out = subprocess.run(["cargo", "build", "--release", "--bench", "class_visualisation", "-p", "sconce-interpretation",
                          "--message-format=json"], stdout=subprocess.PIPE, check=True, text=True).stdout
    for line in map(json.loads, out.splitlines()):
        if line.get("executable") and line["target"]["name"] == "class_visualisation":
            return line["executable"]
    sys.exit("cargo built no bench `class_visualisation`")


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("threads", nargs="*", type=int, default=[2, 1])
    parser.add_argument("--steps", type=int, default=60)
    parser.add_argument("--binary", help="the built bench, where cargo is not to be called")
    options = parser.parse_args()
    program = options.binary or binary()
    for threads in options.threads:
        torch.set_num_threads(threads)
        server = Server(program, threads)
        print(f"{threads} threads: {compared(server.ask, theirs(), 'PyTorch', 5, options.steps)}", flush=True)
        server.close()


main()
