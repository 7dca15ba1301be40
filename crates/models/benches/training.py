#!/usr/bin/env python3
"""Training steps of DANN and DCGAN, Sconce beside PyTorch (eager, CPU), step by step in turn in one run.

    python3 -m venv /somewhere/outside && /somewhere/outside/bin/pip install torch
    cargo build --release --bench training -p sconce-models
    /somewhere/outside/bin/python crates/models/benches/training.py [THREADS…] [--steps N] [--only NAME]

Prints one line a network and number of threads: medians in milliseconds, the ratio ours/PyTorch (median of the ratios
of neighbouring steps) and our share of the machine's arithmetic peak, where PEAK_GFLOPS (of one thread) is set.
"""
import argparse, json, os, statistics, subprocess, sys, time
import torch
from torch import nn

F = nn.functional


class Reversal(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x, strength):
        ctx.strength = strength
        return x.view_as(x)

    @staticmethod
    def backward(ctx, grad):
        return -ctx.strength * grad, None


def dann():
    features = nn.Sequential(nn.Conv2d(3, 32, 5, padding=2), nn.ReLU(), nn.MaxPool2d(2),
                             nn.Conv2d(32, 48, 5, padding=2), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten())
    label = nn.Sequential(nn.Linear(2352, 100), nn.ReLU(), nn.Linear(100, 100), nn.ReLU(), nn.Linear(100, 10))
    domain = nn.Sequential(nn.Linear(2352, 100), nn.ReLU(), nn.Linear(100, 1))
    o = torch.optim.SGD([*features.parameters(), *label.parameters(), *domain.parameters()], .01, momentum=.9)
    source, target = torch.randn(64, 3, 28, 28), torch.randn(64, 3, 28, 28)
    y, d = torch.randint(10, (64,)), torch.cat([torch.zeros(64), torch.ones(64)])

    def step():
        o.zero_grad()
        f = features(torch.cat([source, target]))
        loss = F.cross_entropy(label(f[:64]), y)
        loss = loss + F.binary_cross_entropy_with_logits(domain(Reversal.apply(f, .5)).squeeze(1), d)
        loss.backward()
        o.step()
        return loss.item()
    return step


def dcgan(n):
    up = lambda i, o, s, p: [nn.ConvTranspose2d(i, o, 4, s, p, bias=False), nn.BatchNorm2d(o), nn.ReLU(True)]
    g = nn.Sequential(*up(100, 4 * n, 1, 0), *up(4 * n, 2 * n, 2, 1), *up(2 * n, n, 2, 1),
                      nn.ConvTranspose2d(n, 1, 4, 2, 1, bias=False), nn.Tanh())
    down = lambda i, o: [nn.Conv2d(i, o, 4, 2, 1, bias=False), nn.BatchNorm2d(o), nn.LeakyReLU(.2, True)]
    d = nn.Sequential(nn.Conv2d(1, n, 4, 2, 1, bias=False), nn.LeakyReLU(.2, True), *down(n, 2 * n),
                      *down(2 * n, 4 * n), nn.Conv2d(4 * n, 1, 4, 1, 0, bias=False))
    og, od = (torch.optim.Adam(m.parameters(), 2e-4, betas=(.5, .999)) for m in (g, d))
    real, noise = torch.randn(128, 1, 32, 32).tanh(), torch.randn(128, 100, 1, 1)
    ones, zeros = torch.ones(128), torch.zeros(128)
    bce = F.binary_cross_entropy_with_logits

    def step():
        fake = g(noise)
        od.zero_grad()
        loss = bce(d(real).flatten(), ones) + bce(d(fake.detach()).flatten(), zeros)
        loss.backward()
        od.step()
        og.zero_grad()
        # as careful PyTorch code does: no gradients to the discriminator's weights here
        for p in d.parameters():
            p.requires_grad_(False)
        loss = bce(d(fake).flatten(), ones)
        loss.backward()
        for p in d.parameters():
            p.requires_grad_(True)
        og.step()
        return loss.item()
    return step


def flops(name):
    """Multiplications and additions of a step's convolutions and matrix products."""
    if name == "dann":
        conv1, conv2 = (2 * 128 * 784 * 32 * 75, 2 * 128 * 196 * 48 * 800)
        heads = 2 * (64 * (2352 * 100 + 100 * 100 + 1000) + 128 * (2352 * 100 + 100))
        return 2 * conv1 + 3 * (conv2 + heads)
    n = int(name[5:])
    g = [100 * 4 * n * 16, 4 * n * 2 * n * 16 * 16, 2 * n * n * 16 * 64, n * 16 * 256]
    d = [n * 16 * 256, n * 2 * n * 16 * 64, 2 * n * 4 * n * 16 * 16, 4 * n * 16]
    # generator: forward, weights, inputs but the first's; discriminator: real and fake forward, weights, inputs but the
    # images'; then forward and inputs for the generator
    total = 3 * sum(g) - g[0] + 2 * (3 * sum(d) - d[0]) + 2 * sum(d)
    return 2 * 128 * total


def ours(binary, threads):
    env = {**os.environ, "RAYON_NUM_THREADS": str(threads)}
    return subprocess.Popen([binary, "--serve"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=env)


def binary():
    out = subprocess.run(["cargo", "build", "--release", "--bench", "training", "-p", "sconce-models",
                          "--message-format=json"], stdout=subprocess.PIPE, check=True, text=True).stdout
    for line in map(json.loads, out.splitlines()):
        if line.get("executable") and line["target"]["name"] == "training":
            return line["executable"]
    sys.exit("cargo built no bench `training`")


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("threads", nargs="*", type=int, default=[2, 1])
    parser.add_argument("--steps", type=int, default=30)
    parser.add_argument("--only")
    options = parser.parse_args()
    program = binary()
    peak = float(os.environ.get("PEAK_GFLOPS", 0))
    names = {"dann": dann, "dcgan32": lambda: dcgan(32), "dcgan64": lambda: dcgan(64)}
    for threads in options.threads:
        torch.set_num_threads(threads)
        for name, make in names.items():
            if options.only not in (None, name):
                continue
            server, step = ours(program, threads), make()

            def one():
                server.stdin.write(name + "\n")
                server.stdin.flush()
                mine = float(server.stdout.readline())
                start = time.perf_counter()
                step()
                return mine, time.perf_counter() - start
            for _ in range(3):
                one()
            pairs = [one() for _ in range(options.steps)]
            server.stdin.close()
            server.wait()
            a, b = (statistics.median(p[i] for p in pairs) for i in (0, 1))
            ratio = statistics.median(p[0] / p[1] for p in pairs)
            line = f"{name:8} {threads} threads: ours {a * 1e3:7.1f} ms, PyTorch {b * 1e3:7.1f} ms, ratio {ratio:.2f}"
            line += f" (best of each {min(p[0] for p in pairs) / min(p[1] for p in pairs):.2f})"
            line += f", {flops(name) / a / 1e9:.0f} GFLOP/s"
            print(line + (f" = {flops(name) / a / 1e9 / peak / threads:.0%} of peak" if peak else ""), flush=True)


main()
