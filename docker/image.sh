#!/usr/bin/env bash
# Build bevara's image and try it out, on a Debian machine that has neither a container engine's daemon nor a registry of images:
# debootstrap makes the base, podman builds without namespaces (chroot isolation, vfs storage), tests/image.py runs a job in it.
# Usage: docker/image.sh [base|build|try|all|save FILE|clean]
#
#   BASE    an image or a file of an image (.tar) to build on, instead of a base made here; debian:trixie-slim where one can be pulled
#   TAG     what the image is called (default: bevara)
#   STORAGE podman's storage for this and nothing else (default: build/podman)
#
# How this machine reaches Debian, PyPI and Maven reaches into the build, and is not in the image: apt's mirror, pip's and Maven's
# settings, authorities that the machine trusts in /usr/local/share/ca-certificates.
set -euo pipefail
cd "$(dirname "$0")/.."
readonly suite=trixie purpose=${1:-all} tag=${TAG:-bevara} storage=${STORAGE:-$PWD/build/podman}
base=${BASE:-}

say() { printf 'image: %s\n' "$*" >&2; }
fail() { say "$*"; exit 3; }

need() { # command package: says what to install, and installs nothing by itself
  command -v "$1" >/dev/null || fail "$1 is missing. As root: apt-get install -y --no-install-recommends $2"
}

engine() { podman "${words[@]}" "$@"; }

has_image() { engine image exists "$1"; }

mirror() { # label: where this machine gets Debian's packages from
  apt-get indextargets --format '$(REPO_URI)' "Label: $1" 2>/dev/null | sort -u | head -n 1
}

