#!/usr/bin/env bash
# Install what bevara needs on Debian 12/13 and Ubuntu 24.04: system packages, Python packages, veraPDF.
# Says what it does; does nothing, and quickly, when everything is there. Usage: docker/setup.sh [system|runtime|dev]
set -euo pipefail
cd "$(dirname "$0")/.."
purpose=${1:-dev}

say() { printf 'setup: %s\n' "$*" >&2; }

# package: what it is for
packages=(
  libreoffice-writer-nogui libreoffice-impress-nogui libreoffice-calc-nogui libreoffice-draw-nogui python3-uno # office documents
  ghostscript                                               # redraws a PDF when surgery cannot save it
  tesseract-ocr tesseract-ocr-swe tesseract-ocr-eng         # OCR of scans
  bubblewrap                                                # the sandbox
  file                                                      # libmagic, the third identifier
  fonts-liberation fonts-dejavu-core fonts-urw-base35 fonts-crosextra-carlito fonts-crosextra-caladea # metric-compatible with the usual fonts
  fonts-noto-core fonts-droid-fallback                     # glyphs that those lack
)
if [ "$purpose" = dev ]; then
  packages+=(imagemagick) # the yardstick of `make bench` converts pictures with it
  # The tests start servers of their own; one that came another way will do.
  command -v redis-server >/dev/null || packages+=(redis-server)
  compgen -G '/usr/lib/postgresql/*/bin/initdb' >/dev/null || command -v initdb >/dev/null || packages+=(postgresql)
  command -v promtool >/dev/null || packages+=(prometheus) # its promtool tries out the alerts
fi
command -v java >/dev/null || packages+=(default-jre-headless)
[ "$purpose" = system ] || command -v mvn >/dev/null || packages+=(maven) # an image has fetched what it needs

python=
for candidate in "${PYTHON:-}" python3 python3.13 python3.12 python3.11; do
  if [ -n "$candidate" ] && "$candidate" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then python=$candidate; break; fi
done
[ -n "$python" ] || packages+=(python3 python3-venv)
if [ -n "$python" ] && ! "$python" -c 'import venv, ensurepip' 2>/dev/null; then packages+=(python3-venv); fi

missing=()
installed=$(dpkg-query -W -f='${db:Status-Status} ${Package}\n' 2>/dev/null | awk '$1 == "installed" { print $2 }') || installed=
for package in "${packages[@]}"; do
  grep -qxF "$package" <<<"$installed" || missing+=("$package")
