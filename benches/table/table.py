#!/usr/bin/env python3
"""Times whole builds of rbuild beside other builders and prints Markdown.

    benches/table/table.py [RBUILD]

Times are medians; beside rbuild's stand the processor time (user and system) and the peak memory of
its largest process, beside the others' the ratio to rbuild's time. The limit is measured in the same
run. Each image of rbuild's is compared with one built with --no-cache --jobs 1.

Needs root and the Debian packages docker-registry, mmdebstrap, busybox-static and curl; a builder
that is not installed (buildah, docker.io) has no column. Settings, by environment:

    RUNS=5               how often a build is timed
    BUDGET_SECONDS=20    after how long a build is not timed once more
    ONLY=warm,steps      these rows only: warm context changed steps stages add copy pull push
                         memory files layers run-steps parallel jobs at-once
    PEERS=buildah        these builders only; empty for none
    LAYERS_MB=100,1024   the sizes of the layers whose memory is shown
    BASES=FOLDER         where the root filesystems of the base images are kept
    TMPDIR=FOLDER        where everything else is; an ext4 without a journal makes new files slowly
                         for minutes after others were removed, which an ext4 with one does not
"""

import os
import subprocess
import sys
from datetime import date
from pathlib import Path

# Nothing is left beside the sources.
sys.dont_write_bytecode = True

import lab
from rows import print_memory
from rows import print_table
from scaling import print_scaling


def main():
    program = Path(sys.argv[1] if len(sys.argv) > 1 else lab.ROOT / "target/release/rbuild")
    program = program.resolve(strict=True)
    only = [key for key in os.environ.get("ONLY", "").split(",") if key]
    registry = lab.start_registry()
    config = lab.WORK / "rbuild.toml"
    config.write_text(f'[registry."docker.io"]\nmirrors = ["{registry}"]\n')
    os.environ["RBUILD_CONFIG"] = str(config)
    make = lab.ROOT / "testdata/bases/make.sh"
    subprocess.run(
        [make, program, registry, lab.BASES, "busybox", "debian"],
        env={**os.environ, "RBUILD_ROOT": str(lab.WORK / "bases")},
        stdout=subprocess.DEVNULL,
        check=True,
    )
    others = lab.peers(registry)
    load = os.getloadavg()[0]
    processors = os.cpu_count()
    print(f"Measured on {date.today()} with {processors} processors, load {load:.1f} at the start.\n")
    rbuild = lab.Rbuild(program)
    print_table(rbuild, others, registry, only)
    print_memory(rbuild, only)
    print_scaling(rbuild, only)


main()
