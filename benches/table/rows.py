"""The rows of the table: one piece of work each, with the limit that no builder gets below."""

import itertools
import os
import resource
import shutil
import time
from dataclasses import dataclass
from typing import Callable

import lab
from lab import EPOCH
from lab import RUNS
from lab import WORK
from lab import Rbuild
from lab import context
from lab import fill
from lab import measure

STEPS = 50


@dataclass
class Row:
    """A piece of work."""

    key: str
    title: str
    # The context, and how it is built: arguments of the builders' `build`.
    folder: Callable
    options: dict
    # What is timed for the last column, in words and as commands; none if it is known.
    limit: tuple
    # Whether the store is emptied before each run, and what else is done before it.
    is_cold: bool = False
    prepare: Callable = None
    # A row of short runs is run more often.
    times: int = 1


def steps(count):
    return "FROM debian:bookworm\n" + "".join(f"RUN true {n}\n" for n in range(count))


def stages():
    lines = [f"FROM debian:bookworm AS s{n}\nRUN sleep 1; echo {n} > /{n}\n" for n in range(4)]
    copies = "".join(f"COPY --from=s{n} /{n} /{n}\n" for n in range(4))
    return "".join(lines) + "FROM debian:bookworm\n" + copies


def warm_folder():
    lines = "RUN echo 1 > /1\nRUN echo 2 > /2\nWORKDIR /srv\nRUN echo 3 > 3\nRUN echo 4 > 4\n"
    return context("warm", "FROM debian:bookworm\n" + lines)


def files_folder(base="debian:bookworm"):
    name = f"files-{base.split(':')[0]}"
    made = (WORK / name).exists()
    folder = context(name, f"FROM {base}\nCOPY data /data\n")
    return folder if made else fill(folder, 20_000)


def archive_folder():
    folder = context("rootfs", "FROM scratch\nADD rootfs.tar /\n")
    if not (folder / "rootfs.tar").exists():
        shutil.copy(lab.BASES / "debian.tar", folder / "rootfs.tar")
    return folder


CHANGES = itertools.count()


def change_one():
    (WORK / "files-debian/data/77/7777").write_text(f"changed {next(CHANGES)} {time.time()}")


def walk(folder):
    return [["find", folder, "-size", "+1000G"]]


def shell(script):
    return [["sh", "-c", script]]


ROWS = [
    Row("warm", "warm rebuild, nothing changed, Debian base + 5 steps", warm_folder, {},
        ("fork and exec of `true`", lambda _: [["true"]]), times=10),
    Row("context", "warm rebuild, context of 20,000 files, 200 MB", files_folder, {},
        ("one walk by `find`", walk), times=2),
    Row("changed", "one of those 20,000 files changed, COPY is the last step", files_folder, {},
        ("one walk by `find`", walk), prepare=change_one),
    Row("steps", f"{STEPS} trivial RUN steps on a local Debian base",
        lambda: context("steps", steps(STEPS)), {"fresh": True},
        (f"{STEPS} times `unshare`, `true`", lambda _: shell(
            f"for n in $(seq {STEPS}); do unshare -m -p -i -u -f true; done"))),
    Row("stages", "4 independent stages that sleep 1 s, then a copy from each",
        lambda: context("stages", stages()), {"fresh": True}, ("sleep 1", None)),
    Row("add", "ADD of a 170 MB root filesystem tar, OCI archive out", archive_folder,
        {"archive": WORK / "out.tar"},
        ("read, sha256", lambda folder: [["sha256sum", folder / "rootfs.tar"]]), is_cold=True),
    Row("copy", "COPY of 20,000 files, 200 MB, OCI archive out, nothing cached",
        lambda: files_folder("scratch"), {"archive": WORK / "out.tar"},
        ("tar, sha256", lambda folder: shell(f"tar -c {folder}/data | sha256sum")), is_cold=True),
    Row("pull", "empty store: pull a 60 MB base from a loopback registry, RUN true",
        lambda: context("pull", steps(1)), {},
        ("gunzip, untar", lambda _: shell(
            f"f=$(find {WORK}/registry -size +20M -type f | head -1); rm -rf {WORK}/x; "
            f"mkdir {WORK}/x; gzip -dc $f | tar -xC {WORK}/x")), is_cold=True),
    Row("push", "build that 170 MB image and push it to a fresh repository", archive_folder,
        {"push": None},
        ("read, sha256", lambda folder: [["sha256sum", folder / "rootfs.tar"]]), is_cold=True),
]

