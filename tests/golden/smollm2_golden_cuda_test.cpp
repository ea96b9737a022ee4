// SmolLM2-135M on GPUs, one rank each: in f32 the reference's tokens, in bf16 tokens that the
// host's f32 arithmetic on the same weights finds likeliest, or within what roundings may come to
// of that. Skipped by name where there is no GPU or the model was not fetched.
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <numeric>

#include "runtime/comm/local_communicator.hpp"
#include "runtime/comm/nccl_library.hpp"
#include "runtime/engine/engine.hpp"
#include "tests/golden/model_golden.hpp"
#include "tests/support/mpi_gpu.hpp"
#include "tests/support/mpi_main.hpp"

namespace tutti {
namespace {

using nlohmann::json;
using test::Ids;
using test::kChunk;

constexpr int kNewTokens = 64;
// Each case is asked so often, in one batch of 65 on a cache that is too small for it: products of
// many tokens, requests that give way, prompts found in the cache.
constexpr std::size_t kTimes = 5;
constexpr int kPages = 240;

std::filesystem::path source_path() {
  const char* data = std::getenv("TUTTI_TEST_DATA");
  return std::filesystem::path(data != nullptr ? data : "build/data") /
         "SmolLM2-135M-Instruct.Q4_1.gguf";
}

json cases() {
  return json::parse(std::ifstream("tests/golden/smollm2/expected.json")).at("cases");
}

class Smollm2Cuda : public ::testing::Test {
 protected:
  static void SetUpTestSuite() {
    gpu() = std::make_unique<testing::RankGpu>(testing::RankGpu::open(test_session()));
  }
  static void TearDownTestSuite() { gpu().reset(); }
  void SetUp() override {
    if (!gpu()->why_not.empty()) {
      GTEST_SKIP() << gpu()->why_not;
    }
    if (!std::filesystem::exists(source_path())) {
      GTEST_SKIP() << "there is no " << source_path() << ": run tests/fetch_data.sh";
    }
  }
  static std::unique_ptr<testing::RankGpu>& gpu() {
    static std::unique_ptr<testing::RankGpu> instance;
    return instance;
  }

  // The model in a folder of this rank.
  std::filesystem::path import_as(DType dtype) const {
    const auto source = open_source(source_path());
    const auto path = scratch_.path() / "model.h5";
    import_model(*source, make_import_job(*source, source_path().string(), dtype), path, {});
    return path;
  }

  // Collective: all cases in one batch, greedy. What rank 0 hears, case by case, kTimes over.
  static std::vector<Ids> answers(const ModelFile& file) {
    const DecoderSpec spec = DecoderSpec::from_json(file.config());
    const ShardPlan plan(spec.shard_shape(), test_session().size());
    const auto group = make_nccl_communicator(*gpu()->library, *gpu()->device, *gpu()->control, {});
    const json all = cases();
    std::vector<Ids> answers(kTimes * all.size());
    {
      const ModelFileSource weights(file, {});
      const auto model =
          make_model(spec, plan, *gpu()->device, *group, weights, {.max_logit_rows = 72});
      KvCache cache(*gpu()->device, model->kv_layout(), kPages);
      if (test_session().rank() == 0) {
        const auto tokenizer = make_tokenizer(file.tokenizer());
        Engine engine(*gpu()->control, *model, cache, *tokenizer);
        for (std::size_t i = 0; i < answers.size(); ++i) {
          engine.submit({.id = i,
                         .prompt = all[i % all.size()].at("prompt_ids").get<Ids>(),
                         .options = {.max_tokens = kNewTokens, .ignore_eos = true}});
        }
        engine.run_until_idle(
            [&](const TokenEvent& event) { answers[event.request].push_back(event.token); });
        EXPECT_GT(engine.counters().preemptions, 0u);
        EXPECT_GT(engine.counters().cached_tokens, 0u);
        engine.stop();
      } else {
        follow(*gpu()->control, *model, cache);
      }
    }
    group->close();
    return answers;
  }

