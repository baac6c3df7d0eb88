# Sourced by scripts/run and scripts/test; needs $root.

fail() {
    echo "osi-inspect: $1" >&2
    exit 2
}

find_python() {
    for name in python3 python3.13 python3.12 python3.11 python3.14 python; do
        found=$(command -v "$name" 2>/dev/null) || continue
        if "$found" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
            echo "$found"
            return
        fi
    done
    return 1
}

# prepare EXTRA STAMP: .venv holds the package and EXTRA; again whenever pyproject.toml has changed since.
prepare() {
    stamp="$root/.venv/.prepared-$2"
    if [ -f "$stamp" ] && cmp -s "$root/pyproject.toml" "$stamp"; then
        return
    fi
    if [ ! -x "$root/.venv/bin/python" ]; then
        python=$(find_python) || fail "Python 3.11 or newer is needed, and none is on PATH"
        echo "osi-inspect: making .venv with $("$python" --version) (once)" >&2
        "$python" -m venv "$root/.venv" >/dev/null 2>&1 || {
            rm -rf "$root/.venv"
            fail "$python cannot make a virtual environment; on Debian and Ubuntu: apt install python3-venv"
        }
    fi
    echo "osi-inspect: installing into .venv" >&2
    "$root/.venv/bin/python" -m pip install --quiet --disable-pip-version-check --root-user-action=ignore -e "$root$1" >&2 ||
        fail "the installation into .venv failed; the lines above say why"
    cp "$root/pyproject.toml" "$stamp"
}
