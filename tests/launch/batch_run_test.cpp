// The loop of a batch over a small model of made-up weights, in this process.
#include "launch/batch_run.hpp"

#include <gtest/gtest.h>

#include <csignal>
#include <fstream>
#include <nlohmann/json.hpp>

#include "tests/support/random_model.hpp"
#include "tests/support/scratch_folder.hpp"

namespace tutti {
namespace {

using nlohmann::json;

struct Ran {
  BatchStatus status;
  std::string stopped_by;
  std::map<std::string, json> records;  // by custom_id
};

class BatchRunTest : public testing::Test {
 protected:
  // `steps`: how many steps the run makes before `signal` comes; 0: none does.
  Ran run(const std::string& input, int steps = 0,
          std::chrono::milliseconds grace = std::chrono::milliseconds(0), int pages = 64) {
    Ran ran;
    test::with_engine({.pages = pages}, [&](Engine& engine) {
      const test::ByteTokenizer tokenizer;
      const BatchEncoder encoder(tokenizer, std::nullopt, "no chats here",
                                 {.context = 200, .vocabulary = 259});
      ThreadGroup group(1);
      BatchOutput output({.path = (folder_.path() / "out").string(), .fingerprint = "f"});
      BatchSourceOptions options;
      options.defaults.sampling.ignore_eos = true;
      options.earlier = [&](std::uint64_t id, std::uint64_t hash) {
        const auto known = output.known(id, hash);
        return known == BatchOutput::Known::no     ? EarlierAnswer::none
               : known == BatchOutput::Known::same ? EarlierAnswer::same
                                                   : EarlierAnswer::other;
      };
      BatchSource source(BatchInput::open(folder_.write("in", input).string()), encoder, options);
      BatchMonitor monitor({.style = ProgressStyle::none}, {});
      BatchRun batch(
          engine, group.control(0), source, output, monitor, {.name = "m", .fingerprint = "f"}, {},
          {.grace = grace, .signal = [&]() -> std::optional<int> {
             return steps > 0 && engine.counters().steps >= static_cast<std::uint64_t>(steps)
                        ? std::optional(SIGTERM)
                        : std::nullopt;
           }});
      batch.run();
      output.finish();
      ran.status = batch.status();
      ran.stopped_by = batch.stopped_by();
    });
    std::ifstream file(folder_.path() / "out");
    for (std::string line; std::getline(file, line);) {
      const json record = json::parse(line);
      EXPECT_TRUE(ran.records.emplace(record["custom_id"], record).second) << line;
    }
    return ran;
  }
  static std::string many(int count, int tokens) {
    std::string text;
    for (int i = 0; i < count; ++i) {
      text += json{{"custom_id", "r" + std::to_string(i)},
                   {"prompt", "p" + std::to_string(i)},
                   {"max_tokens", tokens},
                   {"temperature", 1},
                   {"seed", i}}
                  .dump() +
              "\n";
    }
    return text;
  }

