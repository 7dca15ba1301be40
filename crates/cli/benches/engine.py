"""What a run costs that has little or nothing to do, beside make, doit, Snakemake and DVC.

Cases, each with the same files and commands for every tool:
  200 stages      10 chains of 20 commands: from nothing; nothing changed; one parameter at the end of one changed
  10,000 files    a folder as an input: the same, with one file changed

    python3 crates/cli/benches/engine.py [--sconce target/release/sconce] [--peers DIR]

The peers are installed into DIR, a Python environment outside the repository. The table gives seconds of wall time, the best of `--times`, and seconds of processor time of that
call with its children. Tools that are not there are left out.
"""

import argparse
import os
import pathlib
import resource
import shutil
import subprocess
import sys
import tempfile
import time

CHAINS, LENGTH, FILES = 10, 20, 10_000
PEERS = ["doit", "snakemake", "dvc"]


def stages():
    """Name, upstream name or None, and whether the parameter counts for it."""
    for chain in range(CHAINS):
        for step in range(LENGTH):
            up = f"s{chain}_{step - 1}" if step else None
            yield f"s{chain}_{step}", up, (chain, step) == (CHAINS - 1, LENGTH - 1)


def command(name, up, parameter):
    """The shell command of a stage that writes `out/NAME` (for the peers)."""
    text = f"echo {name} > out/{name}"
    if up:
        text = f"cat out/{up} > out/{name} && echo {name} >> out/{name}"
    return text + (f" && cat parameter >> out/{name}" if parameter else "")


class Sconce:
    """Sconce itself."""

    name = "sconce"

    def __init__(self, program):
        self.program = str(pathlib.Path(program).resolve())

    def many(self):
        text = 'name = "many"\n[stage.parameter]\nkind = "file"\npath = "parameter"\n'
        for name, up, parameter in stages():
            run = f"cat up/out > out; echo {name} >> out" if up else f"echo {name} > out"
            inputs = [f'up = "{up}"'] if up else []
            if parameter:
                run += "; cat parameter/parameter >> out"
                inputs.append('parameter = "parameter"')
            text += f'[stage.{name}]\nkind = "command"\nrun = "{run}"\noutputs = ["out"]\n'
            text += f"inputs = {{ {', '.join(inputs)} }}\n"
        pathlib.Path("p.toml").write_text(text)

    def folder(self):
        pathlib.Path("p.toml").write_text(
            '[stage.data]\nkind = "file"\npath = "data"\n'
            '[stage.count]\nkind = "command"\nrun = "ls data/000 | wc -l > n"\n'
            'inputs = ["data"]\noutputs = ["n"]\n'
        )

    def run(self):
        return [self.program, "run", "p.toml", "--quiet"]


class Make:
    """GNU make."""

    name = "make"

    def many(self):
        text = "all: " + " ".join(f"out/{name}" for name, _, _ in stages()) + "\n"
        for name, up, parameter in stages():
            needs = ([f"out/{up}"] if up else []) + (["parameter"] if parameter else [])
            text += f"out/{name}: {' '.join(needs)}\n\t{command(name, up, parameter)}\n"
        pathlib.Path("Makefile").write_text(text)

    def folder(self):
        pathlib.Path("Makefile").write_text(
            "out/n: $(wildcard data/*/*)\n\tls data/000 | wc -l > out/n\n"
        )

    def run(self):
        return ["make", "-s", "-j2"]


class Doit:
    """doit, with checksums."""

    name = "doit"

    def many(self):
        text = "def task_many():\n"
        for name, up, parameter in stages():
            needs = ([f"out/{up}"] if up else []) + (["parameter"] if parameter else [])
            actions = [command(name, up, parameter)]
            text += f"    yield dict(name={name!r}, actions={actions!r}, file_dep={needs!r},\n"
            text += f"               targets=['out/{name}'], uptodate=[True])\n"
        pathlib.Path("dodo.py").write_text(text)

    def folder(self):
        pathlib.Path("dodo.py").write_text(
            "import glob\ndef task_count():\n"
            "    return dict(actions=['ls data/000 | wc -l > out/n'],\n"
            "                file_dep=glob.glob('data/*/*'), targets=['out/n'])\n"
        )

    def run(self):
        return ["doit", "-v0"]


class Snakemake:
    """Snakemake."""

    name = "snakemake"

    def many(self):
        text = "rule all:\n    input: " + ", ".join(f"'out/{n}'" for n, _, _ in stages()) + "\n"
        for name, up, parameter in stages():
            needs = ([f"'out/{up}'"] if up else []) + (["'parameter'"] if parameter else [])
            text += f"rule {name}:\n"
            if needs:
                text += f"    input: {', '.join(needs)}\n"
            shell = command(name, up, parameter)
            text += f"    output: 'out/{name}'\n    shell: {shell!r}\n"
        pathlib.Path("Snakefile").write_text(text)

    def folder(self):
        pathlib.Path("Snakefile").write_text(
            "import glob\nrule count:\n    input: sorted(glob.glob('data/*/*'))\n"
            "    output: 'out/n'\n    shell: 'ls data/000 | wc -l > out/n'\n"
        )

    def run(self):
        return ["snakemake", "--quiet", "all", "-c2"]


