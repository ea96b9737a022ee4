// SmolLM2-135M against transformers, token for token: the whole program under mpirun on 1, 2, 3 and
// 4 ranks (tests/golden/README.md). Skipped by name where the model was not fetched.
#include "models/registry.hpp"
#include "runtime/comm/thread_group.hpp"
#include "runtime/engine/engine.hpp"
#include "runtime/text/chat_format.hpp"
#include "runtime/weights/model_file.hpp"
#include "tests/golden/run_generate.hpp"

namespace tutti {
namespace {

using nlohmann::json;
using test::expect_tokens;
using test::prompt_arguments;
using test::quoted;
using Ids = std::vector<TokenId>;

constexpr const char* kModel = TUTTI_SMOLLM2;  // made by smollm2.import

bool is_any(const json&) {
  return true;
}

bool is_text(const json& entry) {
  return entry.contains("prompt");
}

// What --chat can say: one question, with or without a system prompt.
bool is_question(const json& entry) {
  return entry.contains("messages") && entry["messages"].back()["role"] == "user" &&
         entry["messages"].size() == (entry["messages"][0]["role"] == "system" ? 2u : 1u);
}

std::vector<json> cases(bool (*wanted)(const json&)) {
  return test::cases_of("tests/golden/smollm2/expected.json", wanted);
}

// Lines of JSON of `tutti generate` on so many ranks.
std::vector<json> generate(int ranks, const std::string& arguments) {
  return test::generate(kModel, ranks, "--max-tokens 64 " + arguments);
}

class Smollm2 : public ::testing::TestWithParam<int> {
 protected:
  void SetUp() override {
    if (!std::filesystem::exists(kModel)) {
      GTEST_SKIP() << "there is no " << kModel << ": run tests/fetch_data.sh, then smollm2.import";
    }
  }
};

class Smollm2Ranks : public Smollm2 {};

TEST_P(Smollm2Ranks, GoesOnWithTextsAsTheReference) {
  const std::vector<json> texts = cases(is_text);
  expect_tokens(generate(GetParam(), "--ignore-eos " + prompt_arguments(texts)), texts);
}

// Also where --ignore-eos goes on after the end that a chat format names.
TEST_P(Smollm2Ranks, AnswersQuestionsAsTheReference) {
  std::map<std::string, std::vector<json>> by_system;
  for (const json& entry : cases(is_question)) {
    const json& first = entry["messages"][0];
    by_system[first["role"] == "system" ? first["content"] : ""].push_back(entry);
  }
  for (const auto& [system, questions] : by_system) {
    std::string arguments = "--ignore-eos --chat";
    if (!system.empty()) {
      arguments += " --system " + quoted(system);
    }
    for (const json& entry : questions) {
      arguments += " --prompt " + quoted(entry["messages"].back()["content"]);
    }
    expect_tokens(generate(GetParam(), arguments), questions);
  }
}

INSTANTIATE_TEST_SUITE_P(Ranks, Smollm2Ranks, ::testing::Values(1, 2, 3, 4),
                         ::testing::PrintToStringParamName());

// A last character that the 64th token cut in two reads as U+FFFD in the goldens.
std::string without_broken_end(std::string text) {
  constexpr std::string_view kReplacement = "\xEF\xBF\xBD";
  while (text.ends_with(kReplacement)) {
    text.resize(text.size() - kReplacement.size());
  }
  return text;
}

TEST_F(Smollm2, AnswersEndAndReadAsTheReferences) {
  const std::vector<json> texts = cases(is_text);
  const std::vector<json> answers = generate(2, prompt_arguments(texts));
  ASSERT_EQ(answers.size(), texts.size());
  for (std::size_t i = 0; i < texts.size(); ++i) {
    SCOPED_TRACE(texts[i].at("name").get<std::string>());
    Ids wanted = texts[i].at("ids").get<Ids>();
    const auto stop = texts[i].at("stop").get<std::size_t>();
    const bool ended = stop < wanted.size();
    wanted.resize(ended ? stop + 1 : stop);  // the token that ended it is reported too
    EXPECT_EQ(answers[i].at("token_ids").get<Ids>(), wanted);
    EXPECT_EQ(without_broken_end(answers[i].at("text")), without_broken_end(texts[i].at("text")));
    EXPECT_EQ(answers[i].at("finish_reason"), ended ? "stop" : "length");
  }
}

TEST_F(Smollm2, PromptsAndConversationsBecomeTheReferencesIds) {
  const ModelFile file(kModel);
  const auto tokenizer = make_tokenizer(file.tokenizer());
  const ChatFormat format = ChatFormat::detect(file.tokenizer());
  for (const json& entry : cases(is_any)) {
    SCOPED_TRACE(entry.at("name").get<std::string>());
    Ids ids;
    if (is_text(entry)) {
      ids = tokenizer->encode(entry["prompt"].get<std::string>(), SpecialTokens::as_text);
    } else {
      std::vector<ChatMessage> messages;
      for (const json& message : entry.at("messages")) {
        messages.push_back({.role = message["role"], .content = message["content"]});
      }
      ids = format.encode(*tokenizer, messages);
    }
    EXPECT_EQ(ids, entry.at("prompt_ids").get<Ids>());
  }
}

// The conversation of several turns, which no single run of the program can ask, in one batch with
// all others on thread ranks.
TEST_F(Smollm2, AllCasesInOneBatchGiveTheReferencesTokens) {
  constexpr int kRanks = 2;
  const std::vector<json> all = cases(is_any);
  const ModelFile file(kModel);
  const DecoderSpec spec = DecoderSpec::from_json(file.config());
  const ShardPlan plan(spec.shard_shape(), kRanks);
  const auto tokenizer = make_tokenizer(file.tokenizer());
  std::vector<Ids> answers(all.size());
  run_ranks(kRanks, [&](int rank, Communicator& group, ControlPlane& control) {
    const auto device = make_host_device(1);
    const ModelFileSource weights(file, {});
    const auto model = make_model(spec, plan, *device, group, weights, {});
    KvCache cache(*device, model->kv_layout(), 160);  // of 16 tokens: 1,000 and 13 * 64 fit
    if (rank != 0) {
      follow(control, *model, cache);
      return;
    }
    Engine engine(control, *model, cache, *tokenizer);
    for (std::size_t i = 0; i < all.size(); ++i) {
      engine.submit({.id = i,
                     .prompt = all[i].at("prompt_ids").get<Ids>(),
                     .options = {.max_tokens = 64, .ignore_eos = true}});
    }
    engine.run_until_idle([&](const TokenEvent& event) {
      answers[static_cast<std::size_t>(event.request)].push_back(event.token);
    });
    engine.stop();
  });
  for (std::size_t i = 0; i < all.size(); ++i) {
    EXPECT_EQ(answers[i], all[i].at("ids").get<Ids>()) << all[i].at("name");
  }
}

}  // namespace
}  // namespace tutti
