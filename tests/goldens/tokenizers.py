#!/usr/bin/env python3
"""Writes tokenizers.json: two small byte-level BPE tokenizers, and the tokens that Hugging Face's tokenizers gives of
some strings.

    pip install tokenizers && tests/goldens/tokenizers.py

Written 2026-11-21 with tokenizers 0.23.3. The strings of all kinds, and many more: tests/peers/compare_tokens.py.
"""
import json
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path[0] = str(HERE.parent / "peers")  # and not this folder, where this file has the package's name
import tokenizers_of_text as made  # noqa: E402


def golden(tokenizer):
    texts = made.strings(150, seed=7)
    return {"tokenizer": json.loads(tokenizer.to_str()),
            "cases": [[text, tokenizer.encode(text, add_special_tokens=False).ids] for text in texts]}


goldens = {"gpt2": golden(made.gpt2_kind(400)), "llama3": golden(made.llama3_kind(400))}
(HERE / "tokenizers.json").write_text(json.dumps(goldens, ensure_ascii=True, separators=(",", ":")) + "\n")
