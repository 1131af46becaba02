# Shared by the scripts of this folder, which source it after `set -euo pipefail`.

say() { printf '%s\n' "$*"; }
die() { printf '%s: %s\n' "$(basename "$0")" "$*" >&2; exit 1; }

# Runs a command as root: directly, or through sudo, which gets the proxy settings by name.
as_root() {
  if [ "$(id -u)" -eq 0 ]; then "$@"; return; fi
  command -v sudo >/dev/null || die "needs root for: $* (run as root, or install sudo)"
  local name settings=()
  for name in http_proxy https_proxy no_proxy DEBIAN_FRONTEND; do
    [ -z "${!name:-}" ] || settings+=("$name=${!name}")
  done
  sudo env "${settings[@]}" "$@"
}

# pip for fetching wheels. Debian and Ubuntu refuse pip outside a virtual environment (PEP 668) and
# may have none at all, so one of our own stands in where python3 has none. Indexes, proxies and
# certificates are the machine's: pip.conf and PIP_* are left alone.
trireme_pip() {
  if python3 -m pip --version >/dev/null 2>&1; then
    python3 -m pip --disable-pip-version-check "$@"
    return
  fi
  local venv="${XDG_CACHE_HOME:-$HOME/.cache}/trireme/pip"
  if ! "$venv/bin/python" -m pip --version >/dev/null 2>&1; then
    rm -rf "$venv"
    python3 -m venv "$venv" || die "python3 -m venv failed: install python3-venv (deploy/setup.sh does)"
  fi
  "$venv/bin/python" -m pip --disable-pip-version-check "$@"
}
