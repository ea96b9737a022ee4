"""SentencePiece's own model, put together from the vocabulary and the scores of a GGUF file."""
import gguf
from sentencepiece import SentencePieceProcessor, sentencepiece_model_pb2


def metadata(reader, key):
    return reader.fields[key].contents()


def sentencepiece_of(reader):
    assert metadata(reader, "tokenizer.ggml.model") == "llama"
    tokens = metadata(reader, "tokenizer.ggml.tokens")
    model = sentencepiece_model_pb2.ModelProto()
    model.trainer_spec.model_type = sentencepiece_model_pb2.TrainerSpec.BPE
    model.trainer_spec.byte_fallback = True
    for kind, key in dict(unk="unknown", bos="bos", eos="eos", pad="padding").items():
        special = metadata(reader, f"tokenizer.ggml.{key}_token_id")
        setattr(model.trainer_spec, f"{kind}_id", special)
        setattr(model.trainer_spec, f"{kind}_piece", tokens[special])
    model.normalizer_spec.name = "identity"
    model.normalizer_spec.add_dummy_prefix = metadata(reader, "tokenizer.ggml.add_space_prefix")
    model.normalizer_spec.remove_extra_whitespaces = False
    scores = metadata(reader, "tokenizer.ggml.scores")
    kinds = metadata(reader, "tokenizer.ggml.token_type")
    for token, score, kind in zip(tokens, scores, kinds):
        piece = token.replace(" ", "▁") if kind == gguf.TokenType.USER_DEFINED else token
        model.pieces.add(piece=piece, score=score, type=int(kind))  # the same numbers in both
    return SentencePieceProcessor(model_proto=model.SerializeToString())
