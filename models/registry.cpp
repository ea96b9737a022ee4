#include "models/registry.hpp"

#include <array>

#include "models/decoder.hpp"
#include "models/family.hpp"

namespace tutti {

std::span<const Family* const> families() {
  static constexpr std::array kKnown{&kLlama,  &kMistral,  &kMixtral,    &kQwen2,  &kQwen2Moe,
                                     &kQwen3,  &kQwen3Moe, &kPhi3,       &kGemma2, &kGemma3,
                                     &kOlmo2,  &kGranite,  &kStarcoder2, &kGpt2,   &kGptNeox,
                                     &kFalcon, &kMpt};
  return kKnown;
}

std::vector<std::string> family_names() {
  std::vector<std::string> names;
  for (const Family* family : families()) {
    names.emplace_back(family->name);
  }
  return names;
}

std::unique_ptr<Model> make_model(const DecoderSpec& spec, const ShardPlan& plan, Device& device,
                                  Communicator& group, const WeightSource& source,
                                  const ModelLimits& limits) {
  WeightLoader loader(source, device);
  auto model = std::make_unique<Decoder>(spec, plan, device, group, loader, limits);
  loader.finish();
  return model;
}

}  // namespace tutti
