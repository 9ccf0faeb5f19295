#!/bin/sh
# While an image is built: trust the authorities of a PEM file, one file each, because Java's store takes them only so.
# Usage: docker/trust.sh FILE. A file that is absent or empty is no mistake.
set -eu
[ -s "$1" ] || exit 0
folder=/usr/local/share/ca-certificates
mkdir -p "$folder"
awk -v folder="$folder" '/BEGIN CERTIFICATE/ { number++; inside = 1 } inside { print >(folder "/site-" number ".crt") } /END CERTIFICATE/ { inside = 0 }' "$1"
update-ca-certificates >/dev/null
