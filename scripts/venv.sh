# Sourced by scripts/run and scripts/test; needs $root. Reads nothing from standard input: that belongs to osi-inspect.

fail() {
    echo "osi-inspect: $1" >&2
    exit 2
}

# The first Python that is new enough and can make a virtual environment. One that a version manager only pretends to
# have does not answer; one without ensurepip (Debian and Ubuntu keep it in a package of its own) is remembered in $bare.
find_python() {
    bare=
    for name in python3 python3.13 python3.12 python3.11 python3.14 python; do
        python=$(command -v "$name" 2>/dev/null) || continue
        "$python" -I -c 'import sys; sys.exit(sys.version_info < (3, 11))' </dev/null >/dev/null 2>&1 || continue
        if "$python" -I -c 'import ensurepip, venv' </dev/null >/dev/null 2>&1; then
            return
        fi
        bare=${bare:-$name}
    done
    if [ "$bare" ]; then
        fail "$bare cannot make a virtual environment; on Debian and Ubuntu: apt install python3-venv"
    fi
    fail "Python 3.11 or newer is needed, and none is on PATH"
}

# prepare EXTRA STAMP: .venv holds the package and EXTRA; again whenever pyproject.toml or the place of the checkout changes.
prepare() {
    venv=$root/.venv
    stamp=$venv/.prepared-$2
    place=
    if [ -f "$venv/.place" ]; then
        read -r place <"$venv/.place" || :
    fi
    if [ "$place" = "$root" ] && [ -x "$venv/bin/python" ] && cmp -s "$root/pyproject.toml" "$stamp"; then
        return
    fi
    if [ ! -w "$root" ] || { [ -e "$venv" ] && [ ! -w "$venv" ]; }; then
        fail "$venv must be made or renewed, and you may not write there: run this once as the owner of the checkout"
    fi
    if [ "$place" != "$root" ] || [ ! -x "$venv/bin/python" ]; then
        find_python
        echo "osi-inspect: making .venv with $("$python" -I --version </dev/null) (once)" >&2
        "$python" -I -m venv --clear "$venv" </dev/null >&2 || fail "$python could not make $venv; the lines above say why"
    fi
    echo "osi-inspect: installing into .venv" >&2
    (cd "$root" && "$venv/bin/python" -I -m pip install --quiet --disable-pip-version-check --no-input -e ".$1" </dev/null >&2) ||
        fail "the installation into .venv failed; the lines above say why"
    printf '%s\n' "$root" >"$venv/.place"
    cp "$root/pyproject.toml" "$stamp"
    cp "$root/pyproject.toml" "$venv/.prepared-run" # what any extra contains
}
