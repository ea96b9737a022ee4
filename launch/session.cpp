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

#include "launch/output.hpp"
#include "launch/progress.hpp"
#include "launch/threads.hpp"
#include "runtime/comm/agreement.hpp"

namespace tutti {
namespace {

std::vector<RankCpus> cpus_of_node(ControlPlane& control, const MpiSession& mpi, int wanted) {
  std::vector<int> mine = allowed_cpus();
  mine.push_back(wanted);
  const auto all = control.all_gather(std::as_bytes(std::span(mine)));
  std::vector<RankCpus> node;
  const std::vector<int>& nodes = mpi.node_of_rank();
  for (std::size_t rank = 0; rank < all.size(); ++rank) {
    if (nodes[rank] == nodes[static_cast<std::size_t>(mpi.rank())]) {
      std::vector<int> cpus(all[rank].size() / sizeof(int));
      std::memcpy(cpus.data(), all[rank].data(), all[rank].size());
      const int asked = cpus.back();
      cpus.pop_back();
      node.push_back({.allowed = std::move(cpus), .wanted = asked});
    }
  }
  return node;
}

GridShape one_group(const MpiSession& mpi) {
  return {.replicas = 1, .stages = 1, .tensor_ranks = mpi.size()};
}

}  // namespace

Session::Session(const MpiSession& mpi, SessionOptions options)
    : mpi_(mpi),
      options_(std::move(options)),
      control_(mpi.world()),
      grid_(one_group(mpi), mpi.node_of_rank()),
      communicator_(split_tensor_group(mpi.world(), grid_)) {
  choose_place();
  open();
}

std::int64_t Session::context() const {
  return options_.context.value_or(spec_->context_length);
}

void Session::choose_place() {
  const std::vector<RankCpus> node = cpus_of_node(control_, mpi_, options_.threads);
  const ThreadChoice choice =
      choose_threads(node, static_cast<std::size_t>(mpi_.node_rank()), online_cpus());
  device_ = make_host_device(choice.threads);
  exec_ = device_->exec();
  if (root() && !choice.warning.empty()) {
    write_message(fmt::format("tutti: warning: {}\n", choice.warning));
  }
}

void Session::open() {
  together(control_, mpi_.host(), [&] { file_.emplace(options_.model); });
  alike([&] { check_identity(); });
  on_root([&] { tokenizer_ = make_tokenizer(file_->tokenizer()); });
}

// The same on every rank from here on, once the fingerprints agree.
void Session::check_identity() {
  const ModelIdentity& identity = file_->identity();
  require_agreement(control_, "fingerprint", identity.fingerprint,
                    fmt::format("{}:{}", mpi_.host(), options_.model.string()));
  if (!identity.fingerprint.starts_with(options_.expect)) {
    throw ModelFileError(fmt::format(
        "{}: --expect wants a fingerprint that begins with {}, found {} ({}, {} parameters, {})",
        options_.model.string(), options_.expect, identity.fingerprint, identity.name,
        human_count(identity.parameters), identity.dtype));
  }
  spec_ = DecoderSpec::from_json(file_->config());
  plan_.emplace(spec_->shard_shape(), mpi_.size());
  if (options_.context.value_or(0) > spec_->context_length) {
    throw ConfigError(fmt::format("--context wants {} tokens, {} was made for {} at most",
                                  *options_.context, identity.name, spec_->context_length));
  }
}

void Session::on_root(const std::function<void()>& work) {
  tutti::on_root(control_, work);
}

void Session::load(std::int64_t kv_tokens, int sequences) {
  const auto start = std::chrono::steady_clock::now();
  together(control_, mpi_.host(), [&] { load_weights(); });
  const std::chrono::duration<double> taken = std::chrono::steady_clock::now() - start;
  together(control_, mpi_.host(), [&] {
    const KvLayout layout = model_->kv_layout();
    const std::int64_t pages = layout.pages_for(kv_tokens) + sequences;
    if (pages > std::numeric_limits<int>::max() / layout.page_size) {
      throw CapacityError(
          fmt::format("a KV cache of {} tokens is more than can be counted: use "
                      "a shorter --context",
                      kv_tokens));
    }
    cache_ = std::make_unique<KvCache>(*device_, layout, static_cast<int>(pages));
  });
  tell(taken.count());
}

void Session::load_weights() {
  const std::uint64_t total = file_->identity().weight_bytes;
  // No rank waits for another while loading: the whole is judged by the root's own share.
  const double whole = share().parameters > 0 ? static_cast<double>(file_->identity().parameters) /
                                                    static_cast<double>(share().parameters)
                                              : 1.0;
  const ProgressStyle style = root() ? options_.messages.progress_style() : ProgressStyle::none;
  Progress progress(style, "loading weights", total);
  std::atomic<std::uint64_t> read{0};
  const ModelFileSource source(
      *file_, {.check = options_.check, .threads = exec_.threads}, [&](std::uint64_t bytes) {
        const std::uint64_t done = read += bytes;
        progress.set(std::min(total, static_cast<std::uint64_t>(static_cast<double>(done) * whole)),
                     total);
      });
  model_ = make_model(*spec_, *plan_, *device_, communicator_, source, ModelLimits{});
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
  const std::vector<int>& nodes = mpi_.node_of_rank();
  facts_ = {.model = file_->identity(),
            .architecture = spec_->architecture,
            .ranks = mpi_.size(),
            .nodes = static_cast<int>(std::set<int>(nodes.begin(), nodes.end()).size()),
            .backend = mpi_.size() > 1 ? fmt::format("host, {}", communicator_.name()) : "host",
            .threads_least = static_cast<int>(least(&RankFacts::threads)),
            .threads_most = static_cast<int>(most(&RankFacts::threads)),
            .bytes_least = least(&RankFacts::weights),
            .bytes_most = most(&RankFacts::weights),
            .imbalance = plan_->imbalance(),
            .kv_pages = cache_->pages(),
            .kv_tokens = static_cast<std::int64_t>(cache_->pages()) * cache_->layout().page_size,
            .kv_bytes = most(&RankFacts::kv),
            .load_seconds = *std::max_element(times.begin(), times.end()),
            .load_bytes = 0};
  for (const RankFacts& rank : ranks) {
    facts_.load_bytes += rank.read;
  }
  if (root() && !options_.messages.quiet) {
    write_message(identity_banner(facts_));
  }
}

std::vector<RankFacts> Session::gather_facts() {
  return gather(control_, RankFacts{.threads = static_cast<std::uint64_t>(exec_.threads),
                                    .weights = model_->weight_bytes(),
                                    .kv = cache_->bytes(),
                                    .workspace = model_->workspace_bytes(),
                                    .read = read_bytes_,
                                    .peak_rss = peak_resident_bytes()});
}

void Session::serve(const std::function<void(Engine&)>& work) {
  std::exception_ptr failure;
  if (root()) {
    Engine engine(exec_, control_, *model_, *cache_, *tokenizer_);
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
    follow(exec_, control_, *model_, *cache_);
  }
  on_root([&] {
    if (failure) {
      std::rethrow_exception(failure);
    }
  });
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
  const ModelIdentity& identity = session.file().identity();
  return {{"name", identity.name},
          {"architecture", session.spec().architecture},
          {"fingerprint", identity.fingerprint},
          {"dtype", identity.dtype},
          {"parameters", identity.parameters}};
}

}  // namespace tutti
