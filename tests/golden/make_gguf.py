#!/usr/bin/env python3
"""Makes tests/golden/gguf/: GGUF files of some models in models/, as llama.cpp's converter would.

    python3 -m venv V && V/bin/pip install gguf numpy
    V/bin/python tests/golden/make_gguf.py            # all of them, or the names given

Names of tensors are those of the package `gguf`, the tables that convert_hf_to_gguf.py uses itself.
Which keys that script writes for a family, and what it does to values, is said here again, family by
family: rows of q and k in rotary pairs (Llama, Mistral, Granite), fused q, k and v sorted (GPT-NeoX,
Falcon), transposed matrices (GPT-2), norms plus 1 (Gemma), factors of frequencies (Llama 3, Phi-3),
experts in one tensor (Mixtral, Qwen). Matrices stay what they are (f16 or f32), vectors and GPT-2's
positions become f32. There is no tokenizer.

Where the converter writes what is true of published models only, the truth is written instead: Falcon's
feed_forward_length (it says 4 x hidden). It knows no Falcon with biases; those are sorted here as the
weights are. All others were compared with what the script itself made of the same folders in 2026.
"""
import json
import math
import pathlib
import re
import sys

import gguf
import numpy as np

HERE = pathlib.Path(__file__).parent
DTYPES = {"F16": np.float16, "F32": np.float32}


def rotary_pairs(x, heads):
    """Row j d/2 + i of a head -> row 2 i + j."""
    return x.reshape(heads, 2, -1, *x.shape[1:]).swapaxes(1, 2).reshape(x.shape)


def sorted_qkv(x, kv_heads, head_dim):
    """For each KV head its queries, itself, its values -> all queries, all keys, all values."""
    groups = x.reshape(kv_heads, -1, head_dim, *x.shape[1:])
    parts = groups[:, :-2], groups[:, -2], groups[:, -1]
    return np.concatenate([part.reshape(-1, *x.shape[1:]) for part in parts])


def rope_of(c):
    rope = dict(c.get("rope_parameters") or c.get("rope_scaling") or {})
    whole = rope.get("full_attention", rope)
    whole.setdefault("rope_theta", c.get("rope_theta"))
    whole.setdefault("rope_type", whole.get("type"))
    local = rope.get("sliding_attention", {}).get("rope_theta", c.get("rope_local_base_freq"))
    return whole, local


def usual_keys(w, c):
    w.add_block_count(c["num_hidden_layers"])
    w.add_context_length(c["max_position_embeddings"])
    w.add_embedding_length(c["hidden_size"])
    w.add_feed_forward_length(c["intermediate_size"])
    w.add_head_count(c["num_attention_heads"])
    w.add_head_count_kv(c["num_key_value_heads"])
    rope, local = rope_of(c)
    if rope["rope_type"] == "linear":
        w.add_rope_scaling_type(gguf.RopeScalingType.LINEAR)
        w.add_rope_scaling_factor(rope["factor"])
    elif rope["rope_type"] == "yarn":
        w.add_rope_scaling_type(gguf.RopeScalingType.YARN)
        w.add_rope_scaling_factor(rope["factor"])
        w.add_rope_scaling_orig_ctx_len(rope["original_max_position_embeddings"])
    if rope["rope_theta"] is not None:
        w.add_rope_freq_base(rope["rope_theta"])
    if local is not None:
        w.add_rope_freq_base_swa(local)
    if "rms_norm_eps" in c:
        w.add_layer_norm_rms_eps(c["rms_norm_eps"])
    if "norm_epsilon" in c:
        w.add_layer_norm_eps(c["norm_epsilon"])
    if (experts := c.get("num_local_experts", c.get("num_experts"))) is not None:
        w.add_expert_count(experts)
        w.add_expert_used_count(c["num_experts_per_tok"])
    if "head_dim" in c:
        w.add_key_length(c["head_dim"])
        w.add_value_length(c["head_dim"])
    w.add_file_type(gguf.LlamaFileType.MOSTLY_F16)


