// Damage of the kinds that copying, full disks and bad cables do.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include "kernels/error.hpp"
#include "runtime/weights/model_file.hpp"
#include "tests/runtime/weights/scratch_model.hpp"

namespace tutti {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::ThrowsMessage;

void read_everything(const std::filesystem::path& path) {
  const ModelFile file(path);
  for (const TensorInfo& tensor : file.tensors()) {
    test::read(file, tensor, {0, tensor.rows()});
  }
  verify(file, 1, nullptr);
}

TEST(ModelFileDamage, OneFlippedByteIsCaughtInItsBlockAndNowhereElse) {
  const test::ScratchFolder folder;
  const auto path = folder / "m.h5";
  test::write_model(path, test::blocks_contents());
  test::flip_tensor_byte(path, "big", std::size_t{3000} * 2048 + 77);
  const ModelFile file(path);
  const TensorInfo& big = *file.find("big");
  const std::string rows = "rows 2048..4096";
  for (const Range touching : {Range{0, 5000}, Range{2048, 2049}, Range{4095, 4096}}) {
    for (int threads : {1, 4}) {
      EXPECT_THAT(
          [&] { test::read(file, big, touching, {.check = true, .threads = threads}); },
          ThrowsMessage<ModelFileError>(AllOf(HasSubstr("m.h5"), HasSubstr("big"), HasSubstr(rows),
                                              HasSubstr("wanted"), HasSubstr("found"))));
    }
  }
  test::read(file, big, {0, 2048});
  test::read(file, big, {4096, 5000});
  EXPECT_NO_THROW(test::read(file, big, {0, 5000}, {.check = false}));
}

TEST(ModelFileDamage, AFileCutShortAnywhereIsRefused) {
  const test::ScratchFolder folder;
  const auto whole = folder / "whole.h5";
  const auto cut = folder / "cut.h5";
  test::write_model(whole, test::small_contents());
  const std::string image = test::slurp(whole);
  for (std::size_t size = 0; size < image.size(); size += size < 200 ? 1 : 499) {
    test::spill(cut, image.substr(0, size));
    EXPECT_THAT([&] { read_everything(cut); }, ThrowsMessage<ModelFileError>(HasSubstr("cut.h5")))
        << size;
  }
  test::spill(cut, image.substr(0, image.size() - 1));
  EXPECT_THAT([&] { ModelFile{cut}; },
              ThrowsMessage<ModelFileError>(AllOf(HasSubstr("cut.h5"), HasSubstr("cut short"))));
}

TEST(ModelFileDamage, AFileCutWhileOpenIsAnErrorOfTheRead) {
  const test::ScratchFolder folder;
  const auto path = folder / "m.h5";
  test::write_model(path, test::blocks_contents());
  const ModelFile file(path);
  std::filesystem::resize_file(path, 5 << 20);
  EXPECT_THAT([&] { test::read(file, "big", {.check = false}); },
              ThrowsMessage<ModelFileError>(AllOf(HasSubstr("big"), HasSubstr("cut short"))));
}

// Metadata have HDF5's checksums, so this never reaches a wrong address inside the library.
TEST(ModelFileDamage, AnyFlippedBitIsAnErrorOrHarmless) {
  const test::ScratchFolder folder;
  const auto whole = folder / "whole.h5";
  const auto flipped = folder / "flipped.h5";
  test::write_model(whole, test::small_contents());
  const std::string image = test::slurp(whole);
  int refused = 0;
  for (std::size_t at = 0; at < image.size(); at += 61) {
    std::string damaged = image;
    damaged[at] ^= static_cast<char>(1 << (at % 8));
    test::spill(flipped, damaged);
    try {
      read_everything(flipped);
    } catch (const ModelFileError&) {
      ++refused;
    }
  }
  EXPECT_GT(refused, 50);
}

TEST(ModelFileDamage, EditedConfigAndTokenizerAreRefusedWhenOpened) {
  const test::ScratchFolder folder;
  const auto path = folder / "m.h5";
  const auto edited = folder / "edited.h5";
  test::write_model(path, test::small_contents());
  const std::string image = test::slurp(path);
  for (const auto& [text, name] : {std::pair{"\"layers\":2", "config/canonical.json"},
                                   std::pair{"\"hidden_size\": 8", "config/original"},
                                   std::pair{"{\"a\": 1}", "tokenizer/tokenizer.json"}}) {
    std::string changed = image;
    const std::string_view old = text;
    changed[test::place_of(image, old) + old.find_last_of("0123456789")] = '7';
    test::spill(edited, changed);
    EXPECT_THAT([&] { ModelFile{edited}; },
                ThrowsMessage<ModelFileError>(AllOf(HasSubstr(name), HasSubstr("wanted"))));
    EXPECT_NO_THROW(ModelFile(edited, {.check = false}));
  }
}

TEST(ModelFileDamage, WhatIsNoModelFileIsNamed) {
  const test::ScratchFolder folder;
  EXPECT_THAT(
      [&] { ModelFile{folder / "none.h5"}; },
      ThrowsMessage<ModelFileError>(AllOf(HasSubstr("none.h5"), HasSubstr("No such file"))));
  EXPECT_THAT([&] { ModelFile{folder / "."}; },
              ThrowsMessage<ModelFileError>(AllOf(HasSubstr("a folder"), HasSubstr("import"))));
  test::spill(folder / "empty.h5", "");
  EXPECT_THAT([&] { ModelFile{folder / "empty.h5"}; },
              ThrowsMessage<ModelFileError>(HasSubstr("0 bytes")));
  test::spill(folder / "text.h5", std::string(5000, 'x'));
  EXPECT_THAT([&] { ModelFile{folder / "text.h5"}; },
              ThrowsMessage<ModelFileError>(HasSubstr("wanted a model file (HDF5)")));
  test::spill(folder / "m.gguf", "GGUF" + std::string(100, '\0'));
  EXPECT_THAT([&] { ModelFile{folder / "m.gguf"}; },
              ThrowsMessage<ModelFileError>(AllOf(HasSubstr("GGUF"), HasSubstr("import"))));
  test::spill(folder / "old.h5", std::string("\x89HDF\r\n\x1a\n", 8) + std::string(2000, '\0'));
  EXPECT_THAT([&] { ModelFile{folder / "old.h5"}; },
              ThrowsMessage<ModelFileError>(HasSubstr("superblock version 2")));
}

TEST(ModelFileDamage, AnUnreadableFileIsNamed) {
  if (::geteuid() == 0) {
    GTEST_SKIP() << "root reads everything";
  }
  const test::ScratchFolder folder;
  test::write_model(folder / "m.h5", test::small_contents());
  ::chmod((folder / "m.h5").c_str(), 0);
  EXPECT_THAT(
      [&] { ModelFile{folder / "m.h5"}; },
      ThrowsMessage<ModelFileError>(AllOf(HasSubstr("m.h5"), HasSubstr("Permission denied"))));
}

}  // namespace
}  // namespace tutti
