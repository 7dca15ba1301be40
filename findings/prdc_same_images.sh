#!/usr/bin/env bash
# prdc 0.2 and torch-fidelity 0.4.0, torch 2.15.0: precision, recall, density and coverage of images many of which are the same, such as
# blank tiles of slides or maps. Where more than k images of a set are the same, the distance to their k-th neighbour is 0, and prdc asks
# for a distance *below* it: generated blank images are not among the real ones, real ones are not recalled by generated ones, and
# real ones are not covered, though both sets hold blank images by the dozen. So 500 digits and 50 blank images against themselves have
# a precision of .91 and not 1. torch-fidelity asks for a distance of at most that, and finds 1 on the same features with the same k. No warning
# of either.
#
# Seen on digits of scikit-learn, pixels as features, k = 3:
#                                              precision  recall  coverage
#   the same 500 + 50 twice    prdc              .909      .909     .909
#                              torch-fidelity   1.000     1.000
#   500 new digits + 50 blank  prdc              .840      .800     .822
#                              torch-fidelity    .931      .891
set -euo pipefail
folder=$(mktemp -d); trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet torch==2.15.0 torchvision==0.29.2 torch-fidelity==0.4.0 prdc==0.2 scikit-learn==1.9.1
cat > "$folder/same.py" <<'PYTHON'
import contextlib
import io
import sys

import numpy as np
import torch
from prdc import compute_prdc
from sklearn.datasets import load_digits
from torch_fidelity.metric_prc import prc_features_to_metric

digits = load_digits().data.astype(np.float32)
digits = digits[np.random.RandomState(0).permutation(len(digits))]
blank = np.zeros((50, 64), np.float32)
real, new = (np.concatenate([digits[at : at + 500], blank]) for at in (0, 500))


def scores(name, generated):
    with contextlib.redirect_stdout(io.StringIO()):
        ours = compute_prdc(real_features=real, fake_features=generated, nearest_k=3)
    options = dict(prc_neighborhood=3, prc_batch_size=10000, save_cpu_ram=False, verbose=False)
    theirs = prc_features_to_metric(torch.tensor(generated), torch.tensor(real), **options)
    print(f"{name:26} prdc            precision {ours['precision']:.3f}  recall {ours['recall']:.3f}  coverage {ours['coverage']:.3f}")
    print(f"{'':26} torch-fidelity  precision {theirs['precision']:.3f}  recall {theirs['recall']:.3f}")
    return ours, theirs


same, exact = scores("the same images twice", real.copy())
some, more = scores("new digits, and blank ones", new)
lost = 50 / 550
as_seen = (
    all(abs(same[name] - (1 - lost)) < 1e-6 for name in ("precision", "recall", "coverage"))
    and exact["precision"] == exact["recall"] == 1
    and all(abs(more[name] - some[name] - lost) < 1e-6 for name in ("precision", "recall"))
)
sys.exit(0 if as_seen else "the behaviour has changed")
PYTHON
"$folder/venv/bin/python" -W ignore "$folder/same.py"
