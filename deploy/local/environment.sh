#!/bin/bash
# Makes the Python environment in the folder named by $1 from requirements.lock, every file checked by its hash.
set -euo pipefail
venv=$1

fail() {
    printf 'failed: %s\n  what to do: %s\n' "$1" "$2" >&2
    exit 1
}

python=
for candidate in python3.11 python3 /usr/bin/python3; do
    if command -v "$candidate" >/dev/null && "$candidate" -c 'import sys; sys.exit(sys.version_info[:2] != (3, 11))' 2>/dev/null; then
        python=$candidate
        break
    fi
done
[ -n "$python" ] || fail "Python 3.11 is not on this machine" "install it (Debian 12: apt-get install python3 python3-venv)"

if ! [ -x "$venv/bin/pip" ]; then
    # Debian's python3 comes without what makes an environment.
    if ! "$python" -c 'import ensurepip, venv' 2>/dev/null; then
        if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
            echo "installing python3-venv"
            export DEBIAN_FRONTEND=noninteractive
            { apt-get -qq update || true; apt-get -qq -o DPkg::Lock::Timeout=300 install --yes --no-install-recommends python3-venv; } </dev/null >/dev/null ||
                fail "python3-venv could not be installed" "see that the Debian package sources can be reached"
        else
            fail "Python's venv module is missing" "run this once as root, or apt-get install python3-venv"
        fi
    fi
    "$python" -m venv --clear "$venv"
fi

echo "installing the Python packages of requirements.lock into $venv"
"$venv/bin/pip" install --quiet --no-input --disable-pip-version-check --require-hashes -r requirements.lock </dev/null ||
    fail "the Python packages could not be installed" "see that the package index can be reached, then run it again"
