#!/usr/bin/env python3
"""The README's pictures, which the base profiles of the shipped studies draw.

    python3 tests/pictures.py           copies them from artifacts/, after the studies were run
    python3 tests/pictures.py --check   fails where a committed picture is not the one that was just drawn

artifacts/readme/sources.toml says which file each picture is. Bits hold on one kind of processor (docs/locked-results.md): on another
than the locks', a picture that differs is told and does not fail.
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


def main():
    check = "--check" in sys.argv[1:]
    sources = tomllib.loads((SHOWN / "readme/sources.toml").read_text())
    kept = {path.name for path in (SHOWN / "readme").glob("*.png")}
    wrong = [f"artifacts/readme/{name}: sources.toml does not say where it is from" for name in sorted(kept - set(sources))]
    stale = []
    for name, source in sources.items():
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
    print(f"{len(sources)} pictures {'held' if check else 'copied'}")


main()
