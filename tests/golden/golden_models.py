"""The tiny models of make_models.py, family by family but for Llama: configurations as the hub
spells them, of shapes that take the odd paths."""
import dataclasses


@dataclasses.dataclass
class Golden:
    config: dict
    dtype: str = "float16"             # stored
    lengths: tuple = (1, 7, 33, 70)    # of the prompts: cross the borders of pages of 16
    new_tokens: int = 12
    margin: float = 0.02               # between the two best logits
    max_context: int = 0               # that the test asks for, where it decides something


def _model(architecture, model_type, **fields):
    base = dict(architectures=[architecture], model_type=model_type, num_hidden_layers=2,
                max_position_embeddings=256, bos_token_id=0, eos_token_id=1, use_cache=True,
                torch_dtype="float16")
    return base | fields


def _qwen2(**fields):
    return _model("Qwen2ForCausalLM", "qwen2", hidden_act="silu", rms_norm_eps=1e-6,
                  attention_dropout=0.0, initializer_range=0.02, use_sliding_window=False,
                  sliding_window=64, max_window_layers=2, **fields)


def _mistral(**fields):
    return _model("MistralForCausalLM", "mistral", hidden_act="silu", rms_norm_eps=1e-5,
                  attention_dropout=0.0, **fields)


def _phi3(**fields):
    return _model("Phi3ForCausalLM", "phi3", hidden_act="silu", rms_norm_eps=1e-5,
                  attention_dropout=0.0, resid_pdrop=0.0, embd_pdrop=0.0, attention_bias=False,
                  pad_token_id=1, **fields)


def _llama(**fields):
    return _model("LlamaForCausalLM", "llama", hidden_act="silu", rms_norm_eps=1e-5,
                  attention_dropout=0.0, mlp_bias=False, pretraining_tp=1, **fields)


def _qwen3(**fields):
    return _model("Qwen3ForCausalLM", "qwen3", hidden_act="silu", rms_norm_eps=1e-6,
                  attention_bias=False, attention_dropout=0.0, use_sliding_window=False,
                  sliding_window=None, max_window_layers=2, **fields)


def _mixtral(**fields):
    return _model("MixtralForCausalLM", "mixtral", hidden_act="silu", rms_norm_eps=1e-5,
                  attention_dropout=0.0, sliding_window=None, output_router_logits=False,
                  router_aux_loss_coef=0.02, **fields)


def _qwen2_moe(**fields):
    return _model("Qwen2MoeForCausalLM", "qwen2_moe", hidden_act="silu", rms_norm_eps=1e-6,
                  attention_dropout=0.0, use_sliding_window=False, sliding_window=64,
                  max_window_layers=2, decoder_sparse_step=1, intermediate_size=50,
                  output_router_logits=False, router_aux_loss_coef=0.001, **fields)


def _qwen3_moe(**fields):
    return _model("Qwen3MoeForCausalLM", "qwen3_moe", hidden_act="silu", rms_norm_eps=1e-6,
                  attention_dropout=0.0, use_sliding_window=False, sliding_window=None,
                  max_window_layers=2, decoder_sparse_step=1, mlp_only_layers=[],
                  intermediate_size=50, output_router_logits=False, router_aux_loss_coef=0.001,
                  **fields)


def _gemma2(**fields):
    return _model("Gemma2ForCausalLM", "gemma2", hidden_act="gelu_pytorch_tanh",
                  hidden_activation="gelu_pytorch_tanh", rms_norm_eps=1e-6, attention_bias=False,
                  attention_dropout=0.0, cache_implementation="hybrid", rope_theta=10000.0, **fields)


def _gemma3(**fields):
    return _model("Gemma3ForCausalLM", "gemma3_text", hidden_activation="gelu_pytorch_tanh",
                  rms_norm_eps=1e-6, attention_bias=False, attention_dropout=0.0,
                  attn_logit_softcapping=None, final_logit_softcapping=None, **fields)


def _olmo2(**fields):
    return _model("Olmo2ForCausalLM", "olmo2", hidden_act="silu", rms_norm_eps=1e-6,
                  attention_bias=False, attention_dropout=0.0, rope_scaling=None,
                  rope_theta=500000.0, **fields)


def _granite(**fields):
    return _model("GraniteForCausalLM", "granite", hidden_act="silu", rms_norm_eps=1e-5,
                  attention_bias=False, mlp_bias=False, attention_dropout=0.1, rope_scaling=None,
                  rope_theta=10000.0, **fields)


