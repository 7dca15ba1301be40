#!/usr/bin/env bash
# pytorch-adapt 0.0.83, torch 2.15.0: `VATLoss()` looks for the direction that changes an image's predictions most, with a step of
# length xi = 1e-6, its default (and that of VADA's authors). In single precision, the usual one, predictions before and after such
# a step differ by rounding as much as by the step: the direction is another one than double precision finds on the same network,
# images and noise, and it changes the predictions less. No error, no warning: the loss is there, only smaller. One would expect a
# smaller step to be the better approximation. With xi = 1 both precisions agree.
#
# Seen on digits of scikit-learn and a small network (medians of cosines; mean divergence after a perturbation of length 1):
#   xi=1e-06  cosine 0.653  divergence 0.6467 (double precision 0.8834)
#   xi=1e+00  cosine 1.000  divergence 1.0124 (double precision 1.0124)
# (setuptools is pinned because torchmetrics 0.9.3, which comes along, imports pkg_resources.)
set -euo pipefail
folder=$(mktemp -d); trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet torch==2.15.0 pytorch-adapt==0.0.83 scikit-learn==1.9.1 setuptools==80.9.0
cat > "$folder/vat.py" <<'PYTHON'
import sys

import torch
from pytorch_adapt.layers import VATLoss
from sklearn.datasets import load_digits
from torch import nn

digits = load_digits()
x = torch.tensor(digits.images / 8 - 1, dtype=torch.float64).reshape(-1, 64)
y = torch.tensor(digits.target)
torch.manual_seed(0)
network = nn.Sequential(nn.Linear(64, 100), nn.Tanh(), nn.Linear(100, 10)).double()
adam = torch.optim.Adam(network.parameters(), 0.01)
for _ in range(200):
    adam.zero_grad()
    nn.functional.cross_entropy(network(x), y).backward()
    adam.step()

x = x[:512]
noise = torch.randn(x.shape, dtype=torch.float64)
given = torch.randn


def perturbation(xi, dtype):
    """What VATLoss adds to the images, with the same noise in both precisions."""
    torch.randn = lambda *shape, **_: noise.to(dtype).clone()
    try:
        net = network.to(dtype)
        found = VATLoss(xi=xi, epsilon=1.0).get_perturbation(x.to(dtype), net(x.to(dtype)).detach(), net)
    finally:
        torch.randn = given
    return found.double()


def divergence(found):
    net = network.double()
    p, q = net(x).log_softmax(1), net(x + found).log_softmax(1)
    return (p.exp() * (p - q)).sum(1).mean().item()


seen = {}
for xi in (VATLoss().xi, 1.0):
    single, double = perturbation(xi, torch.float32), perturbation(xi, torch.float64)
    cosine = nn.functional.cosine_similarity(single, double).median().item()
    seen[xi] = cosine, divergence(single)
    print(f"xi={xi:.0e}  cosine {cosine:.3f}  divergence {seen[xi][1]:.4f} (double precision {divergence(double):.4f})")
ok = seen[1e-6][0] < 0.9 and seen[1.0][0] > 0.99 and seen[1e-6][1] < 0.8 * seen[1.0][1]
sys.exit(0 if ok else "the behaviour has changed")
PYTHON
"$folder/venv/bin/python" -W ignore "$folder/vat.py"
