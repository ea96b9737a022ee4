// Which of a folder's tokenizers is imported, and which of those a model file holds is used.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "kernels/error.hpp"
#include "runtime/weights/tensor_source.hpp"
#include "tests/runtime/text/small_tiktoken.hpp"
#include "tests/support/safetensors_file.hpp"
#include "tests/support/scratch_folder.hpp"

namespace tutti {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::StartsWith;

class TokenizerChoice : public ::testing::Test {
 protected:
  TokenizerChoice() {
    folder_.write("config.json", R"({"model_type": "llama"})");
    folder_.write("model.safetensors", test::SafetensorsFile().add("a", "F32", {1}, "aaaa").text());
  }

  TokenizerAssets imported() const { return open_source(folder_.path())->tokenizer(); }
  std::vector<std::string> names() const {
    std::vector<std::string> names;
    for (const auto& [name, content] : imported()) names.push_back(name);
    return names;
  }
  std::string kind() const { return make_tokenizer(imported())->kind(); }

  const std::string ranks_ = tiktoken_file(small_ranks());
  test::ScratchFolder folder_;
};

TEST_F(TokenizerChoice, WithoutATokenizerTheWantedFilesAreNamed) {
  EXPECT_THAT(names(), ElementsAre());
  try {
    kind();
    FAIL();
  } catch (const ModelFileError& error) {
    EXPECT_THAT(error.what(), HasSubstr("tekken.json, tokenizer.model, qwen.tiktoken"));
  }
}

TEST_F(TokenizerChoice, AFileOfTiktokenIsTakenByItsOwnName) {
  folder_.write("qwen.tiktoken", ranks_);
  folder_.write("notes.txt", "no tokenizer");
  EXPECT_THAT(names(), ElementsAre("qwen.tiktoken"));
  EXPECT_EQ(kind(), "tiktoken (qwen.tiktoken)");
}

TEST_F(TokenizerChoice, TekkenGoesBeforeTokenizerModelAndTiktoken) {
  folder_.write("qwen.tiktoken", ranks_);
  folder_.write("tokenizer.model", "no SentencePiece");
  folder_.write("tekken.json", tekken_json().dump());
  EXPECT_THAT(names(), ElementsAre("qwen.tiktoken", "tekken.json", "tokenizer.model"));
  EXPECT_EQ(kind(), "tekken (tekken.json)");
}

TEST_F(TokenizerChoice, TokenizerModelGoesBeforeTiktokenWhateverItHolds) {
  folder_.write("qwen.tiktoken", ranks_);
  folder_.write("tokenizer.model", ranks_);
  try {
    kind();
    FAIL();
  } catch (const ModelFileError& error) {
    EXPECT_THAT(error.what(), StartsWith("tokenizer.model: a tiktoken vocabulary of 261 ranks"));
  }
}

// The other vocabularies are large and say the same, so they are not even stored.
TEST_F(TokenizerChoice, TokenizerJsonGoesBeforeAllAndLeavesThemOut) {
  folder_.write("qwen.tiktoken", ranks_);
  folder_.write("tekken.json", tekken_json().dump());
  folder_.write("tokenizer.json", tokenizer_json());
  folder_.write("generation_config.json", R"({"eos_token_id": [7, 3]})");
  EXPECT_THAT(names(), ElementsAre("generation_config.json", "tokenizer.json"));
  EXPECT_EQ(kind(), "BPE (tokenizer.json)");
  EXPECT_EQ(make_tokenizer(imported())->special().eos, (Ids{7, 3}));
}

TEST_F(TokenizerChoice, ADamagedTokenizerIsRefusedThoughAnotherLiesBesideIt) {
  folder_.write("tekken.json", tekken_json().dump());
  folder_.write("tokenizer.json", "{");
  try {
    kind();
    FAIL();
  } catch (const ModelFileError& error) {
    EXPECT_THAT(error.what(), StartsWith("tokenizer.json: not JSON"));
  }
}

}  // namespace
}  // namespace tutti
