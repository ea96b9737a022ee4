#include "launch/batch_request.hpp"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "tests/launch/batch_lines.hpp"

namespace tutti {
namespace {

TEST(BatchRequest, ReadsOpenAisCompletion) {
  const BatchRequest request = accepted(
      R"({"custom_id": "a", "method": "POST", "url": "/v1/completions",
          "body": {"model": "m", "prompt": "to be", "max_tokens": 12, "temperature": 0.5,
                   "top_p": 0.9, "n": 3, "stop": ["x", "yz"], "seed": -4, "logprobs": 2,
                   "presence_penalty": 1.5, "frequency_penalty": -2, "user": "me",
                   "logit_bias": {"50": -100, "3": 7.5}, "stream": false, "echo": false}})");
  EXPECT_EQ(request.custom_id, "a");
  EXPECT_EQ(request.line, 7U);
  EXPECT_EQ(request.api, BatchApi::completion);
  EXPECT_EQ(request.prompt, "to be");
  EXPECT_EQ(request.samples, 3);
  EXPECT_EQ(request.sampling.max_tokens, 12);
  EXPECT_DOUBLE_EQ(request.sampling.temperature, 0.5);
  EXPECT_DOUBLE_EQ(request.sampling.top_p, 0.9);
  EXPECT_EQ(request.sampling.stop, (std::vector<std::string>{"x", "yz"}));
  EXPECT_EQ(request.sampling.seed, static_cast<std::uint64_t>(-4));
  EXPECT_EQ(request.sampling.logprobs, 2);
  EXPECT_DOUBLE_EQ(request.sampling.presence_penalty, 1.5);
  EXPECT_DOUBLE_EQ(request.sampling.frequency_penalty, -2);
  EXPECT_EQ(request.sampling.logit_bias,
            (std::vector<LogitBias>{{.id = 3, .bias = 7.5F}, {.id = 50, .bias = -100}}));
}

TEST(BatchRequest, ReadsOpenAisChat) {
  const BatchRequest request = accepted(
      R"({"custom_id": "c", "method": "POST", "url": "/v1/chat/completions",
          "body": {"messages": [{"role": "developer", "content": "be brief"},
                                {"role": "user", "content": [{"type": "text", "text": "a"},
                                                             {"type": "text", "text": "b"}],
                                 "name": "Ann"}],
                   "max_completion_tokens": 5, "logprobs": true, "top_logprobs": 4,
                   "response_format": {"type": "text"}}})");
  ASSERT_EQ(request.messages.size(), 2U);
  EXPECT_EQ(request.messages[0].role, "system");
  EXPECT_EQ(request.messages[1].content, "ab");
  EXPECT_EQ(request.sampling.max_tokens, 5);
  EXPECT_EQ(request.sampling.logprobs, 4);
}

TEST(BatchRequest, ReadsPlainLinesWithParametersBesideThePrompt) {
  const BatchRequest request = accepted(
      R"({"prompt": "x", "id": 12, "ignore_eos": true, "top_k": -1, "min_p": 0.1,
          "min_tokens": 2, "repetition_penalty": 1.2, "stop_token_ids": [1, 2], "stop": "s"})");
  EXPECT_EQ(request.custom_id, "12");
  EXPECT_TRUE(request.sampling.ignore_eos);
  EXPECT_EQ(request.sampling.top_k, 0);
  EXPECT_EQ(request.sampling.min_tokens, 2);
  EXPECT_EQ(request.sampling.stop_ids, (std::vector<TokenId>{1, 2}));
  EXPECT_EQ(request.sampling.stop, (std::vector<std::string>{"s"}));
}

TEST(BatchRequest, ALineWithoutAnIdIsNamedByItsNumber) {
  EXPECT_EQ(accepted(R"({"prompt": "x"})").custom_id, "line-7");
  EXPECT_EQ(parse("no json").request.custom_id, "line-7");
}

TEST(BatchRequest, ARefusedLineKeepsItsId) {
  const ParsedLine parsed = parse(R"({"custom_id": "a", "prompt": "x", "temperature": 9})");
  ASSERT_TRUE(parsed.refusal);
  EXPECT_EQ(parsed.request.custom_id, "a");
}

