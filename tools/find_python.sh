#!/bin/sh
# Print the Python to build .venv with (3.11 or newer, with venv), or say what to install. PYTHON=… chooses one.
set -u

suitable() {
    command -v "$1" >/dev/null 2>&1 && "$1" -c 'import sys; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1
}

fail() {
    printf '%s\n' "$@" >&2
    exit 1
}

command -v git >/dev/null 2>&1 || fail "git is missing. On Debian: apt-get install git"

found=
without_venv=
for candidate in ${PYTHON:-python3.11 python3.12 python3.13 python3}; do
    suitable "$candidate" || continue
    if "$candidate" -c 'import venv, ensurepip' >/dev/null 2>&1; then
        found=$candidate
        break
    fi
    without_venv=${without_venv:-$candidate}
done

if [ -n "$found" ]; then
    command -v "$found"
elif [ -n "$without_venv" ]; then
    version=$("$without_venv" -c 'import sys; print("%d.%d" % sys.version_info[:2])')
    fail "$without_venv lacks the venv module. On Debian: apt-get install python$version-venv  (or python3-venv)"
else
    fail "No Python 3.11 or newer was found${PYTHON:+ at $PYTHON}. On Debian 12: apt-get install python3 python3-venv" \
        "If it is not on PATH, name it: make install PYTHON=/path/to/python3.11"
fi
