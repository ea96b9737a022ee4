"""How an expected.json is written: indented, but lists of numbers on one line each."""
import json
import re


def write(path, doc):
    text = json.dumps(doc, indent=1, ensure_ascii=False)
    text = re.sub(r"\[\s+([-\d.,\s]+?)\s+\]", lambda m: "[" + re.sub(r"\s+", " ", m[1]) + "]", text)
    assert json.loads(text) == doc
    path.write_text(text + "\n")
