#!/bin/bash
# Language models against Hugging Face transformers, both ways: what it saved and we import, and
# what we trained and export, must give the same logits; texts must have the same tokens.
#
#   tests/peers.sh [BUILD_DIR]      default: build/release; must hold trireme and print_logits
#
# Needs a network for the first run: transformers and PyTorch come from PyPI into BUILD_DIR/peers.
# TRIREME_PEERS_PYTHON names a Python that has them already.
set -euo pipefail
root=$(cd "$(dirname "$0")/.." && pwd)
build=$(cd "${1:-$root/build/release}" && pwd)
python=${TRIREME_PEERS_PYTHON:-$build/peers/bin/python}

for program in "$build/trireme" "$build/tests/print_logits" "$build/tests/print_tokens"; do
  if [ ! -x "$program" ]; then
    echo "tests/peers.sh: $program is missing: ninja -C $build trireme print_logits print_tokens" >&2
    exit 64
  fi
done
if [ ! -x "$python" ]; then
  python3 -m venv "$build/peers"
  "$build/peers/bin/pip" install --quiet --index-url https://download.pytorch.org/whl/cpu torch ||
    "$build/peers/bin/pip" install --quiet torch
  "$build/peers/bin/pip" install --quiet 'transformers>=4.56' tokenizers safetensors numpy
fi
"$python" "$root/tests/peers/compare_tokens.py" "$build"
exec "$python" "$root/tests/peers/compare.py" "$build"
