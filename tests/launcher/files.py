"""Files that tests of the binary write and read. Standard library only."""
import json
import random
import struct
from array import array
from pathlib import Path


def write_tokens(path, count, vocabulary, seed):
    """Tokens drawn at random, uint16 as nanoGPT has them."""
    draw = random.Random(seed)
    Path(path).write_bytes(array("H", (draw.randrange(vocabulary) for _ in range(count))).tobytes())


def read_safetensors(path):
    """The bytes of each tensor, by name."""
    data = Path(path).read_bytes()
    (length,) = struct.unpack("<Q", data[:8])
    header = json.loads(data[8 : 8 + length])
    header.pop("__metadata__", None)
    tensors = data[8 + length :]
    return {name: tensors[slice(*entry["data_offsets"])] for name, entry in header.items()}


def read_floats(path):
    """The same of a file of f32, as arrays of floats."""
    return {name: array("f", tensor) for name, tensor in read_safetensors(path).items()}
