"""What the measurements need: builders, a registry, build contexts, and a stop-watch."""

import atexit
import os
import random
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

EPOCH = "1700000000"
RUNS = int(os.environ.get("RUNS", "5"))
BUDGET_SECONDS = float(os.environ.get("BUDGET_SECONDS", "20"))
PEERS = os.environ.get("PEERS", "buildah,dockerd").split(",")

ROOT = Path(__file__).resolve().parents[2]
BASES = Path(os.environ.get("BASES", ROOT / "target/bases"))
WORK = Path(tempfile.mkdtemp(prefix="rbuild-table-", dir=os.environ.get("TMPDIR", "/var/tmp")))
STARTED = []


def clean_up():
    for process in STARTED:
        process.terminate()
        process.wait()
    # dockerd leaves this one mounted when it ends.
    subprocess.run(["umount", WORK / "docker-exec/netns/default"], stderr=subprocess.DEVNULL)
    shutil.rmtree(WORK, ignore_errors=True)


atexit.register(clean_up)
signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))


def put_aside(folder):
    """Gets a folder out of the way; all are removed at the end.

    A file system that many files were just removed from is several times slower for minutes.
    """
    if folder.exists():
        folder.rename(tempfile.mkdtemp(prefix="aside-", dir=WORK))


def say(text):
    """Tells what goes on; standard output is for the result."""
    print(text, file=sys.stderr, flush=True)


def start(*command):
    log = open(WORK / f"{Path(command[0]).name}.log", "wb")
    STARTED.append(subprocess.Popen(command, stdout=log, stderr=log))


def wait_for(*command):
    for _ in range(100):
        if subprocess.run(command, capture_output=True).returncode == 0:
            return
        time.sleep(0.1)
    sys.exit(f"no answer: {' '.join(command)}")


def start_registry():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{free.getsockname()[1]}"
    config = WORK / "registry.yml"
    config.write_text(
        "version: 0.1\nlog: {level: error}\n"
        f"storage: {{filesystem: {{rootdirectory: {WORK}/registry}}}}\n"
        f'http: {{addr: "{address}"}}\n'
    )
    start("docker-registry", "serve", str(config))
    wait_for("curl", "--fail", "--silent", f"http://{address}/v2/")
    return address


@dataclass
class Measured:
    """What some runs of one piece of work took."""

    seconds: list
    cpu: float
    peak_mb: float
    output: str

    @property
    def median(self):
        return statistics.median(self.seconds)


def run(commands):
    """Runs commands one after the other; gives seconds, processor seconds, peak MB and output."""
    out, err = WORK / "stdout", WORK / "stderr"
    flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC
    files = [
        (os.POSIX_SPAWN_OPEN, 0, "/dev/null", os.O_RDONLY, 0),
        (os.POSIX_SPAWN_OPEN, 1, out, flags, 0o644),
        (os.POSIX_SPAWN_OPEN, 2, err, flags, 0o644),
    ]
    seconds = cpu = peak = 0.0
    for command in commands:
        command = [str(word) for word in command]
        begin = time.perf_counter()
        pid = os.posix_spawnp(command[0], command, os.environ, file_actions=files)
        _, status, usage = os.wait4(pid, 0)
        seconds += time.perf_counter() - begin
        cpu += usage.ru_utime + usage.ru_stime
        peak = max(peak, usage.ru_maxrss / 1024)
        if status != 0:
            sys.exit(f"{' '.join(command)}\n{err.read_text(errors='replace')}")
    return seconds, cpu, peak, out.read_text(errors="replace").strip()


def measure(commands, prepare=None, runs=RUNS, warm_ups=0):
    """Times commands, each time after `prepare`; what takes long is not repeated for long."""
    results = []
    begin = time.perf_counter()
    for number in range(warm_ups + runs):
        if prepare:
            prepare()
        result = run(commands() if callable(commands) else commands)
        if number >= warm_ups:
            results.append(result)
        if results and time.perf_counter() - begin > BUDGET_SECONDS:
            break
    seconds, cpu, peak, outputs = zip(*results)
    return Measured(list(seconds), statistics.median(cpu), max(peak), outputs[-1])


