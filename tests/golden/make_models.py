#!/usr/bin/env python3
"""Makes tests/golden/models/: tiny random models and what transformers computes with them.

    python3 -m venv V && V/bin/pip install torch transformers safetensors numpy
    V/bin/python tests/golden/make_models.py          # all of them, or the names given

Each folder holds a Hugging Face model without tokenizer (config.json, safetensors) and

  expected.json  versions, prompts as id lists, and per variant the greedy tokens and an index of
                 the rows of logits in expected.f32
  expected.f32   little-endian float32, rows of `vocab_size` logits, back to back

Variants: "stored", the weights as the file has them, upcast to float32; "bf16", the weights
rounded to bf16 (nearest even) first, as `tutti import --dtype bf16` stores them, then upcast. All
arithmetic is float32. The greedy tokens come from whole forward passes without a cache, so that
they do not share a mistake of one. `f32_noise` is the largest difference between these logits and
the same in float64: what the order of float32 sums may change. Seeds are searched until the two
best logits of every greedy step lie at least 0.02 apart (less for models that are too small or too
tame for that: see Golden.margin in golden_models.py, which lists the models of families but Llama).

Norm weights are multiples of 1/64, exact in all dtypes, so that it does not matter whether an
importer rounds them. The weights come from numpy's PCG64, equal with any version of torch.
"""
import json
import pathlib
import platform
import sys
import tempfile

import expected_json
import numpy as np
import safetensors
import torch
import transformers
from golden_models import GOLDENS
from safetensors.torch import load_file, save_file

HERE = pathlib.Path(__file__).parent / "models"
LENGTHS = (1, 7, 33, 70)  # cross the borders of pages of 16
NEW_TOKENS = 20
MIN_MARGIN = 0.02

BASE = dict(architectures=["LlamaForCausalLM"], model_type="llama", hidden_act="silu",
            num_hidden_layers=2, max_position_embeddings=256, rms_norm_eps=1e-5,
            attention_bias=False, mlp_bias=False, bos_token_id=0, eos_token_id=1, use_cache=True)

# name: (config, stored dtype, shards). Both the older and the newer spelling of RoPE and dtype.
MODELS = {
    "llama-14q2kv": (dict(
        hidden_size=42, intermediate_size=67, num_attention_heads=14, num_key_value_heads=2,
        head_dim=8, vocab_size=200, rope_theta=10000.0, tie_word_embeddings=False,
        torch_dtype="float32"), torch.float32, 1),
    "llama-9q3kv-tied": (dict(  # the ratios of SmolLM2; no head_dim; two shards
        hidden_size=72, intermediate_size=64, num_attention_heads=9, num_key_value_heads=3,
        vocab_size=160, rope_theta=100000.0, rope_scaling=None, tie_word_embeddings=True,
        torch_dtype="float16"), torch.float16, 2),
    "llama-untied-linear": (dict(  # multi-head attention, spelled as transformers 5 writes it
        hidden_size=40, intermediate_size=55, num_attention_heads=8, num_key_value_heads=8,
        head_dim=8, vocab_size=151, tie_word_embeddings=False, dtype="float32",
        rope_parameters=dict(rope_type="linear", factor=4.0, rope_theta=10000.0)),
        torch.float32, 1),
    "llama-rope3": (dict(  # wavelengths on both sides of and between the two borders
        hidden_size=42, intermediate_size=50, num_attention_heads=6, num_key_value_heads=3,
        head_dim=16, vocab_size=307, tie_word_embeddings=True, rope_theta=500000.0,
        rope_scaling=dict(rope_type="llama3", factor=8.0, low_freq_factor=1.0,
                          high_freq_factor=4.0, original_max_position_embeddings=64),
        torch_dtype="float32"), torch.float32, 1),
    "llama-bf16": (dict(  # one KV head for all
        hidden_size=64, intermediate_size=90, num_attention_heads=4, num_key_value_heads=1,
        head_dim=16, vocab_size=192, rope_theta=10000.0, tie_word_embeddings=False,
        torch_dtype="bfloat16"), torch.bfloat16, 1),
}


