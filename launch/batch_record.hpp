// One line of a batch's output: OpenAI's batch response with an answer or an error, and what the
// next run needs to know of it.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "launch/batch_request.hpp"

namespace tutti {

// One of the `samples` answers of a request.
struct BatchSample {
  std::string text;
  std::uint64_t tokens = 0;
  std::optional<FinishReason> finish;
  std::vector<TokenEvent> events;  // kept where log probabilities are wanted
};

// What every record says of the model.
struct BatchModel {
  std::string name;
  std::string fingerprint;
  std::string dtype;
  std::uint64_t parameters = 0;
  int ranks = 1;                     // that computed it together
  std::vector<std::string> devices;  // as detected, each name once
};

// What a record is found again by.
struct RecordMark {
  std::string custom_id;
  std::uint64_t id = 0;       // hash_of_id
  std::uint64_t request = 0;  // hash_of the request or the refusal
  bool other_model = false;   // not the one asked about
  bool error = false;
};

using SpellToken = std::function<std::string(TokenId)>;

// Every record begins so, which is how a torn one is told from somebody else's file.
inline constexpr std::string_view kRecordBegin = R"({"id":"batch_req_)";

// Whole lines, their ends included, valid UTF-8. `created`: Unix time.
std::string answer_record(const BatchModel& model, const BatchRequest& request, std::uint64_t hash,
                          std::size_t prompt_tokens, const std::vector<BatchSample>& samples,
                          const SpellToken& spell, std::int64_t created);
std::string error_record(const BatchModel& model, const BatchRequest& request, std::uint64_t hash,
                         const RequestRefusal& refusal);

// Of a line without its end; nothing where it is no record of ours.
std::optional<RecordMark> mark_of(std::string_view line, const std::string& fingerprint);

}  // namespace tutti
