"""Writes tests/golden/tokenizer/corpus.txt: lines of varied text on which tokenizers are compared.

Seeded; standard library only. One text a line, in a notation that keeps the file plain UTF-8: a
backslash opens \\\\, \\n, \\r or \\xNN (a byte); so texts may hold line ends, control characters and
invalid UTF-8. Characters are those that Unicode 14 assigns, so that newer tables agree on them."""
import pathlib
import random
import unicodedata

OUT = pathlib.Path(__file__).parent / "tokenizer" / "corpus.txt"
R = random.Random(20250101)

SENTENCES = """\
The orchestra tunes before anyone plays, and nobody finds that strange.
She didn't say they'd come; we'll see what he's brought, and I'm sure you've heard it.
Its price rose from $1,299.99 to 2.5e6 in 1987, i.e. about 0.07% per week!
Three ranks share the work: one reads, one multiplies, one waits.
Der Zug hält heute ausnahmsweise auf Gleis sieben, weil die Brücke saniert wird.
Donaudampfschifffahrtsgesellschaftskapitän ist ein außergewöhnlich langes Wort.
L'été dernier, nous avons goûté des crêpes à la crème près d'Orléans.
¿Dónde está la estación? ¡Qué pingüino más pequeño!
A manhã começou fria, mas à tarde já não precisávamos de casaco.
Il treno è già partito, però l'autobus arriverà più tardi.
Wij fietsen elke zondag langs het water, ook als het regent.
På fjället ligger snön kvar till midsommar, säger åkaren.
Kaikki äänet kuuluivat yöllä järven yli hiljaiseen kylään.
Zażółć gęślą jaźń powtarzały dzieci na lekcji polskiego.
Příliš hlasitý koncert skončil až po půlnoci, řekl soused.
Az árvíztűrő tükörfúrógép új szíjat kapott.
Bugün hava çok güzel, ışık denizin üstünde ağır ağır yürüyor. İyi ki geldik.
Hôm nay trời đẹp, chúng tôi ăn phở ở một quán nhỏ cạnh hồ.
Сегодня утром поезд опоздал на семь минут, и все молчали.
Їжак знайшов п'ять грибів у лісі біля річки.
Ο άνεμος φυσούσε δυνατά, αλλά το καράβι έφυγε στην ώρα του.
ქალაქი მთის ძირას იყო, მდინარე კი მის გვერდით მიედინებოდა.
Առավոտյան շուկան լի էր ձայներով ու գույներով։
הרכבת יצאה בזמן, אבל שכחנו את המטרייה בבית.
שָׁלוֹם לְכֻלָּם, אָמַר הַמּוֹרֶה.
وصل القطار متأخرا سبع دقائق، ولم يشتك أحد.
السَّلامُ عَلَيْكُمْ يا أصدقاء، كيف الحال؟
امروز هوا خوب است و می‌خواهیم کنار رودخانه قدم بزنیم.
آج بازار میں بہت شور تھا لیکن ہم خوش تھے۔
आज सुबह बारिश हुई और बच्चे खिड़की से देखते रहे।
আজ সকালে নদীর ধারে অনেক মানুষ হাঁটছিল।
இன்று காலை ரயில் ஏழு நிமிடம் தாமதமாக வந்தது.
ఈ రోజు ఉదయం వాన పడింది, పిల్లలు నవ్వారు.
ಇಂದು ಬೆಳಿಗ್ಗೆ ಮಳೆ ಬಂತು.
ഇന്ന് രാവിലെ മഴ പെയ്തു, കുട്ടികൾ ചിരിച്ചു.
අද උදේ වැස්ස ආවා.
วันนี้อากาศดีมาก เราเดินเล่นริมแม่น้ำด้วยกัน
ມື້ນີ້ຝົນຕົກຕອນເຊົ້າ.
ဒီနေ့မနက် မိုးရွာတယ်။
ថ្ងៃនេះមេឃស្រឡះល្អ។
今天早上火车晚点了七分钟，大家都没有说话。
昨日的會議改到後天下午三點二十分舉行。
今朝は電車が七分遅れたけれど、だれも文句を言わなかった。
コンピュータのメモリを増やしたら、ビルドがﾊﾔｸなった。
오늘 아침 기차가 칠 분 늦었지만 아무도 불평하지 않았다.
ዛሬ ጠዋት ዝናብ ዘነበ።
ᏣᎳᎩ ᎦᏬᏂᎯᏍᏗ
ᠮᠣᠩᠭᠣᠯ ᠪᠢᠴᠢᠭ
བོད་ཡིག་ནི་མཛེས།
Ngày 3/4/2021 – ½ kg, 5‰, №7, §12, ©2020, ™, x², H₂O, 10⁻³, Ⅷ, ①②③.
“Quoted” ‘text’ – with — dashes… and «guillemets» „low“ ‹single›.
∀x∈ℝ: ∃y>0 ∧ |x−y|≤ε ⇒ ∫₀¹ f(t)dt ≈ √2·π; A⊂B∪C, ¬(p∨q)
""".splitlines()

