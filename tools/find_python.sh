#!/bin/sh
# Print the Python to build .venv with (3.11 or newer, with venv), or say what to install. PYTHON=… chooses one.
set -u

suitable() {
    command -v "$1" >/dev/null 2>&1 && "$1" -c 'import sys; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1
}

# DBOS asks SQLite for milliseconds where Python is 3.12 or newer; an older SQLite answers with nothing, and no worker starts.
too_old_sqlite() {
    "$1" -c 'import sqlite3, sys
sys.exit(not (sys.version_info >= (3, 12) and sqlite3.sqlite_version_info < (3, 42)))' >/dev/null 2>&1
}

fail() {
    printf '%s\n' "$@" >&2
    exit 1
}

command -v git >/dev/null 2>&1 || fail "git is missing. On Debian: apt-get install git"

found=
without_venv=
old_sqlite=
for candidate in ${PYTHON:-python3.11 python3.12 python3.13 python3}; do
    suitable "$candidate" || continue
    if too_old_sqlite "$candidate"; then
        old_sqlite=${old_sqlite:-$candidate}
        continue
    fi
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
elif [ -n "$old_sqlite" ]; then
    fail "$old_sqlite was built with an SQLite older than 3.42, which Python 3.12 and newer need here." \
        "Use Python 3.11: on Debian 12 apt-get install python3 python3-venv, then make install PYTHON=python3.11"
else
    fail "No Python 3.11 or newer was found${PYTHON:+ at $PYTHON}. On Debian 12: apt-get install python3 python3-venv" \
        "If it is not on PATH, name it: make install PYTHON=/path/to/python3.11"
fi
