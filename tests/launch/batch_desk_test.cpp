// A batch over small models of made-up weights, in this process: one replica or several, whose
// ranks are threads.
#include "launch/batch_desk.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <csignal>
#include <fstream>
#include <nlohmann/json.hpp>
#include <thread>

#include "tests/support/random_model.hpp"
#include "tests/support/scratch_folder.hpp"
#include "tests/support/thread_mail.hpp"

namespace tutti {
namespace {

using nlohmann::json;
using std::chrono::milliseconds;

struct Shape {
  int replicas = 1;
  int ranks = 1;  // of each replica
  int pages = 64;
};

// What comes to one replica's root, and when.
struct Event {
  int replica = 0;
  int steps = 0;  // of its engine; 0: never
  milliseconds grace{0};
  bool failure = false;  // an exception instead of SIGTERM
};

struct Ran {
  BatchStatus status;
  std::string stopped_by;
  std::map<std::string, json> records;  // by custom_id
};

class BatchDeskTest : public testing::Test {
 protected:
  Ran run(const std::string& input, const Shape& shape = {}, const Event& event = {}) {
    Ran ran;
    test::ThreadPost post(shape.replicas);
    std::vector<std::thread> others;
    for (int replica = 1; replica < shape.replicas; ++replica) {
      others.emplace_back([&, replica] { run_replica(replica, shape, event, post.mail(replica)); });
    }
    const test::EngineRun engine_run{.ranks = shape.ranks, .pages = shape.pages};
    std::exception_ptr failure;
    test::with_engine(engine_run, [&](Engine& engine) {
      BatchWorker worker(engine, model_, {}, ahead(shape));
      BatchCrew crew(worker, &post.mail(0), shape.replicas);
      try {
        run_desk(input, crew, event.replica == 0 ? signal(engine, event) : Signal(), event, ran);
      } catch (const Error&) {
        failure = std::current_exception();  // rank 0 alone has it: the others follow on
      }
    });
    for (std::thread& other : others) {
      other.join();
    }
    if (failure) {
      std::rethrow_exception(failure);
    }
    std::ifstream file(out());
    for (std::string line; std::getline(file, line);) {
      const json record = json::parse(line);
      EXPECT_TRUE(ran.records.emplace(record["custom_id"], record).second) << line;
    }
    return ran;
  }
  std::filesystem::path out() const { return folder_.path() / "out"; }
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

 private:
  using Signal = std::function<std::optional<int>()>;

  static std::size_t ahead(const Shape& shape) { return shape.replicas == 1 ? 256 : 4; }

  static Signal signal(const Engine& engine, const Event& event) {
    return [&engine, event]() -> std::optional<int> {
      if (event.steps == 0 || engine.counters().steps < static_cast<std::uint64_t>(event.steps)) {
        return std::nullopt;
      }
      if (event.failure) {
        throw Error("a planted failure");
      }
      return SIGTERM;
    };
  }

  void run_replica(int replica, const Shape& shape, const Event& event, Mail& mail) {
    const test::EngineRun engine_run{.ranks = shape.ranks, .pages = shape.pages};
    test::with_engine(engine_run, [&](Engine& engine) {
      ThreadGroup group(1);
      BatchWorker worker(engine, model_, {}, ahead(shape));
      try {
        attend_desk(worker, group.control(0), mail,
                    event.replica == replica ? signal(engine, event) : Signal());
      } catch (const Error& error) {
        EXPECT_TRUE(event.failure) << error.what();
      }
    });
  }

  void run_desk(const std::string& input, BatchCrew& crew, const Signal& signal, const Event& event,
                Ran& ran) {
    const test::ByteTokenizer tokenizer;
    const BatchEncoder encoder(tokenizer, std::nullopt, "no chats here",
                               {.context = 200, .vocabulary = 259});
    ThreadGroup group(1);
    BatchOutput output({.path = out().string(), .fingerprint = "f"});
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
    BatchDesk desk(crew, group.control(0), source, output, monitor, model_,
                   {.stop_at = {}, .grace = event.grace, .signal = signal});
    desk.run();
    output.finish();
    ran.status = desk.status();
    ran.stopped_by = desk.stopped_by();
  }