CODE = r"""
def {a}(self, {b}: int = {n}) -> list[str]:\n    return [f"{{{b}:>{n}}}" for _ in range({n})]  # {a}
for (int {a} = 0; {a} < {n}; ++{a}) {{\n\t{b}[{a}] += 0x{n}u >> 3;\n}}
template <typename T, std::size_t N = {n}>\nconstexpr auto {a}(T&& {b}) noexcept -> decltype({b}.{a}()) {{ return {b}; }}
const {a} = async ({{ {b}, ...rest }}) => `${{{b}}}-${{await {a}({n})}}`;\r\n
fn {a}<'a>(x: &'a str) -> Result<&'a [u8], Box<dyn Error>> {{ Ok(x.as_bytes()[..{n}].into()) }}
func ({b} *{a}) Len() int {{ return len({b}.items) /* {n} */ }}
SELECT {a}, COUNT(*) AS {b} FROM t_{n} WHERE {a} LIKE '%{b}%' AND id <> {n} ORDER BY 2 DESC;
#!/bin/bash\nset -euo pipefail\n{a}="$(grep -oE '[0-9]+' "$1" | head -n {n})" && echo "${{{a}:-none}}" >&2
<div class="{a}-{b}" data-n='{n}'>&nbsp;&#x{n};<br/></div>
{{"{a}": [{n}, -{n}.5e-3, null, true], "{b}": {{"k\\u00e9": "v\\n"}}}}
\\begin{{equation}} \\frac{{\\partial {a}}}{{\\partial t}} = \\alpha_{{{n}}} \\nabla^2 {b} \\end{{equation}}
{a}.o: {b}.c\n\t$(CC) -O2 -D{a}={n} -c $< -o $@\n
      DO {n} I=1,N\n        Y(I) = A*X(I) + {b}(I)\n {n}   CONTINUE
{a} :: (Monad m) => Int -> m [{b}]\n{a} n = mapM (\\x -> return $ x <> x) [1..{n}]
^(?:{a}|{b})\\s*=\\s*([^\\r\\n]{{{n},}})(?<!;)$
@decorator\nclass {a}({b}):\n    '''Doc {n}.'''\n\n    __slots__ = ()\n
--- a/{a}\n+++ b/{b}\n@@ -{n},7 +{n},9 @@\n-old\n+new\n
mov eax, DWORD PTR [rbp-{n}]\n  vfmadd231ps zmm0, zmm1, [{a}+rsi*4] ; {b}
if(!{a}&&{b}>={n}||~{n}){{{a}?.{b}??={n};}}//{a}
{a}: &{b}\n  - name: "{a}"\n    n: {n}\n  - *{b}
""".strip("\n").splitlines()

SPACES = [" ", " ", " ", "\t", "\n", "\r\n", "\r", "\x0b", "\x0c", "\x85", "\xa0", "\u1680",
          "\u2003", "\u2009", "\u2028", "\u2029", "\u202f", "\u205f", "\u3000", "\u200b", "\ufeff",
          "\u180e", "\x1c", "\x1f"]
EMOJI = ["😀", "👍🏽", "👩‍👩‍👧‍👦", "🏳️‍🌈", "🇫🇷", "🇯🇵🇧🇷", "1️⃣", "#️⃣", "❤️", "❤", "🧑🏿‍🚀", "🫠",
         "🏴\U000e0067\U000e0062\U000e0073\U000e0063\U000e0074\U000e007f", "☃️", "🤷‍♂️", "👁️‍🗨️",
         "🐻‍❄️", "⏱", "♻️", "🀄", "🅰️"]