TEST(BatchRequest, TakesPromptsAsIdsAndListsOfOne) {
  EXPECT_EQ(accepted(R"({"prompt": [1, 2, 3]})").prompt_ids, (std::vector<TokenId>{1, 2, 3}));
  EXPECT_EQ(accepted(R"({"prompt": [[4, 5]]})").prompt_ids, (std::vector<TokenId>{4, 5}));
  EXPECT_EQ(accepted(R"({"prompt": ["one"]})").prompt, "one");
  EXPECT_TRUE(accepted(R"({"prompt": [9]})").as_ids);
}

TEST(BatchRequest, DefaultsHoldWhereALineSaysNothing) {
  BatchDefaults defaults;
  defaults.sampling.max_tokens = 99;
  defaults.sampling.temperature = 0.25;
  defaults.sampling.stop = {"END"};
  defaults.system = "you are terse";
  const BatchRequest plain =
      accepted(R"({"prompt": "x", "max_tokens": 3, "stop": null})", defaults);
  EXPECT_EQ(plain.sampling.max_tokens, 3);
  EXPECT_DOUBLE_EQ(plain.sampling.temperature, 0.25);
  EXPECT_EQ(plain.sampling.stop, (std::vector<std::string>{"END"}));
  const BatchRequest chat =
      accepted(R"({"messages": [{"role": "user", "content": "hi"}]})", defaults);
  ASSERT_EQ(chat.messages.size(), 2U);
  EXPECT_EQ(chat.messages[0].content, "you are terse");
  const BatchRequest own = accepted(
      R"({"messages": [{"role": "system", "content": "s"}, {"role": "user", "content": "hi"}]})",
      defaults);
  EXPECT_EQ(own.messages[0].content, "s");
}

TEST(BatchRequest, ReadsRawTextAsPromptsOrChats) {
  const BatchRequest text = accepted("{not json}", {.raw_text = true});
  EXPECT_EQ(text.prompt, "{not json}");
  const BatchRequest chat = accepted("hello", {.system = "s", .raw_text = true, .raw_chat = true});
  ASSERT_EQ(chat.messages.size(), 2U);
  EXPECT_EQ(chat.messages[1].content, "hello");
  EXPECT_EQ(parse("bad \xff text", {.raw_text = true}).refusal->code, "invalid_utf8");
}

class BadLines : public testing::TestWithParam<BadLine> {};

TEST_P(BadLines, AreRefusedWithAReason) {
  expect_refused(GetParam());
}

INSTANTIATE_TEST_SUITE_P(
    Json, BadLines,
    testing::Values(
        BadLine{"not json", "invalid_json", "no JSON"}, BadLine{"{", "invalid_json", "no JSON"},
        BadLine{"[1]", "invalid_json", "found an array"},
        BadLine{"17", "invalid_json", "wants a JSON object"},
        BadLine{"{\"prompt\": \"\xff\"}", "invalid_json", "no JSON"},
        BadLine{R"({"prompt": "\ud800"})", "invalid_json", "no JSON"},
        BadLine{R"({"prompt": "x", "temperature": 1e999})", "invalid_json", "no JSON"},
        BadLine{R"({})", "missing_field", "neither"},
        BadLine{R"({"custom_id": "a"})", "missing_field", "neither"},
        BadLine{R"({"custom_id": "", "prompt": "x"})", "invalid_custom_id", "custom_id"},
        BadLine{R"({"custom_id": {}, "prompt": "x"})", "invalid_custom_id", "custom_id"},
        BadLine{R"({"prompt": "x", "messages": []})", "invalid_request", "exclude"},
        BadLine{R"({"custom_id": "a", "url": "/v1/completions", "body": {"prompt": "x"}})",
                "missing_field", "'method'"},
        BadLine{R"({"custom_id": "a", "method": "POST", "body": {"prompt": "x"}})", "missing_field",
                "'url'"},
        BadLine{R"({"custom_id": "a", "method": "POST", "url": "/v1/completions"})",
                "missing_field", "'body'"},
        BadLine{R"({"method": "GET", "url": "/v1/completions", "body": {"prompt": "x"}})",
                "invalid_method", "POST"},
        BadLine{R"({"method": "POST", "url": "/v1/embeddings", "body": {"prompt": "x"}})",
                "invalid_url", "/v1/completions"},
        BadLine{R"({"method": "POST", "url": "/v1/completions", "body": []})", "invalid_request",
                "'body'"},
        BadLine{R"({"method": "POST", "url": "/v1/completions", "body": {"messages": []}})",
                "missing_field", "'prompt'"},
        BadLine{R"({"method": "POST", "url": "/v1/chat/completions", "body": {"prompt": "x"}})",
                "missing_field", "'messages'"}));

