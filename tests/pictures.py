#!/usr/bin/env python3
"""The pictures of README and pages, which come from the base profiles of the shipped studies.

    python3 tests/pictures.py           copies them from artifacts/ after the studies were run
    python3 tests/pictures.py --check   fails where a committed picture is not the one that was just drawn

artifacts/readme/sources.toml says which file each picture is. On another kind of processor than the locks' a picture may differ in
a bit, so there the check only tells.
"""

import pathlib
import subprocess
import sys
import tomllib

ROOT = pathlib.Path(__file__).resolve().parent.parent
SHOWN = ROOT / "artifacts"


def here():
    """The kind of processor, as `sconce doctor` tells it."""
    said = subprocess.run(["cargo", "sconce", "doctor"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    return next(line.split(None, 1)[1] for line in said.splitlines() if line.strip().startswith("processor"))


def main():
    check = "--check" in sys.argv[1:]
    sources = tomllib.loads((SHOWN / "readme/sources.toml").read_text())
    pictures = {path.name for path in (SHOWN / "readme").glob("*.png")}
    wrong = [f"artifacts/readme/{name}: sources.toml does not say where it is from" for name in sorted(pictures - set(sources))]
    stale = []
    for name, source in sources.items():
        drawn, picture = SHOWN / source, SHOWN / "readme" / name
        if not drawn.is_file():
            wrong.append(f"artifacts/{source}: not there; run the study first")
        elif not check:
            picture.write_bytes(drawn.read_bytes())
        elif not picture.is_file() or picture.read_bytes() != drawn.read_bytes():
            stale.append(f"artifacts/readme/{name} is not artifacts/{source}")
    if stale:
        locked = {tomllib.loads(path.read_text()).get("base", {}).get("processor") for path in ROOT.glob("pipelines/*.lock")}
        if locked == {here()}:
            wrong += stale
        else:
            print(f"{len(stale)} pictures differ, drawn on another kind of processor ({here()}) than the committed ones", *stale, sep="\n  ")
    if wrong:
        sys.exit("\n".join(wrong))
    print(f"{len(sources)} pictures {'are as drawn' if check else 'copied'}")


main()
