// Feeds lines to the batch's parser: whatever the bytes are, a line is parsed or refused with a
// reason, and what comes of it makes a record that is JSON and is recognised again.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>

#include "launch/batch_record.hpp"
#include "launch/batch_request.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace tutti;
  const std::string_view line(reinterpret_cast<const char*>(data), size);
  const BatchModel model{.name = "m", .fingerprint = "f00d"};
  for (const bool raw : {false, true}) {
    const ParsedLine parsed = parse_batch_line(line, 3, {.raw_text = raw, .raw_chat = raw});
    const std::uint64_t hash =
        parsed.refusal ? hash_of(*parsed.refusal, line) : hash_of(parsed.request, "");
    std::string record;
    if (parsed.refusal) {
      if (parsed.refusal->code.empty() || parsed.refusal->message.empty()) std::abort();
      record = error_record(model, parsed.request, hash, *parsed.refusal);
    } else {
      const BatchSample sample{.text = std::string(line), .finish = FinishReason::stop};
      BatchRequest request = parsed.request;
      request.sampling.logprobs.reset();
      record = answer_record(model, request, hash, 1, {sample}, {}, 0);
    }
    if (record.find('\n') != record.size() - 1) std::abort();
    const auto mark = mark_of(std::string_view(record).substr(0, record.size() - 1), "f00d");
    if (!mark || mark->request != hash || mark->other_model) std::abort();
  }
  (void)mark_of(line, "f00d");
  return 0;
}
