#include "launch/session.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <exception>
#include <fstream>
#include <limits>
#include <nlohmann/json.hpp>
#include <set>
#include <utility>

#include "launch/expected_model.hpp"
#include "launch/group_network.hpp"
#include "launch/output.hpp"
#include "launch/progress.hpp"
#include "launch/rank_threads.hpp"
#include "runtime/comm/agreement.hpp"

namespace tutti {
namespace {

// Of a GPU's memory, left to its driver whatever --gpu-memory-fraction says.
constexpr std::uint64_t kDriverReserve = std::uint64_t{256} << 20;
// More than contexts and libraries take before anything is loaded.
constexpr std::uint64_t kOccupied = std::uint64_t{4} << 30;

// Steps of a prompt are long enough for the matrix products to run at full speed.
constexpr int kDeviceStepTokens = 4096;

GridShape one_group(const MpiRanks& ranks) {
  return {.replicas = 1, .stages = 1, .tensor_ranks = ranks.size()};
}

}  // namespace

Session::Session(const MpiRanks& ranks, SessionOptions options)
    : ranks_(ranks),
      options_(std::move(options)),
      stages_(ranks.group().state(), options_.watch),
      control_(ranks.group()),
      grid_(one_group(ranks), ranks.node_of_rank()) {
  stages_.enter("identity");
  choose_threads_of_rank();
  open();  // first: a model that is not there is said before GPUs are woken
  ranked_ = open_rank_device(options_.device, ranks_, grid_, control_, threads_,
                             {.join_deadline = options_.watch.startup,
                              .wait_deadline = options_.watch.peer,
                              .equal_bits = spec().experts > 0,
                              .enter = [this](const std::string& stage) { stages_.enter(stage); }});
  job_ = gather_job();
  stages_.leave();
  if (root() && !ranked_.warning.empty()) {
    write_message(fmt::format("tutti: warning: {}\n", ranked_.warning));
  }
}

std::int64_t Session::context() const {
  return options_.context.value_or(spec().context_length);
}

void Session::choose_threads_of_rank() {
  const ThreadChoice choice = threads_of_rank(control_, ranks_, options_.threads);
  threads_ = choice.threads;
  if (root() && !choice.warning.empty()) {
    write_message(fmt::format("tutti: warning: {}\n", choice.warning));
  }
}

void Session::open() {
  together(control_, ranks_.host(), [&] {
    to_run_ = options_.random_weights
                  ? ModelToRun::from_shape(options_.model.string(), *options_.random_weights,
                                           options_.dtype)
                  : ModelToRun::from_file(options_.model);
  });
  alike([&] { check_identity(); });
  on_root([&] { tokenizer_ = to_run_->make_tokenizer(); });
}

// The same on every rank from here on, once the fingerprints agree.
void Session::check_identity() {
  const ModelIdentity& identity = to_run_->identity();
  require_agreement(control_, "fingerprint", identity.fingerprint,
                    fmt::format("{}:{}", ranks_.host(), options_.model.string()));
  require_expected(options_.model.string(), identity, options_.expect);
  plan_.emplace(spec().shard_shape(), ranks_.size());
  if (!options_.random_weights && options_.context.value_or(0) > spec().context_length) {
    throw ConfigError(fmt::format("--context wants {} tokens, {} was made for {} at most",
                                  *options_.context, identity.name, spec().context_length));
  }
}

void Session::on_root(const std::function<void()>& work) {
  tutti::on_root(control_, work);
}

ModelLimits Session::limits() const {
  ModelLimits limits{.max_context = context(), .graphs = options_.graphs};
  if (on_gpu()) {
    limits.max_step_tokens = kDeviceStepTokens;
  }
  limits.max_logit_rows = std::max(limits.max_logit_rows, sequences_);
  limits.max_step_tokens = std::max(limits.max_step_tokens, sequences_);
  return limits;
}

MemoryCase Session::memory_case(std::int64_t kv_tokens) const {
  const ModelIdentity& identity = to_run_->identity();
  return {.spec = spec(),
          .weight_bytes_each =
              static_cast<double>(identity.weight_bytes) / static_cast<double>(identity.parameters),
          .activations = identity.dtype.starts_with("f32") ? DType::f32 : DType::bf16,
          .limits = limits(),
          .kv_tokens = kv_tokens,
          .operations_workspace = ranked_.device->workspace_bytes()};
}

std::uint64_t Session::kv_bytes_per_token() const {
  const MemoryCase one_page = memory_case(KvLayout{}.page_size);
  return memory_need(one_page, share()).kv / static_cast<std::uint64_t>(KvLayout{}.page_size);
}

// Bytes of this rank's GPU that weights, workspace and KV cache may take together.
std::uint64_t Session::budget() const {
  const DeviceMemoryInfo memory = ranked_.device->memory();
  const auto share = static_cast<std::uint64_t>(options_.gpu_memory_fraction *
                                                static_cast<double>(memory.total_bytes));
  const std::uint64_t kept_free = std::max(kDriverReserve, memory.total_bytes - share);
  return memory.free_bytes > kept_free ? memory.free_bytes - kept_free : 0;
}

// What to say where a GPU was in use before the weights came.
std::string Session::occupied_text() {
  const DeviceMemoryInfo memory = ranked_.device->memory();
  const std::vector<std::uint64_t> taken =
      gather(control_, std::uint64_t{memory.total_bytes - memory.free_bytes});
  const auto fullest = std::max_element(taken.begin(), taken.end());
  if (*fullest < kOccupied) {
    return "";
  }
  return fmt::format(
      "; {:.1f} GiB of rank {}'s GPU are taken already: does another process hold them "
      "(nvidia-smi)?",
      static_cast<double>(*fullest) / 0x1p30, fullest - taken.begin());
}

void Session::load(std::int64_t kv_tokens, int sequences, KvSize size) {
  sequences_ = sequences;
  cache_.reset();  // an earlier load makes room
  model_.reset();
  stages_.enter("weights", static_cast<double>(memory_case(0).weight_bytes_each *
                                               static_cast<double>(share().parameters)) /
                               kSlowestRead);
  const auto start = std::chrono::steady_clock::now();
  const KvLayout layout;  // its page size is everybody's
  const std::int64_t wanted = layout.pages_for(kv_tokens) + sequences;  // one may be begun for each
  if (on_gpu()) {
    const std::uint64_t free = least_of(budget() + ranked_.device->workspace_bytes());
    const std::string occupied = occupied_text();
    alike([&] {
      const MemoryCase asked = memory_case(wanted * layout.page_size);
      if (largest_need(asked, plan_->ranks()).total() > free) {
        throw CapacityError(shortfall_text(asked, plan_->ranks(), free, to_run_->identity().name,
                                           ranked_.device->name()) +
                            occupied);
      }
    });
  }
  together(control_, ranks_.host(), [&] { load_weights(); });
  const std::chrono::duration<double> taken = std::chrono::steady_clock::now() - start;
  const std::int64_t pages = choose_pages(wanted, size);
  together(control_, ranks_.host(), [&] {
    cache_ =
        std::make_unique<KvCache>(*ranked_.device, model_->kv_layout(), static_cast<int>(pages));
  });
  tell(taken.count());
  stages_.leave();
}

std::uint64_t Session::least_of(std::uint64_t own) {
  const std::vector<std::uint64_t> all = gather(control_, own);
  return *std::min_element(all.begin(), all.end());
}

// The same on every rank.
std::int64_t Session::choose_pages(std::int64_t wanted, KvSize size) {
  const KvLayout layout = model_->kv_layout();
  const std::int64_t most = std::numeric_limits<int>::max() / layout.page_size;
  std::int64_t pages = wanted;
  if (on_gpu()) {
    const auto room = static_cast<std::int64_t>(least_of(budget() / layout.page_bytes()));
    pages = std::min(size == KvSize::asked ? std::min(room, wanted) : room, most);
  }
  alike([&] {
    if (pages < wanted || pages > most) {
      throw CapacityError(fmt::format(
          "a KV cache of {} tokens is wanted, there is room for {}: use a shorter --context",
          wanted * layout.page_size, std::min(pages, most) * layout.page_size));
    }
  });
  return pages;
}

void Session::load_weights() {
  const ModelIdentity& identity = to_run_->identity();
  const std::uint64_t total = identity.weight_bytes;
  // No rank waits for another while loading: the whole is judged by the root's own share.
  const double whole = share().parameters > 0 ? static_cast<double>(identity.parameters) /
                                                    static_cast<double>(share().parameters)
                                              : 1.0;
  const ProgressStyle style = root() ? options_.messages.progress_style() : ProgressStyle::none;
  Progress progress(style, "loading weights", total);
  std::atomic<std::uint64_t> read{0};
  const std::unique_ptr<WeightSource> source =
      to_run_->source({.check = options_.check, .threads = threads_}, [&](std::uint64_t bytes) {
        const std::uint64_t done = read += bytes;
        progress.set(std::min(total, static_cast<std::uint64_t>(static_cast<double>(done) * whole)),
                     total);
      });
  model_ = make_model(spec(), *plan_, *ranked_.device, *ranked_.communicator, *source, limits());
  read_bytes_ = read;
  progress.finish();
}

void Session::tell(double seconds) {
  const std::vector<RankFacts> ranks = gather_facts();
  const std::vector<double> times = gather(control_, seconds);
  const auto least = [&](std::uint64_t RankFacts::*member) {
    return (*std::min_element(
               ranks.begin(), ranks.end(),
               [&](const auto& a, const auto& b) { return a.*member < b.*member; })).*
           member;
  };
  const auto most = [&](std::uint64_t RankFacts::*member) {
    return (*std::max_element(
               ranks.begin(), ranks.end(),
               [&](const auto& a, const auto& b) { return a.*member < b.*member; })).*
           member;
  };
  const std::vector<int>& nodes = ranks_.node_of_rank();
  facts_ = {.model = to_run_->identity(),
            .architecture = spec().architecture,
            .ranks = ranks_.size(),
            .nodes = static_cast<int>(std::set<int>(nodes.begin(), nodes.end()).size()),
            .backend = ranked_.backend,
            .network = {},
            .threads_least = static_cast<int>(least(&RankFacts::threads)),
            .threads_most = static_cast<int>(most(&RankFacts::threads)),
            .bytes_least = least(&RankFacts::weights),
            .bytes_most = most(&RankFacts::weights),
            .imbalance = plan_->imbalance(),
            .kv_pages = cache_->pages(),
            .kv_tokens = static_cast<std::int64_t>(cache_->pages()) * cache_->layout().page_size,
            .kv_bytes = most(&RankFacts::kv),
            .load_seconds = *std::max_element(times.begin(), times.end()),
            .made_up = options_.random_weights.has_value(),
            .load_bytes = 0,
            .job = job_};
  for (const RankFacts& rank : ranks) {
    facts_.load_bytes += rank.read;
  }
  const GroupNetwork network = look_at_group_network(control_, ranks_);
  facts_.network = network.text;
  if (root() && !options_.messages.quiet) {
    write_message(identity_banner(facts_));
    for (const std::string& warning : network.warnings) {
      write_message(fmt::format("tutti: warning: {}\n", warning));
    }
  }
}

LoadedFacts Session::facts() const {
  LoadedFacts facts = facts_;
  facts.job.startup = stages_.seconds();
  return facts;
}

JobFacts Session::gather_job() {
  return {.ranks = gather_places(control_, place_of(ranks_.host(), *ranked_.device)),
          .communication = ranked_.backend,
          .libraries = library_versions(on_gpu()),
          .startup = {}};
}

std::vector<RankFacts> Session::gather_facts() {
  return gather(control_, RankFacts{.threads = static_cast<std::uint64_t>(threads_),
                                    .weights = model_->weight_bytes(),
                                    .kv = cache_->bytes(),
                                    .workspace = model_->workspace_bytes(),
                                    .read = read_bytes_,
                                    .peak_rss = peak_resident_bytes()});
}

void Session::serve(const std::function<void(Engine&)>& work, const EngineOptions& engine_options) {
  std::exception_ptr failure;
  const std::unique_ptr<Model> model = watch_first_step(*model_, stages_);
  if (root()) {
    Engine engine(control_, *model, *cache_, *tokenizer_, engine_options);
    try {
      work(engine);
    } catch (...) {
      if (engine.mid_step()) {
        throw;  // the others wait in a collective of the model: `main` ends them
      }
      failure = std::current_exception();
    }
    engine.stop();
  } else {
    follow(control_, *model, *cache_);
  }
  on_root([&] {
    if (failure) {
      std::rethrow_exception(failure);
    }
  });
}

void Session::close() {
  model_.reset();  // with its recordings, which hold calls of the communicator
  cache_.reset();
  ranked_.communicator->close();
}

std::uint64_t peak_resident_bytes() {
  std::ifstream status("/proc/self/status");
  std::string word;
  while (status >> word) {
    std::uint64_t kib = 0;
    if (word == "VmHWM:" && status >> kib) {
      return kib * 1024;
    }
  }
  return 0;
}

nlohmann::json identity_json(const Session& session) {
  return model_json(session.model_to_run().identity(), session.spec().architecture);
}

}  // namespace tutti
