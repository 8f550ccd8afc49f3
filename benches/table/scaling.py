"""How the time grows with the size of the work, one dimension at a time."""

import math
import subprocess
import time

import lab
from lab import RUNS
from lab import WORK
from lab import context
from lab import fill
from lab import measure
from rows import seconds
from rows import steps

# An exponent of 1 is linear; what is fixed makes it smaller, and runs differ by some per cent.
LINEAR = 1.15


def growth(sizes, took):
    """Gives the exponent by which the processor time grows between the last two sizes.

    It depends less on what else the machine does than the time that passes.
    """
    return math.log(took[-1].cpu / took[-2].cpu) / math.log(sizes[-1] / sizes[-2])


def print_growth(title, sizes, took):
    exponent = growth(sizes, took)
    verdict = "linear or better" if exponent <= LINEAR else "**more than linear**"
    pairs = zip(sizes, took)
    cells = " | ".join(f"{size}: {seconds(one.median)}" for size, one in pairs)
    print(f"| {title} | {cells} | n^{exponent:.2f}: {verdict} |", flush=True)


def files(rbuild):
    sizes = [1000, 20_000, 100_000]
    cold, warm = [], []
    for size in sizes:
        folder = fill(context(f"many-{size}", "FROM scratch\nCOPY data /data\n"), size, 1000)
        build = rbuild.build(folder)
        cold.append(measure(build, rbuild.empty, runs=1))
        warm.append(measure(build, warm_ups=1))
        subprocess.run(["rm", "-rf", folder])
    print_growth("files in a COPY, nothing cached", sizes, cold)
    print_growth("files in a COPY, nothing changed", sizes, warm)


def layers(rbuild):
    sizes = [10, 100, 300]
    cold, warm, on_top = [], [], []
    for size in sizes:
        copies = "".join(f"COPY Dockerfile /{number}\n" for number in range(size))
        folder = context(f"layers-{size}", f"FROM busybox\n{copies}")
        build = rbuild.build(folder, name=f"layers:{size}")
        cold.append(measure(build, rbuild.empty, runs=1))
        warm.append(measure(build))
        top = context(f"top-{size}", f"FROM layers:{size}\nRUN true\n")
        on_top.append(measure(rbuild.build(top, fresh=True)))
    print_growth("layers, each made by a COPY", sizes, cold)
    print_growth("layers, nothing changed", sizes, warm)
    print_growth("layers below one RUN", sizes, on_top)


def run_steps(rbuild):
    sizes = [1, 50, 200]
    cold, warm = [], []
    for size in sizes:
        folder = context(f"steps-{size}", steps(size))
        cold.append(measure(rbuild.build(folder, fresh=True), warm_ups=1))
        warm.append(measure(rbuild.build(folder)))
    print_growth("RUN steps, one upon the other", sizes, cold)
    print_growth("RUN steps, nothing changed", sizes, warm)


def stages(rbuild):
    sizes = [1, 8, 32]
    took = []
    for size in sizes:
        made = "".join(f"FROM busybox AS s{n}\nRUN echo {n} > /{n}\n" for n in range(size))
        copies = "".join(f"COPY --from=s{n} /{n} /{n}\n" for n in range(size))
        folder = context(f"stages-{size}", f"{made}FROM busybox\n{copies}")
        took.append(measure(rbuild.build(folder, fresh=True), warm_ups=1))
    print_growth("stages of one RUN, each copied from", sizes, took)


def jobs(rbuild):
    work = "RUN head -c 20000000 /dev/zero | sha256sum > /sum\n"
    made = "".join(f"FROM busybox AS s{n}\nENV n={n}\n{work}" for n in range(8))
    copies = "".join(f"COPY --from=s{n} /sum /{n}\n" for n in range(8))
    folder = context("jobs", f"{made}FROM busybox\n{copies}")
    cells = []
    for count in (1, 2, 3, 4):
        took = measure(rbuild.build(folder, fresh=True, jobs=count), warm_ups=1, runs=1)
        cells.append(f"{count}: {seconds(took.median)}")
    print(f"| jobs for 8 stages that compute | {' | '.join(cells[:3])} | {cells[3]} |", flush=True)


def at_once(rbuild):
    """Eight builds on one store, one after the other and at once."""
    folders = [context(f"own-{n}", f"FROM busybox\nENV n={n}\n" + "RUN echo $n > /n\n" * 5)
               for n in range(8)]
    commands = [rbuild.build(folder, name=f"own:{n}", fresh=True)[0]
                for n, folder in enumerate(folders)]
    begin = time.perf_counter()
    for command in commands:
        lab.run([command])
    middle = time.perf_counter()
    started = [subprocess.Popen(list(map(str, command)), stdout=subprocess.DEVNULL)
               for command in commands]
    codes = [process.wait() for process in started]
    end = time.perf_counter()
    failed = sum(code != 0 for code in codes)
    result = f"**{failed} failed**" if failed else "all succeeded"
    print(f"| 8 builds on one store | in turn: {seconds(middle - begin)} "
          f"| at once: {seconds(end - middle)} | | {result} |", flush=True)


PARTS = {
    "files": files, "layers": layers, "run-steps": run_steps, "parallel": stages, "jobs": jobs,
    "at-once": at_once,
}


def print_scaling(rbuild, only):
    wanted = [part for name, part in PARTS.items() if not only or name in only]
    if not wanted:
        return
    print("\n| rbuild, by | | | | growth |\n|---|---:|---:|---:|---|", flush=True)
    for part in wanted:
        lab.say(f"scaling: {part.__name__}")
        part(rbuild)
