// The part of a batch that runs beside the engine of one replica: gives it requests, gathers the
// samples of each, makes its record when all are there. Knows neither input nor output.
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <string>
#include <unordered_map>
#include <vector>

#include "launch/batch_letters.hpp"
#include "runtime/engine/engine.hpp"

namespace tutti {

class BatchWorker {
 public:
  // Borrows the engine. `ahead`: samples that it holds without running them, before it wants no
  // more.
  BatchWorker(Engine& engine, BatchModel model, SpellToken spell, std::size_t ahead);

  // Samples that it would take now.
  std::size_t room() const;
  // A request to answer. What the engine refuses is an outcome too.
  void take(BatchItem item);
  // Gives up what has not begun; what has begun goes on.
  void drain();
  // Gives up everything.
  void cancel();
  // Collective over the replica: a step of the engine; false where there is nothing to do.
  bool step();
  // State, and the outcomes since the last call.
  ReplicaNews news();

  // The replica's ranks may be anywhere; see Engine.
  bool mid_step() const { return engine_.mid_step(); }

 private:
  using Clock = std::chrono::steady_clock;
  // A request whose samples are on their way.
  struct Open {
    BatchItem item;
    std::vector<BatchSample> samples;
    std::size_t left = 0;  // samples that have not ended
    bool cancelled = false;
    Clock::time_point asked;
    bool begun = false;  // its first token has come
    double first_token_seconds = 0;
    std::uint64_t first_id = 0;
    std::size_t waiting_tokens() const { return item.prompt.size() * samples.size(); }
  };
  struct Place {
    std::shared_ptr<Open> open;
    std::size_t sample = 0;
  };

  void refuse(const BatchItem& item, const char* code, std::string message);
  void cancel(const Open& open);
  void hear(const TokenEvent& event);
  void begin(Open& open);
  void close(const Open& open);

  Engine& engine_;
  BatchModel model_;
  SpellToken spell_;
  std::size_t ahead_;

  std::unordered_map<std::uint64_t, Place> open_;  // by the engine's id
  std::uint64_t next_id_ = 0;
  std::size_t waiting_tokens_ = 0;  // of prompts that have not begun
  std::uint64_t taken_ = 0;         // samples
  std::uint64_t begun_ = 0;         // requests that have begun and not ended
  Clock::duration busy_{};
  std::vector<BatchOutcome> outcomes_;
};

}  // namespace tutti