FRESH_NAMES = itertools.count()


def commands(row, builder, folder, registry):
    """Gives what a builder runs for a row; a repository to push to is a new one each time."""
    options = dict(row.options)
    if "push" in options:
        options["push"] = f"{registry}/fresh/{builder.name}:{next(FRESH_NAMES)}"
    return builder.build(folder, **options)


def time_row(row, builder, registry):
    folder = row.folder()

    def prepare():
        if row.is_cold:
            builder.empty()
        if row.prepare:
            row.prepare()

    make = lambda: commands(row, builder, folder, registry)
    return measure(make, prepare, RUNS * row.times, warm_ups=0 if row.is_cold else 1)


def is_right(row, rbuild, measured):
    """Compares the image with one built from nothing, one thing after the other."""
    plain = Rbuild(rbuild.program, "check")
    folder = row.folder()
    [command] = plain.build(folder, fresh=True, jobs=1)
    expected = lab.run([command])[3]
    return measured.output.splitlines()[-1] == expected.splitlines()[-1]


def seconds(value):
    return f"{value * 1000:.1f} ms" if value < 0.1 else f"{value:.2f} s"


def megabytes(value):
    """Writes a peak; the kernel counts what the process was before, which was this program."""
    own = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return f"{value:.0f} MB" if value > own else f"< {own:.0f} MB"


def print_table(rbuild, others, registry, only):
    os.environ["SOURCE_DATE_EPOCH"] = EPOCH
    names = [other.name for other in others]
    head = ["work", "rbuild", "processors", "peak", *names, "limit", "as unoptimised"]
    print("| " + " | ".join(head) + " |")
    print("|---|" + "---:|" * (len(head) - 2) + "---|", flush=True)
    for row in ROWS:
        if only and row.key not in only:
            continue
        lab.say(f"{row.key}: {row.title}")
        ours = time_row(row, rbuild, registry)
        # Before another builder's turn changes the files again.
        verdict = "yes" if is_right(row, rbuild, ours) else "**no**"
        cells = [seconds(ours.median), seconds(ours.cpu), megabytes(ours.peak_mb)]
        for other in others:
            theirs = time_row(row, other, registry).median
            cells.append(f"{seconds(theirs)} ({theirs / ours.median:.1f}x)")
        words, limit = row.limit
        floor = measure(limit(row.folder()), warm_ups=1).median if limit else 1.0
        cells.append(f"{seconds(floor)}: {words}")
        cells.append(verdict)
        print(f"| {row.title} | " + " | ".join(cells) + " |", flush=True)


def print_memory(rbuild, only):
    """Peak memory by the size of a layer whose one file cannot be compressed."""
    if only and "memory" not in only:
        return
    print("\n| layer | time | peak memory |\n|---|---:|---:|", flush=True)
    for size_mb in map(int, os.environ.get("LAYERS_MB", "100,1024,4096").split(",")):
        lab.say(f"memory: {size_mb} MB")
        folder = context("memory", "FROM scratch\nCOPY file /\n")
        with open("/dev/urandom", "rb") as source, open(folder / "file", "wb") as file:
            for _ in range(size_mb):
                file.write(source.read(1 << 20))
        rbuild.empty()
        archive = WORK / "out.tar"
        took = measure(rbuild.build(folder, archive=archive), runs=1)
        print(f"| {size_mb} MB | {seconds(took.median)} | {megabytes(took.peak_mb)} |", flush=True)
        (folder / "file").unlink()
        archive.unlink()
