#!/bin/bash
# Builds Debian with apache2 inside `docker run` of a default container: default seccomp filter,
# default capabilities, nothing mounted but the context. Starts a dockerd of its own.
#
#     benches/in-docker.sh STATIC_RBUILD [REGISTRY]
#
# STATIC_RBUILD is the static binary (README); the image is pushed to REGISTRY if one is named.
# Needs root, dockerd and a base image debian that rbuild can pull (RBUILD_CONFIG names mirrors).
set -euo pipefail
rbuild=$(realpath "$1")
registry=${2-}
here=$(cd "$(dirname "$0")/.." && pwd)
home=$(mktemp -d)
context=$home/context
export DOCKER_HOST=unix://$home/docker.sock

dockerd --data-root "$home/data" --exec-root "$home/exec" --pidfile "$home/pid" \
    --host "$DOCKER_HOST" --iptables=false --bridge=none >"$home/log" 2>&1 &
daemon=$!
clean() {
    kill "$daemon" 2>/dev/null || true
    wait "$daemon" 2>/dev/null || true
    umount "$home"/data "$home"/exec/netns/* 2>/dev/null || true
    rm -rf "$home"
}
trap clean EXIT
for _ in $(seq 100); do docker version >/dev/null 2>&1 && break; sleep 0.2; done

mkdir "$context"
cp "$here/testdata/container/Dockerfile" "$context"
cp "$rbuild" "$context/rbuild"
cp /etc/ssl/certs/ca-certificates.crt "$context"
"$rbuild" --root "$home/store" -o type=docker,dest=- -t rbuild:static "$context" | docker load

cat >"$context/Dockerfile.apache" <<'END'
FROM debian
RUN apt-get update && apt-get install -y --no-install-recommends apache2 && rm -rf /var/lib/apt/lists/*
RUN apache2 -v
END
name=${registry:+$registry/}in-docker/apache2:latest
time docker run --rm --network host -v "$context:/context:ro" \
    ${RBUILD_CONFIG:+-v "$RBUILD_CONFIG:/config.toml:ro" -e RBUILD_CONFIG=/config.toml} \
    rbuild:static --progress plain -t "$name" -f /context/Dockerfile.apache \
    ${registry:+--push} /context