def _starcoder2(**fields):
    return _model("Starcoder2ForCausalLM", "starcoder2", hidden_act="gelu_pytorch_tanh",
                  norm_epsilon=1e-5, norm_type="layer_norm", mlp_type="default",
                  attention_dropout=0.1, residual_dropout=0.1, embedding_dropout=0.1,
                  rope_theta=100000.0, **fields)


def _gpt2(**fields):
    config = _model("GPT2LMHeadModel", "gpt2", activation_function="gelu_new", attn_pdrop=0.1,
                    embd_pdrop=0.1, resid_pdrop=0.1, layer_norm_epsilon=1e-5, n_layer=2, **fields)
    del config["num_hidden_layers"], config["max_position_embeddings"]
    return config


def _neox(**fields):
    return _model("GPTNeoXForCausalLM", "gpt_neox", hidden_act="gelu", layer_norm_eps=1e-5,
                  attention_dropout=0.0, hidden_dropout=0.0, rotary_emb_base=10000,
                  tie_word_embeddings=False, **fields)


def _falcon(**fields):
    return _model("FalconForCausalLM", "falcon", alibi=False, attention_dropout=0.0,
                  hidden_dropout=0.0, layer_norm_epsilon=1e-5, **fields)


def _mpt(**fields):
    config = _model("MptForCausalLM", "mpt", n_layers=2, max_seq_len=256, emb_pdrop=0, resid_pdrop=0,
                    no_bias=True, logit_scale=None, norm_type="low_precision_layernorm", **fields)
    del config["num_hidden_layers"], config["max_position_embeddings"]
    return config