def random_weights(config, seed):
    """Scores of attention near 2 and logits near 3 in spread: neither uniform nor one-hot."""
    rng = np.random.Generator(np.random.PCG64(seed))
    hidden, ffn = config["hidden_size"], config["intermediate_size"]
    dim = config.get("head_dim", hidden // config["num_attention_heads"])
    q, kv = dim * config["num_attention_heads"], dim * config["num_key_value_heads"]

    def matrix(out, inner, gain):
        return torch.from_numpy(
            (rng.standard_normal((out, inner)) * gain / np.sqrt(inner)).astype(np.float32))

    def norm():
        return torch.from_numpy((rng.integers(32, 97, hidden) / 64).astype(np.float32))

    w = {"model.embed_tokens.weight": matrix(config["vocab_size"], hidden, 3.0)}
    for i in range(BASE["num_hidden_layers"]):
        p = f"model.layers.{i}."
        w[p + "input_layernorm.weight"] = norm()
        w[p + "self_attn.q_proj.weight"] = matrix(q, hidden, 1.4)
        w[p + "self_attn.k_proj.weight"] = matrix(kv, hidden, 1.4)
        w[p + "self_attn.v_proj.weight"] = matrix(kv, hidden, 1.5)
        w[p + "self_attn.o_proj.weight"] = matrix(hidden, q, 1.5)
        w[p + "post_attention_layernorm.weight"] = norm()
        w[p + "mlp.gate_proj.weight"] = matrix(ffn, hidden, 1.5)
        w[p + "mlp.up_proj.weight"] = matrix(ffn, hidden, 1.5)
        w[p + "mlp.down_proj.weight"] = matrix(hidden, ffn, 1.5)
    w["model.norm.weight"] = norm()
    if not config["tie_word_embeddings"]:
        w["lm_head.weight"] = matrix(config["vocab_size"], hidden, 3.0)
    return w


# How far a family's matrices spread: (end of the name, gain).
GAINS = (("embed_tokens.weight", 3.0), ("embed_in.weight", 3.0), ("wte.weight", 3.0),
         ("word_embeddings.weight", 3.0), ("wpe.weight", 1.0), ("lm_head.weight", 3.0),
         ("embed_out.weight", 3.0), ("q_proj.weight", 1.4), ("k_proj.weight", 1.4),
         ("qkv_proj.weight", 1.4), ("query_key_value.weight", 1.4), ("Wqkv.weight", 1.4),
         ("c_attn.weight", 1.4))


def generic_weights(config, seed):
    """Like random_weights for any family, under the names of its files on the hub."""
    rng = np.random.Generator(np.random.PCG64(seed))
    model = model_class(config)(config_object(config))
    state = model.state_dict()
    for name, tensor in state.items():
        shape = tuple(tensor.shape)
        if name.endswith("bias"):
            values = rng.integers(-32, 33, shape) / 64
        elif len(shape) == 1:
            # Gemma's norms multiply by 1 + weight.
            middle = 0 if config["model_type"].startswith("gemma") else 64
            values = (middle + rng.integers(-32, 33, shape)) / 64
        else:
            gain = next((g for end, g in GAINS if name.endswith(end)), 1.5)
            inner = shape[0] if config["model_type"] == "gpt2" and name.endswith(CONV1D) else shape[-1]
            if config["model_type"].startswith("gemma") and gain == 3.0:
                gain = 0.6  # the embedding is scaled: the token itself must not drown the rest
            values = rng.standard_normal(shape) * gain / np.sqrt(inner)
        tensor.copy_(torch.from_numpy(np.asarray(values, dtype=np.float32)))
    with tempfile.TemporaryDirectory() as scratch:
        model.save_pretrained(scratch)
        return load_file(pathlib.Path(scratch) / "model.safetensors")


# GPT-2 stores these [in, out].
CONV1D = ("c_attn.weight", "attn.c_proj.weight", "mlp.c_fc.weight", "mlp.c_proj.weight")


def config_object(config):
    return transformers.AutoConfig.for_model(**config)


def model_class(config):
    return getattr(transformers, config["architectures"][0])


def save(folder, config, weights, dtype, shards):
    folder.mkdir(parents=True, exist_ok=True)
    for old in folder.glob("*"):
        old.unlink()
    (folder / "config.json").write_text(json.dumps(config, indent=1) + "\n")
    weights = {k: v.to(dtype).contiguous() for k, v in weights.items()}
    if shards == 1:
        save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
        return
    names, index = list(weights), {}
    for s in range(shards):
        part = names[s * len(names) // shards:(s + 1) * len(names) // shards]
        file = f"model-{s + 1:05}-of-{shards:05}.safetensors"
        save_file({n: weights[n] for n in part}, folder / file, metadata={"format": "pt"})
        index |= {n: file for n in part}
    total = sum(w.numel() * w.element_size() for w in weights.values())
    (folder / "model.safetensors.index.json").write_text(json.dumps(
        {"metadata": {"total_size": total}, "weight_map": index}, indent=1) + "\n")


@torch.no_grad()
def logits(model, ids):
    return model(torch.tensor([ids]), use_cache=False).logits[0]


@torch.no_grad()
def greedy(model, prompt, new_tokens):
    """(tokens, smallest gap between the two best logits); end-of-sequence is not looked at."""
    ids, margin = list(prompt), float("inf")
    for _ in range(new_tokens):
        best = logits(model, ids)[-1].topk(2)
        margin = min(margin, float(best.values[0] - best.values[1]))
        ids.append(int(best.indices[0]))
    return ids[len(prompt):], margin


def load(folder, dtype):
    config = json.loads((folder / "config.json").read_text())
    experts = {"experts_implementation": "eager"} if "num_experts_per_tok" in config else {}
    return model_class(config).from_pretrained(folder, dtype=dtype, attn_implementation="eager",
                                               **experts).eval()


def run_variant(folder, prompts, through, rows_out, new_tokens):
    model = load(folder, torch.float32)
    if through is not None:
        for p in model.parameters():
            p.data = p.data.to(through).to(torch.float32)
    wide = load(folder, torch.float64)
    wide.load_state_dict({k: v.double() for k, v in model.state_dict().items()})
    out, noise = [], 0.0
    for prompt in prompts:
        tokens, margin = greedy(model, prompt, new_tokens)
        ids = prompt + tokens[:-1]
        n = len(prompt)
        all_rows = logits(model, ids)
        noise = max(noise, float((all_rows.double() - logits(wide, ids)).abs().max()))
        # Positions in prompt + tokens: around page borders, the prompt's last, two of decode.
        rows = sorted({0, n // 2, n - 1, n, len(ids) - 1} | {r for r in (15, 16) if r < n})
        first = sum(len(r) for r in rows_out) // all_rows.shape[1]
        rows_out.extend(all_rows[r].numpy() for r in rows)
        out.append(dict(tokens=tokens, min_margin=round(margin, 6), rows=rows, first_row=first))
    return dict(f32_noise=noise, prompts=out)


def described(name):
    """(config, stored dtype, shards, prompt lengths, new tokens, margin, what the test must know)"""
    if name in MODELS:
        config, dtype, shards = MODELS[name]
        return BASE | config, dtype, shards, LENGTHS, NEW_TOKENS, MIN_MARGIN, {}
    golden = GOLDENS[name]
    limits = {"max_context": golden.max_context} if golden.max_context else {}
    return (golden.config, getattr(torch, golden.dtype), 1, golden.lengths, golden.new_tokens,
            golden.margin, limits)


@torch.no_grad()
def make(name):
    config, dtype, shards, lengths, new_tokens, min_margin, limits = described(name)
    folder = HERE / name
    rng = np.random.Generator(np.random.PCG64(7))
    prompts = [rng.integers(2, config["vocab_size"], n).tolist() for n in lengths]
    for seed in range(1, 200):
        weights = random_weights if name in MODELS else generic_weights
        save(folder, config, weights(config, seed), dtype, shards)
        rows, variants = [], {}
        variants["stored"] = run_variant(folder, prompts, None, rows, new_tokens)
        if dtype != torch.bfloat16:
            variants["bf16"] = run_variant(folder, prompts, torch.bfloat16, rows, new_tokens)
        margin = min(p["min_margin"] for v in variants.values() for p in v["prompts"])
        if margin >= min_margin:
            break
    else:
        sys.exit(f"{name}: no seed keeps the best two logits {min_margin} apart")
    if dtype == torch.bfloat16:  # for information: all arithmetic in bf16 too
        pure = load(folder, dtype)
        f32 = load(folder, torch.float32)
        diff = max(float((logits(pure, p).float() - logits(f32, p)).abs().max()) for p in prompts)
        variants["stored"]["pure_bf16_max_difference"] = round(diff, 4)
    flat = np.concatenate(rows).astype("<f4")
    (folder / "expected.f32").write_bytes(flat.tobytes())
    doc = dict(
        made_by="tests/golden/make_models.py", seed=seed,
        versions=dict(python=platform.python_version(), torch=torch.__version__,
                      transformers=transformers.__version__, numpy=np.__version__,
                      safetensors=safetensors.__version__),
        vocab_size=config["vocab_size"], new_tokens=new_tokens, **limits, prompts=prompts,
        largest_logit=float(np.abs(flat).max()), variants=variants)
    expected_json.write(folder / "expected.json", doc)
    size = sum(f.stat().st_size for f in folder.iterdir())
    noise = max(v["f32_noise"] for v in variants.values())
    print(f"{name}: seed {seed}, margin {margin:.4f}, noise {noise:.2e}, "
          f"largest logit {doc['largest_logit']:.1f}, {size // 1024} KiB, "
          f"distinct tokens {[len(set(p['tokens'])) for p in variants['stored']['prompts']]}")


if __name__ == "__main__":
    torch.set_num_threads(1)
    transformers.logging.set_verbosity_error()
    transformers.logging.disable_progress_bar()
    for model_name in sys.argv[1:] or [*MODELS, *GOLDENS]:
        make(model_name)
