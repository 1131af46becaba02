"""Logits of our models and of transformers' GPT2LMHeadModel and LlamaForCausalLM; see peers.sh."""

import os
import pathlib
import random
import subprocess
import sys
import tempfile

os.environ["HF_HUB_OFFLINE"] = "1"
import numpy
import torch
import transformers

BUILD = pathlib.Path(sys.argv[1])
TOLERANCE = 1e-4  # of max |a - b| to max |b|
TOKENS = 17


def run(*words, code=0):
    done = subprocess.run([str(word) for word in words], capture_output=True, text=True)
    if done.returncode != code:
        sys.exit(f"{' '.join(map(str, words))}: exit code {done.returncode}\n{done.stderr}")
    return done.stdout


def trireme(*words, code=0):
    return run(BUILD / "trireme", *words, code=code)


def our_logits(folder, job, parameters, tokens):
    out = folder / "logits.bin"
    run(BUILD / "tests/print_logits", job, parameters, out, *tokens)
    return numpy.fromfile(out, dtype=numpy.float32).reshape(len(tokens), -1)


def their_logits(model, tokens):
    with torch.no_grad():
        return model(torch.tensor([tokens])).logits[0].float().numpy()


def compare(name, ours, theirs):
    assert numpy.abs(theirs).max() > 0.05, f"{name}: all logits are near zero"
    error = numpy.abs(ours - theirs).max() / numpy.abs(theirs).max()
    print(f"{name}: largest difference {error:.2e} of the largest logit")
    assert error <= TOLERANCE, name


def write_job(path, model, text):
    path.write_text(f"""
name: "peers"
{model}
data {{ train {{ text {{ files: "{text}" }} }} }}
train {{ global_batch: 4 steps: 12 seed: 3 }}
optimizer {{ adamw {{ lr: 3e-2 }} }}
checkpoint {{ every_steps: 5 }}
""")
    return path


def randomize(model, seed):
    """transformers starts with zero biases and unit norms, which would hide mistakes."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            around = 1.0 if parameter.dim() == 1 and name.endswith("weight") else 0.0
            parameter.copy_(around + 0.2 * torch.randn(parameter.shape, generator=generator))
    return model.eval()


def check_import(folder, text, name, config, dtype=torch.float32, max_shard_size="5GB"):
    torch.manual_seed(0)
    model = randomize(transformers.AutoModelForCausalLM.from_config(config), 5).to(dtype)
    theirs = folder / "theirs"
    model.save_pretrained(theirs, max_shard_size=max_shard_size)
    assert (theirs / "model.safetensors.index.json").exists() == (max_shard_size != "5GB")
    told = trireme("checkpoint", "import", theirs, folder / "ours")
    job = write_job(folder / "job.txtpb", told.splitlines()[1], text)
    # In f32 from the start: a model of halves keeps its rotary table in halves.
    model = transformers.AutoModelForCausalLM.from_pretrained(theirs, dtype=torch.float32).eval()
    tokens = random.Random(1).sample(range(config.vocab_size), TOKENS)
    compare(f"{name}: transformers to trireme", our_logits(folder, job, folder / "ours", tokens),
            their_logits(model, tokens))
    trireme("checkpoint", "import", theirs, folder / "same", "--job", job)
    trireme("checkpoint", "diff", folder / "ours", folder / "same")


def check_export(folder, text, name, model_text, kind, *options):
    job = write_job(folder / "job.txtpb", model_text, text)
    trireme("train", job, "--run-dir", folder / "run", "--device", "cpu")
    tokens = random.Random(2).sample(range(256), TOKENS)
    for source in [folder / "run", folder / "run/checkpoints/step-00000010"]:
        out = folder / f"theirs-{source.name}"
        trireme("checkpoint", "export", source, out, *options)
        assert (out / "model.safetensors.index.json").exists() == bool(options)
        model, told = transformers.AutoModelForCausalLM.from_pretrained(
            out, output_loading_info=True)
        assert type(model) is kind, type(model)
        assert not told["missing_keys"] and not told["unexpected_keys"], told
        assert not told["mismatched_keys"], told
        compare(f"{name}, {source.name}: trireme to transformers",
                our_logits(folder, job, source, tokens), their_logits(model.eval(), tokens))


def main():
    transformers.logging.set_verbosity_error()
    print(f"transformers {transformers.__version__}, torch {torch.__version__}")
    gpt = dict(vocab_size=300, n_positions=40, n_embd=48, n_layer=3, n_head=4,
               bos_token_id=None, eos_token_id=None)
    llama = dict(vocab_size=260, max_position_embeddings=40, hidden_size=48, num_hidden_layers=3,
                 num_attention_heads=6, num_key_value_heads=2, intermediate_size=100,
                 bos_token_id=None, eos_token_id=None)
    imports = [
        ("gpt2", transformers.GPT2Config(**gpt), {}),
        ("gpt2 untied, n_inner, split",
         transformers.GPT2Config(**gpt, tie_word_embeddings=False, n_inner=120,
                                 layer_norm_epsilon=1e-3), dict(max_shard_size="50KB")),
        ("llama", transformers.LlamaConfig(**llama), {}),
        ("llama tied, theta, split",
         transformers.LlamaConfig(**llama, tie_word_embeddings=True, rms_norm_eps=1e-3,
                                  rope_parameters=dict(rope_type="default", rope_theta=500.0)),
         dict(max_shard_size="50KB")),
        ("llama bf16", transformers.LlamaConfig(**llama), dict(dtype=torch.bfloat16)),
        ("gpt2 f16", transformers.GPT2Config(**gpt), dict(dtype=torch.float16)),
    ]
    gpt_text = "model { gpt { layers: 2 width: 36 heads: 3 context: 32 vocabulary: 256 %s } }"
    llama_text = ("model { llama { layers: 2 width: 40 heads: 4 kv_heads: 2 hidden: 52 context: 32 "
                  "vocabulary: 256 %s } }")
    exports = [
        ("gpt", gpt_text % "", transformers.GPT2LMHeadModel, []),
        ("gpt untied, hidden, split",
         gpt_text.replace("36", "132") % "hidden: 150 tied: false epsilon: 1e-3",
         transformers.GPT2LMHeadModel, ["--max-file-mib", "1"]),
        ("llama", llama_text % "", transformers.LlamaForCausalLM, []),
        ("llama tied, theta", llama_text % "tied: true theta: 500",
         transformers.LlamaForCausalLM, []),
    ]
    with tempfile.TemporaryDirectory() as scratch:
        root = pathlib.Path(scratch)
        text = root / "text.txt"
        text.write_bytes(bytes(random.Random(3).choices(range(256), k=20000)))
        for number, (name, config, options) in enumerate(imports):
            (root / f"import-{number}").mkdir()
            check_import(root / f"import-{number}", text, name, config, **options)
        for number, (name, model, kind, options) in enumerate(exports):
            (root / f"export-{number}").mkdir()
            check_export(root / f"export-{number}", text, name, model, kind, *options)
    print("equal")


if __name__ == "__main__":
    main()
