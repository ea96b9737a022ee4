#include "runtime/weights/model_file.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <mutex>
#include <nlohmann/json.hpp>
#include <set>
#include <thread>

#include "kernels/error.hpp"
#include "runtime/weights/digest.hpp"
#include "runtime/weights/model_catalog.hpp"
#include "tests/runtime/weights/scratch_model.hpp"

namespace tutti {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::ThrowsMessage;

TEST(ModelFile, GivesBackWhatWasWritten) {
  const test::ScratchFolder folder;
  const ModelContents contents = test::small_contents();
  const std::string fingerprint = test::write_model(folder / "m.h5", contents);
  const ModelFile file(folder / "m.h5");
  EXPECT_EQ(file.identity().name, "tiny");
  EXPECT_EQ(file.identity().source, "/models/tiny");
  EXPECT_EQ(file.identity().created_by, "tutti test");
  EXPECT_EQ(file.identity().fingerprint, fingerprint);
  EXPECT_EQ(file.identity().format_version, 1);
  EXPECT_EQ(file.identity().parameters, 33u * 8 + 64 + 8 + 12 + 256 * 32);
  EXPECT_EQ(file.identity().weight_bytes, 33u * 16 + 128 + 32 + 48 + 256 * 64);
  EXPECT_EQ(file.identity().dtype, "bf16+f16+i32+f32");
  EXPECT_EQ(file.config(), contents.config);
  EXPECT_EQ(file.original_config(), contents.original_config);
  EXPECT_EQ(file.tokenizer(), contents.tokenizer);
  ASSERT_EQ(file.tensors().size(), contents.tensors.size());
  for (std::size_t i = 0; i < contents.tensors.size(); ++i) {
    const TensorSpec& spec = contents.tensors[i];
    const TensorInfo* info = file.find(spec.name);
    ASSERT_NE(info, nullptr);
    EXPECT_EQ(info->dtype, spec.dtype);
    EXPECT_EQ(info->shape, spec.shape);
    EXPECT_EQ(info->source_name, spec.source_name);
    const test::Bytes bytes = test::tensor_bytes(*info, i);
    EXPECT_EQ(test::read(file, spec.name), bytes);
    EXPECT_EQ(info->sha256, sha256_hex(test::text(bytes, 0, bytes.size())));
  }
}

TEST(ModelFile, TensorsAreSortedByName) {
  const test::ScratchFolder folder;
  test::write_model(folder / "m.h5", test::small_contents());
  const ModelFile file(folder / "m.h5");
  EXPECT_TRUE(std::is_sorted(file.tensors().begin(), file.tensors().end(),
                             [](const auto& a, const auto& b) { return a.name < b.name; }));
}

TEST(ModelFile, KeepsEveryPatternOfThe16BitFloats) {
  const test::ScratchFolder folder;
  ModelContents contents = test::small_contents();
  contents.tensors = {{"b", DType::bf16, {256, 256}, ""}, {"h", DType::f16, {256, 256}, ""}};
  test::Bytes patterns(std::size_t{1} << 17);
  for (std::size_t i = 0; i < patterns.size(); i += 2) {
    patterns[i] = static_cast<std::byte>(i / 2);
    patterns[i + 1] = static_cast<std::byte>(i >> 9);
  }
  ModelWriter writer(folder / "m.h5", contents);
  writer.write_rows(0, 0, patterns);
  writer.write_rows(1, 0, patterns);
  writer.finish();
  const ModelFile file(folder / "m.h5");
  EXPECT_EQ(test::read(file, "b"), patterns);
  EXPECT_EQ(test::read(file, "h"), patterns);
}

class ModelFileBlocks : public testing::Test {
 protected:
  void SetUp() override { test::write_model(folder_ / "m.h5", test::blocks_contents()); }
  test::ScratchFolder folder_;
};

TEST_F(ModelFileBlocks, AnySliceEqualsTheSameRowsOfTheWhole) {
  const ModelFile file(folder_ / "m.h5");
  const TensorInfo& big = *file.find("big");
  ASSERT_EQ(big.block_rows, 2048);
  ASSERT_EQ(big.blocks(), 3);
  const test::Bytes all = test::tensor_bytes(big, 1);
  for (const Range rows : {Range{0, 1}, Range{0, 5000}, Range{2047, 2049}, Range{2048, 4096},
                           Range{1, 4999}, Range{4096, 5000}, Range{4999, 5000}, Range{17, 17},
                           Range{1250, 2500}, Range{2048, 2049}}) {
    for (const ReadOptions& options : {ReadOptions{true, 1}, ReadOptions{false, 1},
                                       ReadOptions{true, 4}, ReadOptions{false, 4}}) {
      const auto begin = all.begin() + rows.begin * 2048;
      EXPECT_EQ(test::read(file, big, rows, options),
                test::Bytes(begin, begin + rows.size() * 2048))
          << rows.begin << ".." << rows.end;
    }
  }
}

TEST_F(ModelFileBlocks, OneThreadHandsRowsOnInOrderAndNoMoreThanABlock) {
  const ModelFile file(folder_ / "m.h5");
  std::int64_t next = 100;
  file.read_rows(*file.find("big"), {100, 4900}, {.check = false, .threads = 1},
                 [&](std::int64_t first, std::span<const std::byte> rows) {
                   EXPECT_EQ(first, next);
                   EXPECT_LE(rows.size(), std::size_t{4} << 20);
                   next += static_cast<std::int64_t>(rows.size() / 2048);
                 });
  EXPECT_EQ(next, 4900);
}

TEST_F(ModelFileBlocks, FourReadersShareOneFile) {
  const ModelFile file(folder_ / "m.h5");
  const test::Bytes all = test::tensor_bytes(*file.find("big"), 1);
  std::vector<std::thread> readers;
  std::vector<int> same(4, 0);
  for (std::size_t r = 0; r < 4; ++r) {
    readers.emplace_back([&, r] {
      const auto begin = static_cast<std::int64_t>(r) * 1250;
      const test::Bytes mine =
          test::read(file, *file.find("big"), {begin, begin + 1250}, {.check = true, .threads = 2});
      same[r] = std::equal(mine.begin(), mine.end(), all.begin() + begin * 2048) ? 1 : 0;
    });
  }
  for (std::thread& reader : readers) {
    reader.join();
  }
  EXPECT_EQ(same, std::vector<int>(4, 1));
}

TEST_F(ModelFileBlocks, ASinkThatThrowsEndsTheRead) {
  const ModelFile file(folder_ / "m.h5");
  EXPECT_THROW(file.read_rows(*file.find("big"), {0, 5000}, {.check = true, .threads = 3},
                              [](auto, auto) { throw DeviceError("no room"); }),
               DeviceError);
}

TEST_F(ModelFileBlocks, RowsThatAreNotThereAreRefused) {
  const ModelFile file(folder_ / "m.h5");
  const TensorInfo& big = *file.find("big");
  for (const Range rows : {Range{-1, 3}, Range{0, 5001}, Range{3, 2}}) {
    EXPECT_THAT([&] { file.read_rows(big, rows, {}, [](auto, auto) {}); },
                ThrowsMessage<ModelFileError>(AllOf(HasSubstr("big"), HasSubstr("5000"))));
  }
  TensorInfo stranger = big;
  stranger.name = "stranger";
  EXPECT_THAT(
      [&] {
        test::read(file, stranger, {0, 1});
      },
      ThrowsMessage<ModelFileError>(HasSubstr("stranger")));
}

TEST_F(ModelFileBlocks, DataBeginAtMultiplesOf4096) {
  const ModelFile file(folder_ / "m.h5");
  for (std::size_t i = 0; i < file.tensors().size(); ++i) {
    ASSERT_TRUE(file.catalog().storage[i].offset.has_value());
    if (file.tensors()[i].bytes() >= 4096) {
      EXPECT_EQ(*file.catalog().storage[i].offset % 4096, 0u) << file.tensors()[i].name;
    }
  }
}

TEST(ModelFile, RequireNamesWantedAndFound) {
  const test::ScratchFolder folder;
  test::write_model(folder / "m.h5", test::small_contents());
  const ModelFile file(folder / "m.h5");
  const std::vector<std::int64_t> good{33, 8};
  const std::vector<std::int64_t> bad{34, 8};
  EXPECT_EQ(file.require("embedding", good).name, "embedding");
  EXPECT_THAT([&] { file.require("embedding", bad); },
              ThrowsMessage<ModelFileError>(AllOf(HasSubstr("m.h5"), HasSubstr("embedding"),
                                                  HasSubstr("[33, 8]"), HasSubstr("[34, 8]"))));
  EXPECT_THAT([&] { file.require("head", good); },
              ThrowsMessage<ModelFileError>(AllOf(HasSubstr("m.h5"), HasSubstr("no tensor head"))));
}

TEST(ModelFile, CanBeMovedAndReadAfterwards) {
  const test::ScratchFolder folder;
  test::write_model(folder / "m.h5", test::small_contents());
  ModelFile first(folder / "m.h5");
  const ModelFile second(std::move(first));
  EXPECT_EQ(test::read(second, "rope"), test::tensor_bytes(*second.find("rope"), 3));
}

TEST(ModelFile, ManyTensorsAndLongNamesAreKept) {
  const test::ScratchFolder folder;
  ModelContents contents = test::small_contents();
  contents.tensors.clear();
  for (int i = 0; i < 500; ++i) {
    contents.tensors.push_back(
        {"layers." + std::to_string(i) + ".mlp.down", DType::f32, {2, 2}, std::string(300, 's')});
  }
  test::write_model(folder / "m.h5", contents);
  const ModelFile file(folder / "m.h5");
  ASSERT_EQ(file.tensors().size(), 500u);
  EXPECT_EQ(test::read(file, "layers.499.mlp.down"),
            test::tensor_bytes(*file.find("layers.499.mlp.down"), 499));
}

TEST(ModelFile, H5dumpShowsTheSixteenBitFloat) {
  if (std::system("h5dump --version > /dev/null 2>&1") != 0) {
    GTEST_SKIP() << "h5dump is not installed";
  }
  const test::ScratchFolder folder;
  ModelContents contents = test::small_contents();
  contents.tensors = {{"norm.weight", DType::bf16, {2}, ""}};
  ModelWriter writer(folder / "m.h5", contents);
  const std::array<std::uint16_t, 2> values{to_bf16(1.5f).bits, to_bf16(-0.25f).bits};
  writer.write_rows(0, 0, std::as_bytes(std::span(values)));
  writer.finish();
  const std::string out = (folder / "out").string();
  const std::string command =
      "h5dump -d /weights/norm.weight " + (folder / "m.h5").string() + " > " + out + " 2>&1";
  ASSERT_EQ(std::system(command.c_str()), 0) << test::slurp(out);
  EXPECT_THAT(test::slurp(out),
              AllOf(HasSubstr("16-bit"), HasSubstr("1.5, -0.25"), HasSubstr("\"bf16\"")));
}

}  // namespace
}  // namespace tutti
