"""Our grid search over C beside scikit-learn's, on the same features and folds, with two threads each.

    python -m venv /somewhere/outside && /somewhere/outside/bin/pip install scikit-learn safetensors
    /somewhere/outside/bin/python crates/transfer/benches/grid_search.py [--samples 1500] [--columns 4096] [--raw]
    … --features FILE.npz      (arrays train, train_labels, test, test_labels) instead of artificial ones
    … --features artifacts/transfer/features/layer=fire2      (what a run of pipelines/transfer.toml left)

Prints the times, their ratio, the largest difference of a mean accuracy, and the part of the test rows that
both predict alike.
"""

import argparse
import json
import os
import pathlib
import subprocess
import tempfile
import time
import warnings

import numpy as np
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import GridSearchCV, PredefinedSplit, StratifiedKFold
from sklearn.preprocessing import normalize
from sklearn.svm import LinearSVC

CS = [0.01, 0.1, 1.0, 3.0, 10.0, 100.0]


def artificial(samples, columns, classes):
    """Activations of a random ReLU layer over noisy class centres: sparse, correlated, about 75 % separable."""
    rng = np.random.default_rng(0)
    centres = rng.normal(size=(classes, 64))
    layer = rng.normal(size=(64, columns)) / 8

    def rows(count):
        labels = np.arange(count) % classes
        hidden = centres[labels] + 3.0 * rng.normal(size=(count, 64))
        return np.maximum(hidden @ layer - 0.5, 0).astype(np.float32), labels

    return *rows(samples), *rows(2985)


def of_a_run(folder):
    """Rows and labels of the splits `train` and `test` of an artifact of type `features`."""
    from safetensors.numpy import load_file

    (rows,) = load_file(folder / "features.safetensors").values()
    examples = json.loads((folder / "features.json").read_text())["examples"]
    labels, split = np.array(examples["labels"]), np.array(examples["split"])
    train, test = (split == examples["splits"].index(name) for name in ("train", "test"))
    return rows[train], labels[train], rows[test], labels[test]


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--samples", type=int, default=1500)
    parser.add_argument("--columns", type=int, default=4096)
    parser.add_argument("--classes", type=int, default=15)
    parser.add_argument("--raw", action="store_true", help="rows as they are, not L2-normalised")
    parser.add_argument("--max-iter", type=int, default=1000)
    parser.add_argument("--features")
    options = parser.parse_args()
    if options.features and pathlib.Path(options.features).is_dir():
        x, y, x_test, y_test = of_a_run(pathlib.Path(options.features))
    elif options.features:
        loaded = np.load(options.features)
        x, y, x_test, y_test = (loaded[k] for k in ("train", "train_labels", "test", "test_labels"))
    else:
        x, y, x_test, y_test = artificial(options.samples, options.columns, options.classes)
    if not options.raw:
        x, x_test = normalize(x), normalize(x_test)
    classes = int(y.max()) + 1
    folds = np.empty(len(y), np.uint32)
    for fold, (_, held_out) in enumerate(StratifiedKFold(5, shuffle=True, random_state=0).split(x, y)):
        folds[held_out] = fold

    repository = pathlib.Path(__file__).resolve().parents[3]
    with tempfile.TemporaryDirectory() as folder:
        for name, array in [("train.f32", x), ("test.f32", x_test)]:
            array.astype("<f4").tofile(f"{folder}/{name}")
        y.astype("<u4").tofile(f"{folder}/labels.u32")
        folds.astype("<u4").tofile(f"{folder}/folds.u32")
        command = ["cargo", "bench", "-q", "--workspace", "--bench", "grid_search", "--"]
        command += [folder, str(classes), str(x.shape[1]), *map(str, CS)]
        said = subprocess.run(command, cwd=repository, env=os.environ | {"RAYON_NUM_THREADS": "2"},
                              stdout=subprocess.PIPE, check=True).stdout
    ours = json.loads(said)

    warnings.simplefilter("ignore", ConvergenceWarning)
    started = time.perf_counter()
    grid = GridSearchCV(LinearSVC(max_iter=options.max_iter), {"C": CS}, cv=PredefinedSplit(folds), n_jobs=2,
                        refit=False)
    grid.fit(x, y)
    grid_seconds = time.perf_counter() - started
    started = time.perf_counter()
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always", ConvergenceWarning)
        fitted = LinearSVC(max_iter=options.max_iter).fit(x, y)
    fit_seconds = time.perf_counter() - started
    is_solved = not any(issubclass(one.category, ConvergenceWarning) for one in told)
    predicted = fitted.predict(x_test)

    accuracies = np.array(ours["accuracies"])
    difference = np.abs(accuracies.mean(1) - grid.cv_results_["mean_test_score"]).max()
    print(f"features           {x.shape[0]} x {x.shape[1]}, {classes} classes, {'raw' if options.raw else 'L2'}")
    print(f"grid, 6 C x 5      ours {ours['grid_seconds']:.3f} s, scikit-learn {grid_seconds:.2f} s, "
          f"ratio {ours['grid_seconds'] / grid_seconds:.4f}")
    print(f"one fit, C = 1     ours {ours['fit_seconds']:.3f} s, scikit-learn {fit_seconds:.2f} s, "
          f"ratio {ours['fit_seconds'] / fit_seconds:.4f} ({ours['sweeps']} sweeps, {ours['violation']:.1e} left; scikit-learn "
          f"{'converged' if is_solved else 'stopped at --max-iter'})")
    print(f"mean accuracies    ours {accuracies.mean(1).round(4).tolist()}, best C {ours['best_c']}")
    print(f"                   differ by at most {difference:.5f}")
    print(f"same predictions   {np.mean(predicted == np.array(ours['predicted'])):.4%}, accuracy "
          f"{np.mean(np.array(ours['predicted']) == y_test):.4f} / {np.mean(predicted == y_test):.4f}")


if __name__ == "__main__":
    main()
