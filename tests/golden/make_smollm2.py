#!/usr/bin/env python3
"""Makes tests/golden/smollm2/expected.json: what transformers answers with SmolLM2-135M-Instruct.

    launch/fetch_smollm2.sh                           # says where the GGUF file lies
    python3 -m venv V && V/bin/pip install torch transformers tokenizers gguf jinja2 numpy accelerate
    V/bin/python tests/golden/make_smollm2.py MODEL.gguf

The weights are those of the GGUF file, dequantised to float32 (`tutti import --dtype f32`), and
all arithmetic is float32. Each case has the prompt (`prompt`, or `messages` for a chat), its ids,
and 64 greedy tokens that do not stop at the end-of-sequence token; `stop` is how many of them come
before the first end-of-sequence (64 where there is none), and `text` is what those decode to.
`min_margin` is the smallest gap between the two best logits on the way; a case with less than
2e-3 is refused, since float32 sums in another order may then choose otherwise. `f32_noise` is the
largest difference to the logits in float64, over the prompts.

Checked on the way: the GGUF's q and k rows were brought back from interleaved to half-split order,
the head is the embedding, RoPE's base and the norm's epsilon are the metadata's.

The tokenizer is made from the GGUF's vocabulary and merges with the pre-tokenizer that its
`tokenizer.ggml.pre = smollm` names, SmolLM2's own: single digits, then GPT-2's byte-level regex.
"""
import hashlib
import pathlib
import platform
import sys

import expected_json
import gguf
import jinja2
import numpy as np
import tokenizers
import torch
import transformers
from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers
from transformers import AutoModelForCausalLM

HERE = pathlib.Path(__file__).parent
NEW_TOKENS = 64
MIN_MARGIN = 2e-3
LONG = (HERE / "smollm2" / "long_prompt.txt").read_text()

CASES = [
    dict(name="plain", prompt="The capital of France is"),
    dict(name="story", prompt="Once upon a time, in a small village by the sea, there lived"),
    dict(name="code", prompt='def fibonacci(n):\n    """Return the n-th Fibonacci number."""\n'),
    dict(name="digits", prompt="2, 3, 5, 7, 11, 13, 17, 19, 23, 29, 31, 37,"),
    dict(name="cyrillic", prompt="Москва — столица России, а Париж — столица"),
    dict(name="japanese", prompt="日本の首都は東京です。フランスの首都は"),
    dict(name="emoji", prompt="Dear friends 🎉🎻🦙, thank you for coming to our concert 👩‍🎤! We"),
    dict(name="long", prompt=LONG),
    dict(name="chat", messages=[
        dict(role="user", content="What is the difference between a violin and a viola?")]),
    dict(name="chat_system", messages=[
        dict(role="system", content="You are a grumpy old pirate. Answer in one sentence."),
        dict(role="user", content="Why is the sky blue?")]),
    dict(name="chat_code", messages=[
        dict(role="user", content="Write a C function that adds two vectors of floats.")]),
    dict(name="chat_turns", messages=[
        dict(role="user", content="Name a fruit."),
        dict(role="assistant", content="An apple 🍎."),
        dict(role="user", content="Name another one, and say where it grows.")]),
    dict(name="chat_greek", messages=[
        dict(role="user", content="Translate into English: «Η μουσική είναι παντού.»")]),
]


def metadata(reader, key):
    return reader.fields[key].contents()


def make_tokenizer(reader):
    vocab = metadata(reader, "tokenizer.ggml.tokens")
    kinds = metadata(reader, "tokenizer.ggml.token_type")
    merges = [tuple(m.split(" ")) for m in metadata(reader, "tokenizer.ggml.merges")]
    assert metadata(reader, "tokenizer.ggml.pre") == "smollm"
    assert not metadata(reader, "tokenizer.ggml.add_bos_token")
    tok = Tokenizer(models.BPE({t: i for i, t in enumerate(vocab)}, merges))
    tok.pre_tokenizer = pre_tokenizers.Sequence([
        pre_tokenizers.Digits(individual_digits=True),
        pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=True)])
    tok.decoder = decoders.ByteLevel()
    special = [t for t, kind in zip(vocab, kinds) if kind == gguf.TokenType.CONTROL]
    tok.add_special_tokens([AddedToken(t, special=True, normalized=False) for t in special])
    assert tok.get_vocab_size() == len(vocab)
    return tok


