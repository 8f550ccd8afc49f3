#!/bin/bash
# Makes base images under the names that Dockerfiles start from, and pushes them to a registry:
# stand-ins, made from Debian packages, for where the real ones cannot be pulled.
#
#   testdata/bases/make.sh RBUILD REGISTRY FOLDER [NAME...]
#
# RBUILD is the program, REGISTRY a host:port, FOLDER keeps the root filesystems from one run to
# the next. NAME is one of busybox, debian, ubuntu, python, node, nginx; none means all of them.
# Needs root, mmdebstrap and busybox-static; all but busybox need a Debian mirror.
set -euo pipefail

rbuild=$(realpath "$1")
registry=$2
folder=$3
shift 3
here=$(dirname "$(realpath "$0")")
mirror=${DEBIAN_MIRROR:-http://deb.debian.org/debian}
mkdir -p "$folder"

# Writes folder/NAME.tar once: a run that is cut short leaves no half file under the name.
busybox_rootfs() {
    [ ! -e "$folder/busybox.tar" ] || return 0
    local root
    root=$(mktemp -d)
    mkdir -p "$root"/{bin,dev,etc,home,proc,root,sys,tmp,usr,var}
    chmod 1777 "$root/tmp"
    cp "$(command -v busybox)" "$root/bin/busybox"
    for applet in $("$root/bin/busybox" --list); do
        [ "$applet" = busybox ] || ln "$root/bin/busybox" "$root/bin/$applet"
    done
    printf 'root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/home:/bin/false\n' >"$root/etc/passwd"
    printf 'root:x:0:\nnogroup:x:65534:\n' >"$root/etc/group"
    tar -C "$root" --owner=0 --group=0 --numeric-owner --sort=name -cf "$folder/busybox.part" .
    mv "$folder/busybox.part" "$folder/busybox.tar"
    rm -rf "$root"
}

debian_rootfs() {
    [ ! -e "$folder/debian.tar" ] || return 0
    mmdebstrap --quiet --variant=minbase --format=tar bookworm "$folder/debian.part" "$mirror"
    mv "$folder/debian.part" "$folder/debian.tar"
}

# publish CONTEXT DOCKERFILE REFERENCE: builds the image, and pushes it under the same name.
publish() {
    "$rbuild" build --quiet --file "$2" --tag "$3" "$1" >/dev/null
    "$rbuild" push "$3" "$registry/library/$3"
}

# publish_rootfs TAR REFERENCE: the image that has exactly the files of the archive.
publish_rootfs() {
    local context
    context=$(mktemp -d)
    ln "$folder/$1" "$context/rootfs.tar" 2>/dev/null || cp "$folder/$1" "$context/rootfs.tar"
    publish "$context" "$here/rootfs/Dockerfile" "$2"
    rm -rf "$context"
}

make_one() {
    case $1 in
    busybox)
        busybox_rootfs
        publish_rootfs busybox.tar busybox:latest
        ;;
    debian)
        debian_rootfs
        publish_rootfs debian.tar debian:bookworm
        ;;
    ubuntu)
        debian_rootfs
        publish_rootfs debian.tar ubuntu:latest
        ;;
    python) publish "$here/python" "$here/python/Dockerfile" python:3.9-slim ;;
    node) publish "$here/node" "$here/node/Dockerfile" node:15.4.0-alpine3.10 ;;
    nginx) publish "$here/nginx" "$here/nginx/Dockerfile" nginx:alpine ;;
    *)
        echo "make.sh: no base image is called $1" >&2
        exit 2
        ;;
    esac
}

[ $# -gt 0 ] || set -- busybox debian ubuntu python node nginx
for name in "$@"; do
    make_one "$name"
done
