"""What sharing costs: calls, bytes and money of 1,000,000 cells, from what some cells take of moto's server.

    python3 crates/cli/benches/remote_cost.py [--sconce target/release/sconce] [--peers DIR] [--cells 40]
        [--put 5.00] [--get 0.40] [--keep 0.023] [--out 0.09]

Three runs are counted by the server's log: the cells are computed and shared; a machine that has nothing looks all of
them up; it brings all content. A cell has 100 files of 10 kB. Prices: dollars for a million PUT and LIST, for a million
GET and HEAD, for a GB kept a month, for a GB that leaves the cloud.

`--peers` is a Python environment outside the repository; moto is installed into it.
"""

import argparse
import collections
import os
import pathlib
import re
import subprocess
import sys
import tempfile
import urllib.request

from remote import server

FILES, SIZE = 100, 10_000
SCALE = 1_000_000

PIPELINE = """
name = "cost"
max_cells = {most}
[stage.point]
kind = "command"
matrix.x = [{values}]
run = '''i=0; while [ $i -lt {files} ]; do head -c {size} /dev/urandom > n$i; i=$((i + 1)); done'''
outputs = [{outputs}]
"""


def counted(log, call):
    """The calls that the server saw meanwhile, by method and by what of the bucket was meant."""
    before = log.stat().st_size
    call()
    seen = collections.Counter()
    with log.open() as lines:
        lines.seek(before)
        for line in lines:
            if found := re.search(r'(GET|PUT|HEAD|DELETE|POST) /sconce(?:/cost/(\w+)|\?)', line):
                # Removals cost nothing: DELETE, and a POST that names what goes.
                method = "LIST" if found[1] == "GET" and not found[2] else found[1]
                seen[method, found[2] or ""] += 1
    return seen


def stored(endpoint):
    """Objects and bytes in the bucket."""
    text = urllib.request.urlopen(f"{endpoint}/sconce?list-type=2&max-keys=100000").read().decode()
    sizes = [int(size) for size in re.findall(r"<Size>(\d+)</Size>", text)]
    return len(sizes), sum(sizes)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--sconce", default="target/release/sconce")
    parser.add_argument("--peers", type=pathlib.Path, default=pathlib.Path.home() / ".cache/sconce-remote-peers")
    parser.add_argument("--cells", type=int, default=40)
    for name, price in [("put", 5.0), ("get", 0.4), ("keep", 0.023), ("out", 0.09)]:
        parser.add_argument(f"--{name}", type=float, default=price)
    arguments = parser.parse_args()
    program = str(pathlib.Path(arguments.sconce).resolve())
    python = arguments.peers / "bin/python"
    if not python.exists():
        subprocess.run([sys.executable, "-m", "venv", arguments.peers], check=True)
        subprocess.run([arguments.peers / "bin/pip", "install", "-q", "moto[server]==5.2.*"], check=True)
    with tempfile.TemporaryDirectory() as root:
        root = pathlib.Path(root)
        log = root / "log"
        with log.open("w") as out:
            process, endpoint = server(str(python), stderr=out)
        environment = {**os.environ, "AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test"}
        environment |= {"AWS_REGION": "us-east-1", "AWS_ENDPOINT_URL": endpoint}
        try:
            urllib.request.urlopen(urllib.request.Request(f"{endpoint}/sconce", method="PUT"))
            names = ", ".join(f'"n{file}"' for file in range(FILES))
            values = ", ".join(map(str, range(arguments.cells)))
            text = PIPELINE.format(most=arguments.cells + 1, values=values, files=FILES, size=SIZE, outputs=names)
            machines = [root / name for name in ("one", "two")]
            for machine in machines:
                machine.mkdir()
                (machine / "p.toml").write_text(text)
                (machine / "sconce.toml").write_text('[store]\nremote = "s3://sconce/cost"\n')
            one, two = machines

            def sconce(folder, *words):
                subprocess.run([program, *words], cwd=folder, env=environment, check=True, capture_output=True)

            rows = [("computing and sharing", counted(log, lambda: sconce(one, "run", "p.toml", "-q")), 0)]
            objects, kept = stored(endpoint)
            rows.append(("looking up", counted(log, lambda: sconce(two, "plan", "p.toml")), 0))
            rows.append(("bringing all", counted(log, lambda: sconce(two, "pull", "p.toml")), kept))
        finally:
            process.kill()
    scale = SCALE / arguments.cells
    print(f"{arguments.cells} cells of {FILES} files of {SIZE} bytes, in the bucket {objects} objects of {kept} bytes")
    for name, seen, left in rows:
        methods = collections.Counter()
        for (method, _), times in seen.items():
            methods[method] += times
        writes, reads = methods["PUT"] + methods["LIST"], methods["GET"] + methods["HEAD"]
        money = scale * (writes * arguments.put + reads * arguments.get) / 1e6
        calls = ", ".join(f"{times / arguments.cells:.2f} {method}" for method, times in sorted(methods.items()))
        parts = ", ".join(f"{method} {what or 'list'} {times}" for (method, what), times in sorted(seen.items()))
        print(f"{name}: {calls} a cell ({parts})")
        print(f"  10^6 cells: {money:.2f} $ of calls" + (f", {scale * left / 1e9 * arguments.out:.0f} $ where it leaves the cloud" if left else ""))
    print(f"kept: {scale * kept / 1e12:.2f} TB, {scale * kept / 1e9 * arguments.keep:.0f} $ a month")


if __name__ == "__main__":
    main()
