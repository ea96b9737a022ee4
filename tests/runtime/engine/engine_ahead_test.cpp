// The engine over a model that samples: it runs one step ahead of what it has heard.
#include <gmock/gmock.h>

#include "kernels/error.hpp"
#include "tests/support/ahead_engine.hpp"

namespace tutti {
namespace {

using namespace test::ahead;
using test::SamplingModel;
using ::testing::HasSubstr;
using ::testing::ThrowsMessage;

std::vector<Request> many_requests() {
  std::vector<Request> requests;
  for (int i = 0; i < 23; ++i) {
    requests.push_back(request_of(static_cast<std::uint64_t>(i), 1 + i * 7 % 41, 1 + i * 5 % 19));
  }
  return requests;
}

TEST(EngineAhead, AnswersAreThoseOfALoop) {
  const Answers wanted = by_hand(many_requests(), letters);
  for (const bool host : {true, false}) {
    for (const int rows : {1, 3, 8}) {
      EXPECT_EQ(answers({.rows = rows, .host = host}, many_requests()), wanted) << rows;
    }
  }
  EXPECT_EQ(answers({.step_tokens = 5, .rows = 5}, many_requests()), wanted);
  EXPECT_EQ(answers({.pages = 5}, many_requests()), wanted);
  EXPECT_EQ(answers({.ranks = 2}, many_requests()), wanted);
}

TEST(EngineAhead, RunsOneStepAheadAndNoMore) {
  with_engine({.oracle = endless}, {request_of(1, 3, 20), request_of(2, 40, 9)},
              [](Engine& engine, SamplingModel& model) {
                int heard = 0;
                engine.step([&](const TokenEvent&) { ++heard; });
                EXPECT_EQ(heard, 0);
                EXPECT_EQ(model.launched(), 1);
                EXPECT_EQ(model.executed(), 0) << "nobody waits for the first step yet";
                engine.step([&](const TokenEvent&) { ++heard; });
                EXPECT_EQ(heard, 1);
                EXPECT_EQ(model.launched(), 2);
                engine.run_until_idle([&](const TokenEvent&) { ++heard; });
                EXPECT_EQ(heard, 29);
                EXPECT_EQ(model.most_ahead(), 1);
              });
}

TEST(EngineAhead, ComputesNoTokenTooMuchWhereTheLengthEndsTheAnswer) {
  with_engine({.oracle = endless}, {request_of(1, 3, 6)}, [](Engine& engine, SamplingModel& model) {
    engine.run_until_idle([](const TokenEvent&) {});
    EXPECT_EQ(model.sampled(1), 6);
    EXPECT_EQ(model.launched(), 6);
  });
}

TEST(EngineAhead, TheTokenBehindTheEndIsNeverHeard) {
  const test::Oracle oracle = [](std::uint64_t, std::size_t position) {
    return position == 7 ? kEos : static_cast<TokenId>('a' + position);
  };
  with_engine({.oracle = oracle}, {request_of(1, 3, 30)}, [](Engine& engine, SamplingModel& model) {
    Answer answer;
    engine.run_until_idle([&](const TokenEvent& event) { answer.hear(event); });
    EXPECT_EQ(answer.tokens, (std::vector<TokenId>{'d', 'e', 'f', 'g', kEos}));
    EXPECT_EQ(answer.text, "defg");
    EXPECT_EQ(answer.finish, FinishReason::stop);
    model.device().synchronize();
    EXPECT_EQ(model.sampled(1), 6) << "one token more than were heard";
    engine.step([](const TokenEvent&) { ADD_FAILURE() << "heard of an idle engine"; });
  });
}

TEST(EngineAhead, StopStringsEndAnswers) {
  std::vector<Request> requests;
  for (std::uint64_t seed = 0; seed < 9; ++seed) {
    requests.push_back(request_of(seed, 2 + static_cast<int>(seed), 40));
    requests.back().options.stop = {"klm", "qr"};
  }
  const Answers heard = answers({.oracle = endless}, requests);
  EXPECT_EQ(heard, by_hand(requests, endless));
  for (const auto& [id, answer] : heard) {
    EXPECT_EQ(answer.finish, FinishReason::stop) << id;
    EXPECT_THAT(answer.text, ::testing::Not(HasSubstr("klm")));
  }
}

TEST(EngineAhead, ACancelledRequestLeavesTheOthersAlone) {
  auto requests = many_requests();
  requests[4] = request_of(4, 5, 60);
  requests[5] = request_of(5, 5, 60);
  const Answers wanted = by_hand(requests, letters);
  with_engine({}, requests, [&](Engine& engine, SamplingModel&) {
    Answers heard;
    engine.cancel(1022);  // waits still
    engine.run_until_idle([&](const TokenEvent& event) {
      heard[event.request].hear(event);
      if (heard.contains(1004) && heard[1004].tokens.size() == 3) {
        engine.cancel(1004);
      }
    });
    for (const auto& [id, answer] : wanted) {
      if (id != 1004 && id != 1022) {
        EXPECT_EQ(heard[id], answer) << id;
      }
    }
    EXPECT_EQ(heard[1004].finish, FinishReason::cancelled);
    EXPECT_EQ(heard[1004].tokens.size(), 3u);
    EXPECT_EQ(heard[1022].finish, FinishReason::cancelled);
    EXPECT_TRUE(heard[1022].tokens.empty());
  });
}

TEST(EngineAhead, CanBeStoppedWhereTheSinkThrew) {
  with_engine({.ranks = 2}, many_requests(), [](Engine& engine, SamplingModel& model) {
    const auto broken = [](const TokenEvent&) { throw Error("no room for the answer"); };
    EXPECT_THROW(engine.run_until_idle(broken), Error);
    EXPECT_FALSE(engine.mid_step());
    EXPECT_GT(model.launched(), model.executed()) << "a step was still running";
  });
}

TEST(EngineAhead, RequestsWithLogprobsAreDrawnOnTheHostBesideTheOthers) {
  auto requests = many_requests();
  for (std::size_t i = 0; i < requests.size(); i += 4) {
    requests[i].options.logprobs = 2;
  }
  const Answers wanted = by_hand(requests, letters);
  for (const bool host : {true, false}) {
    Answers heard;
    with_engine({.host = host}, requests, [&](Engine& engine, SamplingModel& model) {
      engine.run_until_idle([&](const TokenEvent& event) {
        heard[event.request].hear(event);
        const bool asked = (event.request - 1000) % 4 == 0;
        EXPECT_EQ(event.logprob.has_value(), asked);
        ASSERT_EQ(event.top.size(), asked ? 2u : 0u);
        if (asked) {
          EXPECT_EQ(event.top[0].id, event.token);
          EXPECT_NEAR(*event.logprob, 0, 1e-4);
        }
      });
      EXPECT_LE(model.most_ahead(), 1);
    });
    EXPECT_EQ(heard, wanted);
  }
}

TEST(EngineAhead, ARequestWithLogprobsComputesNothingTooMuch) {
  auto request = request_of(1, 3, 30);
  request.options.logprobs = 0;
  const test::Oracle oracle = [](std::uint64_t, std::size_t position) {
    return position == 7 ? kEos : static_cast<TokenId>('a');
  };
  with_engine({.oracle = oracle}, {request}, [](Engine& engine, SamplingModel& model) {
    engine.run_until_idle([](const TokenEvent&) {});
    EXPECT_EQ(model.sampled(1), 5);
    EXPECT_EQ(model.most_ahead(), 0);
  });
}

// The extra step of the first answer still runs when a request of the same id begins.
TEST(EngineAhead, AnIdMayComeAgainWhileItsExtraStepRuns) {
  const Request first = request_of(3, 4, 60);  // ends itself
  Request second = request_of(30, 6, 25);
  second.id = first.id;
  with_engine({.rows = 1}, {first}, [&](Engine& engine, SamplingModel& model) {
    model.expect(second);
    std::vector<Answer> heard(1);
    engine.run_until_idle([&](const TokenEvent& event) {
      EXPECT_EQ(event.request, first.id);
      heard.back().hear(event);
      if (event.finish && heard.size() == 1) {
        EXPECT_GT(model.launched(), model.executed());
        heard.emplace_back();
        engine.submit(second);
      }
    });
    ASSERT_EQ(heard.size(), 2u);
    EXPECT_EQ(heard[0], by_hand(first, letters));
    EXPECT_EQ(heard[0].finish, FinishReason::stop);
    EXPECT_EQ(heard[1], by_hand(second, letters));
  });
}

// What is in the tallies is checked by the model, at every draw.
TEST(EngineAhead, PenalisedSequencesBringWhatTheyHaveSeenOnce) {
  auto requests = many_requests();
  std::size_t penalised = 0;
  for (std::size_t i = 0; i < requests.size(); ++i) {
    requests[i].options.repetition_penalty = i % 4 == 0 ? 1.3 : 1.0;
    requests[i].options.presence_penalty = i % 4 == 2 ? 0.5 : 0.0;
    if (i % 6 == 0) {
      requests[i].options.logprobs = 1;  // penalised on the host
    }
    penalised += i % 2 == 0 && i % 6 != 0 ? 1 : 0;
  }
  with_engine({.step_tokens = 8}, requests, [&](Engine& engine, SamplingModel& model) {
    Answers heard;
    engine.run_until_idle([&](const TokenEvent& event) { heard[event.request].hear(event); });
    EXPECT_EQ(heard, by_hand(requests, letters));
    EXPECT_EQ(model.entered(), penalised);
  });
}

TEST(EngineAhead, ABrokenLogitNamesTheRequestAndTheToken) {
  const test::Oracle oracle = [](std::uint64_t, std::size_t position) {
    return position == 5 ? -1 : static_cast<TokenId>('a');
  };
  run_ranks(1, [&](int, Communicator&, ControlPlane& control) {
    SamplingModel model(make_host_device(1), oracle, 8, 2);
    KvCache cache(model.device(), model.kv_layout(), 8);
    const test::ByteTokenizer tokenizer;
    Engine engine(control, model, cache, tokenizer);
    Request request = request_of(7, 3, 3);
    model.expect(request);
    engine.submit(request);
    int heard = 0;
    EXPECT_THAT([&] { engine.run_until_idle([&](const TokenEvent&) { ++heard; }); },
                ThrowsMessage<Error>(HasSubstr("request 1007, token 2 of the answer")));
    EXPECT_EQ(heard, 2);
    EXPECT_TRUE(engine.mid_step());
  });
}

}  // namespace
}  // namespace tutti
