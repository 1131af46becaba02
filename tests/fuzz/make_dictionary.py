#!/usr/bin/env python3
"""Prints a libFuzzer dictionary of a .proto file's names, for its text form, and marks of that form.

    make_dictionary.py FILE.proto > build/fuzz/job.dict
"""
import re
import sys
from pathlib import Path

text = re.sub(r"//.*", "", Path(sys.argv[1]).read_text())
fields = set(re.findall(r"(\w+) = \d+;", text))
values = {name for name in fields if name.isupper()}
MARKS = ["{ ", "}", "[", "]", ": ", ", ", "; ", "# ", '\\"', "-1", "0", "1e-3", "1e999", "0x10", "inf", "nan",
         "9223372036854775807", "9223372036854775808", "18446744073709551616", "2147483648", "true",
         "\\x00", "\\x00train.seed=", "\\x00model.layer[0].", "=", "[0]", ".", "\\xef\\xbb\\xbf", "\\xc3\\xa9",
         'name: \\"a\\" ', "data { train { synthetic {} } }", "train { global_batch: 8 steps: 2 }",
         "optimizer { sgd { lr: 1 } }", "model { mlp {} }"]
for name in sorted(fields - values):
    print(f'"{name}"')
    print(f'"{name} {{ "')
for name in sorted(values):
    print(f'": {name}"')
for mark in MARKS:
    print(f'"{mark}"')