def usual(w, c, tensors):
    usual_keys(w, c)
    return tensors


def llama(w, c, tensors):
    usual_keys(w, c)
    w.add_vocab_size(c["vocab_size"])
    head_dim = c.get("head_dim", c["hidden_size"] // c["num_attention_heads"])
    w.add_rope_dimension_count(head_dim)
    heads = {"q_proj": c["num_attention_heads"], "k_proj": c["num_key_value_heads"]}
    out = {}
    for name, x in tensors.items():
        out[name] = rotary_pairs(x, heads[part]) if (part := name.split(".")[-2]) in heads else x
    if rope_of(c)[0]["rope_type"] == "llama3":
        out["rope_freqs.weight"] = llama3_factors(rope_of(c)[0], head_dim)
    return out


def llama3_factors(rope, head_dim):
    low, high = rope["low_freq_factor"], rope["high_freq_factor"]
    context, factor = rope["original_max_position_embeddings"], rope["factor"]
    factors = []
    for i in range(0, head_dim, 2):
        turns = context / (2 * math.pi * rope["rope_theta"] ** (i / head_dim))
        smooth = min(max((turns - low) / (high - low), 0), 1)
        factors.append(1 / ((1 - smooth) / factor + smooth))
    return np.array(factors, np.float32)


def stacked_experts(tensors):
    """Layer by layer: experts.E.PART.weight of all E -> experts.PART.weight."""
    out, stacks = {}, {}
    for name, x in tensors.items():
        if match := re.fullmatch(r"(.*\.experts)\.(\d+)\.(\w+)\.weight", name):
            stacks.setdefault(f"{match[1]}.{match[3]}.weight", {})[int(match[2])] = x
        else:
            out[name] = x
    return out | {name: np.stack([parts[i] for i in range(len(parts))]) for name, parts in stacks.items()}


def mixtral(w, c, tensors):
    return {re.sub(r"model\.(.*)block_sparse_moe\.experts", r"\1feed_forward.experts", name): x
            for name, x in stacked_experts(llama(w, c, tensors)).items()}


def qwen_moe(w, c, tensors):
    usual_keys(w, c)
    w.add_expert_feed_forward_length(c["moe_intermediate_size"])
    if "shared_expert_intermediate_size" in c:
        w.add_expert_shared_feed_forward_length(c["shared_expert_intermediate_size"])
    return stacked_experts(tensors)


def granite(w, c, tensors):
    out = llama(w, c, tensors)
    w.add_attention_scale(c["attention_multiplier"])
    w.add_embedding_scale(c["embedding_multiplier"])
    w.add_residual_scale(c["residual_multiplier"])
    w.add_logit_scale(c["logits_scaling"])
    return out


def phi3(w, c, tensors):
    rope, _ = rope_of(c)
    original = c.get("original_max_position_embeddings", 4096)
    w.add_context_length(c["max_position_embeddings"])
    w.add_rope_scaling_orig_ctx_len(original)
    w.add_embedding_length(c["hidden_size"])
    w.add_feed_forward_length(c["intermediate_size"])
    w.add_block_count(c["num_hidden_layers"])
    w.add_head_count(c["num_attention_heads"])
    w.add_head_count_kv(c["num_key_value_heads"])
    w.add_layer_norm_rms_eps(c["rms_norm_eps"])
    share = c.get("partial_rotary_factor", 1.0)
    w.add_rope_dimension_count(int(share * c["hidden_size"]) // c["num_attention_heads"])
    w.add_rope_freq_base(rope["rope_theta"])
    w.add_file_type(gguf.LlamaFileType.MOSTLY_F16)
    w.add_sliding_window(c["sliding_window"] or 0)
    if "long_factor" not in rope:
        return tensors
    stretch = c["max_position_embeddings"] / original
    w.add_rope_scaling_attn_factors(math.sqrt(1 + math.log(stretch) / math.log(original)))
    factors = {f"rope_factors_{kind}.weight": np.array(rope[f"{kind}_factor"], np.float32)
               for kind in ("long", "short")}
    return tensors | factors


def plus_one(tensors):
    return {name: x + x.dtype.type(1) if name.endswith("norm.weight") else x
            for name, x in tensors.items() if name != "lm_head.weight"}


def gemma2(w, c, tensors):
    w.add_context_length(c["max_position_embeddings"])
    w.add_embedding_length(c["hidden_size"])
    w.add_block_count(c["num_hidden_layers"])
    w.add_feed_forward_length(c["intermediate_size"])
    w.add_head_count(c["num_attention_heads"])
    w.add_head_count_kv(c["num_key_value_heads"])
    w.add_layer_norm_rms_eps(c["rms_norm_eps"])
    w.add_key_length(c["head_dim"])
    w.add_value_length(c["head_dim"])
    w.add_file_type(gguf.LlamaFileType.MOSTLY_F16)
    w.add_attn_logit_softcapping(c["attn_logit_softcapping"])
    w.add_final_logit_softcapping(c["final_logit_softcapping"])
    w.add_sliding_window(c["sliding_window"])
    return plus_one(tensors)


def gemma3(w, c, tensors):
    usual_keys(w, c)
    w.add_sliding_window(c["sliding_window"])
    return plus_one(tensors)


def gpt2(w, c, tensors):
    w.add_block_count(c["n_layer"])
    w.add_context_length(c["n_ctx"])
    w.add_embedding_length(c["n_embd"])
    w.add_feed_forward_length(4 * c["n_embd"])
    w.add_head_count(c["n_head"])
    w.add_layer_norm_eps(c["layer_norm_epsilon"])
    w.add_file_type(gguf.LlamaFileType.MOSTLY_F16)
    in_out = ("c_attn.weight", "c_proj.weight", "c_fc.weight")
    return {name: x.T if name.endswith(in_out) else x for name, x in tensors.items()}


def gptneox(w, c, tensors):
    head_dim = c["hidden_size"] // c["num_attention_heads"]
    w.add_context_length(c["max_position_embeddings"])
    w.add_embedding_length(c["hidden_size"])
    w.add_block_count(c["num_hidden_layers"])
    w.add_feed_forward_length(c["intermediate_size"])
    w.add_rope_dimension_count(int(c["rotary_pct"] * head_dim))
    w.add_head_count(c["num_attention_heads"])
    w.add_parallel_residual(c["use_parallel_residual"])
    w.add_layer_norm_eps(c["layer_norm_eps"])
    return {name: sorted_qkv(x, c["num_attention_heads"], head_dim)
            if "query_key_value" in name else x for name, x in tensors.items()}


def falcon(w, c, tensors):
    kv_heads = c.get("num_kv_heads", 1)
    w.add_context_length(2048)
    w.add_tensor_data_layout("jploski")
    w.add_embedding_length(c["hidden_size"])
    w.add_feed_forward_length(c.get("ffn_hidden_size", 4 * c["hidden_size"]))
    w.add_block_count(c["num_hidden_layers"])
    w.add_head_count(c["num_attention_heads"])
    w.add_head_count_kv(kv_heads)
    w.add_layer_norm_eps(c["layer_norm_epsilon"])
    w.add_file_type(gguf.LlamaFileType.MOSTLY_F16)
    head_dim = c["hidden_size"] // c["num_attention_heads"]
    return {name: sorted_qkv(x, kv_heads, head_dim) if "query_key_value" in name else x
            for name, x in tensors.items()}


def mpt(w, c, tensors):
    w.add_context_length(c["max_seq_len"])
    w.add_embedding_length(c["d_model"])
    w.add_block_count(c["n_layers"])
    w.add_feed_forward_length(4 * c["d_model"])
    w.add_head_count(c["n_heads"])
    w.add_layer_norm_eps(1e-5)
    w.add_max_alibi_bias(c["attn_config"]["alibi_bias_max"])
    return tensors


# Architecture and converter of a folder's architecture.
CONVERTERS = {
    "LlamaForCausalLM": (gguf.MODEL_ARCH.LLAMA, llama),
    "MistralForCausalLM": (gguf.MODEL_ARCH.LLAMA, llama),
    "GraniteForCausalLM": (gguf.MODEL_ARCH.GRANITE, granite),
    "MixtralForCausalLM": (gguf.MODEL_ARCH.LLAMA, mixtral),
    "Qwen2MoeForCausalLM": (gguf.MODEL_ARCH.QWEN2MOE, qwen_moe),
    "Qwen3MoeForCausalLM": (gguf.MODEL_ARCH.QWEN3MOE, qwen_moe),
    "Qwen2ForCausalLM": (gguf.MODEL_ARCH.QWEN2, usual),
    "Qwen3ForCausalLM": (gguf.MODEL_ARCH.QWEN3, usual),
    "Olmo2ForCausalLM": (gguf.MODEL_ARCH.OLMO2, usual),
    "Starcoder2ForCausalLM": (gguf.MODEL_ARCH.STARCODER2, usual),
    "Phi3ForCausalLM": (gguf.MODEL_ARCH.PHI3, phi3),
    "Gemma2ForCausalLM": (gguf.MODEL_ARCH.GEMMA2, gemma2),
    "Gemma3ForCausalLM": (gguf.MODEL_ARCH.GEMMA3, gemma3),
    "GPT2LMHeadModel": (gguf.MODEL_ARCH.GPT2, gpt2),
    "GPTNeoXForCausalLM": (gguf.MODEL_ARCH.GPTNEOX, gptneox),
    "FalconForCausalLM": (gguf.MODEL_ARCH.FALCON, falcon),
    "MptForCausalLM": (gguf.MODEL_ARCH.MPT, mpt),
}
MODELS = ["llama-bias", "llama-rope3", "llama-yarn", "mistral-window", "mixtral-whole", "granite-scales",
          "qwen2-untied", "qwen2-moe", "qwen3-untied", "qwen3-moe-plain", "olmo2-grouped",
          "starcoder2-window", "phi3-long", "phi3-partial", "gemma2-caps", "gemma3-window", "gpt2-tied",
          "neox-parallel", "neox-serial", "falcon-one", "falcon-grouped", "mpt-four"]


def read_tensors(folder):
    tensors = {}
    for path in sorted(folder.glob("*.safetensors")):
        with gguf.utility.SafetensorsLocal(path) as part:
            for name, x in part.items():
                tensors[name] = np.array(x.mmap_bytes()).view(DTYPES[x.dtype]).reshape(x.shape)
    return tensors


def make(name):
    folder = HERE / "models" / name
    config = json.loads((folder / "config.json").read_text())
    architecture, convert = CONVERTERS[config["architectures"][0]]
    path = HERE / "gguf" / f"{name}.gguf"
    writer = gguf.GGUFWriter(path, gguf.MODEL_ARCH_NAMES[architecture])
    writer.add_type(gguf.GGUFType.MODEL)
    writer.add_name(name)
    layers = next(config[key] for key in ("num_hidden_layers", "n_layer", "n_layers") if key in config)
    names = gguf.get_tensor_name_map(architecture, layers)
    for source, x in convert(writer, config, read_tensors(folder)).items():
        target = names.get_name(source, (".weight", ".bias")) or source  # rope factors are named already
        if x.ndim == 1 or target == "position_embd.weight":
            x = x.astype(np.float32)
        writer.add_tensor(target, np.ascontiguousarray(x))
    writer.add_quantization_version(gguf.GGML_QUANT_VERSION)
    path.parent.mkdir(exist_ok=True)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    print(f"{path.name}: {path.stat().st_size} bytes, {architecture.name.lower()}")


if __name__ == "__main__":
    for model in sys.argv[1:] or MODELS:
        make(model)
