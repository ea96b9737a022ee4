#!/usr/bin/env python3
"""tokens_agree.py REFERENCE OTHER…: outputs of `tutti batch` with logprobs 2, of the same requests.

Log probabilities of the tokens that a file has in common with the reference must be within a bound, that of
roundings. In f32 all tokens must be the same. In 16 bits an answer may leave the reference's where the
reference's two likeliest tokens are nearer than twice the largest difference found. Exit code 1 where it does so
elsewhere, where a difference is beyond the bound, or where nothing was compared.
"""
import json
import sys

BOUNDS = {"f32": 1e-4, "f16": 0.01, "bf16": 0.03}  # of a log probability; found with 7B: 2e-6 in f32, 0.009 in bf16


def answers(path):
    found = {}
    for line in open(path, encoding="utf-8"):
        record = json.loads(line)
        choice = record["response"]["body"]["choices"][0]["logprobs"]
        found[record["custom_id"]] = (choice, record["tutti"]["dtype"])
    return found


def main():
    reference = answers(sys.argv[1])
    bad = not reference or len(sys.argv) < 3
    for path in sys.argv[2:]:
        others = answers(path)
        if others.keys() != reference.keys():
            print(f"{path}: answers {sorted(others)}, wanted {sorted(reference)}")
            return 1
        common, worst, splits = 0, 0.0, []
        for name, (wanted, dtype) in reference.items():
            found = others[name][0]
            for at, (token, other) in enumerate(zip(wanted["tokens"], found["tokens"], strict=True)):
                if token != other:
                    best = sorted(wanted["top_logprobs"][at].values())
                    splits.append((best[-1] - best[-2], name, at, dtype))
                    break
                common += 1
                worst = max(worst, abs(wanted["token_logprobs"][at] - found["token_logprobs"][at]))
        wrong = [split for split in splits if split[3] == "f32" or split[0] > 2 * worst]
        bound = min(BOUNDS[dtype] for _, dtype in reference.values())
        print(f"{path}: {common} tokens of {len(reference)} answers in common, log probabilities within {worst:.2g}; "
              f"{len(splits)} answers go their own way, {len(wrong)} where they must not")
        for margin, name, at, dtype in splits:
            print(f"  {name}, token {at}, {dtype}: the reference's two likeliest are {margin:.2g} apart")
        if worst > bound:
            print(f"  log probabilities differ by {worst:.2g}, wanted at most {bound:.2g}")
        bad = bad or bool(wrong) or common == 0 or worst > bound
    return 1 if bad else 0


sys.exit(main())