class Dvc:
    """DVC, without git."""

    name = "dvc"

    def init(self):
        subprocess.run(["dvc", "init", "--no-scm", "-q"], check=True)

    def many(self):
        self.init()
        text = "stages:\n"
        for name, up, parameter in stages():
            needs = ([f"out/{up}"] if up else []) + (["parameter"] if parameter else [])
            text += f"  {name}:\n    cmd: {command(name, up, parameter)}\n"
            if needs:
                text += "    deps:\n" + "".join(f"    - {need}\n" for need in needs)
            text += f"    outs:\n    - out/{name}\n"
        pathlib.Path("dvc.yaml").write_text(text)

    def folder(self):
        self.init()
        pathlib.Path("dvc.yaml").write_text(
            "stages:\n  count:\n    cmd: ls data/000 | wc -l > out/n\n"
            "    deps:\n    - data\n    outs:\n    - out/n\n"
        )

    def run(self):
        return ["dvc", "repro", "-q"]


def timed(arguments):
    """Wall and processor seconds of one call; it has to succeed."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    start = time.perf_counter()
    done = subprocess.run(arguments, capture_output=True, text=True)
    wall = time.perf_counter() - start
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    if done.returncode != 0:
        sys.exit(f"{' '.join(arguments)} failed:\n{done.stdout[-2000:]}{done.stderr[-2000:]}")
    cpu = (after.ru_utime + after.ru_stime) - (before.ru_utime + before.ru_stime)
    return wall, cpu


def measure(tool, times, prepare, change):
    """Best run from nothing, best no-op and best run after a change."""
    first = []
    for number in range(times):
        place = pathlib.Path(f"place-{number}")
        place.mkdir()
        os.chdir(place)
        prepare()
        pathlib.Path("out").mkdir(exist_ok=True)
        # Files that are younger than the clock's tick are not trusted by tools that look at times.
        time.sleep(0.2)
        first.append(timed(tool.run()))
        if number < times - 1:
            os.chdir("..")
            shutil.rmtree(place)
    timed(tool.run())
    nothing = min(timed(tool.run()) for _ in range(times))
    changed = []
    for number in range(times):
        # make tells whole seconds on some file systems.
        time.sleep(1.1 if tool.name in ("make", "snakemake") else 0.1)
        change(number)
        changed.append(timed(tool.run()))
    return min(first), nothing, min(changed)


def many(tool, times):
    """200 stages."""
    parameter = pathlib.Path("parameter")

    def prepare():
        parameter.write_text("first\n")
        tool.many()

    return measure(tool, times, prepare, lambda n: parameter.write_text(f"number {n}\n"))


def folder(tool, times):
    """10,000 files."""

    def prepare():
        for number in range(FILES):
            path = pathlib.Path(f"data/{number // 100:03}/{number:05}.txt")
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(f"file {number}\n" * 20)
        tool.folder()

    one = pathlib.Path("data/050/05000.txt")
    return measure(tool, times, prepare, lambda n: one.write_text(f"number {n}\n"))


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sconce", default="target/release/sconce")
    parser.add_argument("--times", type=int, default=5, help="calls of which the best counts")
    parser.add_argument("--peers", metavar="DIR", help="a Python environment with the peers")
    parser.add_argument("--only", help="tools, such as sconce,make")
    arguments = parser.parse_args()
    if arguments.peers:
        environment = pathlib.Path(arguments.peers).resolve()
        if not (environment / "bin/python").exists():
            subprocess.run([sys.executable, "-m", "venv", environment], check=True)
        missing = [peer for peer in PEERS if not (environment / "bin" / peer).exists()]
        if missing:
            install = [environment / "bin/python", "-m", "pip", "install", "-q", *missing]
            subprocess.run(install, check=True)
        os.environ["PATH"] = f"{environment / 'bin'}:{os.environ['PATH']}"
    tools = [Sconce(arguments.sconce), Make(), Doit(), Snakemake(), Dvc()]
    tools = [tool for tool in tools if tool.name == "sconce" or shutil.which(tool.name)]
    if arguments.only:
        tools = [tool for tool in tools if tool.name in arguments.only.split(",")]
    load = os.getloadavg()[0]
    print(f"{os.cpu_count()} processors, load {load:.1f}, best of {arguments.times}\n")
    print("| case | tool | from nothing | (processor) | nothing changed | (processor) | one changed | (processor) |")
    print("|---|---|---|---|---|---|---|---|")
    home = os.getcwd()
    for case in (many, folder):
        for tool in tools:
            with tempfile.TemporaryDirectory() as place:
                os.chdir(place)
                measured = case(tool, arguments.times)
                os.chdir(home)
            cells = [f"{value:.3f} s" for pair in measured for value in pair]
            print(f"| {case.__doc__.rstrip('.')} | {tool.name} | " + " | ".join(cells) + " |", flush=True)


if __name__ == "__main__":
    main()