  test::ScratchFolder folder_;
};

TEST_F(BatchRunTest, AnswersEveryLine) {
  const Ran ran = run(many(30, 5) + "bad\n");
  EXPECT_EQ(ran.records.size(), 31U);
  EXPECT_EQ(ran.status.answered, 30U);
  EXPECT_EQ(ran.status.errors, 1U);
  EXPECT_EQ(ran.status.left(), 0U);
  EXPECT_TRUE(ran.stopped_by.empty());
  const json& body = ran.records.at("r7")["response"]["body"];
  EXPECT_EQ(body["usage"]["completion_tokens"], 5);
  EXPECT_EQ(body["choices"][0]["finish_reason"], "length");
  EXPECT_EQ(body["system_fingerprint"], "f");
  EXPECT_EQ(ran.records.at("line-31")["error"]["line"], 31);
}

TEST_F(BatchRunTest, AnswersDoNotDependOnTheOrderOfLines) {
  const Ran forth =
      run("{\"custom_id\": \"a\", \"prompt\": \"x\", \"temperature\": 1, \"n\": 2}\n"
          "{\"custom_id\": \"b\", \"prompt\": \"x\", \"temperature\": 1}\n");
  std::filesystem::remove(folder_.path() / "out");
  const Ran back =
      run("{\"custom_id\": \"b\", \"prompt\": \"x\", \"temperature\": 1}\n"
          "{\"custom_id\": \"a\", \"prompt\": \"x\", \"temperature\": 1, \"n\": 2}\n");
  const auto choices = [](const Ran& ran, const char* id) {
    return ran.records.at(id)["response"]["body"]["choices"];
  };
  EXPECT_EQ(choices(forth, "a"), choices(back, "a"));
  EXPECT_EQ(choices(forth, "b"), choices(back, "b"));
  EXPECT_NE(choices(forth, "a")[0]["text"], choices(forth, "a")[1]["text"]);
  EXPECT_NE(choices(forth, "a")[0]["text"], choices(forth, "b")[0]["text"]);
}

TEST_F(BatchRunTest, AStoppedRunKeepsWhatIsDoneAndTheNextDoesTheRest) {
  const std::string input = many(60, 9);
  const Ran whole = run(input);
  std::filesystem::remove(folder_.path() / "out");
  std::uint64_t answered = 0;
  for (const int steps : {3, 25, 12}) {
    const Ran part = run(input, steps);
    EXPECT_EQ(part.stopped_by, "SIGTERM");
    answered += part.status.answered;
    EXPECT_EQ(part.records.size(), answered);
    EXPECT_EQ(part.status.left(), 60 - answered);
  }
  const Ran rest = run(input);
  EXPECT_EQ(rest.status.skipped, answered);
  ASSERT_EQ(rest.records.size(), 60U);
  for (const auto& [id, record] : whole.records) {
    EXPECT_EQ(rest.records.at(id)["response"]["body"]["choices"],
              record["response"]["body"]["choices"])
        << id;
  }
}

TEST_F(BatchRunTest, WhatHasBegunMayEndWithinTheGrace) {
  const Ran ran = run(many(60, 9), 4, std::chrono::hours(1));
  EXPECT_EQ(ran.stopped_by, "SIGTERM");
  EXPECT_GT(ran.status.answered, 0U);  // no answer of 9 tokens is there after 4 steps
  EXPECT_LE(ran.status.answered, 8U);  // as many as run at the same time
}

TEST_F(BatchRunTest, ARequestThatCannotFitTheCacheIsRefusedAndStaysSo) {
  const std::string input =
      "{\"custom_id\": \"big\", \"prompt\": \"x\", \"max_tokens\": 150}\n" + many(3, 5);
  const Ran ran = run(input, 0, {}, 4);
  EXPECT_EQ(ran.status.answered, 3U);
  EXPECT_EQ(ran.records.at("big")["error"]["code"], "does_not_fit");
  const Ran again = run(input, 0, {}, 4);
  EXPECT_EQ(again.status.skipped, 4U);
  EXPECT_EQ(again.records.size(), 4U);
  const Ran roomier = run(input);
  EXPECT_EQ(roomier.status.again, 1U);
  EXPECT_TRUE(roomier.records.at("big")["error"].is_null());
}

TEST_F(BatchRunTest, AChangedRequestIsAnsweredAgain) {
  run("{\"custom_id\": \"a\", \"prompt\": \"x\"}\n{\"custom_id\": \"b\", \"prompt\": \"y\"}\n");
  const Ran ran =
      run("{\"custom_id\": \"a\", \"prompt\": \"z\"}\n{\"custom_id\": \"b\", \"prompt\": \"y\"}\n");
  EXPECT_EQ(ran.status.again, 1U);
  EXPECT_EQ(ran.status.skipped, 1U);
  EXPECT_EQ(ran.records.size(), 2U);
}

}  // namespace
}  // namespace tutti
