// The names and numbers of the format (docs/model_file.md), for its reader and its writer.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>

namespace tutti::layout {

inline constexpr const char* kFormat = "tutti-model";
inline constexpr std::int64_t kFormatVersion = 1;

inline constexpr const char* kConfig = "config";
inline constexpr const char* kCanonicalConfig = "config/canonical.json";
inline constexpr const char* kOriginalConfig = "config/original";
inline constexpr const char* kTokenizer = "tokenizer";
inline constexpr const char* kWeights = "weights";
inline constexpr const char* kBlocks = "blocks";

inline constexpr std::size_t kSha256Digits = 64;
inline constexpr std::size_t kBlockBytes = std::size_t{4} << 20;
// A reader holds one block per thread, so one that is larger (and more than a row) is refused.
inline constexpr std::size_t kMaxBlockBytes = std::size_t{256} << 20;
inline constexpr std::size_t kMaxRowBytes = std::size_t{1} << 30;

// How many rows a writer puts into a block: about 4 MiB of them, at least one, at most all.
inline std::int64_t block_rows(std::int64_t rows, std::size_t row_bytes) {
  const auto fitting = static_cast<std::int64_t>(kBlockBytes / row_bytes);
  return std::clamp<std::int64_t>(fitting, 1, std::max<std::int64_t>(rows, 1));
}

}  // namespace tutti::layout
