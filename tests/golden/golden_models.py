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
}
