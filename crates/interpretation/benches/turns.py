"""A program of Sconce and a peer in turn, on the same threads."""
import os, statistics, subprocess, time

# as long as PyTorch's OpenMP spins, and more
PAUSE = .03


class Server:
    """A bench that answers each line with the seconds that it took."""

    def __init__(self, program, threads):
        self.process = subprocess.Popen([program, "--serve"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
                                        env={**os.environ, "RAYON_NUM_THREADS": str(threads)})

    def ask(self, line=""):
        self.process.stdin.write(line + "\n")
        self.process.stdin.flush()
        return float(self.process.stdout.readline())

    def close(self):
        self.process.stdin.close()
        self.process.wait()


def turn(ours, theirs):
    """Seconds of both: whoever ran last may still spin, and the first call after the other's turn is not timed."""
    time.sleep(PAUSE)
    ours()
    mine = ours()
    time.sleep(PAUSE)
    theirs()
    start = time.perf_counter()
    theirs()
    return mine, time.perf_counter() - start


def compared(ours, theirs, peer, untimed, count):
    """Medians, the median of the ratios of neighbouring turns, and the ratio of the best, in words."""
    for _ in range(untimed):
        turn(ours, theirs)
    pairs = [turn(ours, theirs) for _ in range(count)]
    a, b = (statistics.median(p[i] for p in pairs) for i in (0, 1))
    ratio = statistics.median(p[0] / p[1] for p in pairs)
    best = min(p[0] for p in pairs) / min(p[1] for p in pairs)
    return (f"ours {a * 1e3:7.1f} ms, {peer:7} {b * 1e3:7.1f} ms, ratio {ratio:.2f} (best of each {best:.2f})")