WORDS = ("rank shard tensor cache orchestra token window river bridge Kernel matrix HTTPServer "
         "snake_case camelCase PascalCase SCREAMING kebab-case naïve façade coöperate "
         "antidisestablishmentarianism x y foo Straße ſtrange ﬁne Ångström").split()
TAILS = ["'s", "'S", "'t", "'T", "'re", "'RE", "'Re", "'ve", "'VE", "'m", "'M", "'ll", "'LL", "'lL",
         "'d", "'D", "’s", "’ll", "'ſ", "'x", "'", "''s", "'s's", "'ñ", " 's", "'llama", "'rex"]
SPECIAL = ["<|im_start|>", "<|im_end|>", "<|endoftext|>", "<s>", "</s>", "<unk>", "<|eot_id|>",
           "<|begin_of_text|>", "<|end_of_text|>", "<|start_header_id|>", "<|end_header_id|>",
           "<|reserved_special_token_5|>", "[INST]", "[/INST]", "<<SYS>>", "<0x0A>", "<repo_name>",
           "<file_sep>", "<|im_start", "im_end|>", "<|IM_END|>", "<| im_end |>", "<<|im_end|>>",
           "<jupyter_code>", "<s >", "▁", "▁▁", "Ġ", "Ċ", "\u0120the", "▁the"]
INVALID = [b"\xff", b"\x80", b"\xc3", b"\xe2\x82", b"\xf0\x9f\x98", b"\xc0\xaf", b"\xed\xa0\x80",
           b"\xf4\x90\x80\x80", b"\xf8\x88\x80\x80\x80", b"\xe0\x80\xaf", b"\xf0\x80\x80\xaf",
           b"\xbf\xbf", b"\xe2\x28\xa1", b"\xf0\x28\x8c\xbc", b"\xc3\xc3\xa9", b"\xfe\xff",
           b"\xf1\x80\x80", b"\xed\xbf\xbf\xed\xa0\x80", b"\xe1\x80\xe2\xf0\x91\x92\xf1\xbf"]
ASSIGNED = [c for c in range(0x20, 0x110000) if unicodedata.category(chr(c)) not in ("Cn", "Cs", "Co")]
BY_KIND = {}
for code in ASSIGNED:
    BY_KIND.setdefault(unicodedata.category(chr(code)), []).append(code)
LETTERS = [c for c in ASSIGNED if unicodedata.category(chr(c))[0] in "LM"
           and not 0x3400 <= c <= 0x9fff and not 0xac00 <= c <= 0xd7a3
           and not 0x17000 <= c <= 0x18cff and not 0x20000 <= c]


def some(items, low, high, sep=""):
    return sep.join(R.choice(items) for _ in range(R.randint(low, high)))


def digits():
    return "".join(R.choice("0123456789") for _ in range(R.randint(1, 12)))


def number():
    return R.choice([digits(), f"{R.randint(0, 10**7):,}", f"{R.random() * 1000:.{R.randint(0, 6)}f}",
                     f"0x{R.getrandbits(40):x}", f"{R.randint(1900, 2099)}-{R.randint(1, 12):02d}-07",
                     f"+{digits()} ({digits()}) {digits()}", f"{R.random():e}", "१२३४", "٠١٢٣٤٥",
                     "１２３", "ⅫⅧ", "¼½", "²³", "一二三", f"v{R.randint(0, 9)}.{digits()}-rc{R.randint(1, 9)}"])


def url():
    return R.choice(["https://", "http://", "ftp://", "mailto:x@"]) + some(WORDS, 1, 2, ".") + \
        R.choice([".example", ".test/", ":8080/a%20b"]) + "?q=" + digits() + "&t=" + R.choice(WORDS) + "#" + digits()


def script_run():
    """A run of letters and marks of one neighbourhood of Unicode, words cut at random."""
    at = R.randrange(len(LETTERS))
    near = LETTERS[at:at + 60]
    return " ".join("".join(chr(R.choice(near)) for _ in range(R.randint(1, 8)))
                    for _ in range(R.randint(1, 5)))


def any_kinds():
    return "".join(chr(R.choice(BY_KIND[R.choice(sorted(BY_KIND))])) for _ in range(R.randint(3, 16)))