INSTANTIATE_TEST_SUITE_P(
    Prompts, BadLines,
    testing::Values(
        BadLine{R"({"prompt": ""})", "invalid_prompt", "empty"},
        BadLine{R"({"prompt": 4})", "invalid_prompt", "text"},
        BadLine{R"({"prompt": []})", "invalid_prompt", "text"},
        BadLine{R"({"prompt": [[]]})", "invalid_prompt", "token ids"},
        BadLine{R"({"prompt": ["a", "b"]})", "invalid_prompt", "one prompt"},
        BadLine{R"({"prompt": [1, -2]})", "invalid_prompt", "token ids"},
        BadLine{R"({"prompt": [1, 2.5]})", "invalid_prompt", "token ids"},
        BadLine{R"({"prompt": [[["x"]]]})", "invalid_prompt", "token ids"},
        BadLine{R"({"messages": []})", "invalid_messages", "one message"},
        BadLine{R"({"messages": {}})", "invalid_messages", "list"},
        BadLine{R"({"messages": ["hi"]})", "invalid_messages", "'role'"},
        BadLine{R"({"messages": [{"role": "user"}]})", "invalid_messages", "'content'"},
        BadLine{R"({"messages": [{"role": "function", "content": "x"}]})", "invalid_messages",
                "system, user, assistant or tool"},
        BadLine{R"({"messages": [{"role": "assistant", "content": "x"}]})", "invalid_messages",
                "user"},
        BadLine{R"({"messages": [{"role": "user", "content": 3}]})", "invalid_messages", "text"},
        BadLine{R"({"messages": [{"role": "user", "content": [{"type": "image_url"}]}]})",
                "invalid_messages", "found the type 'image_url': this program reads text only"},
        BadLine{R"({"messages": [{"role": "user", "content": ["x"]}]})", "invalid_messages",
                "a part of 'content'"},
        BadLine{R"({"messages": [{"role": "user", "content": null}]})", "invalid_messages",
                "'content'"},
        BadLine{R"({"messages": [{"role": "user", "content": "x", "name": 3}]})",
                "invalid_messages", "'name' of a message wants text"},
        BadLine{R"({"messages": [{"role": "user", "content": "x", "audio": {}}]})",
                "invalid_messages", "'audio' of a message is not known"}));

INSTANTIATE_TEST_SUITE_P(
    Parameters, BadLines,
    testing::Values(
        BadLine{R"({"prompt": "x", "temprature": 1})", "unknown_parameter",
                "did you mean 'temperature'"},
        BadLine{R"({"prompt": "x", "stream": true})", "unsupported_parameter", "'stream'"},
        BadLine{R"({"prompt": "x", "echo": true})", "unsupported_parameter", "'echo'"},
        BadLine{R"({"prompt": "x", "best_of": 2})", "unsupported_parameter", "'best_of'"},
        BadLine{R"({"prompt": "x", "response_format": {"type": "json_object"}})",
                "unsupported_parameter", "text"},
        BadLine{R"({"prompt": "x", "temperature": 2.5})", "invalid_value", "from 0 to 2"},
        BadLine{R"({"prompt": "x", "temperature": "hot"})", "invalid_value", "\"hot\""},
        BadLine{R"({"prompt": "x", "top_p": -0.1})", "invalid_value", "'top_p'"},
        BadLine{R"({"prompt": "x", "top_k": 1.5})", "invalid_value", "'top_k'"},
        BadLine{R"({"prompt": "x", "min_p": 2})", "invalid_value", "'min_p'"},
        BadLine{R"({"prompt": "x", "max_tokens": 0})", "invalid_value", "'max_tokens'"},
        BadLine{R"({"prompt": "x", "max_tokens": 1e3})", "invalid_value", "integer"},
        BadLine{R"({"prompt": "x", "max_tokens": 18446744073709551615})", "invalid_value",
                "integer"},
        BadLine{R"({"prompt": "x", "max_tokens": 2, "min_tokens": 3})", "invalid_value",
                "'min_tokens'"},
        BadLine{R"({"prompt": "x", "n": 0})", "invalid_value", "'n'"},
        BadLine{R"({"prompt": "x", "n": 129})", "invalid_value", "'n'"},
        BadLine{R"({"prompt": "x", "presence_penalty": 2.1})", "invalid_value", "from -2 to 2"},
        BadLine{R"({"prompt": "x", "frequency_penalty": -3})", "invalid_value", "from -2 to 2"},
        BadLine{R"({"prompt": "x", "repetition_penalty": 0})", "invalid_value", "repetition"},
        BadLine{R"({"prompt": "x", "logit_bias": {"a": 1}})", "invalid_value", "token ids"},
        BadLine{R"({"prompt": "x", "logit_bias": {"1": 101}})", "invalid_value", "-100 to 100"},
        BadLine{R"({"prompt": "x", "logit_bias": [1]})", "invalid_value", "object"},
        BadLine{R"({"prompt": "x", "logprobs": true})", "invalid_value", "integer"},
        BadLine{R"({"prompt": "x", "logprobs": 21})", "invalid_value", "0 to 20"},
        BadLine{R"({"prompt": "x", "top_logprobs": 2})", "unsupported_parameter", "chats"},
        BadLine{R"({"messages": [{"role": "user", "content": "x"}], "logprobs": 3})",
                "invalid_value", "true or false"},
        BadLine{R"({"messages": [{"role": "user", "content": "x"}], "top_logprobs": 3})",
                "invalid_value", "'logprobs': true"},
        BadLine{R"({"prompt": "x", "stop": ""})", "invalid_value", "not empty"},
        BadLine{R"({"prompt": "x", "stop": [1]})", "invalid_value", "text"},
        BadLine{R"({"prompt": "x", "stop_token_ids": [-1]})", "invalid_value", "stop_token_ids"},
        BadLine{R"({"prompt": "x", "stop_token_ids": 5})", "invalid_value", "list"},
        BadLine{R"({"prompt": "x", "seed": 1.5})", "invalid_value", "'seed'"},
        BadLine{R"({"prompt": "x", "ignore_eos": 1})", "invalid_value", "true or false"}));