# What debian:trixie-slim is: the smallest Debian, without documents and translations, and with security updates.
make_base() {
  need debootstrap debootstrap
  [ "$(id -u)" = 0 ] || fail "debootstrap needs root. Give BASE=debian:$suite-slim where images can be pulled."
  local root=$state/base debian security began=$SECONDS
  debian=$(mirror Debian) security=$(mirror Debian-Security)
  say "making the base: Debian $suite by debootstrap (2 minutes)"
  mkdir -p "$root"
  nice debootstrap --variant=minbase "$suite" "$root" ${debian:+"$debian"} >"$state/debootstrap.log" 2>&1 \
    || { tail -n 5 "$state/debootstrap.log" >&2; fail "debootstrap could not make Debian $suite (above)"; }
  if [ -n "$debian" ] && [ -n "$security" ]; then
    printf 'Types: deb\nURIs: %s\nSuites: %s\nComponents: main\nSigned-By: /usr/share/keyrings/debian-archive-keyring.gpg\n\n' \
      "$debian" "$suite $suite-updates" "$security" "$suite-security" >"$root/etc/apt/sources.list.d/debian.sources"
    rm -f "$root/etc/apt/sources.list"
  fi
  printf 'path-exclude /usr/share/%s\n' 'doc/*' 'man/*' 'info/*' 'locale/*' 'lintian/*' >"$root/etc/dpkg/dpkg.cfg.d/slim"
  printf 'path-include /usr/share/doc/*/copyright\n' >>"$root/etc/dpkg/dpkg.cfg.d/slim"
  printf '#!/bin/sh\nexit 101\n' >"$root/usr/sbin/policy-rc.d" # a package's service is not started while it is installed
  chmod 0755 "$root/usr/sbin/policy-rc.d"
  find "$root/usr/share/doc" ! -name copyright -type f -delete
  rm -rf "$root"/usr/share/{man,info,locale,lintian}/* "$root"/var/cache/apt/* "$root"/var/lib/apt/lists/* "$root"/var/log/*.log
  tar --numeric-owner --one-file-system --exclude './dev/*' --exclude './proc/*' --exclude './sys/*' -C "$root" -c . | engine import - "$base" >/dev/null
  rm -rf "$root"
  say "base: made in $((SECONDS - began)) s, $(size "$base")"
}

size() { engine image inspect --format '{{.Size}}' "$1" | awk '{ printf "%.0f MB", $1 / 1e6 }'; }

prepare_base() {
  case $base in
    '') base=localhost/debian:$suite-slim; has_image "$base" || make_base ;;
    *.tar | *.tar.*) engine load --quiet --input "$base" >/dev/null; base=$(engine images --quiet --no-trunc | head -n 1) ;;
  esac
}

secrets() { # sets `given`: what the build may know of this machine
  given=()
  local pip=${PIP_CONFIG_FILE:-} maven=$HOME/.m2/settings.xml
  for file in "$pip" "$HOME/.config/pip/pip.conf" /etc/pip.conf; do
    if [ -n "$file" ] && [ -r "$file" ]; then given+=(--secret "id=pip,src=$file"); break; fi
  done
  [ -r "$maven" ] && given+=(--secret "id=maven,src=$maven")
  cat /usr/local/share/ca-certificates/*.crt >"$state/authorities.pem" 2>/dev/null || true
  [ -s "$state/authorities.pem" ] && given+=(--secret "id=ca,src=$state/authorities.pem")
  for name in http_proxy https_proxy no_proxy HTTP_PROXY HTTPS_PROXY NO_PROXY PIP_INDEX_URL PIP_EXTRA_INDEX_URL; do
    [ -n "${!name:-}" ] && given+=(--build-arg "$name=${!name}")
  done
  return 0
}

build() {
  local began=$SECONDS given version
  prepare_base
  secrets
  version=$(sed -n 's/^__version__ = "\(.*\)"$/\1/p' worker/__init__.py)
  say "building $tag (version $version) on $base"
  # One layer a stage: vfs copies every layer in full.
  engine build --quiet --isolation chroot --network host --layers=false --format docker --pull=missing --file docker/Dockerfile \
    --build-arg BASE="$base" --build-arg VERSION="$version" --build-arg REVISION="$(git rev-parse HEAD 2>/dev/null || echo unknown)" \
    --build-arg CREATED="$(date -u +%Y-%m-%dT%H:%M:%SZ)" "${given[@]}" --tag "$tag" . >"$state/build.log" 2>&1 \
    || { tail -n 30 "$state/build.log" >&2; fail "the image could not be built (above)"; }
  engine image prune --force >/dev/null
  say "$tag: built in $((SECONDS - began)) s, $(size "$tag")"
}

# What a container of it does, asked of a real job: tests/image.py.
try_out() {
  has_image "$tag" || fail "$tag is not built. Run: docker/image.sh build"
  need runc runc
  [ -x .venv/bin/python ] || fail "the project is not set up. Run: make setup"
  .venv/bin/python -m tests.image "$tag" podman "${words[@]}"
}

need podman "podman runc"
state=$(mktemp -d /tmp/bevara-image.XXXXXX)
readonly state
trap 'rm -rf "$state"' EXIT
# podman remembers where its state lies, so the place is always the same for a storage.
runtime=${XDG_RUNTIME_DIR:-/run}/bevara-image.$(printf %s "$storage" | cksum | cut -d' ' -f1)
readonly runtime
mkdir -p "$runtime"
# Storage and state of its own: no other container of the machine is seen or touched.
readonly words=(--root "$storage" --runroot "$runtime/run" --tmpdir "$runtime/tmp" --storage-driver vfs --cgroup-manager cgroupfs --events-backend none)

case $purpose in
  base) prepare_base ;;
  build) build ;;
  try) try_out ;;
  all) build; try_out; say "to use it elsewhere: docker/image.sh save bevara.tar" ;;
  save) engine save --quiet --format docker-archive --output "${2:?file}" "$tag" ;;
  clean) engine rm --all --force --volumes >/dev/null; rm -rf "$storage" "$runtime" ;;
  *) fail "usage: docker/image.sh [base|build|try|all|save FILE|clean]" ;;
esac
