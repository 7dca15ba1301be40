"""Opens what `sconce export` writes with the tools that it is for: TensorBoard, MLflow, rocrate-validator.

    just check-exports            builds the program without candle and runs this
    python3 tests/exports.py --program target/debug/sconce [--venv DIR]

Installs the tools, of the versions below, into a virtual environment (a temporary one, or DIR). What they read is
compared with what the pipeline told; a difference ends with status 1.
"""

import argparse
import csv
import json
import math
import os
import pathlib
import re
import socket
import struct
import subprocess
import sys
import tempfile
import time
import urllib.request
import zlib

PACKAGES = [
    "tensorboard==2.21.0",
    "mlflow==3.17.2",
    "roc-validator==0.13.0",
    # Has the context of RO-Crate 1.1 in its files, for machines that do not reach it.
    "rocrate==0.13.0",
]

PIPELINE = """
name = "exported"
description = "Two trainings and a figure"

[stage.training]
kind = "command"
run = '''
for step in 1 2 3 4; do
    echo "step=$step of=4 loss=$(( 10 - step * rate )).5" >> "$SCONCE_JOURNAL"
done
echo "step=4 epoch=1 loss=7.25 accuracy=0.5" >> "$SCONCE_JOURNAL"
echo "$rate" > weights
'''
outputs = { weights = "weights" }
matrix.rate = [1, 2]

[stage.figure]
kind = "command"
run = "cp picture/picture.png figure.png"
inputs = ["picture"]
outputs = { figure = { path = "figure.png", type = "figure" } }

[stage.picture]
kind = "file"
path = "picture.png"

[stage.broken]
kind = "command"
run = 'echo "loss=nan" >> "$SCONCE_JOURNAL"; exit 3'
inputs = { weights = "training[rate=1]" }
outputs = ["nothing"]
"""

LOSSES = {rate: [10 - step * rate + 0.5 for step in range(1, 5)] for rate in (1, 2)}


