#!/usr/bin/env bash
# torchattacks 3.5.1: APGD, Square and FAB have a parameter `seed`, 0 where nothing else is said, by which they set torch's *global* generator
# at each call. (AutoAttack hands them its own, by default the time at which it was made.) What the caller draws next no longer depends on the
# caller's seed, only on how many numbers the attack drew: always the same with FAB, and with the other two the same where as many images
# are still classified rightly. So trainings that measure their robustness after each epoch see orders of `shuffle=True` again,
# and trainings from other seeds see the same ones: their deviation may be too small. FGSM and PGD set nothing.
# `torch.random.fork_rng()` around the attack keeps the training as it was.
#
# Seen: different orders in six epochs; the same behind a fork; orders that runs from seed 1 and 2 have in common, of the last five. First
# with one network, then with one whose weights are others in each epoch.
#   none    6  6  0   6  6  0
#   FGSM    6  6  0   6  6  0
#   PGD     6  6  0   6  6  0
#   APGD    2  6  5   4  6  5
#   Square  2  6  5   4  6  5
#   FAB     2  6  5   2  6  5
set -euo pipefail
folder=$(mktemp -d); trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet torch==2.15.0 torchvision==0.29.2 torchattacks==3.5.1
"$folder/venv/bin/python" -W ignore - > "$folder/seen" <<'PYTHON'
import contextlib

import torch
import torchattacks
from torch.utils.data import DataLoader

images = torch.linspace(0, 1, 40 * 64).reshape(40, 1, 8, 8)
labels = torch.arange(40) % 5
FEW = {"PGD": {"steps": 2}, "APGD": {"steps": 2}, "Square": {"n_queries": 5}, "FAB": {"steps": 2, "n_classes": 5}}


def network(seed):
    """The same weights by the same seed; the global generator is not touched."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(64, 5)).eval()


def orders(name, seed, moves, around=contextlib.nullcontext):
    """The order of twenty examples in each of six epochs, with an attack behind each."""
    torch.manual_seed(seed)
    seen = []
    for epoch in range(6):
        seen.append(tuple(int(i) for i in DataLoader(range(20), shuffle=True)))
        if name != "none":
            attack = getattr(torchattacks, name)(network(epoch if moves else 0), **FEW.get(name, {}))
            with around():
                attack(images, labels)
    return seen


for name in ["none", "FGSM", "PGD", "APGD", "Square", "FAB"]:
    line = f"{name:7}"
    for moves in [False, True]:
        one, two = orders(name, 1, moves), orders(name, 2, moves)
        forked = orders(name, 1, moves, torch.random.fork_rng)
        line += f" {len(set(one))}  {len(set(forked))}  {sum(a == b for a, b in zip(one[1:], two[1:]))}  "
    print(line.rstrip())
PYTHON
cat "$folder/seen"
# what this file says, without its "#   "
sed -n 's/^#   //p' "$0" > "$folder/said"
diff "$folder/said" "$folder/seen" && echo "as described" || { echo "torchattacks has changed"; exit 1; }
