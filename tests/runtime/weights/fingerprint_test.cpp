#include "runtime/weights/fingerprint.hpp"

#include <gtest/gtest.h>

#include <set>

#include "runtime/weights/digest.hpp"

namespace tutti {
namespace {

const std::string kA(64, 'a');
const std::string kB(64, 'b');

std::vector<TensorInfo> two() {
  return {{.name = "x", .dtype = DType::f32, .shape = {2, 3}, .sha256 = kA, .source_name = "s"},
          {.name = "y", .dtype = DType::bf16, .shape = {4}, .sha256 = kB, .source_name = "t"}};
}

// What docs/model_file.md spells out, written down a second time.
TEST(Fingerprint, IsTheSha256OfTheDocumentedBytes) {
  const auto number = [](std::uint64_t n) {
    std::string bytes;
    for (int i = 0; i < 8; ++i) {
      bytes += static_cast<char>(n >> (8 * i));
    }
    return bytes;
  };
  const auto text = [&](const std::string& t) { return number(t.size()) + t; };
  const std::string bytes = text("tutti-model fingerprint 1") + text("{}") + number(1) +
                            text("tokenizer.json") + text(kB) + number(2) + text("x") +
                            text("f32") + number(2) + number(2) + number(3) + text(kA) + text("y") +
                            text("bf16") + number(1) + number(4) + text(kB);
  EXPECT_EQ(fingerprint("{}", {{"tokenizer.json", kB}}, two()), sha256_hex(bytes));
}

TEST(Fingerprint, DoesNotDependOnTheOrderOrTheSourceNames) {
  std::vector<TensorInfo> other = two();
  std::swap(other[0], other[1]);
  other[0].source_name = "else";
  EXPECT_EQ(fingerprint("{}", {}, two()), fingerprint("{}", {}, other));
}

TEST(Fingerprint, ChangesWithEveryPiece) {
  std::set<std::string> seen{fingerprint("{}", {{"a", kA}}, two())};
  const auto is_new = [&](const std::string& print) { return seen.insert(print).second; };
  EXPECT_TRUE(is_new(fingerprint("{ }", {{"a", kA}}, two())));
  EXPECT_TRUE(is_new(fingerprint("{}", {{"b", kA}}, two())));
  EXPECT_TRUE(is_new(fingerprint("{}", {{"a", kB}}, two())));
  EXPECT_TRUE(is_new(fingerprint("{}", {}, two())));
  for (std::size_t i = 0; i < 2; ++i) {
    std::vector<TensorInfo> changed = two();
    changed[i].name += "z";
    EXPECT_TRUE(is_new(fingerprint("{}", {{"a", kA}}, changed)));
    changed = two();
    changed[i].dtype = DType::f16;
    EXPECT_TRUE(is_new(fingerprint("{}", {{"a", kA}}, changed)));
    changed = two();
    changed[i].shape.back() += 1;
    EXPECT_TRUE(is_new(fingerprint("{}", {{"a", kA}}, changed)));
    changed = two();
    changed[i].sha256[63] = 'c';
    EXPECT_TRUE(is_new(fingerprint("{}", {{"a", kA}}, changed)));
  }
}

TEST(Fingerprint, CannotBeSpelledInTwoWays) {
  EXPECT_NE(fingerprint("{}", {{"ab", "c"}}, {}), fingerprint("{}", {{"a", "bc"}}, {}));
  std::vector<TensorInfo> a = {{.name = "w", .shape = {6}, .sha256 = kA, .source_name = {}}};
  std::vector<TensorInfo> b = {{.name = "w", .shape = {6, 1}, .sha256 = kA, .source_name = {}}};
  EXPECT_NE(fingerprint("{}", {}, a), fingerprint("{}", {}, b));
}

}  // namespace
}  // namespace tutti
