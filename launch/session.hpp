// A model on its ranks: opened, agreed upon, loaded, ready for an engine.
#pragma once

#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "launch/identity_banner.hpp"
#include "launch/message_options.hpp"
#include "launch/options.hpp"
#include "launch/together.hpp"
#include "models/registry.hpp"
#include "runtime/comm/mpi_communicator.hpp"
#include "runtime/comm/mpi_control_plane.hpp"
#include "runtime/comm/mpi_session.hpp"
#include "runtime/engine/engine.hpp"
#include "runtime/weights/model_file.hpp"

namespace tutti {

struct SessionOptions {
  std::filesystem::path model;
  int threads = 0;                      // 0: choose
  std::optional<std::int64_t> context;  // at most this many tokens, prompt and answer together
  std::string expect;                   // beginning of the fingerprint that is wanted
  bool check = true;                    // digests while loading
  MessageOptions messages;
};

// "Model" options of all commands that run one, and what they say.
OptionGroup session_option_group();
SessionOptions session_options(const ParsedOptions& parsed);

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
  // Collective, like everything here unless said otherwise. Opens the file and plans; loads
  // nothing. Errors: AgreedFailure.
  Session(const MpiSession& mpi, SessionOptions options);

  // Not collective.
  bool root() const { return mpi_.rank() == 0; }
  const SessionOptions& options() const { return options_; }
  const ModelFile& file() const { return *file_; }
  const DecoderSpec& spec() const { return *spec_; }
  const ShardPlan& plan() const { return *plan_; }
  // What this rank holds of the plan: its place in the group, which need not be its world rank.
  const RankShare& share() const { return plan_->share(communicator_.rank()); }
  const Exec& exec() const { return exec_; }
  ControlPlane& control() { return control_; }
  std::int64_t context() const;  // --context or the model's

  // Root only.
  const Tokenizer& tokenizer() const { return *tokenizer_; }

  // Does `work`, which must not communicate, on the root; all learn of its failure.
  void on_root(const std::function<void()>& work);

  // Loads the weights and allocates pages for `kv_tokens` tokens in at most `sequences` sequences.
  // Says on the root's standard error what was loaded unless quiet.
  void load(std::int64_t kv_tokens, int sequences);

  Model& model() { return *model_; }
  KvCache& cache() { return *cache_; }
  const LoadedFacts& facts() const { return facts_; }
  std::vector<RankFacts> gather_facts();

  // Runs `work` with an engine on the root and the others behind it.
  void serve(const std::function<void(Engine&)>& work);

 private:
  void open();
  void choose_place();
  void check_identity();
  void load_weights();
  void tell(double seconds);

  const MpiSession& mpi_;
  SessionOptions options_;
  MpiControlPlane control_;
  RankGrid grid_;
  MpiCommunicator communicator_;
  Exec exec_;
  std::unique_ptr<Device> device_;
  std::optional<ModelFile> file_;
  std::optional<DecoderSpec> spec_;
  std::optional<ShardPlan> plan_;
  std::unique_ptr<Tokenizer> tokenizer_;
  std::unique_ptr<Model> model_;
  std::unique_ptr<KvCache> cache_;
  std::uint64_t read_bytes_ = 0;
  LoadedFacts facts_;
};

// VmHWM of /proc/self/status, bytes; 0 where it is not to be had.
std::uint64_t peak_resident_bytes();

// {name, fingerprint, dtype, parameters, architecture}: how results name the model.
nlohmann::json identity_json(const Session& session);

}  // namespace tutti
