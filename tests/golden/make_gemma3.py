#!/usr/bin/env python3
"""Makes tests/golden/gemma3/expected.json: what transformers answers with Gemma 3 270M.

    tests/fetch_data.sh                               # puts the GGUF file into build/data
    python3 -m venv V && V/bin/pip install torch transformers sentencepiece protobuf gguf numpy
    V/bin/python tests/golden/make_gemma3.py build/data/gemma-3-270m-q4_k_m.gguf

The weights are those of the GGUF file, dequantised to float32 by the package `gguf`
(`tutti import --dtype f32`), and all arithmetic is float32. Norms lose the 1 that the converter added.
What a GGUF file of Gemma 3 does not say is here as the published configuration has it: five layers
with a window and a rotary base of 10000 for each without, scores divided by sqrt(256).

Each case has the prompt, its ids with the beginning-of-sequence token, and 48 greedy tokens that do not
stop at the end-of-sequence token. `min_margin` is the smallest gap between the two best logits on the
way; a case with less than 2e-3 is refused. `f32_noise` is the largest difference to the logits in
float64, over the prompts. The prompt "long" is longer than the window of 512 tokens.

The ids are SentencePiece's own, of a model put together from the vocabulary and scores in the file.
"""
import hashlib
import pathlib
import platform
import sys
from importlib.metadata import version

import expected_json
import gguf
import torch
import transformers
from gguf_sentencepiece import metadata, sentencepiece_of
from transformers import Gemma3ForCausalLM, Gemma3TextConfig

HERE = pathlib.Path(__file__).parent
NEW_TOKENS = 48
MIN_MARGIN = 2e-3
CASES = [
    dict(name="plain", prompt="The capital of France is"),
    dict(name="story", prompt="Once upon a time, in a small village by the sea, there lived"),
    dict(name="code", prompt='def fibonacci(n):\n    """Return the n-th Fibonacci number."""\n'),
    dict(name="cyrillic", prompt="Москва — столица России, а Париж — столица"),
    dict(name="japanese", prompt="日本の首都は東京です。フランスの首都は"),
    dict(name="long", prompt=(HERE / "smollm2" / "long_prompt.txt").read_text()),
]
# The names of transformers, of a layer's tensors.
NAMES = {
    "attn_norm": "input_layernorm", "attn_q": "self_attn.q_proj", "attn_k": "self_attn.k_proj",
    "attn_v": "self_attn.v_proj", "attn_output": "self_attn.o_proj", "attn_q_norm": "self_attn.q_norm",
    "attn_k_norm": "self_attn.k_norm", "post_attention_norm": "post_attention_layernorm",
    "ffn_norm": "pre_feedforward_layernorm", "ffn_gate": "mlp.gate_proj", "ffn_up": "mlp.up_proj",
    "ffn_down": "mlp.down_proj", "post_ffw_norm": "post_feedforward_layernorm",
}


def load_model(reader, dtype):
    def said(key):
        return metadata(reader, f"gemma3.{key}")

    config = Gemma3TextConfig(
        vocab_size=len(metadata(reader, "tokenizer.ggml.tokens")), hidden_size=said("embedding_length"),
        intermediate_size=said("feed_forward_length"), num_hidden_layers=said("block_count"),
        num_attention_heads=said("attention.head_count"),
        num_key_value_heads=said("attention.head_count_kv"), head_dim=said("attention.key_length"),
        max_position_embeddings=said("context_length"),
        rms_norm_eps=said("attention.layer_norm_rms_epsilon"),
        sliding_window=said("attention.sliding_window"), query_pre_attn_scalar=256,
        layer_types=["full_attention" if i % 6 == 5 else "sliding_attention"
                     for i in range(said("block_count"))],
        rope_parameters=dict(
            full_attention=dict(rope_type="default", rope_theta=said("rope.freq_base")),
            sliding_attention=dict(rope_type="default", rope_theta=10000.0)),
        tie_word_embeddings=True, attn_implementation="eager")
    weights = {}
    for t in reader.tensors:
        x = torch.from_numpy(gguf.dequantize(t.data, t.tensor_type).copy()).to(dtype)
        weights[name_of(t.name)] = x - 1 if t.name.endswith("norm.weight") else x
    weights["lm_head.weight"] = weights["model.embed_tokens.weight"]
    model = Gemma3ForCausalLM._from_config(config, dtype=dtype)
    model.load_state_dict(weights, strict=True)
    return model.eval()


def name_of(name):
    if name in ("token_embd.weight", "output_norm.weight"):
        return {"t": "model.embed_tokens.weight", "o": "model.norm.weight"}[name[0]]
    _, layer, part, weight = name.split(".")
    return f"model.layers.{layer}.{NAMES[part]}.{weight}"


@torch.no_grad()
def run_case(model, tokenizer, case):
    prompt_ids = [tokenizer.bos_id(), *tokenizer.encode(case["prompt"])]
    cache, step, ids, margin = None, prompt_ids, [], float("inf")
    for _ in range(NEW_TOKENS):
        out = model(torch.tensor([step]), past_key_values=cache, use_cache=True, logits_to_keep=1)
        cache = out.past_key_values
        best = out.logits[0, -1].topk(2)
        margin = min(margin, float(best.values[0] - best.values[1]))
        ids.append(int(best.indices[0]))
        step = ids[-1:]
    return case | dict(prompt_tokens=len(prompt_ids), prompt_ids=prompt_ids, ids=ids,
                       text=tokenizer.decode(ids), min_margin=round(margin, 6))


@torch.no_grad()
def noise_of(model, wide, results):
    worst = 0.0
    for r in results:
        ids = torch.tensor([r["prompt_ids"]])
        rows = [m(ids, logits_to_keep=1).logits[0, -1].double() for m in (model, wide)]
        worst = max(worst, float((rows[0] - rows[1]).abs().max()))
    return worst


def main(path):
    reader = gguf.GGUFReader(path)
    tokenizer = sentencepiece_of(reader)
    model = load_model(reader, torch.float32)
    results = []
    for case in CASES:
        r = run_case(model, tokenizer, case)
        results.append(r)
        print(f"{r['name']:9} {r['prompt_tokens']:4} tokens, margin {r['min_margin']:.4f}: {r['text']!r}")
    weak = [r["name"] for r in results if r["min_margin"] < MIN_MARGIN]
    if weak:
        sys.exit(f"too close to call: {weak}; nothing written")
    noise = noise_of(model, load_model(reader, torch.float64), results)
    print(f"f32 noise {noise:.2e}")
    packages = ("torch", "transformers", "sentencepiece", "gguf", "numpy")
    doc = dict(
        made_by="tests/golden/make_gemma3.py", source=path.name,
        source_sha256=hashlib.sha256(path.read_bytes()).hexdigest(),
        versions=dict(python=platform.python_version()) | {p: version(p) for p in packages},
        new_tokens=NEW_TOKENS, f32_noise=noise, cases=results)
    expected_json.write(HERE / "gemma3" / "expected.json", doc)


if __name__ == "__main__":
    transformers.logging.set_verbosity_error()
    main(pathlib.Path(sys.argv[1]))