def mutated(text):
    how = R.randrange(9)
    if how == 0:
        return text.upper()
    if how == 1:
        return unicodedata.normalize("NFD", text)
    if how == 2:
        return text.replace(" ", some(SPACES, 1, 3))
    if how == 3:
        return some(SPACES, 0, 4) + text + some(SPACES, 0, 4)
    if how == 4:
        return "".join(c.upper() if R.random() < .5 else c.lower() for c in text)
    if how == 5:
        at = R.randrange(len(text))
        return text[:at] + some(EMOJI, 1, 2) + text[at:]
    if how == 6:
        return "".join(c + (chr(R.randint(0x300, 0x36f)) if R.random() < .3 else "") for c in text[:40])
    if how == 7:
        return text.replace(" ", "")
    return text[:R.randint(1, len(text))]


def broken():
    parts = [R.choice([R.choice(INVALID), R.choice(SENTENCES)[:R.randint(1, 12)].encode(),
                       R.choice(EMOJI).encode()[:R.randint(1, 7)], bytes([R.randrange(256)]), b" "])
             for _ in range(R.randint(1, 6))]
    return b"".join(parts)


def code():
    line = R.choice(CODE).format(a=R.choice(WORDS).replace("-", "_"), b=R.choice(WORDS).replace("-", "_"),
                                 n=R.randint(1, 4096))
    for short, long in (("\\\\", "\0"), ("\\n", "\n"), ("\\r", "\r"), ("\\t", "\t"), ("\0", "\\")):
        line = line.replace(short, long)
    return line


def long_line():
    return R.choice([R.choice("aA x.0-=_~é世🙂") * R.randint(40, 300),
                     some("abcdefghijklmnopqrstuvwxyz", 200, 400), some("ACGT", 200, 300),
                     some("01", 100, 300), some("ABCDEFabcdef+/0123456789", 200, 300) + "==",
                     some(["ab", "ba", "aa"], 60, 120), some(SENTENCES, 4, 5, " "),
                     some("的一是不了人我在有他", 60, 100), some(["ha", "HA", "Ha"], 40, 80)])


MAKERS = [  # (weight, maker)
    (330, lambda: mutated(R.choice(SENTENCES))), (90, lambda: some(SENTENCES, 2, 3, " ")),
    (260, code), (110, lambda: some([number() for _ in range(6)], 1, 4, R.choice([" ", ", ", "", "/"]))),
    (60, url), (150, lambda: some([*SPACES, "a", "Bc", "1", "."], 1, 12)),
    (60, lambda: some([*(chr(c) for c in range(32)), "\x7f", "\x80", "\x9f", "x", "7"], 1, 8)),
    (100, lambda: some([*EMOJI, " ", "ok"], 1, 6)),
    (140, lambda: some([w + t for w in WORDS[:12] for t in TAILS], 1, 4, R.choice([" ", "", "-"]))),
    (300, script_run), (180, any_kinds), (40, long_line),
    (120, lambda: some([*SPECIAL, " ", "\n", "word", "é"], 1, 6)), (150, broken),
    (60, lambda: some(list("!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~ \n¡¿«»…—“”"), 2, 20)),
    (50, lambda: some(WORDS, 2, 9, R.choice([" ", "  ", "\t", "_", "\n\n", " - "]))),
]


def escaped(data):
    out = []
    for c in data.decode("utf-8", errors="surrogateescape"):
        code_point = ord(c)
        if c == "\\":
            out.append("\\\\")
        elif c in "\n\r":
            out.append({"\n": "\\n", "\r": "\\r"}[c])
        elif 0xdc80 <= code_point <= 0xdcff:
            out.append(f"\\x{code_point - 0xdc00:02x}")
        elif code_point < 0x20 or 0x7f <= code_point < 0xa0 or c in "\u2028\u2029\ufeff" or c.isspace() and c != " ":
            out.extend(f"\\x{b:02x}" for b in c.encode())
        else:
            out.append(c)
    return "".join(out)


def main():
    texts = [s.encode() for s in SENTENCES] + [s.encode() for s in SPECIAL] + INVALID
    texts += [c.encode() for c in SPACES] + [b"", b" ", b"  ", b"   ", b"\n", b"\n\n", b" \n", b"a", b"0"]
    for weight, maker in MAKERS:
        for _ in range(weight):
            made = maker()
            texts.append(made if isinstance(made, bytes) else made.encode())
    R.shuffle(texts)
    OUT.parent.mkdir(exist_ok=True)
    OUT.write_bytes(b"".join(escaped(t).encode() + b"\n" for t in texts))


main()
