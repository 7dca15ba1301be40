#!/usr/bin/env bash
# torchmetrics 1.9.0, torch 2.15.0: MemorizationInformedFrechetInceptionDistance "penalizes memorization of the training set by the
# generator": the lower, the better. It looks for the nearest generated image of each training image, not for the nearest training
# image of each generated one, as Bai et al. define it ("On training sample memorization", KDD 2021). So a generator that gives out
# copies of a part of the training images scores better than as many new images of the same kind, and one that gives out all of them
# scores 0, the best of all. With the arguments exchanged, the copies score 10^14. No error, no warning.
#
# Seen on digits of scikit-learn, 1,000 of them to train, their pixels as features (FID and MIFID of generated images):
#   500 new digits               FID  26.35  MIFID 548.7
#   500 copies of training ones  FID   8.74  MIFID 373.9 (arguments exchanged: 9e+14)
#   all training images          FID   0.00  MIFID   0.0
set -euo pipefail
folder=$(mktemp -d); trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet torch==2.15.0 torchmetrics==1.9.0 scikit-learn==1.9.1
cat > "$folder/mifid.py" <<'PYTHON'
import sys

import numpy as np
import torch
from sklearn.datasets import load_digits
from torchmetrics.image.fid import FrechetInceptionDistance
from torchmetrics.image.mifid import MemorizationInformedFrechetInceptionDistance

digits = torch.tensor(load_digits().images, dtype=torch.float32)[:, None]
digits = digits[np.random.RandomState(0).permutation(len(digits))]
train, new = digits[:1000], digits[1000:1500]


class Pixels(torch.nn.Module):
    """Features are the pixels."""

    num_features = 64

    def forward(self, images):
        return images.flatten(1).float()


def score(metric, real, generated):
    metric = metric(feature=Pixels())
    metric.update(real, real=True)
    metric.update(generated, real=False)
    return metric.compute().item()


def scores(name, generated):
    fid = score(FrechetInceptionDistance, train, generated)
    mifid = score(MemorizationInformedFrechetInceptionDistance, train, generated)
    print(f"{name:28} FID {fid:6.2f}  MIFID {mifid:5.1f}")
    return mifid


of_new = scores("500 new digits", new)
of_copies = scores("500 copies of training ones", train[:500])
of_all = scores("all training images", train.clone())
exchanged = score(MemorizationInformedFrechetInceptionDistance, train[:500], train)
print(f"arguments exchanged: {exchanged:.0e}")
sys.exit(0 if of_copies < of_new and of_all == 0 and exchanged > 1e10 else "the behaviour has changed")
PYTHON
"$folder/venv/bin/python" -W ignore "$folder/mifid.py"