  BatchModel model_{.name = "m", .fingerprint = "f"};
};

json choices(const Ran& ran, const std::string& id) {
  return ran.records.at(id)["response"]["body"]["choices"];
}

void expect_same_answers(const Ran& ran, const Ran& reference) {
  ASSERT_EQ(ran.records.size(), reference.records.size());
  for (const auto& [id, record] : reference.records) {
    EXPECT_EQ(choices(ran, id), choices(reference, id)) << id;
  }
}

TEST_F(BatchDeskTest, AnswersEveryLine) {
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

TEST_F(BatchDeskTest, AnswersDoNotDependOnTheOrderOfLines) {
  const Ran forth =
      run("{\"custom_id\": \"a\", \"prompt\": \"x\", \"temperature\": 1, \"n\": 2}\n"
          "{\"custom_id\": \"b\", \"prompt\": \"x\", \"temperature\": 1}\n");
  std::filesystem::remove(folder_.path() / "out");
  const Ran back =
      run("{\"custom_id\": \"b\", \"prompt\": \"x\", \"temperature\": 1}\n"
          "{\"custom_id\": \"a\", \"prompt\": \"x\", \"temperature\": 1, \"n\": 2}\n");
  EXPECT_EQ(choices(forth, "a"), choices(back, "a"));
  EXPECT_EQ(choices(forth, "b"), choices(back, "b"));
  EXPECT_NE(choices(forth, "a")[0]["text"], choices(forth, "a")[1]["text"]);
  EXPECT_NE(choices(forth, "a")[0]["text"], choices(forth, "b")[0]["text"]);
}

TEST_F(BatchDeskTest, AStoppedRunKeepsWhatIsDoneAndTheNextDoesTheRest) {
  const std::string input = many(60, 9);
  const Ran whole = run(input);
  std::filesystem::remove(out());
  std::uint64_t answered = 0;
  for (const int steps : {3, 25, 12}) {
    const Ran part = run(input, {}, {.steps = steps});
    EXPECT_EQ(part.stopped_by, "SIGTERM");
    answered += part.status.answered;
    EXPECT_EQ(part.records.size(), answered);
    EXPECT_EQ(part.status.left(), 60 - answered);
  }
  const Ran rest = run(input);
  EXPECT_EQ(rest.status.skipped, answered);
  expect_same_answers(rest, whole);
}

TEST_F(BatchDeskTest, WhatHasBegunMayEndWithinTheGrace) {
  const Ran ran = run(many(60, 9), {}, {.steps = 4, .grace = std::chrono::hours(1)});
  EXPECT_EQ(ran.stopped_by, "SIGTERM");
  EXPECT_GT(ran.status.answered, 0U);  // no answer of 9 tokens is there after 4 steps
  EXPECT_LE(ran.status.answered, 8U);  // as many as run at the same time
}

TEST_F(BatchDeskTest, ARequestThatCannotFitTheCacheIsRefusedAndStaysSo) {
  const std::string input =
      "{\"custom_id\": \"big\", \"prompt\": \"x\", \"max_tokens\": 150}\n" + many(3, 5);
  for (const int replicas : {1, 2}) {
    std::filesystem::remove(out());
    const Shape small{.replicas = replicas, .pages = 4};
    const Ran ran = run(input, small);
    EXPECT_EQ(ran.status.answered, 3U);
    EXPECT_EQ(ran.records.at("big")["error"]["code"], "does_not_fit");
    const Ran again = run(input, small);
    EXPECT_EQ(again.status.skipped, 4U);
    EXPECT_EQ(again.records.size(), 4U);
    const Ran roomier = run(input, {.replicas = replicas});
    EXPECT_EQ(roomier.status.again, 1U);
    EXPECT_TRUE(roomier.records.at("big")["error"].is_null());
  }
}

TEST_F(BatchDeskTest, AChangedRequestIsAnsweredAgain) {
  run("{\"custom_id\": \"a\", \"prompt\": \"x\"}\n{\"custom_id\": \"b\", \"prompt\": \"y\"}\n");
  const Ran ran =
      run("{\"custom_id\": \"a\", \"prompt\": \"z\"}\n{\"custom_id\": \"b\", \"prompt\": \"y\"}\n");
  EXPECT_EQ(ran.status.again, 1U);
  EXPECT_EQ(ran.status.skipped, 1U);
  EXPECT_EQ(ran.records.size(), 2U);
}

TEST_F(BatchDeskTest, ReplicasShareTheWorkAndAnswerAsOneWould) {
  const std::string input = many(60, 9) + "bad\n";
  const Ran alone = run(many(60, 9));
  for (const Shape& shape :
       {Shape{.replicas = 2}, Shape{.replicas = 5}, Shape{.replicas = 2, .ranks = 2}}) {
    std::filesystem::remove(out());
    Ran ran = run(input, shape);
    EXPECT_EQ(ran.status.errors, 1U);
    EXPECT_EQ(ran.status.left(), 0U);
    std::uint64_t answered = 0;
    std::uint64_t tokens = 0;
    ASSERT_EQ(std::ssize(ran.status.replicas), shape.replicas);
    for (const ReplicaShare& share : ran.status.replicas) {
      EXPECT_GT(share.answered, 0U);
      EXPECT_GT(share.busy_seconds, 0);
      answered += share.answered;
      tokens += share.output_tokens;
    }
    EXPECT_EQ(answered, 60U);
    EXPECT_EQ(tokens, 540U);
    EXPECT_EQ(ran.status.engine.output_tokens, 540U);
    ran.records.erase("line-61");
    expect_same_answers(ran, alone);
  }
}

// The first request of a replica takes 9 steps: each replica comes to its fifth.
TEST_F(BatchDeskTest, ASignalAtAnyReplicaStopsAllAndOtherReplicasDoTheRest) {
  const std::string input = many(80, 9);
  const Ran whole = run(input);
  for (const Event& event : {Event{.replica = 1, .steps = 5}, Event{.replica = 0, .steps = 5},
                             Event{.replica = 2, .steps = 5, .grace = std::chrono::hours(1)}}) {
    std::filesystem::remove(out());
    const Ran part = run(input, {.replicas = 3}, event);
    EXPECT_EQ(part.stopped_by, event.replica == 0 ? "SIGTERM" : "SIGTERM on another rank");
    EXPECT_EQ(part.records.size(), part.status.answered);
    EXPECT_EQ(part.status.left(), 80 - part.status.answered);
    if (event.grace > milliseconds(0)) {
      EXPECT_GT(part.status.answered, 0U);  // what had begun at the replicas
    }
    const Ran rest = run(input, {.replicas = 2});
    EXPECT_EQ(rest.status.skipped, part.status.answered);
    expect_same_answers(rest, whole);
  }
}

TEST_F(BatchDeskTest, AReplicaThatFailsEndsTheRunAndNothingIsLost) {
  const std::string input = many(60, 9);
  try {
    run(input, {.replicas = 3}, {.replica = 2, .steps = 5, .failure = true});
    FAIL() << "no error";
  } catch (const Error& error) {
    EXPECT_THAT(error.what(), testing::HasSubstr("replica 2 has failed: a planted failure"));
  }
  const Ran rest = run(input, {.replicas = 2});
  EXPECT_EQ(rest.records.size(), 60U);
  EXPECT_EQ(rest.status.skipped + rest.status.answered, 60U);
}

TEST(BatchLetters, CarryEverythingThatAnAnswerDependsOn) {
  BatchItem item;
  item.request.custom_id = "a \"b\" \u00e9";
  item.request.line = 7;
  item.request.api = BatchApi::chat;
  item.request.samples = 3;
  item.request.sampling = {.temperature = 0.1,
                           .top_k = 2,
                           .top_p = 0.3,
                           .min_p = 0.4,
                           .repetition_penalty = 1.5,
                           .presence_penalty = 0.6,
                           .frequency_penalty = -0.7,
                           .logit_bias = {{.id = 5, .bias = -HUGE_VALF}, {.id = 6, .bias = 0.1F}},
                           .seed = ~std::uint64_t{0},
                           .max_tokens = 9,
                           .min_tokens = 8,
                           .ignore_eos = true,
                           .stop_ids = {1, 2},
                           .stop = {"x", "\n"},
                           .logprobs = 0};
  item.prompt = {3, 1, 258};
  item.hash = ~std::uint64_t{1};
  item.again = true;
  const DeskLetter letter = desk_letter(text_of(DeskLetter{.item = item, .word = {}}));
  ASSERT_TRUE(letter.item);
  EXPECT_FALSE(letter.word);
  EXPECT_EQ(hash_of(letter.item->request, "x"), hash_of(item.request, "x"));
  EXPECT_EQ(letter.item->request.custom_id, item.request.custom_id);
  EXPECT_EQ(letter.item->request.line, 7U);
  EXPECT_EQ(letter.item->request.sampling.logit_bias, item.request.sampling.logit_bias);
  EXPECT_EQ(letter.item->request.sampling.logprobs, 0);
  EXPECT_EQ(letter.item->prompt, item.prompt);
  EXPECT_EQ(letter.item->hash, item.hash);
  EXPECT_TRUE(letter.item->again);
  EXPECT_EQ(desk_letter(text_of(DeskLetter{.item = {}, .word = DeskWord::leave})).word,
            DeskWord::leave);
}

TEST(BatchLetters, CarryNews) {
  ReplicaNews news;
  news.state.asked = 70;
  news.state.engine.steps = 9;
  BatchOutcome& outcome = news.outcomes.emplace_back();
  outcome.kind = BatchOutcome::Kind::refused;
  outcome.mark.request = ~std::uint64_t{2};
  outcome.mark.error = true;
  outcome.record = "{}\n";
  outcome.samples = 2;
  outcome.seconds = 0.5;
  news.signal = SIGUSR1;
  const ReplicaNews read = replica_news(text_of(news));
  EXPECT_EQ(read.state.asked, 70U);
  EXPECT_EQ(read.state.engine.steps, 9U);
  ASSERT_EQ(read.outcomes.size(), 1U);
  EXPECT_EQ(read.outcomes[0].kind, BatchOutcome::Kind::refused);
  EXPECT_EQ(read.outcomes[0].mark.request, ~std::uint64_t{2});
  EXPECT_TRUE(read.outcomes[0].mark.error);
  EXPECT_EQ(read.outcomes[0].record, "{}\n");
  EXPECT_EQ(read.outcomes[0].samples, 2U);
  EXPECT_EQ(read.outcomes[0].seconds, 0.5);
  EXPECT_EQ(read.signal, SIGUSR1);
  EXPECT_FALSE(read.gone);
  EXPECT_THROW(replica_news("x"), Error);
}

}  // namespace
}  // namespace tutti
