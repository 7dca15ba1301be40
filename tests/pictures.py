#!/usr/bin/env python3
"""The README's pictures, which the base profiles of the shipped studies draw.

    python3 tests/pictures.py           copies them from artifacts/, after the studies were run
    python3 tests/pictures.py --check   fails where a committed picture is not the one that was just drawn
    python3 tests/pictures.py --locked  runs nothing: fails where a lock was made anew after its picture was copied

artifacts/readme/sources.toml says which file each picture is, and what its cell was locked to when it was copied. Bits hold on one kind
of processor (docs/locked-results.md): on another than the locks', a picture that differs is told and does not fail.
"""

import pathlib
import subprocess
import sys
import tomllib

ROOT = pathlib.Path(__file__).resolve().parent.parent
SHOWN = ROOT / "artifacts"


def here():
    """The kind of this processor, as `sconce doctor` tells it."""
    said = subprocess.run(["cargo", "sconce", "doctor"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    return next(line.split(None, 1)[1] for line in said.splitlines() if line.strip().startswith("processor"))


def locked():
    """The kinds of processor that the base profiles are locked on."""
    return {tomllib.loads(path.read_text())["base"]["processor"] for path in ROOT.glob("pipelines/*.lock")}


def yielded(drawn):
    """The digests of what the cell that draws this file is locked to, by the base profile."""
    pipeline, cell = drawn.split("/")[:2]
    lock = tomllib.loads((ROOT / f"pipelines/{pipeline}.lock").read_text())
    return lock["base"]["cell"].get(cell, {}).get("outputs")


def written(sources):
    """sources.toml anew, under the comment that it has."""
    old = (SHOWN / "readme/sources.toml").read_text().splitlines()
    head = [line for line in old if line.startswith("#")]
    rows = []
    for name, source in sources.items():
        outputs = ", ".join(f'{key} = "{value}"' for key, value in yielded(source["from"]).items())
        rows.append(f'"{name}" = {{ from = "{source["from"]}", locked = {{ {outputs} }} }}')
    return "\n".join([*head, *rows, ""])


def main():
    check = "--check" in sys.argv[1:]
    sources = tomllib.loads((SHOWN / "readme/sources.toml").read_text())
    if "--locked" in sys.argv[1:]:
        stale = [name for name, source in sources.items() if source.get("locked") != yielded(source["from"])]
        if stale:
            sys.exit(f"{', '.join(stale)}: locked anew since it was copied; run the study and `just pictures`")
        return print(f"{len(sources)} pictures are of the locks' cells")
    kept = {path.name for path in (SHOWN / "readme").glob("*.png")}
    wrong = [f"artifacts/readme/{name}: sources.toml does not say where it is from" for name in sorted(kept - set(sources))]
    stale = []
    for name, source in sources.items():
        source = source["from"]
        drawn, picture = SHOWN / source, SHOWN / "readme" / name
        if not drawn.is_file():
            wrong.append(f"artifacts/{source}: not there; run the study first")
        elif not check:
            picture.write_bytes(drawn.read_bytes())
        elif not picture.is_file() or picture.read_bytes() != drawn.read_bytes():
            stale.append(f"artifacts/readme/{name} is not artifacts/{source}: `just pictures` copies it")
    if stale and here() not in locked():
        print(f"{len(stale)} pictures differ, drawn on another kind of processor ({here()}) than the committed ones", *stale, sep="\n  ")
    else:
        wrong += stale
    if wrong:
        sys.exit("\n".join(wrong))
    if not check:
        (SHOWN / "readme/sources.toml").write_text(written(sources))
    print(f"{len(sources)} pictures {'held' if check else 'copied'}")


main()
