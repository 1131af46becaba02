"""Tokenizers trained here, of GPT-2's kind and of Llama 3's, and random strings for them.

Shared by the golden file's script and the comparison with transformers.
"""
import random
import unicodedata
from pathlib import Path

import tokenizers
from tokenizers import decoders, models, pre_tokenizers, trainers

ROOT = Path(__file__).resolve().parent.parent.parent
LLAMA3 = (r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+")
END = "<|endoftext|>"
SPACES = [" ", "  ", "\t", "\n", "\r\n", "\u0085", "\u00a0", "\u180e", "\u2003", "\u2028", "\u202f", "\u3000", "\u200b"]


def corpus():
    texts = [path.read_text(encoding="utf-8") for path in sorted(ROOT.glob("docs/*.md"))]
    return [*texts, "Éléments grecs: αβγ, русский текст, 漢字かな交じり文, emoji 🎉🎉, ١٢٣."]


def gpt2_kind(size):
    tokenizer = tokenizers.Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    return train(tokenizer, size)


def llama3_kind(size):
    tokenizer = tokenizers.Tokenizer(models.BPE(ignore_merges=True))
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([
        pre_tokenizers.Split(tokenizers.Regex(LLAMA3), behavior="isolated"),
        pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)])
    return train(tokenizer, size)


def train(tokenizer, size):
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.train_from_iterator(corpus(), trainers.BpeTrainer(
        vocab_size=size, special_tokens=[END], initial_alphabet=pre_tokenizers.ByteLevel.alphabet(), show_progress=False))
    return tokenizer


def strings(count, seed):
    draw = random.Random(seed)
    words = " ".join(corpus()).split()
    assigned = [chr(c) for c in range(0x3000) if unicodedata.category(chr(c)) not in ("Cn", "Cs")]

    def part():
        kind = draw.randrange(8)
        if kind < 3:
            return draw.choice(words)
        if kind == 3:
            return draw.choice(SPACES) * draw.choice((1, 1, 2, 5))
        if kind == 4:
            return draw.choice(("don't", "I'LL", "we've", "'s", "''d", "12345", "3.14", "a1b2", "_x_", END, "<|end", "\0"))
        if kind == 5:
            return "".join(draw.choice(assigned) for _ in range(draw.randrange(1, 6)))
        if kind == 6:
            return "".join(chr(draw.choice((draw.randrange(0x4e00, 0x9fa6), draw.randrange(0x1f300, 0x1f650),
                                            draw.randrange(0xac00, 0xd7a4)))) for _ in range(draw.randrange(1, 4)))
        return "".join(chr(draw.randrange(32, 127)) for _ in range(draw.randrange(1, 12)))

    return [draw.choice(("", " ")).join(part() for _ in range(draw.randrange(1, 12))) for _ in range(count)]
