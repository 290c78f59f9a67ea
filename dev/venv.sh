# sh dev/venv.sh FOLDER LOCK: make a virtual environment and install a lock into it, every file checked by its hash.
set -eu
folder=$1
lock=$2

usable() {
    "$1" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null
}

if ! { [ -x "$folder/bin/python" ] && usable "$folder/bin/python" && "$folder/bin/python" -m pip --version >/dev/null 2>&1; }; then
    python=
    for candidate in ${PYTHON:-} python3 python3.14 python3.13 python3.12 python3.11; do
        if command -v "$candidate" >/dev/null 2>&1 && usable "$candidate"; then
            python=$candidate
            break
        fi
    done
    if [ -z "$python" ]; then
        echo "Python 3.11 or newer is missing. Install it (Debian: apt-get install python3 python3-venv), or name it: make PYTHON=/path/to/python3 …" >&2
        exit 2
    fi
    rm -rf "$folder"
    if ! "$python" -m venv "$folder"; then
        rm -rf "$folder"
        echo "$python can't make virtual environments here. On Debian and Ubuntu: apt-get install python3-venv" >&2
        exit 2
    fi
fi

echo "Installing what $lock names into $folder (a minute, the first time)"
"$folder/bin/python" -m pip install --quiet --disable-pip-version-check --require-hashes -r "$lock"