TEST(BatchRequest, DeeplyNestedValuesAreRefused) {
  const std::string deep = std::string(1000000, '[') + std::string(1000000, ']');
  for (const char* name : {"stop", "prompt", "messages", "logit_bias", "temperature", "stream",
                           "response_format", "custom_id", "stop_token_ids", "unknown"}) {
    std::string line = "{\"" + std::string(name) + "\": " + deep;
    line += name == std::string("prompt") || name == std::string("messages")
                ? "}"
                : ", \"prompt\": \"x\"}";
    EXPECT_TRUE(parse(line).refusal) << name;
  }
  EXPECT_TRUE(parse(deep).refusal);
}

TEST(BatchRequest, TheHashIsOfEverythingThatAnAnswerDependsOn) {
  const std::string base = R"({"custom_id": "a", "prompt": "x")";
  const auto hash = [](const std::string& line) {
    return hash_of(accepted(line), "circumstances");
  };
  const std::uint64_t plain = hash(base + "}");
  EXPECT_EQ(hash(base + R"(, "user": "me", "model": "other"})"), plain);
  EXPECT_EQ(hash(R"({"custom_id": "another", "prompt": "x"})"), plain);
  for (const char* change :
       {R"("temperature": 1)", R"("max_tokens": 5)", R"("n": 2)", R"("seed": 9)", R"("stop": "s")",
        R"("top_p": 0.5)", R"("top_k": 3)", R"("min_p": 0.5)", R"("min_tokens": 1)",
        R"("ignore_eos": true)", R"("logprobs": 0)", R"("logit_bias": {"1": 1})",
        R"("presence_penalty": 1)", R"("frequency_penalty": 1)", R"("repetition_penalty": 2)",
        R"("stop_token_ids": [3])"}) {
    EXPECT_NE(hash(base + ", " + change + "}"), plain) << change;
  }
  EXPECT_NE(hash(R"({"prompt": "y"})"), plain);
  EXPECT_NE(hash(R"({"messages": [{"role": "user", "content": "x"}]})"), plain);
  EXPECT_NE(hash_of(accepted(base + "}"), "others"), plain);
}

TEST(BatchRequest, DrawsDependOnTheIdAndTheSampleAlone) {
  EXPECT_EQ(draw_stream("a", 0), draw_stream("a", 0));
  EXPECT_NE(draw_stream("a", 0), draw_stream("a", 1));
  EXPECT_NE(draw_stream("a", 0), draw_stream("b", 0));
}

}  // namespace
}  // namespace tutti
