"""Makes the reference blocks of tests/runtime/weights/dequantize_test.cpp.

One file per format: blocks of seeded random bytes, then the f32 values that the Python package
`gguf` makes of them. Run from the repository's root with gguf and numpy installed:
    python tests/golden/quantized/make.py
Made with gguf 0.19.0, numpy 2.4.6.
"""

import pathlib

import gguf
import numpy as np

# Where the f16 scales lie within a block.
SCALES = {
    "Q4_0": [0], "Q4_1": [0, 2], "Q5_0": [0], "Q5_1": [0, 2], "Q8_0": [0],
    "Q4_K": [0, 2], "Q5_K": [0, 2], "Q6_K": [208],
}
# Zero, both signs, the smallest and largest subnormals, the largest finite, infinity.
EXTREMES = np.array([0.0, -0.0, 1.0, -1.0, 2.0**-24, -(2.0**-24), 1023 * 2.0**-24, 65504.0, -65504.0, np.inf],
                    dtype=np.float16)

folder = pathlib.Path(__file__).parent
for name, places in SCALES.items():
    kind = gguf.GGMLQuantizationType[name]
    elements, size = gguf.GGML_QUANT_SIZES[kind]
    rng = np.random.default_rng(int(kind))
    count = 2 * len(EXTREMES) if elements == 32 else 6
    blocks = rng.integers(0, 256, (count, size), dtype=np.uint8)
    for i in range(count):
        for at in places:
            if i % 2 == 0:  # an ordinary scale
                scale = np.float16(rng.normal() * 0.01)
            elif elements == 32:
                scale = EXTREMES[(i // 2 + at) % len(EXTREMES)]
            else:
                scale = EXTREMES[[4, 8, 2][i // 2]]
            blocks[i, at : at + 2] = np.frombuffer(scale.tobytes(), dtype=np.uint8)
    with np.errstate(all="ignore"):
        values = gguf.quants.dequantize(blocks.reshape(-1), kind).astype("<f4")
    (folder / f"{name}.bin").write_bytes(blocks.tobytes() + values.tobytes())
    print(name, count, "blocks,", values.size, "values")
