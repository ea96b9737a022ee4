#include "models/shapes.hpp"

#include <gmock/gmock.h>

#include <fstream>

#include "kernels/error.hpp"
#include "tests/support/scratch_folder.hpp"

namespace tutti {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::ThrowsMessage;

TEST(Shapes, ABareNameIsOneOfTheKnown) {
  EXPECT_EQ(load_shape("llama-2-7b").hidden, 4096);
  EXPECT_EQ(load_shape("llama-3-70b").layers, 80);
  EXPECT_EQ(load_shape("smollm2-135m").q_heads, 9);
}

TEST(Shapes, ANameThatIsNotKnownIsAnsweredWithThoseThatAre) {
  EXPECT_THAT([] { load_shape("llama-9"); },
              ThrowsMessage<ConfigError>(AllOf(HasSubstr("\"llama-9\""), HasSubstr("llama-2-70b"),
                                               HasSubstr("llama-3-8b"))));
  EXPECT_THAT([] { load_shape("any", std::vector<std::filesystem::path>{"/nowhere"}); },
              ThrowsMessage<ConfigError>(HasSubstr("/nowhere")));
}

TEST(Shapes, TheFirstFolderThatHasTheNameCounts) {
  const test::ScratchFolder first;
  const test::ScratchFolder second;
  std::filesystem::copy("models/shapes/llama-2-13b.json", second.path() / "mine.json");
  const std::vector<std::filesystem::path> folders{first.path(), second.path()};
  EXPECT_EQ(load_shape("mine", folders).hidden, 5120);
  std::filesystem::copy("models/shapes/llama-2-7b.json", first.path() / "mine.json");
  EXPECT_EQ(load_shape("mine", folders).hidden, 4096);
}

TEST(Shapes, APathIsReadAndItsFaultsNameIt) {
  const test::ScratchFolder folder;
  EXPECT_EQ(load_shape("models/shapes/llama-2-7b.json"), load_shape("llama-2-7b"));
  EXPECT_THAT([&] { load_shape("./missing.json"); },
              ThrowsMessage<ModelFileError>(HasSubstr("missing.json")));
  const std::string path = (folder.path() / "bad.json").string();
  std::ofstream(path) << "{\"layers\": 2}";
  EXPECT_THAT([&] { load_shape(path); },
              ThrowsMessage<ModelFileError>(AllOf(HasSubstr(path), HasSubstr("is missing"))));
  std::ofstream(path) << "{\"layers\": ";
  EXPECT_THAT([&] { load_shape(path); },
              ThrowsMessage<ModelFileError>(AllOf(HasSubstr(path), HasSubstr("is not JSON"))));
}

}  // namespace
}  // namespace tutti
