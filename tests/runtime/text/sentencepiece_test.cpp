// tokenizer.model, with a model that the test trains for itself.
#include <gtest/gtest.h>
#include <sentencepiece_processor.h>
#include <sentencepiece_trainer.h>

#include <fstream>
#include <iterator>

#include "kernels/error.hpp"
#include "tests/runtime/text/small_tokenizer.hpp"
#include "tests/support/scratch_folder.hpp"

namespace tutti {
namespace {

// As Llama's: BPE, byte fallback, identity normalisation, a space put before the text.
class SentencePiece : public testing::Test {
 protected:
  static void SetUpTestSuite() {
    const test::ScratchFolder folder;
    const std::string stem = (folder.path() / "trained").string();
    std::ofstream(stem + ".txt") << "hello world hello there\nthe world is there for the old\n"
                                    "over the hill and far away\n  two spaces  here\n";
    const std::string arguments =
        "--input=" + stem + ".txt --model_prefix=" + stem +
        " --model_type=bpe --vocab_size=320 --byte_fallback=true --hard_vocab_limit=false"
        " --normalization_rule_name=identity --remove_extra_whitespaces=false --minloglevel=2";
    ASSERT_TRUE(sentencepiece::SentencePieceTrainer::Train(arguments).ok());
    std::ifstream file(stem + ".model", std::ios::binary);
    model_ = std::string(std::istreambuf_iterator<char>(file), {});
    ASSERT_TRUE(reference_.LoadFromSerializedProto(model_).ok());
  }

  static std::unique_ptr<Tokenizer> make(const std::string& config = "{}") {
    return make_tokenizer({{"tokenizer.model", model_}, {"tokenizer_config.json", config}});
  }
  static Ids reference(const std::string& text) {
    const auto ids = reference_.EncodeAsIds(text);
    return {ids.begin(), ids.end()};
  }
  static Ids joined(std::initializer_list<Ids> parts) {
    Ids all;
    for (const Ids& part : parts) all.insert(all.end(), part.begin(), part.end());
    return all;
  }

  static inline std::string model_;
  static inline sentencepiece::SentencePieceProcessor reference_;
};

TEST_F(SentencePiece, EncodesAsTheLibraryAndDecodesWhatItEncoded) {
  const auto t = make();
  for (const std::string text : {"", "hello world", " hello", "  two  spaces ", "🦙 llama",
                                 "the\nold\t漢字", "<s>hi</s>"}) {
    EXPECT_EQ(encode(*t, text, SpecialTokens::as_text), reference(text)) << text;
    EXPECT_EQ(t->decode(encode(*t, text, SpecialTokens::as_text), true), text);
  }
  EXPECT_EQ(t->token_text(encode(*t, "hello").front()).substr(0, 3), "▁");
}

TEST_F(SentencePiece, ControlTokensComeFromTemplatesOnly) {
  const auto t = make();
  EXPECT_EQ(encode(*t, "<s>hello</s>"), joined({{1}, reference("hello"), {2}}));
  EXPECT_EQ(t->decode(encode(*t, "<s>hello</s>"), true), "hello");
  EXPECT_EQ(*t->special().bos, 1);
  EXPECT_EQ(t->special().eos, (Ids{2}));
  EXPECT_TRUE(t->special().add_bos);
}

TEST_F(SentencePiece, WithoutLegacyOnlyTheBeginningGetsThePrefix) {
  const auto t = make(R"({"legacy": false})");
  EXPECT_EQ(encode(*t, "hello"), reference("hello"));
  // The dummy prefix and a space of the text spell the same.
  EXPECT_EQ(encode(*t, "hello</s> hello"), joined({reference("hello"), {2}, reference("hello")}));
  const Ids bare = encode(*t, "<s>hello");
  EXPECT_NE(bare, joined({{1}, reference("hello")}));
  EXPECT_EQ(t->token_text(bare[1]).find("▁"), std::string::npos);
}

TEST_F(SentencePiece, TokensOfTokenizerConfigJoin) {
  const auto t =
      make(R"({"added_tokens_decoder": {"400": {"content": "<tool>", "special": false}}})");
  EXPECT_EQ(encode(*t, "hello<tool>", SpecialTokens::as_text), joined({reference("hello"), {400}}));
  EXPECT_EQ(t->vocabulary_size(), 401);
}

TEST_F(SentencePiece, RefusesWhatIsNoModel) {
  EXPECT_THROW(make_tokenizer({{"tokenizer.model", ""}}), ModelFileError);
  EXPECT_THROW(make_tokenizer({{"tokenizer.model", "IQ== 0\nIg== 1\n"}}), ModelFileError);
  EXPECT_THROW(make_tokenizer({{"tokenizer.model", std::string(100, '\xFF')}}), ModelFileError);
}

}  // namespace
}  // namespace tutti