GOLDENS = {
    # Biases of all four products of attention: rank 0 alone adds o's.
    "llama-bias": Golden(_llama(
        hidden_size=36, intermediate_size=40, num_attention_heads=6, num_key_value_heads=2,
        vocab_size=120, rope_theta=10000.0, tie_word_embeddings=True, attention_bias=True)),
    "llama-yarn": Golden(_llama(
        hidden_size=40, intermediate_size=40, num_attention_heads=4, num_key_value_heads=4,
        head_dim=16, vocab_size=110, rope_theta=10000.0, tie_word_embeddings=True,
        attention_bias=False, rope_scaling=dict(
            rope_type="yarn", factor=4.0, original_max_position_embeddings=64))),
    # Within max_position_embeddings, where nothing is stretched yet.
    "llama-dynamic": Golden(_llama(
        hidden_size=32, intermediate_size=40, num_attention_heads=4, num_key_value_heads=4,
        vocab_size=110, rope_theta=10000.0, tie_word_embeddings=True, attention_bias=False,
        rope_scaling=dict(type="dynamic", factor=4.0))),
    "mistral-whole": Golden(_mistral(  # a window that hides nothing
        hidden_size=40, intermediate_size=43, num_attention_heads=5, num_key_value_heads=1,
        head_dim=10, vocab_size=120, rope_theta=1000000.0, tie_word_embeddings=False,
        sliding_window=None)),
    "mistral-window": Golden(_mistral(  # shorter than the prompts, than a page and than a chunk
        hidden_size=40, intermediate_size=40, num_attention_heads=4, num_key_value_heads=2,
        vocab_size=110, rope_theta=10000.0, tie_word_embeddings=False, sliding_window=11)),
    "qwen3-tied": Golden(_qwen3(  # heads wider than hidden / heads
        hidden_size=40, intermediate_size=40, num_attention_heads=4, num_key_value_heads=2,
        head_dim=16, vocab_size=100, rope_theta=1000000.0, tie_word_embeddings=True)),
    "qwen3-untied": Golden(_qwen3(
        hidden_size=32, intermediate_size=41, num_attention_heads=6, num_key_value_heads=1,
        head_dim=8, vocab_size=90, rope_theta=10000.0, tie_word_embeddings=False)),
    # Mixtures are stored as f32: on a GPU the rounding of 16 bits sends tokens to other experts. Where
    # every token goes to all experts (NAME-all, qwen3-moe-plain), GPUs are tried in bf16 as well.
    "mixtral-all": Golden(_mixtral(  # by columns on 2 and 4 ranks, 2, 1 and 1 whole experts on 3
        hidden_size=32, intermediate_size=40, num_attention_heads=4, num_key_value_heads=1,
        vocab_size=100, rope_theta=1000000.0, tie_word_embeddings=False, num_local_experts=4,
        num_experts_per_tok=4), dtype="float32"),
    "qwen2-moe-all": Golden(_qwen2_moe(
        hidden_size=40, moe_intermediate_size=16, shared_expert_intermediate_size=24,
        num_attention_heads=4, num_key_value_heads=4, vocab_size=90, rope_theta=10000.0,
        tie_word_embeddings=True, num_experts=3, num_experts_per_tok=3, norm_topk_prob=True),
        dtype="float32"),
    "mixtral-columns": Golden(_mixtral(
        hidden_size=32, intermediate_size=40, num_attention_heads=4, num_key_value_heads=2,
        vocab_size=100, rope_theta=1000000.0, tie_word_embeddings=False, num_local_experts=6,
        num_experts_per_tok=2), dtype="float32"),
    "mixtral-whole": Golden(_mixtral(  # so few columns that 2 and 4 ranks take whole experts
        hidden_size=32, intermediate_size=5, num_attention_heads=4, num_key_value_heads=4,
        vocab_size=90, rope_theta=10000.0, tie_word_embeddings=True, num_local_experts=7,
        num_experts_per_tok=4), dtype="float32"),
    "qwen2-moe": Golden(_qwen2_moe(  # an MLP beside the experts, weights that do not add up to 1
        hidden_size=36, moe_intermediate_size=12, shared_expert_intermediate_size=21,
        num_attention_heads=6, num_key_value_heads=2, vocab_size=100, rope_theta=1000000.0,
        tie_word_embeddings=False, num_experts=5, num_experts_per_tok=2, norm_topk_prob=False),
        dtype="float32"),
    "qwen3-moe-tied": Golden(_qwen3_moe(
        hidden_size=32, moe_intermediate_size=16, num_attention_heads=4, num_key_value_heads=2,
        head_dim=16, vocab_size=100, rope_theta=1000000.0, tie_word_embeddings=True,
        attention_bias=False, num_experts=8, num_experts_per_tok=3, norm_topk_prob=True),
        dtype="float32"),
    "qwen3-moe-plain": Golden(_qwen3_moe(  # all experts for every token
        hidden_size=32, moe_intermediate_size=11, num_attention_heads=6, num_key_value_heads=1,
        head_dim=8, vocab_size=90, rope_theta=10000.0, tie_word_embeddings=False,
        attention_bias=True, num_experts=3, num_experts_per_tok=3, norm_topk_prob=False),
        dtype="float32"),
    "qwen2-tied": Golden(_qwen2(
        hidden_size=42, intermediate_size=50, num_attention_heads=7, num_key_value_heads=1,
        vocab_size=121, rope_theta=1000000.0, tie_word_embeddings=True)),
    "qwen2-untied": Golden(_qwen2(
        hidden_size=32, intermediate_size=37, num_attention_heads=4, num_key_value_heads=2,
        vocab_size=100, rope_theta=10000.0, tie_word_embeddings=False)),
    "phi3-fused": Golden(_phi3(
        hidden_size=36, intermediate_size=41, num_attention_heads=6, num_key_value_heads=3,
        vocab_size=117, rope_theta=10000.0, rope_scaling=None, tie_word_embeddings=False,
        sliding_window=262144)),
    "phi3-partial": Golden(_phi3(  # as Phi-4-mini: three quarters of a head, tied, a window
        hidden_size=32, intermediate_size=40, num_attention_heads=4, num_key_value_heads=2,
        vocab_size=100, rope_theta=10000.0, rope_scaling=None, tie_word_embeddings=True,
        partial_rotary_factor=0.75, sliding_window=20)),
    # The longer list: every prompt is beyond the original context, as the run may be.
    "phi3-long": Golden(_phi3(
        hidden_size=32, intermediate_size=40, num_attention_heads=4, num_key_value_heads=4,
        vocab_size=100, rope_theta=10000.0, tie_word_embeddings=False, sliding_window=None,
        original_max_position_embeddings=8, rope_scaling=dict(
            type="longrope", short_factor=[1.0, 1.1, 1.3, 1.5],
            long_factor=[1.0, 1.5, 3.0, 7.5])), lengths=(9, 33, 70)),
    "phi3-short": Golden(_phi3(  # a run that stays within the original context
        hidden_size=32, intermediate_size=40, num_attention_heads=4, num_key_value_heads=2,
        vocab_size=100, rope_theta=10000.0, tie_word_embeddings=False, sliding_window=None,
        original_max_position_embeddings=128, rope_scaling=dict(
            type="longrope", short_factor=[1.0, 1.1, 1.3, 1.5],
            long_factor=[1.0, 1.5, 3.0, 7.5])), max_context=128),
    "gemma2-caps": Golden(_gemma2(  # a cap that bounds scores, a window shorter than the prompts
        hidden_size=32, intermediate_size=40, num_attention_heads=4, num_key_value_heads=2,
        head_dim=16, vocab_size=100, query_pre_attn_scalar=24, sliding_window=12,
        attn_logit_softcapping=2.0, final_logit_softcapping=10.0)),
    "gemma3-window": Golden(_gemma3(  # two windowed layers, one whole, two rotary bases
        hidden_size=32, intermediate_size=36, num_attention_heads=4, num_key_value_heads=1,
        head_dim=16, vocab_size=100, query_pre_attn_scalar=20, sliding_window=12,
        rope_theta=1000000.0, rope_local_base_freq=10000.0, sliding_window_pattern=3,
        rope_scaling=dict(rope_type="linear", factor=8.0)) | dict(num_hidden_layers=3)),
    "gemma3-typed": Golden(_gemma3(  # as transformers 5 spells it
        hidden_size=36, intermediate_size=36, num_attention_heads=6, num_key_value_heads=2,
        head_dim=8, vocab_size=100, query_pre_attn_scalar=8, sliding_window=20,
        layer_types=["sliding_attention", "full_attention"],
        rope_parameters=dict(
            full_attention=dict(rope_type="default", rope_theta=1000000.0),
            sliding_attention=dict(rope_type="default", rope_theta=10000.0)))),
    "olmo2-grouped": Golden(_olmo2(
        hidden_size=36, intermediate_size=41, num_attention_heads=6, num_key_value_heads=2,
        vocab_size=100, tie_word_embeddings=False)),
    "olmo2-whole": Golden(_olmo2(
        hidden_size=32, intermediate_size=40, num_attention_heads=4, num_key_value_heads=4,
        vocab_size=90, tie_word_embeddings=False)),
    "granite-scales": Golden(_granite(
        hidden_size=32, intermediate_size=40, num_attention_heads=4, num_key_value_heads=2,
        vocab_size=100, tie_word_embeddings=True, embedding_multiplier=3.0,
        attention_multiplier=0.25, residual_multiplier=0.4, logits_scaling=2.0)),
    "starcoder2-window": Golden(_starcoder2(
        hidden_size=32, intermediate_size=50, num_attention_heads=4, num_key_value_heads=2,
        vocab_size=100, tie_word_embeddings=True, use_bias=True, sliding_window=15)),
    "gpt2-tied": Golden(_gpt2(
        n_embd=32, n_head=4, n_inner=None, n_positions=128, n_ctx=128, vocab_size=100)),
    "gpt2-odd": Golden(_gpt2(
        n_embd=30, n_head=5, n_inner=41, n_positions=101, n_ctx=101, vocab_size=93)),
    "neox-parallel": Golden(_neox(
        hidden_size=32, intermediate_size=50, num_attention_heads=4, vocab_size=100,
        rotary_pct=0.25, use_parallel_residual=True)),
    "neox-serial": Golden(_neox(
        hidden_size=36, intermediate_size=50, num_attention_heads=3, vocab_size=90,
        rotary_pct=0.5, use_parallel_residual=False)),
    "falcon-one": Golden(_falcon(  # as the 7B: one KV head, one norm
        hidden_size=40, num_attention_heads=5, vocab_size=100, multi_query=True,
        parallel_attn=True, bias=False, new_decoder_architecture=False)),
    "falcon-grouped": Golden(_falcon(  # as the 40B: KV groups, two norms
        hidden_size=48, num_attention_heads=6, num_kv_heads=2, vocab_size=90, multi_query=True,
        parallel_attn=True, bias=True, new_decoder_architecture=True, ffn_hidden_size=60)),
    "mpt-six": Golden(_mpt(  # heads that are no power of two
        d_model=36, n_heads=6, expansion_ratio=4, vocab_size=100,
        attn_config=dict(alibi=True, alibi_bias_max=8, attn_impl="torch", attn_pdrop=0,
                         attn_type="multihead_attention", attn_uses_sequence_id=False,
                         clip_qkv=None, prefix_lm=False, qk_ln=False, softmax_scale=None))),
    "mpt-four": Golden(_mpt(
        d_model=32, n_heads=4, expansion_ratio=4, vocab_size=90,
        attn_config=dict(alibi=True, alibi_bias_max=8, softmax_scale=0.3))),
}
