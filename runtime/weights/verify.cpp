// Re-hashes a whole model file in parallel, a tensor at a time on each thread.
#include <fmt/format.h>

#include <algorithm>
#include <numeric>

#include "runtime/weights/digest.hpp"
#include "runtime/weights/model_catalog.hpp"
#include "runtime/weights/model_file.hpp"
#include "runtime/weights/model_layout.hpp"
#include "runtime/weights/parallel.hpp"

namespace tutti {
namespace {

struct TensorDigests {
  std::string sha256;
  std::vector<VerifyFinding> blocks;  // those that differ
};

TensorDigests digest_tensor(const ModelFile& file, std::size_t index,
                            const std::function<void(std::uint64_t)>& on_bytes) {
  const TensorInfo& tensor = file.tensors()[index];
  const std::vector<std::uint64_t>& wanted = file.catalog().storage[index].blocks;
  TensorDigests digests;
  Sha256 sha;
  file.read_rows(tensor, {0, tensor.rows()}, {.check = false, .threads = 1},
                 [&](std::int64_t first_row, std::span<const std::byte> rows) {
                   sha.update(rows);
                   const std::int64_t block = first_row / tensor.block_rows;
                   const std::uint64_t found = xxh3(rows);
                   if (found != wanted[static_cast<std::size_t>(block)]) {
                     const std::int64_t end =
                         std::min(first_row + tensor.block_rows, tensor.rows());
                     digests.blocks.push_back(
                         {.what = fmt::format("{}/{} rows {}..{}", layout::kBlocks, tensor.name,
                                              first_row, end),
                          .wanted = fmt::format("{:016x}", wanted[static_cast<std::size_t>(block)]),
                          .found = fmt::format("{:016x}", found)});
                   }
                   if (on_bytes) {
                     on_bytes(rows.size());
                   }
                 });
  digests.sha256 = sha.finish();
  return digests;
}

// The largest first, so that no thread ends long after the others.
std::vector<std::size_t> by_size(const std::vector<TensorInfo>& tensors) {
  std::vector<std::size_t> order(tensors.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::stable_sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) {
    return tensors[a].bytes() > tensors[b].bytes();
  });
  return order;
}

}  // namespace

std::vector<VerifyFinding> verify(const ModelFile& file, int threads,
                                  const std::function<void(std::uint64_t)>& on_bytes) {
  const ModelCatalog& catalog = file.catalog();
  std::vector<VerifyFinding> findings;
  const std::map<std::string, std::string> entries = entry_digests(catalog);
  for (const auto& [entry, found] : entries) {
    if (const std::string& wanted = catalog.sha256.at(entry); wanted != found) {
      findings.push_back({.what = entry, .wanted = wanted, .found = found});
    }
  }
  const std::vector<TensorInfo>& tensors = file.tensors();
  std::vector<TensorDigests> digests(tensors.size());
  const std::vector<std::size_t> order = by_size(tensors);
  run_parallel(order.size(), threads, [&](std::size_t /*worker*/, std::size_t i) {
    digests[order[i]] = digest_tensor(file, order[i], on_bytes);
  });
  for (std::size_t i = 0; i < tensors.size(); ++i) {
    if (digests[i].sha256 != tensors[i].sha256) {
      findings.push_back(
          {.what = tensors[i].name, .wanted = tensors[i].sha256, .found = digests[i].sha256});
    } else {  // good bytes that would be refused when they are read
      findings.insert(findings.end(), digests[i].blocks.begin(), digests[i].blocks.end());
    }
  }
  // Over the stored digests: damage to a tensor is told once, above.
  const std::string found = fingerprint_of(catalog, catalog.sha256, tensors);
  if (found != catalog.identity.fingerprint) {
    findings.push_back(
        {.what = "fingerprint", .wanted = catalog.identity.fingerprint, .found = found});
  }
  return findings;
}

}  // namespace tutti
