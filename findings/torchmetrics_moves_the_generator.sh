#!/usr/bin/env bash
# torchmetrics 1.8.2: asking the kernel inception distance or the inception score for its value draws from torch's global generator, with which
# the training then goes on. KID draws its subsets there, which one might guess; the inception score, of all images, shuffles them before it
# cuts them into `splits`. So a GAN that is measured after each epoch is another GAN than the same from the same seed that is not,
# or is measured by FID alone, and neither metric takes a generator or a seed. `torch.random.fork_rng()` around `compute()` keeps the
# training as it was; a seed in there makes the value one that can be had again.
#
# Seen: whether a weight after two epochs is the one without measuring; with a fork around it; whether two values of the same images agree
#   frechet-inception-distance True True True
#   kernel-inception-distance False True False
#   inception-score False True False
set -euo pipefail
folder=$(mktemp -d); trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet torch==2.15.0 torchmetrics==1.8.2 numpy==2.4.6
"$folder/venv/bin/python" -W ignore - > "$folder/seen" <<'PYTHON'
import contextlib
import torch
from torchmetrics.image.fid import FrechetInceptionDistance
from torchmetrics.image.inception import InceptionScore
from torchmetrics.image.kid import KernelInceptionDistance


class Features(torch.nn.Module):
    """In place of Inception's, whose weights would have to be downloaded."""
    num_features = 8

    def forward(self, images):
        return images.float().flatten(1)[:, :8] / 255


fixed = torch.Generator().manual_seed(1)
real, drawn = (torch.randint(0, 256, (40, 3, 4, 4), generator=fixed, dtype=torch.uint8) for _ in "rd")
metrics = {
    "frechet-inception-distance": lambda: FrechetInceptionDistance(feature=Features()),
    "kernel-inception-distance": lambda: KernelInceptionDistance(feature=Features(), subsets=10, subset_size=20),
    "inception-score": lambda: InceptionScore(feature=Features(), splits=4),
}


def value(make):
    metric = make()
    if isinstance(metric, InceptionScore):
        metric.update(drawn)
    else:
        metric.update(real, real=True)
        metric.update(drawn, real=False)
    found = metric.compute()
    return torch.stack(found) if isinstance(found, tuple) else found


def trained(measure):
    """A weight that follows noise for two epochs, as a generator follows its latent."""
    torch.manual_seed(0)
    weight = torch.zeros(8)
    for _ in range(2):
        for _ in range(10):
            weight += 0.1 * (torch.randn(8) - weight)
        measure()
    return weight


def forked(make):
    with torch.random.fork_rng():
        value(make)


alone = trained(contextlib.nullcontext)
for name, make in metrics.items():
    torch.manual_seed(0)
    print(
        name,
        torch.equal(trained(lambda: value(make)), alone),
        torch.equal(trained(lambda: forked(make)), alone),
        torch.equal(value(make), value(make)),
    )
PYTHON
cat "$folder/seen"
sed -n 's/^#   //p' "$0" > "$folder/said"
diff "$folder/said" "$folder/seen" && echo "as described" || { echo "torchmetrics has changed"; exit 1; }
