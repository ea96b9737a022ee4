// A model on its ranks: opened, agreed upon, loaded, ready for an engine.
#pragma once

#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "launch/identity_banner.hpp"
#include "launch/memory_budget.hpp"
#include "launch/message_options.hpp"
#include "launch/model_to_run.hpp"
#include "launch/options.hpp"
#include "launch/rank_device.hpp"
#include "launch/startup_stages.hpp"
#include "launch/together.hpp"
#include "models/registry.hpp"
#include "runtime/comm/mpi_control_plane.hpp"
#include "runtime/comm/mpi_session.hpp"
#include "runtime/engine/engine.hpp"

namespace tutti {

struct SessionOptions {
  std::filesystem::path model;                  // a file; with random_weights a shape
  std::optional<std::uint64_t> random_weights;  // the seed
  DType dtype = DType::bf16;                    // of random weights
  DeviceWish device = DeviceWish::automatic;
  double gpu_memory_fraction = 0.9;  // of a GPU's memory that this program may fill
  bool graphs = true;
  int threads = 0;                      // 0: choose
  std::optional<std::int64_t> context;  // at most this many tokens, prompt and answer together
  std::string expect;                   // beginning of the fingerprint that is wanted
  bool check = true;                    // digests while loading
  WatchTimes watch;
  MessageOptions messages;
};

// "Model" options of all commands that run one, and what they say.
OptionGroup session_option_group();
SessionOptions session_options(const ParsedOptions& parsed);
DeviceWish device_wish(const ParsedOptions& parsed);  // --device of that group

// What a KV cache on a GPU takes: what --gpu-memory-fraction leaves, or what was asked for.
enum class KvSize : std::uint8_t { all_that_is_left, asked };

// What one rank holds, in bytes; weights as read, KV and workspace as allocated.
struct RankFacts {
  std::uint64_t threads = 0;
  std::uint64_t weights = 0;
  std::uint64_t kv = 0;
  std::uint64_t workspace = 0;
  std::uint64_t read = 0;      // from the model file
  std::uint64_t peak_rss = 0;  // VmHWM so far
};

class Session {
 public:
  // Collective over `ranks`, the world or a part of it, like everything here unless said otherwise.
  // Opens the file and plans; loads nothing. Borrows `ranks`. Errors: AgreedFailure.
  Session(const MpiRanks& ranks, SessionOptions options);

  // Not collective.
  bool root() const { return ranks_.rank() == 0; }
  const SessionOptions& options() const { return options_; }
  const ModelToRun& model_to_run() const { return *to_run_; }
  const DecoderSpec& spec() const { return to_run_->spec(); }
  const ShardPlan& plan() const { return *plan_; }
  // What this rank holds of the plan: its place in the group, which need not be its world rank.
  const RankShare& share() const { return plan_->share(ranked_.communicator->rank()); }
  Device& device() { return *ranked_.device; }
  Communicator& communicator() { return *ranked_.communicator; }
  int threads() const { return threads_; }
  ControlPlane& control() { return control_; }
  std::int64_t context() const;  // --context or the model's

  // Root only.
  const Tokenizer& tokenizer() const { return *tokenizer_; }

  // Does `work`, which must not communicate, on the root; all learn of its failure.
  void on_root(const std::function<void()>& work);

  // Loads the weights and allocates pages for `kv_tokens` tokens in at most `sequences` sequences,
  // on GPUs more (see `size`). Says on the root's standard error what was
  // loaded unless quiet. Errors: AgreedFailure with exit code 4 where it does not fit.
  void load(std::int64_t kv_tokens, int sequences, KvSize size = KvSize::all_that_is_left);

  Model& model() { return *model_; }
  KvCache& cache() { return *cache_; }
  // What was loaded, and how long the stages of the start took that are over on this rank.
  LoadedFacts facts() const;
  const JobFacts& job() const { return job_; }
  // Not collective. Bytes that one token takes in this rank's KV cache, at the most.
  std::uint64_t kv_bytes_per_token() const;
  std::vector<RankFacts> gather_facts();

  // Runs `work` with an engine on the root and the others behind it.
  void serve(const std::function<void(Engine&)>& work, const EngineOptions& engine = {});

  // Gives back model, cache and communicator in order, while all ranks are here; the last call.
  void close();

 private:
  void open();
  void choose_threads_of_rank();
  void check_identity();
  bool on_gpu() const { return ranked_.device->place() != Place::host; }
  ModelLimits limits() const;
  MemoryCase memory_case(std::int64_t kv_tokens) const;
  std::uint64_t budget() const;
  std::string occupied_text();
  std::uint64_t least_of(std::uint64_t own);
  void load_weights();
  std::int64_t choose_pages(std::int64_t wanted, KvSize size);
  void tell(double seconds);
  JobFacts gather_job();

  const MpiRanks& ranks_;
  SessionOptions options_;
  StartupStages stages_;
  MpiControlPlane control_;
  RankGrid grid_;
  int threads_ = 1;
  int sequences_ = 1;  // that run at the same time
  RankDevice ranked_;
  std::optional<ModelToRun> to_run_;
  std::optional<ShardPlan> plan_;
  std::unique_ptr<Tokenizer> tokenizer_;
  std::unique_ptr<Model> model_;
  std::unique_ptr<KvCache> cache_;
  std::uint64_t read_bytes_ = 0;
  JobFacts job_;
  LoadedFacts facts_;
};

// VmHWM of /proc/self/status, bytes; 0 where it is not to be had.
std::uint64_t peak_resident_bytes();

// The model_json of what a session runs.
nlohmann::json identity_json(const Session& session);

}  // namespace tutti
