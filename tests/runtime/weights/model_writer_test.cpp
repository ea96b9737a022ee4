#include "runtime/weights/model_writer.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/mount.h>
#include <sys/resource.h>

#include <csignal>
#include <set>
#include <thread>

#include "kernels/error.hpp"
#include "tests/runtime/weights/scratch_model.hpp"

namespace tutti {
namespace {

using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::ThrowsMessage;

TEST(ModelWriter, RowsInPiecesOfAnySizeMakeTheSameFile) {
  const test::ModelFolder folder;
  const ModelContents contents = test::blocks_contents();
  const std::string fingerprint = test::write_model(folder / "whole.h5", contents);
  ModelWriter writer(folder / "pieces.h5", contents);
  for (std::size_t i = 0; i < contents.tensors.size(); ++i) {
    const TensorInfo& tensor = writer.tensors()[i];
    const test::Bytes bytes = test::tensor_bytes(tensor, i);
    std::int64_t piece = 1;
    for (std::int64_t row = 0; row < tensor.rows(); row += piece, piece = piece % 700 + 97) {
      const std::int64_t count = std::min(piece, tensor.rows() - row);
      writer.write_rows(
          i, row,
          std::span(bytes).subspan(static_cast<std::size_t>(row) * tensor.row_bytes(),
                                   static_cast<std::size_t>(count) * tensor.row_bytes()));
      piece = count;
    }
  }
  EXPECT_EQ(writer.finish(), fingerprint);
  EXPECT_EQ(test::slurp(folder / "whole.h5"), test::slurp(folder / "pieces.h5"));
}

TEST(ModelWriter, ThreadsWriteDifferentTensorsAtOnce) {
  const test::ModelFolder folder;
  ModelContents contents = test::small_contents();
  contents.tensors.clear();
  for (int i = 0; i < 12; ++i) {
    contents.tensors.push_back({"t" + std::to_string(i), DType::bf16, {300, 512}, ""});
  }
  const std::string fingerprint = test::write_model(folder / "one.h5", contents);
  ModelWriter writer(folder / "many.h5", contents);
  std::vector<std::thread> threads;
  for (std::size_t t = 0; t < 4; ++t) {
    threads.emplace_back([&, t] {
      for (std::size_t i = t; i < 12; i += 4) {
        const test::Bytes bytes = test::tensor_bytes(writer.tensors()[i], i);
        for (std::int64_t row = 0; row < 300; row += 100) {
          writer.write_rows(i, row,
                            std::span(bytes).subspan(static_cast<std::size_t>(row) * 1024,
                                                     std::size_t{100} * 1024));
        }
      }
    });
  }
  for (std::thread& thread : threads) {
    thread.join();
  }
  EXPECT_EQ(writer.finish(), fingerprint);
  EXPECT_EQ(test::slurp(folder / "one.h5"), test::slurp(folder / "many.h5"));
}

TEST(ModelWriter, TheFingerprintChangesWithOneByteOfAnyPart) {
  const test::ModelFolder folder;
  std::set<std::string> prints{test::write_model(folder / "m.h5", test::small_contents())};
  ModelContents contents = test::small_contents();
  contents.config["layers"] = 3;
  EXPECT_TRUE(prints.insert(test::write_model(folder / "m.h5", contents, true)).second);
  contents = test::small_contents();
  contents.tokenizer["tokenizer.json"].back() = ']';
  EXPECT_TRUE(prints.insert(test::write_model(folder / "m.h5", contents, true)).second);
  contents = test::small_contents();
  ModelWriter writer(folder / "m.h5", contents, true);
  for (std::size_t i = 0; i < contents.tensors.size(); ++i) {
    test::Bytes bytes = test::tensor_bytes(writer.tensors()[i], i);
    bytes.back() ^= static_cast<std::byte>(i == 2 ? 1 : 0);
    writer.write_rows(i, 0, bytes);
  }
  EXPECT_TRUE(prints.insert(writer.finish()).second);
  contents = test::small_contents();
  contents.name = "another";
  contents.source = "elsewhere";
  EXPECT_FALSE(prints.insert(test::write_model(folder / "m.h5", contents, true)).second);
}

TEST(ModelWriter, NothingIsLeftWhereItIsAbandoned) {
  const test::ModelFolder folder;
  {
    ModelWriter writer(folder / "m.h5", test::small_contents());
    EXPECT_EQ(folder.names().size(), 1u);
    EXPECT_FALSE(std::filesystem::exists(folder / "m.h5"));
    test::write_tensor(writer, 0, test::tensor_bytes(writer.tensors()[0], 0));
  }
  EXPECT_THAT(folder.names(), IsEmpty());
}

TEST(ModelWriter, NothingButTheFileIsLeftWhereItIsFinished) {
  const test::ModelFolder folder;
  test::write_model(folder / "m.h5", test::small_contents());
  EXPECT_THAT(folder.names(), ElementsAre("m.h5"));
}

TEST(ModelWriter, AnExistingOutputIsKeptUnlessOverwritten) {
  const test::ModelFolder folder;
  test::spill(folder / "m.h5", "precious");
  EXPECT_THAT([&] { ModelWriter(folder / "m.h5", test::small_contents()); },
              ThrowsMessage<ConfigError>(AllOf(HasSubstr("m.h5"), HasSubstr("exists"))));
  EXPECT_EQ(test::slurp(folder / "m.h5"), "precious");
  { ModelWriter abandoned(folder / "m.h5", test::small_contents(), true); }
  EXPECT_EQ(test::slurp(folder / "m.h5"), "precious");
  test::write_model(folder / "m.h5", test::small_contents(), true);
  EXPECT_NO_THROW(ModelFile(folder / "m.h5"));
  EXPECT_THAT(folder.names(), ElementsAre("m.h5"));
}

TEST(ModelWriter, AnOutputThatComesToExistMeanwhileIsKept) {
  const test::ModelFolder folder;
  const ModelContents contents = test::small_contents();
  {
    ModelWriter writer(folder / "m.h5", contents);
    for (std::size_t i = 0; i < contents.tensors.size(); ++i) {
      test::write_tensor(writer, i, test::tensor_bytes(writer.tensors()[i], i));
    }
    test::spill(folder / "m.h5", "another's");
    EXPECT_THROW(writer.finish(), ConfigError);
  }
  EXPECT_EQ(test::slurp(folder / "m.h5"), "another's");
  EXPECT_THAT(folder.names(), ElementsAre("m.h5"));
}

TEST(ModelWriter, OutputsThatCannotBeWrittenAreRefused) {
  const test::ModelFolder folder;
  const auto write = [](const std::filesystem::path& path) {
    return [path] { ModelWriter(path, test::small_contents(), true); };
  };
  EXPECT_THAT(write(folder / "no/such/m.h5"), ThrowsMessage<Error>(HasSubstr("No such file")));
  EXPECT_THAT(write(""), ThrowsMessage<ConfigError>(HasSubstr("no name")));
  EXPECT_THAT(write(folder / "."), ThrowsMessage<ConfigError>(HasSubstr("folder")));
  EXPECT_THAT(write("/dev/null"), ThrowsMessage<ConfigError>(HasSubstr("plain file")));
}

TEST(ModelWriter, RowsOutOfOrderOrInPartsAreRefused) {
  const test::ModelFolder folder;
  ModelWriter writer(folder / "m.h5", test::small_contents());
  const test::Bytes rows = test::noise(33 * 16 + 16, 1);
  const auto part = [&](std::size_t bytes) { return std::span(rows).first(bytes); };
  EXPECT_THROW(writer.write_rows(0, 1, part(16)), Error);
  EXPECT_THROW(writer.write_rows(0, 0, part(15)), Error);
  EXPECT_THROW(writer.write_rows(0, 0, rows), Error);
  writer.write_rows(0, 0, part(32));
  EXPECT_THROW(writer.write_rows(0, 0, part(32)), Error);
  writer.write_rows(0, 2, part(16));
  EXPECT_THAT([&] { writer.finish(); },
              ThrowsMessage<Error>(AllOf(HasSubstr("embedding"), HasSubstr("3 of 33"))));
}

TEST(ModelWriter, ContentsThatTheFormatCannotHoldAreRefused) {
  const test::ModelFolder folder;
  const auto refused = [&](const auto& change) {
    ModelContents contents = test::small_contents();
    change(contents);
    EXPECT_THROW(ModelWriter(folder / "m.h5", contents), ConfigError);
  };
  refused([](ModelContents& c) { c.tensors[0].name = "a/b"; });
  refused([](ModelContents& c) { c.tensors[0].name = ""; });
  refused([](ModelContents& c) { c.tensors[0].name = c.tensors[1].name; });
  refused([](ModelContents& c) { c.tensors[0].shape = {}; });
  refused([](ModelContents& c) { c.tensors[0].shape = {2, 2, 2}; });
  refused([](ModelContents& c) { c.tensors[0].shape = {0, 2}; });
  refused([](ModelContents& c) { c.tensors[0].shape = {-1}; });
  refused([](ModelContents& c) { c.tensors[0].shape = {std::int64_t{1} << 40, 1 << 30}; });
  refused([](ModelContents& c) { c.tokenizer["a/b"] = ""; });
  refused([](ModelContents& c) { c.config = nlohmann::json::array(); });
  refused([](ModelContents& c) { c.config["x"] = "\xff"; });
  refused([](ModelContents& c) { c.name.resize(100000, 'x'); });
  EXPECT_THAT(folder.names(), IsEmpty());
}

TEST(ModelWriter, AModelLargerThanTheDiskIsRefusedAtOnce) {
  const test::ModelFolder folder;
  ModelContents contents = test::small_contents();
  contents.tensors.push_back({"huge", DType::f32, {std::int64_t{1} << 30, 1 << 20}, ""});
  EXPECT_THAT([&] { ModelWriter(folder / "m.h5", contents); },
              ThrowsMessage<Error>(AllOf(HasSubstr("m.h5"), HasSubstr("not enough space"),
                                         HasSubstr("4503599.63 GB wanted"), HasSubstr("free"))));
  EXPECT_THAT(folder.names(), IsEmpty());
}

TEST(ModelWriter, AWriteThatFailsSaysHowMuchWasWantedAndFree) {
  const test::ModelFolder folder;
  std::signal(SIGXFSZ, SIG_IGN);
  rlimit old{};
  ASSERT_EQ(getrlimit(RLIMIT_FSIZE, &old), 0);
  {
    ModelWriter writer(folder / "m.h5", test::blocks_contents());
    const test::Bytes bytes = test::tensor_bytes(writer.tensors()[1], 1);
    rlimit small = old;
    small.rlim_cur = 1 << 20;
    ASSERT_EQ(setrlimit(RLIMIT_FSIZE, &small), 0);
    EXPECT_THAT([&] { test::write_tensor(writer, 1, bytes); },
                ThrowsMessage<Error>(AllOf(HasSubstr("m.h5"), HasSubstr("tensor big"),
                                           HasSubstr("wanted"), HasSubstr("free"))));
  }
  EXPECT_THAT([&] { test::write_model(folder / "m.h5", test::blocks_contents()); },
              ThrowsMessage<Error>(AllOf(HasSubstr("m.h5"), HasSubstr("free"))));
  setrlimit(RLIMIT_FSIZE, &old);
  EXPECT_THAT(folder.names(), IsEmpty());
  EXPECT_NO_THROW(test::write_model(folder / "m.h5", test::blocks_contents()));
}

// A file system of 12 MiB, filled up by another's file while the model is written.
TEST(ModelWriter, ADiskThatFillsUpMeanwhileHasThePlaceOfTheModel) {
  const test::ModelFolder folder;
  const auto disk = folder / "disk";
  std::filesystem::create_directory(disk);
  if (::mount("tmpfs", disk.c_str(), "tmpfs", 0, "size=12m") != 0) {
    GTEST_SKIP() << "may not mount a small file system";
  }
  {
    ModelWriter writer(disk / "m.h5", test::blocks_contents());
    test::spill(disk / "other", std::string(std::size_t{6} << 20, 'x'));
    EXPECT_EQ(std::filesystem::space(disk).available, 0u);
    for (std::size_t i = 0; i < writer.tensors().size(); ++i) {
      test::write_tensor(writer, i, test::tensor_bytes(writer.tensors()[i], i));
    }
    EXPECT_NO_THROW(writer.finish());
  }
  EXPECT_TRUE(verify(ModelFile(disk / "m.h5"), 1, nullptr).empty());
  EXPECT_THAT([&] { ModelWriter(disk / "small.h5", test::small_contents()); },
              ThrowsMessage<Error>(HasSubstr("free")));
  std::filesystem::remove(disk / "other");
  EXPECT_THAT([&] { ModelWriter(disk / "n.h5", test::blocks_contents()); },
              ThrowsMessage<Error>(HasSubstr("not enough space")));
  EXPECT_EQ(std::distance(std::filesystem::directory_iterator(disk), {}), 1);
  ::umount2(disk.c_str(), MNT_DETACH);
}

}  // namespace
}  // namespace tutti
