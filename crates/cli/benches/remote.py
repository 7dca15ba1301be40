"""What a group's results cost on their way, beside DVC, on moto's server on this machine.

  push, pull      so many small results to an empty bucket and to an empty machine, and DVC's as many files
  no-op           200 stages, with a remote store and without

    python3 crates/cli/benches/remote.py [--sconce target/release/sconce] [--peers DIR] [--files 10000]

`--peers` is a Python environment outside the repository; moto and DVC are installed into it. Seconds of wall time.
"""

import argparse
import os
import pathlib
import shutil
import socket
import subprocess
import sys
import tempfile
import time

PEERS = ["moto[server]==5.2.*", "dvc[s3]"]


def timed(arguments, folder, environment, times=1):
    best = float("inf")
    for _ in range(times):
        start = time.perf_counter()
        done = subprocess.run(arguments, cwd=folder, env=environment, capture_output=True, text=True)
        best = min(best, time.perf_counter() - start)
        if done.returncode:
            sys.exit(f"{' '.join(map(str, arguments))}\n{done.stdout}{done.stderr}")
    return best


def server(python, stderr=subprocess.DEVNULL):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    process = subprocess.Popen([python, "-m", "moto.server", "-p", str(port)], stdout=subprocess.DEVNULL, stderr=stderr)
    for _ in range(600):
        try:
            socket.create_connection(("127.0.0.1", port)).close()
            return process, f"http://127.0.0.1:{port}"
        except OSError:
            time.sleep(0.1)
    sys.exit("moto's server did not start")


def write_files(folder, number):
    (folder / "data").mkdir(parents=True)
    for file in range(number):
        (folder / "data" / f"{file:05}").write_text(f"the content of file {file}\n" * 10)


def sconce(program, root, number, environment):
    """Seconds of a push of `number` results, and of a pull to another machine."""
    one, two = root / "one", root / "two"
    paths = ", ".join(f'"data/{file:05}"' for file in range(number))
    text = f'name = "many"\nmax_cells = {number + 1}\n[stage.files]\nkind = "file"\nmatrix.path = [{paths}]\n'
    for machine in (one, two):
        write_files(machine, number)
        (machine / "p.toml").write_text(text)
        (machine / "sconce.toml").write_text('[store]\nremote = "s3://sconce/group"\n')
    timed([program, "--offline", "run", "p.toml", "-q"], one, environment)
    push = timed([program, "push", "p.toml"], one, environment)
    pull = timed([program, "pull", "p.toml"], two, environment)
    return push, pull


def dvc(program, root, number, endpoint, environment):
    folder = root / "dvc"
    write_files(folder, number)
    for arguments in [
        ["init", "--no-scm", "-q"],
        ["remote", "add", "-d", "group", "s3://dvc/group"],
        ["remote", "modify", "group", "endpointurl", endpoint],
        ["add", "-q", "data"],
    ]:
        timed([program, *arguments], folder, environment)
    push = timed([program, "push", "-q"], folder, environment)
    shutil.rmtree(folder / ".dvc" / "cache")
    shutil.rmtree(folder / "data")
    for state in pathlib.Path(folder / ".dvc" / "tmp").glob("*"):
        shutil.rmtree(state) if state.is_dir() else state.unlink()
    return push, timed([program, "pull", "-q"], folder, environment)


def no_op(program, root, environment):
    """Seconds of a run of 200 stages that are done, with the remote store and without."""
    folder = root / "no-op"
    folder.mkdir()
    text = 'name = "many"\n'
    for chain in range(10):
        for step in range(20):
            inputs = f'inputs = {{ up = "s{chain}_{step - 1}" }}\n' if step else ""
            run = "cat up/out > out" if step else f"echo {chain} > out"
            text += f'[stage.s{chain}_{step}]\nkind = "command"\nrun = "{run}; echo {step} >> out"\n'
            text += f'outputs = ["out"]\n{inputs}'
    (folder / "p.toml").write_text(text)
    (folder / "sconce.toml").write_text('[store]\nremote = "s3://sconce/no-op"\n')
    timed([program, "run", "p.toml", "-q"], folder, environment)
    run = [program, "run", "p.toml", "-q"]
    with_remote, without = [], []
    for _ in range(15):
        with_remote.append(timed(run, folder, environment))
        without.append(timed([program, "--offline", *run[1:]], folder, environment))
    return min(with_remote), min(without)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--sconce", default="target/release/sconce")
    parser.add_argument("--peers", type=pathlib.Path, default=pathlib.Path.home() / ".cache/sconce-remote-peers")
    parser.add_argument("--files", type=int, default=10_000)
    arguments = parser.parse_args()
    program = str(pathlib.Path(arguments.sconce).resolve())
    if not (arguments.peers / "bin" / "dvc").exists():
        subprocess.run([sys.executable, "-m", "venv", arguments.peers], check=True)
        subprocess.run([arguments.peers / "bin/pip", "install", "-q", *PEERS], check=True)
    process, endpoint = server(str(arguments.peers / "bin/python"))
    environment = {**os.environ, "AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test"}
    environment |= {"AWS_REGION": "us-east-1", "AWS_DEFAULT_REGION": "us-east-1", "AWS_ENDPOINT_URL": endpoint}
    environment |= {"DVC_NO_ANALYTICS": "1"}
    try:
        for bucket in ("sconce", "dvc"):
            import urllib.request

            urllib.request.urlopen(urllib.request.Request(f"{endpoint}/{bucket}", method="PUT"))
        with tempfile.TemporaryDirectory() as root:
            root = pathlib.Path(root)
            with_remote, without = no_op(program, root, environment)
            print(f"no-op of 200 stages: {with_remote:.3f} s with, {without:.3f} s without, {with_remote / without:.2f}", flush=True)
            ours = sconce(program, root, arguments.files, environment)
            print(f"sconce: push {ours[0]:.2f} s, pull {ours[1]:.2f} s", flush=True)
            theirs = dvc(str(arguments.peers / "bin/dvc"), root, arguments.files, endpoint, environment)
            print(f"dvc: push {theirs[0]:.2f} s, pull {theirs[1]:.2f} s")
            print(f"sconce / dvc: push {ours[0] / theirs[0]:.3f}, pull {ours[1] / theirs[1]:.3f}")
    finally:
        process.kill()


if __name__ == "__main__":
    main()
