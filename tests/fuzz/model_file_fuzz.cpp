// Opens, reads and verifies hostile model files. An input that begins as HDF5 is taken as a file;
// any other is a recipe: pairs of bytes that bend pieces of a sound file, so that what lies behind
// HDF5's checksums is reached too.
#include <string>

#include "kernels/error.hpp"
#include "runtime/weights/model_file.hpp"
#include "tests/runtime/weights/forged_model.hpp"
#include "tests/runtime/weights/scratch_model.hpp"

namespace {

using tutti::DType;
using tutti::ModelFile;
using tutti::ModelFileError;
using tutti::TensorInfo;

void read_everything(const std::string& path, bool check) {
  try {
    const ModelFile file(path, {.check = check});
    std::size_t bytes = 0;
    for (const TensorInfo& tensor : file.tensors()) {
      try {
        file.read_rows(tensor, {0, tensor.rows()}, {.check = check, .threads = 1},
                       [&](auto, std::span<const std::byte> rows) { bytes += rows.size(); });
      } catch (const ModelFileError&) {
      }
    }
    tutti::verify(file, 1, nullptr);
  } catch (const ModelFileError&) {
  }
}

const char* const kPieces[] = {"",
                               "config",
                               "tokenizer",
                               "weights",
                               "blocks",
                               "config/canonical.json",
                               "config/original",
                               "blocks/w",
                               "/@format",
                               "/@format_version",
                               "/@name",
                               "/@source",
                               "/@fingerprint",
                               "weights/w@dtype",
                               "weights/w@sha256",
                               "weights/w@source_name",
                               "blocks/w@block_rows",
                               "config/original@sha256"};

void bend(tutti::test::Forgery& forgery, unsigned char what, unsigned char how,
          const std::string& rest) {
  switch (what % 9) {
    case 0:
      forgery.missing = kPieces[how % std::size(kPieces)];
      break;
    case 1:
      forgery.version = how;
      break;
    case 2:
      forgery.config = rest;
      break;
    case 3:
      forgery.dtype = tutti::name_of(static_cast<DType>(how % 4));
      break;
    case 4:
      forgery.stored = static_cast<DType>(how % 4);
      break;
    case 5:
      forgery.shape.assign(how % 4, std::int64_t{1} + how / 4);
      break;
    case 6:
      forgery.block_rows = how < 200 ? how : std::uint64_t{1} << (how - 200);
      break;
    case 7:
      forgery.blocks = how;
      break;
    case 8:
      (how % 3 == 0 ? forgery.format : how % 3 == 1 ? forgery.sha256 : forgery.fingerprint) = rest;
      break;
  }
}

void write_recipe(const std::string& path, std::string_view input) {
  tutti::test::Forgery forgery;
  while (input.size() >= 2) {
    const auto what = static_cast<unsigned char>(input[0]);
    const auto how = static_cast<unsigned char>(input[1]);
    input.remove_prefix(2);
    const std::string rest(input.substr(0, what % 9 == 2 || what % 9 == 8 ? 80 : 0));
    input.remove_prefix(rest.size());
    bend(forgery, what, how, rest);
  }
  forgery.write(path);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const unsigned char* data, std::size_t size) {
  static const tutti::test::ScratchFolder folder;  // HDF5 wants a real path, so no memfd
  const std::string path = (folder / "m.h5").string();
  const std::string_view input(reinterpret_cast<const char*>(data), size);
  if (input.starts_with("\x89HDF")) {
    tutti::test::spill(path, std::string(input));
  } else {
    write_recipe(path, input);
  }
  read_everything(path, true);
  read_everything(path, false);
  return 0;
}
