#include "runtime/weights/fingerprint.hpp"

#include <algorithm>
#include <array>
#include <cstdint>
#include <vector>

#include "runtime/weights/digest.hpp"

namespace tutti {
namespace {

// Numbers as 8 little-endian bytes, texts behind their length: no two models spell alike.
class Speller {
 public:
  void number(std::uint64_t n) {
    std::array<std::byte, 8> bytes{};
    for (std::size_t i = 0; i < bytes.size(); ++i) {
      bytes[i] = static_cast<std::byte>(n >> (8 * i));
    }
    sha_.update(bytes);
  }
  void text(std::string_view text) {
    number(text.size());
    sha_.update(text);
  }
  std::string finish() { return sha_.finish(); }

 private:
  Sha256 sha_;
};

}  // namespace

std::string fingerprint(std::string_view config_json,
                        const std::map<std::string, std::string>& tokenizer_sha256,
                        std::span<const TensorInfo> tensors) {
  Speller speller;
  speller.text("tutti-model fingerprint 1");
  speller.text(config_json);
  speller.number(tokenizer_sha256.size());
  for (const auto& [name, sha256] : tokenizer_sha256) {
    speller.text(name);
    speller.text(sha256);
  }
  std::vector<const TensorInfo*> sorted;
  for (const TensorInfo& tensor : tensors) {
    sorted.push_back(&tensor);
  }
  std::sort(sorted.begin(), sorted.end(),
            [](const TensorInfo* a, const TensorInfo* b) { return a->name < b->name; });
  speller.number(sorted.size());
  for (const TensorInfo* tensor : sorted) {
    speller.text(tensor->name);
    speller.text(name_of(tensor->dtype));
    speller.number(tensor->shape.size());
    for (std::int64_t extent : tensor->shape) {
      speller.number(static_cast<std::uint64_t>(extent));
    }
    speller.text(tensor->sha256);
  }
  return speller.finish();
}

}  // namespace tutti
