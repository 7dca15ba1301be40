#!/usr/bin/env bash
# torchvision 0.29.2 brings images from floats to 8 bits in two ways: `utils.save_image` rounds, `transforms.ToPILImage` cuts off. What a
# generator draws is on average half a level darker by the second; and real images that went to [-1, 1] and back, as GANs want them
# (`Normalize(0.5, 0.5)`, then `x * 0.5 + 0.5`), come out one level darker at 63 of 256 levels, since some lie just below the whole number. So
# folders of PNGs that are set beside each other (FID by folder) have to be written by the same function, real images among them.
# `transforms.v2.functional.to_dtype(scale=True)` and `convert_image_dtype` cut off as well, but from 256 equal parts, and lose nothing.
#
# Seen: levels that change, of k / 255; of the same there and back; mean of uniform noise less what it was, in levels
#   save_image 0 0 0.0
#   ToPILImage 0 63 -0.5
#   to_dtype 0 0 0.0
#   convert_image_dtype 0 0 0.0
set -euo pipefail
folder=$(mktemp -d); trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet torch==2.15.0 torchvision==0.29.2 numpy==2.4.6 pillow==13.0.0
"$folder/venv/bin/python" - > "$folder/seen" <<'PYTHON'
import io
import torch
from PIL import Image
from torchvision.transforms import ToPILImage
from torchvision.transforms.functional import convert_image_dtype, normalize, pil_to_tensor
from torchvision.transforms.v2.functional import to_dtype
from torchvision.utils import save_image


def saved(image):
    file = io.BytesIO()
    save_image(image, file, format="png")
    return pil_to_tensor(Image.open(file))


levels = torch.arange(256, dtype=torch.uint8).reshape(1, 16, 16).expand(3, 16, 16)
floats = levels.float() / 255
back = normalize(floats, [0.5] * 3, [0.5] * 3) * 0.5 + 0.5
torch.manual_seed(0)
noise = torch.rand(3, 512, 512)
for name, way in [
    ("save_image", saved),
    ("ToPILImage", lambda image: pil_to_tensor(ToPILImage()(image))),
    ("to_dtype", lambda image: to_dtype(image, torch.uint8, scale=True)),
    ("convert_image_dtype", lambda image: convert_image_dtype(image, torch.uint8)),
]:
    changed = [(way(image) != levels)[0].sum().item() for image in (floats, back)]
    darker = way(noise).double().mean().item() - 255 * noise.double().mean().item()
    print(name, *changed, round(darker, 1) + 0.0)
PYTHON
cat "$folder/seen"
sed -n 's/^#   //p' "$0" > "$folder/said"
diff "$folder/said" "$folder/seen" && echo "as described" || { echo "torchvision has changed"; exit 1; }
