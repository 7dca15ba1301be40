#!/usr/bin/env python3
"""Do two versions of Sconce, or two processors, give the same results, bit for bit?

    python3 tests/digests.py record target/release/sconce before.json     at the one commit
    python3 tests/digests.py record target/release/sconce after.json      at the other
    python3 tests/digests.py compare before.json after.json

    python3 tests/digests.py record target/release/sconce avx2.json --processor avx2
    python3 tests/digests.py record target/release/sconce arm.json \
        --worker "qemu-aarch64 -L /usr/aarch64-linux-gnu target/aarch64-unknown-linux-gnu/release/sconce"

The first keeps the kernels to an instruction set; in the second, cells are computed by another program, such as one that an
emulator runs. docs/processors.md says what came out.

`record` runs the pipelines (a profile of them: --profile quick) in a store of its own and writes the digest of every
output of every cell. `compare` lists what differs, by kind, and exits with 1 if anything does. Outputs that may differ
between two runs (`volatile`: durations) are left out, and so is what shows them: the outputs of cells that read them.
"""

import argparse
import collections
import json
import os
import pathlib
import subprocess
import sys
import tempfile


def record(program, pipelines, profile, store, variables):
    """`{pipeline: {cell: {kind, outputs: {name: digest}}}}` of a run from an empty store."""
    environment = dict(os.environ, SCONCE_STORE=store, **variables)
    found = {}
    for path in pipelines:
        with tempfile.TemporaryDirectory() as artifacts:
            options = [path, "--profile", profile]
            shown = ["--artifacts", artifacts]
            subprocess.run([program, "run", *options, *shown], env=environment, check=True)
        plan = subprocess.run(
            [program, "plan", *options, "--json"], env=environment, check=True, stdout=subprocess.PIPE
        )
        plan = json.loads(plan.stdout)
        # Upstream cells stand first.
        varying = set()
        cells = {cell["cell"]: outputs(store, cell["key"], varying) for cell in plan["cells"]}
        found[plan["pipeline"]] = cells
    return found


def outputs(store, key, varying):
    """What the receipt says of a cell. Digests of outputs that two runs need not give alike join `varying`."""
    key = key.split(":")[-1]
    with open(pathlib.Path(store, "receipts", key[:2], key + ".json")) as file:
        receipt = json.load(file)["receipt"]
    read = {part["digest"] for slot in receipt["parts"]["inputs"].values() for part in slot}
    varies = bool(read & varying)
    fixed = {}
    for name, output in receipt["outputs"].items():
        if varies or output.get("volatile"):
            varying.add(output["digest"])
        else:
            fixed[name] = output["digest"]
    return {"kind": "{kind}@{version}".format(**receipt["parts"]), "outputs": fixed}


def variables(arguments, folder):
    """What tells the program which processor to be, and who computes cells."""
    said = {}
    if arguments.processor:
        said["SCONCE_TEST_PROCESSOR"] = arguments.processor
    if arguments.worker:
        worker = pathlib.Path(folder, "worker")
        worker.write_text(f'#!/bin/sh\nexec {arguments.worker} "$@"\n')
        worker.chmod(0o755)
        said["SCONCE_TEST_WORKER"] = str(worker)
    return said


def compare(before, after):
    """Tells what differs; the number of outputs that do."""
    different = 0
    for pipeline in sorted({*before, *after}):
        old, new = before.get(pipeline, {}), after.get(pipeline, {})
        for cell in sorted(set(old) ^ set(new)):
            different += 1
            print(f"{pipeline}: {cell}: only {'before' if cell in old else 'after'}")
        kinds, same = collections.defaultdict(list), 0
        for cell in sorted(set(old) & set(new)):
            for name in sorted({*old[cell]["outputs"], *new[cell]["outputs"]}):
                if old[cell]["outputs"].get(name) == new[cell]["outputs"].get(name):
                    same += 1
                else:
                    kinds[old[cell]["kind"], new[cell]["kind"]].append(f"{cell}.{name}")
        print(f"{pipeline}: {same} outputs are the same, {sum(map(len, kinds.values()))} differ")
        for (was, now), names in sorted(kinds.items()):
            different += len(names)
            print(f"  {was} → {now}: {', '.join(names)}")
    return different


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)
    make = commands.add_parser("record")
    make.add_argument("program")
    make.add_argument("file")
    make.add_argument("--profile", default="quick")
    make.add_argument("--pipelines", default="pipelines", help="their folder")
    make.add_argument("--only", help="one of them, such as `transfer`")
    make.add_argument("--processor", help="keeps the kernels to an instruction set: avx2, portable")
    make.add_argument("--worker", help="a command in place of the program, which computes the cells")
    make.add_argument("--store", help="a store that stays; else one that is gone afterwards")
    two = commands.add_parser("compare")
    two.add_argument("before")
    two.add_argument("after")
    arguments = parser.parse_args()
    if arguments.command == "compare":
        before, after = (json.loads(pathlib.Path(path).read_text()) for path in (arguments.before, arguments.after))
        sys.exit(1 if compare(before, after) else 0)
    pipelines = sorted(map(str, pathlib.Path(arguments.pipelines).glob((arguments.only or "*") + ".toml")))
    with tempfile.TemporaryDirectory() as store, tempfile.TemporaryDirectory() as folder:
        program, kept = os.path.abspath(arguments.program), arguments.store or store
        found = record(program, pipelines, arguments.profile, kept, variables(arguments, folder))
    pathlib.Path(arguments.file).write_text(json.dumps(found, indent=1, sort_keys=True) + "\n")


if __name__ == "__main__":
    main()