def load_model(path, reader, dtype):
    model = AutoModelForCausalLM.from_pretrained(path.parent, gguf_file=path.name, dtype=dtype).eval()
    config, m = model.config, model.model
    heads, kv_heads = metadata(reader, "llama.attention.head_count"), metadata(
        reader, "llama.attention.head_count_kv")
    assert (config.num_attention_heads, config.num_key_value_heads) == (heads, kv_heads)
    rope = config.rope_parameters
    assert rope["rope_type"] == "default", rope
    assert rope["rope_theta"] == metadata(reader, "llama.rope.freq_base"), rope
    epsilon = metadata(reader, "llama.attention.layer_norm_rms_epsilon")
    assert np.float32(config.rms_norm_eps) == np.float32(epsilon)
    assert np.float32(m.norm.variance_epsilon) == np.float32(epsilon)
    tensors = {t.name: t for t in reader.tensors}
    assert "output.weight" not in tensors
    assert model.lm_head.weight.data_ptr() == m.embed_tokens.weight.data_ptr()

    def rows(name):
        t = tensors[name]
        return torch.from_numpy(gguf.dequantize(t.data, t.tensor_type).copy()).to(dtype)

    def half_split(w, n):  # row 2 i + j of a head -> row j d/2 + i
        return w.reshape(n, -1, 2, w.shape[1]).transpose(1, 2).reshape(w.shape)

    assert torch.equal(m.embed_tokens.weight, rows("token_embd.weight"))
    for i in (0, config.num_hidden_layers - 1):
        a = m.layers[i].self_attn
        assert torch.equal(a.q_proj.weight, half_split(rows(f"blk.{i}.attn_q.weight"), heads))
        assert torch.equal(a.k_proj.weight, half_split(rows(f"blk.{i}.attn_k.weight"), kv_heads))
        assert torch.equal(a.v_proj.weight, rows(f"blk.{i}.attn_v.weight"))
    return model


@torch.no_grad()
def run_case(model, tokenizer, template, eos, case):
    text = case.get("prompt") or template.render(
        messages=case["messages"], add_generation_prompt=True)
    prompt_ids = tokenizer.encode(text, add_special_tokens=False).ids
    assert tokenizer.decode(prompt_ids, skip_special_tokens=False) == text
    cache, step, ids, margin, first = None, prompt_ids, [], float("inf"), None
    for _ in range(NEW_TOKENS):
        out = model(torch.tensor([step]), past_key_values=cache, use_cache=True)
        cache, row = out.past_key_values, out.logits[0, -1]
        best = row.topk(2)
        margin = min(margin, float(best.values[0] - best.values[1]))
        if first is None:
            top = torch.log_softmax(row.double(), 0).topk(5)
            first = [[int(i), round(float(p), 4)] for p, i in zip(*top)]
        ids.append(int(best.indices[0]))
        step = ids[-1:]
    stop = ids.index(eos) if eos in ids else NEW_TOKENS
    return case | dict(
        prompt_tokens=len(prompt_ids), prompt_ids=prompt_ids, ids=ids, stop=stop,
        text=tokenizer.decode(ids[:stop], skip_special_tokens=False),
        min_margin=round(margin, 6), first_logprobs=first)


@torch.no_grad()
def noise_of(model, wide, results):
    worst = 0.0
    for r in results:
        ids = torch.tensor([r["prompt_ids"]])
        worst = max(worst, float((model(ids).logits[0, -1] - wide(ids).logits[0, -1]).abs().max()))
    return worst


def main(path):
    reader = gguf.GGUFReader(path)
    tokenizer = make_tokenizer(reader)
    eos = metadata(reader, "tokenizer.ggml.eos_token_id")
    template = jinja2.Environment(trim_blocks=True, lstrip_blocks=True).from_string(
        metadata(reader, "tokenizer.chat_template"))
    model = load_model(path, reader, torch.float32)
    results = []
    for case in CASES:
        r = run_case(model, tokenizer, template, eos, case)
        results.append(r)
        print(f"{r['name']:12} {r['prompt_tokens']:4} tokens, margin {r['min_margin']:.4f}, "
              f"stop {r['stop']:2}: {r['text']!r}")
    weak = [r["name"] for r in results if r["min_margin"] < MIN_MARGIN]
    if weak:
        sys.exit(f"too close to call: {weak}; nothing written")
    noise = noise_of(model, load_model(path, reader, torch.float64), results)
    print(f"f32 noise {noise:.2e}")
    doc = dict(
        made_by="tests/golden/make_smollm2.py", source=path.name,
        source_sha256=hashlib.sha256(path.read_bytes()).hexdigest(),
        versions=dict(python=platform.python_version(), torch=torch.__version__,
                      transformers=transformers.__version__, tokenizers=tokenizers.__version__,
                      gguf=__import__("importlib.metadata").metadata.version("gguf"),
                      numpy=np.__version__),
        eos=eos, new_tokens=NEW_TOKENS, f32_noise=noise, cases=results)
    expected_json.write(HERE / "smollm2" / "expected.json", doc)


if __name__ == "__main__":
    transformers.logging.set_verbosity_error()
    transformers.logging.disable_progress_bar()
    main(pathlib.Path(sys.argv[1]))