def png(width: int, height: int) -> bytes:
    """A grey picture."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    rows = b"".join(b"\0" + bytes(range(width)) for _ in range(height))
    head = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


def same(what: str, got: object, expected: object) -> None:
    if got != expected:
        sys.exit(f"{what}: expected {expected!r}, got {got!r}")


def tensorboard(folder: pathlib.Path) -> None:
    from tensorboard.backend.event_processing import event_accumulator

    for rate, losses in LOSSES.items():
        events = event_accumulator.EventAccumulator(str(folder / f"training[rate={rate}]"))
        events.Reload()
        tags = events.Tags()
        same("scalars", sorted(tags["scalars"]), ["epoch/accuracy", "epoch/loss", "step/loss"])
        same("losses", [(e.step, e.value) for e in events.Scalars("step/loss")], list(enumerate(losses, 1)))
        same("accuracy", [(e.step, e.value) for e in events.Scalars("epoch/accuracy")], [(1, 0.5)])
        assert all(abs(e.wall_time - time.time()) < 3600 for e in events.Scalars("step/loss"))
        text = events.Tensors("parameters")[0].tensor_proto.string_val[0].decode()
        assert f"rate | `{rate}`" in text, text
    events = event_accumulator.EventAccumulator(str(folder / "figure"))
    events.Reload()
    (image,) = events.Images("figure/figure.png")
    same("picture", (image.width, image.height, image.encoded_image_string), (8, 5, png(8, 5)))
    events = event_accumulator.EventAccumulator(str(folder / "broken"))
    events.Reload()
    assert math.isnan(events.Scalars("step/loss")[0].value)
    port = free_port()
    program = [sys.executable, "-m", "tensorboard.main", "--logdir", str(folder), "--port", str(port)]
    runs = json.loads(served(program, f"http://127.0.0.1:{port}/data/runs"))
    same("runs", sorted(runs), ["broken", "figure", "picture", "training[rate=1]", "training[rate=2]"])


def mlflow(folder: pathlib.Path) -> None:
    # From version 3 on, MLflow asks to be told that it may open a folder.
    os.environ["MLFLOW_ALLOW_FILE_STORE"] = "true"
    os.environ["MLFLOW_DISABLE_TELEMETRY"] = "true"
    from mlflow.tracking import MlflowClient

    client = MlflowClient(tracking_uri=(folder / "mlruns").as_uri())
    experiment = client.get_experiment_by_name("exported")
    same("note", experiment.tags["mlflow.note.content"], "Two trainings and a figure")
    runs = {run.info.run_name: run for run in client.search_runs([experiment.experiment_id])}
    same("runs", sorted(runs), ["broken", "figure", "picture", "training[rate=1]", "training[rate=2]"])
    for rate, losses in LOSSES.items():
        run = runs[f"training[rate={rate}]"]
        same("status", run.info.status, "FINISHED")
        same("rate", run.data.params["rate"], str(rate))
        same("accuracy", run.data.metrics["accuracy"], 0.5)
        history = client.get_metric_history(run.info.run_id, "step/loss")
        same("losses", [(point.step, point.value) for point in history], list(enumerate(losses, 1)))
        (weights,) = client.list_artifacts(run.info.run_id, "weights")
        path = client.download_artifacts(run.info.run_id, weights.path)
        same("weights", pathlib.Path(path).read_text(), f"{rate}\n")
    broken = runs["broken"]
    same("broken", (broken.info.status, broken.data.tags["sconce.error"]), ("FAILED", "the program ended with status 3"))
    found = client.search_runs([experiment.experiment_id], "metrics.accuracy > 0.4 and params.rate = '2'")
    same("found", [run.info.run_name for run in found], ["training[rate=2]"])
    port = free_port()
    program = [sys.executable, "-m", "mlflow", "ui", "--backend-store-uri", str(folder / "mlruns"), "--port", str(port)]
    query = f"http://127.0.0.1:{port}/ajax-api/2.0/mlflow/experiments/get-by-name?experiment_name=exported"
    same("served", json.loads(served(program, query))["experiment"]["name"], "exported")


def tables(folder: pathlib.Path) -> None:
    with open(folder / "cells.csv", newline="") as file:
        cells = {row["cell"]: row for row in csv.DictReader(file)}
    same("status", cells["broken"]["status"], "failed")
    same("rate", cells["training[rate=2]"]["rate"], "2")
    for rate, losses in LOSSES.items():
        with open(folder / "histories" / f"training[rate={rate}].steps.csv", newline="") as file:
            rows = [(int(row["step"]), float(row["loss"])) for row in csv.DictReader(file)]
        same("losses", rows, list(enumerate(losses, 1)))


def ro_crate(folder: pathlib.Path) -> None:
    import requests
    import rocrate
    from rocrate.rocrate import ROCrate
    from rocrate_validator import models, services

    context = (pathlib.Path(rocrate.__file__).parent / "data/ro-crate.jsonld").read_text()
    same("context", json.loads(context)["@id"], "https://w3id.org/ro/crate/1.1/context")
    get = requests.Session.get

    class Stored:
        status_code, ok, text, headers = 200, True, context, {"Content-Type": "application/ld+json"}
        json = staticmethod(lambda: json.loads(context))

    def reached(self, url, *more, **named):
        try:
            return get(self, url, *more, **named)
        except requests.ConnectionError:
            if not url.startswith("https://w3id.org/ro/crate/1.1/context"):
                raise
            return Stored

    requests.Session.get = reached
    for profile in ["process-run-crate-0.5", "workflow-run-crate-0.5", "provenance-run-crate-0.5"]:
        settings = services.ValidationSettings(
            rocrate_uri=str(folder),
            profile_identifier=profile,
            requirement_severity=models.Severity.REQUIRED,
            no_cache=True,
        )
        result = services.validate(settings)
        issues = [f"{issue.check.identifier}: {issue.message}" for issue in result.get_issues()]
        same(profile, (issues, result.passed()), ([], True))
    opened = ROCrate(str(folder))
    same("workflow", opened.mainEntity["name"], "exported")
    run = opened.dereference("#run")
    same("run", run["name"], "run 1 of exported")
    same("status", run["actionStatus"], "http://schema.org/FailedActionStatus")
    picture = opened.dereference("results/figure/figure/figure.png")
    same("size", picture["contentSize"], str(len(png(8, 5))))
    same("picture", (folder / "results/figure/figure/figure.png").read_bytes(), png(8, 5))
    broken = opened.dereference("#cell-broken")
    same("error", broken["error"], "the program ended with status 3")


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


def served(program: list[str], address: str) -> str:
    """What a server says once it is up."""
    with tempfile.TemporaryFile() as log:
        server = subprocess.Popen(program, stdout=log, stderr=log)
        try:
            deadline = time.monotonic() + 180
            while time.monotonic() < deadline and server.poll() is None:
                try:
                    with urllib.request.urlopen(address, timeout=10) as answer:
                        return answer.read().decode()
                except OSError:
                    time.sleep(0.5)
            log.seek(0)
            sys.exit(f"{' '.join(program)}: no answer\n{log.read().decode(errors='replace')[-2000:]}")
        finally:
            server.terminate()
            try:
                server.wait(20)
            except subprocess.TimeoutExpired:
                server.kill()


CHECKS = {"csv": tables, "tensorboard": tensorboard, "mlflow": mlflow, "ro-crate": ro_crate}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--program", default="target/debug/sconce")
    parser.add_argument("--venv", type=pathlib.Path)
    parser.add_argument("--only", choices=list(CHECKS))
    parser.add_argument("--inside", type=pathlib.Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.inside:
        CHECKS[arguments.only](arguments.inside)
        return
    with tempfile.TemporaryDirectory() as temporary:
        venv = arguments.venv or pathlib.Path(temporary) / "venv"
        python = venv / "bin/python"
        if not python.exists():
            subprocess.run([sys.executable, "-m", "venv", venv], check=True)
        subprocess.run([python, "-m", "pip", "install", "--quiet", *PACKAGES], check=True)
        work = pathlib.Path(temporary) / "work"
        work.mkdir()
        (work / "p.toml").write_text(PIPELINE)
        (work / "picture.png").write_bytes(png(8, 5))
        program = str(pathlib.Path(arguments.program).resolve())
        run = subprocess.run([program, "run", "p.toml", "--quiet"], cwd=work, stderr=subprocess.PIPE, text=True)
        same("run", (run.returncode, re.findall(r"Failed (\w+)", run.stderr)), (1, ["broken"]))
        for form in [arguments.only] if arguments.only else CHECKS:
            command = [program, "export", "p.toml", "--format", form, "--out", form]
            subprocess.run(command, cwd=work, check=True)
            subprocess.run([python, __file__, "--only", form, "--inside", work / form], check=True)
            print(f"{form}: opened and compared")


if __name__ == "__main__":
    main()
