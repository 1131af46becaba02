"""Our tokens of 10,000 random strings beside those of transformers' tokenizers; see peers.sh."""
import os
import pathlib
import subprocess
import sys
import tempfile

os.environ["HF_HUB_OFFLINE"] = "1"
import transformers

import tokenizers_of_text as made

BUILD = pathlib.Path(sys.argv[1])


def ours(folder, texts):
    lines = "".join(text.encode().hex() + "\n" for text in texts)
    done = subprocess.run([BUILD / "tests/print_tokens", folder], input=lines, capture_output=True, text=True, check=True)
    return [line.split() for line in done.stdout.splitlines()]


def compare(name, folder, theirs, texts):
    differing = 0
    for text, mine in zip(texts, ours(folder, texts), strict=True):
        want = theirs.encode(text, add_special_tokens=False)
        if [str(token) for token in want] + ["same"] != mine:
            differing += 1
            if differing <= 5:
                print(f"{name}: {text!r}\n  theirs {want}\n  ours   {' '.join(mine)}")
    print(f"{name}: {len(texts) - differing} of {len(texts)} strings have the same tokens, and decode to themselves")
    return differing


def main():
    differing = 0
    with tempfile.TemporaryDirectory() as scratch:
        for name, make in (("gpt2", made.gpt2_kind), ("llama3", made.llama3_kind)):
            folder = pathlib.Path(scratch, name)
            folder.mkdir()
            tokenizer = make(2000)
            tokenizer.save(str(folder / "tokenizer.json"))
            texts = made.strings(10000, seed=20261121)
            fast = transformers.PreTrainedTokenizerFast(tokenizer_file=str(folder / "tokenizer.json"))
            differing += compare(f"{name}, tokenizer.json", folder, fast, texts)
            if name == "gpt2":
                files = pathlib.Path(scratch, "files")
                files.mkdir()
                tokenizer.model.save(str(files))
                classic = transformers.GPT2Tokenizer.from_pretrained(str(files))
                differing += compare("gpt2, vocab.json and merges.txt", files, classic, texts)
    sys.exit(1 if differing else 0)


main()