class Rbuild:
    """rbuild, with a store of its own."""

    name = "rbuild"

    def __init__(self, program, store="rbuild"):
        self.program, self.store = program, WORK / store

    def build(self, context, *more, name="table", push=None, archive=None, fresh=False, jobs=None):
        command = [self.program, "--root", self.store, "build", "--quiet", *more]
        command += ["--tag", push or name]
        command += ["--push"] if push else []
        command += ["--output", f"type=oci,dest={archive}"] if archive else []
        command += ["--no-cache"] if fresh else []
        command += ["--jobs", str(jobs)] if jobs else []
        return [[*command, context]]

    def empty(self):
        put_aside(self.store)


class Buildah:
    """buildah, with a store of its own."""

    name = "buildah"

    def __init__(self, registry):
        config = WORK / "registries.conf"
        config.write_text(
            'unqualified-search-registries = ["docker.io"]\n'
            f'[[registry]]\nprefix = "docker.io"\nlocation = "{registry}"\ninsecure = true\n'
        )
        os.environ["CONTAINERS_REGISTRIES_CONF"] = str(config)
        self.folders = [WORK / "buildah", WORK / "buildah-run"]
        self.command = ["buildah", "--root", self.folders[0], "--runroot", self.folders[1]]

    def build(self, context, name="table", push=None, archive=None, fresh=False):
        build = ["bud", "--quiet", "--layers", "--isolation", "chroot", "--network", "host"]
        build += ["--jobs", "4", "--no-cache" if fresh else "--no-cache=false"]
        commands = [[*self.command, *build, "--tag", name, context]]
        if archive:
            commands.append([*self.command, "push", "--quiet", name, f"oci-archive:{archive}"])
        if push:
            target = f"docker://{push}"
            commands.append([*self.command, "push", "--quiet", "--tls-verify=false", name, target])
        return commands

    def empty(self):
        for folder in self.folders:
            put_aside(folder)


class Dockerd:
    """The builder that dockerd has built in; processor time and memory are the daemon's."""

    name = "dockerd"

    def __init__(self, registry):
        os.environ["DOCKER_HOST"] = f"unix://{WORK}/docker.sock"
        os.environ["DOCKER_BUILDKIT"] = "0"
        folders = ["--data-root", WORK / "docker", "--exec-root", WORK / "docker-exec"]
        start(
            "dockerd", *map(str, folders), "--pidfile", str(WORK / "docker.pid"),
            "--host", os.environ["DOCKER_HOST"], "--iptables=false", "--bridge=none",
            "--registry-mirror", f"http://{registry}",
        )
        wait_for("docker", "version")

    def build(self, context, name="table", push=None, archive=None, fresh=False):
        build = ["docker", "build", "--quiet", "--network", "host"]
        commands = [[*build, *(["--no-cache"] if fresh else []), "--tag", push or name, context]]
        if archive:
            commands.append(["docker", "save", "--output", archive, name])
        if push:
            commands.append(["docker", "push", "--quiet", push])
        return commands

    def empty(self):
        subprocess.run(["docker", "system", "prune", "--all", "--force"], capture_output=True)


def peers(registry):
    """Starts the other builders that are installed and wanted."""
    known = {"buildah": Buildah, "dockerd": Dockerd}
    wanted = [name for name in PEERS if name in known and shutil.which(name)]
    return [known[name](registry) for name in wanted]


def context(name, dockerfile):
    """Makes a build context that has nothing but a Dockerfile."""
    folder = WORK / name
    folder.mkdir(exist_ok=True)
    (folder / "Dockerfile").write_text(dockerfile)
    return folder


def fill(folder, files, size=10_000):
    """Writes files of a size in bytes, a hundred to a directory; gzip makes them half as large."""
    source = random.Random(files)
    for number in range(files):
        path = folder / f"data/{number // 100}/{number}"
        if number % 100 == 0:
            path.parent.mkdir(parents=True)
        path.write_text(source.randbytes(size // 2).hex())
    return folder
