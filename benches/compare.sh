#!/bin/bash
# Times cold and warm builds of rbuild beside buildah and dockerd's builder, and prints Markdown.
#
#   benches/compare.sh [RBUILD]
#
# Cold starts from an empty store, with the base image in a registry on this machine; warm repeats
# a build that has nothing to do. Needs root and the Debian packages hyperfine, docker-registry,
# mmdebstrap, busybox-static; a builder that is not installed (buildah, docker.io) has no row.
# RUNS (default 5) is how often a cold build is timed.
set -euo pipefail

rbuild=$(realpath "${1:-target/release/rbuild}")
here=$(dirname "$(realpath "$0")")
runs=${RUNS:-5}
work=$(mktemp -d)
started=()
finish() {
    for process in "${started[@]}"; do
        kill "$process" 2>/dev/null || true
        wait "$process" 2>/dev/null || true
    done
    # dockerd leaves this one mounted when it ends.
    umount "$work/docker-exec/netns/default" 2>/dev/null || true
    rm -rf "$work"
}
trap finish EXIT

free_port() {
    python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'
}

wait_for() {
    for _ in $(seq 100); do
        ! "$@" >/dev/null 2>&1 || return 0
        sleep 0.1
    done
    echo "compare.sh: no answer: $*" >&2
    exit 1
}

start_registry() {
    registry=127.0.0.1:$(free_port)
    cat >"$work/registry.yml" <<END
version: 0.1
log: {level: error}
storage: {filesystem: {rootdirectory: $work/registry}}
http: {addr: "$registry"}
END
    docker-registry serve "$work/registry.yml" >"$work/registry.log" 2>&1 &
    started+=($!)
    wait_for curl --fail --silent "http://$registry/v2/"
    printf '[registry."docker.io"]\nmirrors = ["%s"]\n' "$registry" >"$work/rbuild.toml"
    export RBUILD_CONFIG=$work/rbuild.toml
    RBUILD_ROOT=$work/bases "$here/../testdata/bases/make.sh" "$rbuild" "$registry" \
        "${BASES:-$here/../target/bases}" busybox debian >/dev/null
}

start_dockerd() {
    export DOCKER_HOST=unix://$work/docker.sock
    dockerd --data-root "$work/docker" --exec-root "$work/docker-exec" --pidfile "$work/docker.pid" \
        --host "$DOCKER_HOST" --iptables=false --bridge=none \
        --registry-mirror "http://$registry" >"$work/dockerd.log" 2>&1 &
    started+=($!)
    wait_for docker version
}

configure_buildah() {
    export CONTAINERS_REGISTRIES_CONF=$work/registries.conf
    cat >"$CONTAINERS_REGISTRIES_CONF" <<END
unqualified-search-registries = ["docker.io"]
[[registry]]
prefix = "docker.io"
location = "$registry"
insecure = true
END
}

# A thousand files, a chain of ten commands, and a stage that runs beside it.
make_files_case() {
    mkdir -p "$work/files/data"
    for number in $(seq 1000); do
        printf '%s\n' "file $number" >"$work/files/data/$number"
    done
    {
        echo 'FROM busybox AS beside'
        echo 'RUN seq 100000 | sha256sum > /sum'
        echo 'FROM busybox'
        echo 'COPY data /data'
        for number in $(seq 10); do
            echo "RUN echo $number > /$number"
        done
        echo 'COPY --from=beside /sum /sum'
    } >"$work/files/Dockerfile"
}

# A large base image, unpacked and written to; nothing comes from outside this machine, which would
# make the network a part of the figure.
make_base_case() {
    mkdir -p "$work/base"
    printf 'FROM debian:bookworm\nRUN cp -a /usr/share /copy\nRUN rm -r /copy\n' >"$work/base/Dockerfile"
}

# compare CASE: prints the table rows of one build context.
compare() {
    local context=$work/$1 names=() builds=() empties=()
    names+=(rbuild)
    builds+=("$rbuild --root $work/rbuild build --quiet --network host --tag compare $context")
    empties+=("rm -rf $work/rbuild")
    if command -v buildah >/dev/null; then
        names+=(buildah)
        builds+=("buildah --root $work/buildah --runroot $work/buildah-run bud --quiet --layers --isolation chroot --network host --tag compare $context")
        empties+=("rm -rf $work/buildah $work/buildah-run")
    fi
    if command -v dockerd >/dev/null; then
        names+=(dockerd)
        builds+=("docker build --quiet --network host --tag compare $context")
        empties+=("docker system prune --all --force")
    fi
    for index in "${!names[@]}"; do
        local cold warm
        cold=$(median --runs "$runs" --prepare "${empties[$index]}" "${builds[$index]}")
        warm=$(median --shell none --warmup 1 --runs $((runs * 4)) "${builds[$index]}")
        echo "| $1 | ${names[$index]} | $cold | $warm |"
    done
}

# median HYPERFINE-ARGUMENT...: the median time in milliseconds.
median() {
    hyperfine --style none --export-json "$work/result.json" "$@" >"$work/hyperfine.log" 2>&1 ||
        { cat "$work/hyperfine.log" >&2; exit 1; }
    python3 - "$work/result.json" <<'END'
import json, sys
with open(sys.argv[1]) as file:
    median = json.load(file)["results"][0]["median"]
print(f"{median * 1000:.1f} ms")
END
}

start_registry
configure_buildah
if command -v dockerd >/dev/null; then
    start_dockerd
fi
make_files_case
make_base_case
echo "| build | builder | cold | warm |"
echo "|---|---|---:|---:|"
compare files
compare base