done
if [ ${#missing[@]} -gt 0 ]; then
  line="apt-get update && apt-get install -y --no-install-recommends ${missing[*]}"
  if ! command -v apt-get >/dev/null; then
    say "this is not Debian or Ubuntu. Install what these packages hold, and run this again: ${missing[*]}"; exit 3
  elif [ "$(id -u)" = 0 ]; then as=(env)
  elif command -v sudo >/dev/null && sudo -n true 2>/dev/null; then as=(sudo)
  elif command -v sudo >/dev/null && [ -t 0 ]; then as=(sudo)
  else say "system packages are missing and this user may not install them. As root, run:"; echo "$line" >&2; exit 3; fi
  say "installing system packages: ${missing[*]}"
  log=$(mktemp)
  # Debian starts a server as soon as it is installed. Ours are for tests, which start their own: `policy-rc.d` says no to
  # starting while this runs, and what came new is not started with the machine either.
  servers=()
  for package in "${missing[@]}"; do case $package in redis-server|postgresql|prometheus) servers+=("$package") ;; esac; done
  policy=/usr/sbin/policy-rc.d
  if [ ${#servers[@]} -gt 0 ] && [ ! -e "$policy" ]; then
    trap '"${as[@]}" rm -f "$policy"' EXIT
    printf '#!/bin/sh\nexit 101\n' | "${as[@]}" tee "$policy" >/dev/null && "${as[@]}" chmod 755 "$policy"
  fi
  if ! { "${as[@]}" apt-get update && "${as[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends "${missing[@]}"; } >"$log" 2>&1; then
    tail -n 20 "$log" >&2; say "apt-get failed (above); what it was: $line"; exit 3
  fi
  rm -f "$log"
  if [ ${#servers[@]} -gt 0 ] && command -v systemctl >/dev/null; then "${as[@]}" systemctl --quiet disable "${servers[@]}" >/dev/null 2>&1 || true; fi
fi
[ "$purpose" = system ] && exit 0
[ -n "$python" ] || python=python3

# One stamp a lock file and interpreter: the second run only compares it.
stamp=.venv/.installed
wanted="$(cat requirements.lock pyproject.toml docker/setup.sh | sha256sum | cut -d' ' -f1) $("$python" -c 'import sys; print(sys.version_info[:3])') $PWD"
if [ "$(cat "$stamp" 2>/dev/null)" != "$wanted" ]; then
  say "installing Python packages from requirements.lock into .venv (a minute the first time)"
  [ -x .venv/bin/python ] && .venv/bin/python -c 'import sys; sys.exit(sys.prefix == sys.base_prefix)' 2>/dev/null || "$python" -m venv --clear .venv
  .venv/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes --no-deps -r requirements.lock
  .venv/bin/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
  .venv/bin/python -m compileall -q actions worker || true # a read-only sandbox cannot write these
  echo "$wanted" >"$stamp"
fi

jars=build/verapdf/lib
if ! cmp -s docker/verapdf/pom.xml build/verapdf/pom.xml || [ ! -d "$jars" ]; then
  say "fetching veraPDF through Maven into build/verapdf"
  rm -rf build/verapdf && mkdir -p build/verapdf
  if mvn -q -B -f docker/verapdf/pom.xml dependency:copy-dependencies -DoutputDirectory="$PWD/$jars" -DincludeScope=runtime >build/verapdf/maven.log 2>&1; then
    cp docker/verapdf/pom.xml build/verapdf/pom.xml
  else
    tail -n 5 build/verapdf/maven.log >&2
    rm -rf "$jars"
    say "veraPDF could not be fetched: bevara runs without it, and claims PDF/A only where pikepdf.pdfa approves. Run 'make setup' again when Maven Central can be reached."
    [ "${CI:-}" = true ] && exit 3
  fi
fi
if [ -d "$jars" ] && [ ! -f "$jars/verapdf.jsa" ]; then # Java's class archive: veraPDF then starts in two thirds of the time
  sample=$(mktemp -d) # a tagged PDF/A with fonts, a table and a picture, so that the classes for them are in the archive too
  cp docker/verapdf/sample.html "$sample/sample.html"
  soffice --headless "-env:UserInstallation=file://$sample/profile" --convert-to \
    'pdf:writer_web_pdf_Export:{"SelectPdfVersion":{"type":"long","value":"2"},"UseTaggedPDF":{"type":"boolean","value":"true"}}' \
    --outdir "$sample" "$sample/sample.html" >/dev/null 2>&1 || true
  .venv/bin/python -c 'import sys, pathlib; from actions.tools import verapdf; verapdf.write_archive(pathlib.Path(sys.argv[1]), sorted(pathlib.Path(sys.argv[2]).glob("*.pdf")))' \
    "$PWD/$jars" "$sample" \
    || say "no class archive for veraPDF: it will only start more slowly"
  rm -rf "$sample"
fi

# S3 servers for the tests, pinned. Built, because neither is in Debian; rclone (a Python package) serves where they are not.
s3_server() { # name, module with the command's path, version, oldest Go
  local target=build/servers stamp="build/servers/.$1"
  [ -x "$target/$1" ] && [ "$(cat "$stamp" 2>/dev/null)" = "$2@$3" ] && return
  if [ "$(printf '%s\n' "$4" "$go" | sort -V | head -n 1)" != "$4" ]; then
    say "$1 is not built: it needs Go $4 or newer, and here is ${go:-none}"
    return 1
  fi
  say "building $1 with Go into $target (several minutes the first time)"
  mkdir -p "$target"
  if ! GOTOOLCHAIN=local GOBIN="$PWD/$target" go install "$2@$3" >"$target/$1.log" 2>&1; then
    tail -n 5 "$target/$1.log" >&2
    say "$1 could not be built (above)"
    return 1
  fi
  echo "$2@$3" >"$stamp"
}
if [ "$purpose" = dev ]; then
  go=$(go env GOVERSION 2>/dev/null | sed 's/^go//') || go=
  built=0
  s3_server minio github.com/minio/minio v0.0.0-20260212201848-7aac2a2c5b7c 1.24 && built=$((built + 1))
  s3_server versitygw github.com/versity/versitygw/cmd/versitygw v1.8.0 1.25 && built=$((built + 1))
  [ $built -gt 0 ] || say "the tests of S3 use rclone instead"
  if [ $built -lt 2 ] && [ "${CI:-}" = true ]; then exit 3; fi
fi
