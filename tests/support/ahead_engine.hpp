// An engine over a model that samples (SamplingModel), on one rank or several, and the loop that it
// must amount to.
#pragma once

#include <functional>
#include <map>
#include <ostream>

#include "runtime/comm/thread_group.hpp"
#include "runtime/engine/engine.hpp"
#include "tests/support/byte_tokenizer.hpp"
#include "tests/support/sampling_model.hpp"

namespace tutti::test::ahead {

inline constexpr TokenId kEos = ByteTokenizer::kEos;

// Letters; every third request (by seed) ends itself after a few tokens.
inline TokenId letters(std::uint64_t seed, std::size_t position) {
  const std::size_t hash = (position * 2654435761U + seed * 40503U) >> 7;
  return seed % 3 == 0 && hash % 5 == 0 ? kEos : static_cast<TokenId>('a' + hash % 6);
}
inline TokenId endless(std::uint64_t seed, std::size_t position) {
  return static_cast<TokenId>('a' + (seed + position) % 26);
}

struct Run {
  Oracle oracle = letters;
  int step_tokens = 16;
  int rows = 4;
  int pages = 24;
  bool host = false;
  int ranks = 1;
  EngineOptions options{};
};

using Drive = std::function<void(Engine&, SamplingModel&)>;

inline void with_engine(const Run& run, const std::vector<Request>& requests, const Drive& drive) {
  run_ranks(run.ranks, [&](int rank, Communicator&, ControlPlane& control) {
    SamplingModel model(run.host ? make_host_device(1) : std::make_unique<LazyDevice>(), run.oracle,
                        run.step_tokens, run.rows);
    KvCache cache(model.device(), model.kv_layout(), run.pages);
    for (const Request& request : requests) {
      model.expect(request);
    }
    if (rank != 0) {
      int between = 0;
      follow(control, model, cache, [&] { ++between; });
      EXPECT_EQ(model.executed(), model.launched());
      EXPECT_EQ(between, model.launched());
      return;
    }
    const ByteTokenizer tokenizer;
    Engine engine(control, model, cache, tokenizer, run.options);
    for (const Request& request : requests) {
      engine.submit(request);
    }
    drive(engine, model);
    engine.stop();
  });
}

struct Answer {
  std::vector<TokenId> tokens;
  std::string text;
  std::optional<FinishReason> finish;

  void hear(const TokenEvent& event) {
    EXPECT_FALSE(finish.has_value()) << "request " << event.request << " goes on after its end";
    if (event.token >= 0) {
      tokens.push_back(event.token);
    }
    text += event.text;
    finish = event.finish;
  }
  friend bool operator==(const Answer&, const Answer&) = default;
};
inline void PrintTo(const Answer& answer, std::ostream* out) {
  *out << answer.tokens.size() << " tokens, '" << answer.text << "', "
       << (answer.finish ? name_of(*answer.finish) : "unfinished");
}
using Answers = std::map<std::uint64_t, Answer>;

inline Answers answers(const Run& run, const std::vector<Request>& requests) {
  Answers heard;
  with_engine(run, requests, [&](Engine& engine, SamplingModel&) {
    engine.run_until_idle([&](const TokenEvent& event) { heard[event.request].hear(event); });
  });
  return heard;
}

// The loop that the engine must amount to: one request, one token at a time.
inline Answer by_hand(const Request& request, const Oracle& oracle) {
  Answer answer;
  while (!answer.finish) {
    const TokenId id = oracle(request.options.seed, request.prompt.size() + answer.tokens.size());
    answer.tokens.push_back(id);
    if (id == kEos) {
      answer.finish = FinishReason::stop;
      break;
    }
    answer.text += static_cast<char>(id);
    for (const std::string& stop : request.options.stop) {
      const std::size_t found = answer.text.find(stop);
      if (found != std::string::npos) {
        answer.text.resize(found);
        answer.finish = FinishReason::stop;
      }
    }
    if (!answer.finish && std::ssize(answer.tokens) == request.options.max_tokens) {
      answer.finish = FinishReason::length;
    }
  }
  return answer;
}

inline Answers by_hand(const std::vector<Request>& requests, const Oracle& oracle) {
  Answers wanted;
  for (const Request& request : requests) {
    wanted[request.id] = by_hand(request, oracle);
  }
  return wanted;
}

// Seeds name requests; ids are others.
inline Request request_of(std::uint64_t seed, int prompt, int max_tokens) {
  Request request{.id = 1000 + seed, .stream = seed};
  for (int i = 0; i < prompt; ++i) {
    request.prompt.push_back(
        static_cast<TokenId>((seed * 31 + static_cast<std::uint64_t>(i)) % 256));
  }
  request.options.seed = seed;
  request.options.max_tokens = max_tokens;
  return request;
}

}  // namespace tutti::test::ahead