 private:
  test::ScratchFolder scratch_;
};

TEST_F(Smollm2Cuda, InF32TheTokensAreTheReferences) {
  const ModelFile file(import_as(DType::f32));
  const std::vector<Ids> found = answers(file);
  if (test_session().rank() != 0) {
    return;
  }
  const json all = cases();
  for (std::size_t i = 0; i < found.size(); ++i) {
    const json& wanted = all[i % all.size()];
    EXPECT_EQ(found[i], wanted.at("ids").get<Ids>()) << wanted.at("name");
  }
}

// Logits of all positions of `ids` by the host.
class HostReference {
 public:
  explicit HostReference(const ModelFile& file)
      : weights_(file, {}),
        spec_(DecoderSpec::from_json(file.config())),
        model_(make_model(spec_, ShardPlan(spec_.shard_shape(), 1), *device_, alone_, weights_,
                          {.max_step_tokens = kChunk, .max_logit_rows = kChunk})) {}

  const DecoderSpec& spec() const { return spec_; }
  void walk(const Ids& ids, const std::function<void(int, std::span<const float>)>& see) {
    const KvLayout layout = model_->kv_layout();
    KvCache cache(*device_, layout, layout.pages_for(std::ssize(ids)));
    for (int first = 0; first < std::ssize(ids); first += kChunk) {
      const int count = std::min(kChunk, static_cast<int>(std::ssize(ids)) - first);
      const TensorView logits =
          model_->forward(test::plan_of(ids, first, count, cache), cache).logits;
      for (int i = 0; i < count; ++i) {
        see(first + i, {logits.row<float>(i), static_cast<std::size_t>(spec_.vocabulary)});
      }
    }
  }

 private:
  std::unique_ptr<Device> device_ = make_host_device(2);
  LocalCommunicator alone_;
  ModelFileSource weights_;
  DecoderSpec spec_;
  std::unique_ptr<Model> model_;
};

// How far roundings to bf16 may move a logit against the others: seven of them in each layer, each
// evenly spread over half a unit in the last place, a standard deviation of 2^-9 / sqrt(3), like
// noise of that share of the logits' spread; six standard deviations, twice that for the roundings
// within products.
double roundings(std::span<const float> logits, std::int64_t layers) {
  const double mean =
      std::accumulate(logits.begin(), logits.end(), 0.0) / static_cast<double>(logits.size());
  double squares = 0;
  for (const float logit : logits) {
    squares += (logit - mean) * (logit - mean);
  }
  const double spread = std::sqrt(squares / static_cast<double>(logits.size()));
  return 12 * 0x1p-9 / std::sqrt(3.0) * std::sqrt(7.0 * static_cast<double>(layers) + 3) * spread;
}

TEST_F(Smollm2Cuda, InBf16EveryTokenIsTheHostsButForRoundings) {
  const ModelFile file(import_as(DType::bf16));
  const std::vector<Ids> found = answers(file);
  if (test_session().rank() != 0) {
    return;
  }
  HostReference host(file);
  const json all = cases();
  int others = 0;
  double worst = 0;  // shortfall by what is allowed
  for (std::size_t i = 0; i < found.size(); ++i) {
    const json& asked = all[i % all.size()];
    SCOPED_TRACE(asked.at("name").get<std::string>());
    Ids ids = asked.at("prompt_ids").get<Ids>();
    const auto prompt = static_cast<int>(std::ssize(ids));
    ASSERT_EQ(found[i].size(), kNewTokens);
    ids.insert(ids.end(), found[i].begin(), found[i].end() - 1);
    host.walk(ids, [&](int position, std::span<const float> logits) {
      const int answered = position + 1 - prompt;
      if (answered < 0) {
        return;
      }
      const auto token = static_cast<std::size_t>(found[i][static_cast<std::size_t>(answered)]);
      const float most = *std::max_element(logits.begin(), logits.end());
      const double allowed = 2 * roundings(logits, host.spec().layers);
      EXPECT_LE(most - logits[token], allowed) << "token " << answered;
      others += logits[token] < most ? 1 : 0;
      worst = std::max(worst, (most - logits[token]) / allowed);
    });
  }
  std::printf("%d of %zu tokens are not the host's likeliest, at most %.3f of the tolerance away\n",
              others, found.size() * kNewTokens, worst);
}

}  // namespace
}  // namespace tutti
