// Rules of `tutti doctor` about the model file: the same on all ranks, sound, readable, and on
// what file system.
#include <fmt/format.h>

#include <algorithm>

#include "launch/doctor_diagnose.hpp"
#include "launch/identity_banner.hpp"

namespace tutti {
namespace {

// One finding for all ranks that have the same text there.
struct FileRule {
  Severity severity;
  const char* code;
  const char* what;  // "cannot open the model"
  const char* remedy;
  std::string (*text_of)(const RankReport& rank);
};

const FileRule kRules[] = {
    {.severity = Severity::error,
     .code = "model-file",
     .what = "cannot use the model",
     .remedy = "the same path on every host, or a copy that is whole: tutti inspect FILE --verify",
     .text_of = [](const RankReport& rank) { return rank.file.error; }},
    {.severity = Severity::error,
     .code = "damaged",
     .what = "found the model damaged",
     .remedy = "copy or import it again there; tutti inspect FILE --verify names all that differs",
     .text_of = [](const RankReport& rank) { return rank.file.read_error; }},
    {.severity = Severity::warning,
     .code = "locking",
     .what = "cannot lock files in the model's folder (flock)",
     .remedy = "Tutti reads models without locks; other HDF5 programs want "
               "HDF5_USE_FILE_LOCKING=FALSE there; Lustre: mount with -o flock",
     .text_of = [](const RankReport& rank) { return rank.file.flock_error; }},
    {.severity = Severity::warning,
     .code = "locking",
     .what = "cannot lock files in the model's folder (fcntl)",
     .remedy = "let 'tutti batch' write its output to another file system, where locks work",
     .text_of = [](const RankReport& rank) { return rank.file.fcntl_error; }},
    {.severity = Severity::note,
     .code = "read-only",
     .what = "cannot write to the model's folder",
     .remedy = "fine for reading; let outputs go elsewhere",
     .text_of =
         [](const RankReport& rank) {
           const bool fine = !rank.file.error.empty() || rank.file.folder_writable;
           return std::string(fine ? "" : "it is read-only for this user");
         }},
};

void apply(const FileRule& rule, const Examination& found, std::vector<Finding>& findings) {
  for (const auto& [text, ranks] : ranks_by(found, rule.text_of)) {
    if (!text.empty()) {
      findings.push_back({.severity = rule.severity,
                          .code = rule.code,
                          .text = fmt::format("{} {}: {}", who(found, ranks), rule.what, text),
                          .remedy = rule.remedy,
                          .ranks = ranks});
    }
  }
}

void find_other_models(const Examination& found, std::vector<Finding>& findings) {
  RanksByText groups;
  for (const RankReport& rank : found.ranks) {
    if (!rank.file.fingerprint.empty()) {
      groups[fmt::format("{} {} at {}", short_fingerprint(rank.file.fingerprint), rank.file.name,
                         rank.file.path)]
          .push_back(rank.rank);
    }
  }
  const RanksByText prints =
      ranks_by(found, [](const RankReport& rank) { return rank.file.fingerprint; });
  RanksByText opened = prints;
  opened.erase("");
  if (opened.size() > 1) {
    const std::vector<int> odd = odd_ones(opened);
    findings.push_back({.severity = Severity::error,
                        .code = "fingerprint",
                        .text = fmt::format("{} would load another model: {}", who(found, odd),
                                            describe(found, groups)),
                        .remedy = "the same file on all hosts; --expect FINGERPRINT refuses any "
                                  "other model in a job",
                        .ranks = odd});
  }
}

void find_unexpected_models(const Examination& found, std::vector<Finding>& findings) {
  const auto unexpected = [&](const RankReport& rank) {
    const FileReport& file = rank.file;
    return file.fingerprint.empty() || file.fingerprint.starts_with(found.expect)
               ? std::string()
               : fmt::format("{} is {} ({})", file.path, file.fingerprint, file.name);
  };
  for (const auto& [text, ranks] : ranks_by(found, unexpected)) {
    if (!text.empty()) {
      findings.push_back({.severity = Severity::error,
                          .code = "expected",
                          .text = fmt::format("{} found another model than --expect {}: {}",
                                              who(found, ranks), found.expect, text),
                          .remedy = "the file that is meant, or the fingerprint of this one: "
                                    "tutti inspect FILE",
                          .ranks = ranks});
    }
  }
}

void find_unread_part(const Examination& found, std::vector<Finding>& findings) {
  std::uint64_t read = 0;
  std::uint64_t all = 0;
  for (const RankReport& rank : found.ranks) {
    if (!rank.file.read_error.empty()) {
      return;  // it stopped there
    }
    read += rank.file.read_bytes;
    all += rank.file.part_bytes;
  }
  if (read > 0 && read < all) {
    findings.push_back(
        {.severity = Severity::note,
         .code = "part-read",
         .text = fmt::format("{:.0f} % of the model was read and checked in the time there was",
                             100.0 * static_cast<double>(read) / static_cast<double>(all)),
         .remedy = "--stage-seconds gives it more; tutti inspect FILE --verify checks all",
         .ranks = {}});
  }
}

void find_slow_reading(const Examination& found, std::vector<Finding>& findings) {
  // An ordinary disk; a rank that reads a large model so slowly is minutes in loading.
  constexpr double kSlow = 50e6;
  constexpr std::uint64_t kLarge = 64 << 20;
  std::vector<int> slow;
  for (const RankReport& rank : found.ranks) {
    if (rank.file.read_bytes >= kLarge &&
        static_cast<double>(rank.file.read_bytes) < kSlow * rank.file.read_seconds) {
      slow.push_back(rank.rank);
    }
  }
  if (!slow.empty()) {
    findings.push_back(
        {.severity = Severity::warning,
         .code = "slow-reading",
         .text = fmt::format("{} read the model at less than 50 MB/s", who(found, slow)),
         .remedy = "a faster file system (scratch, node-local); on Lustre stripe "
                   "the file: lfs setstripe -c 8",
         .ranks = slow});
  }
}

}  // namespace

void find_file_faults(const Examination& found, std::vector<Finding>& findings) {
  find_other_models(found, findings);
  find_unexpected_models(found, findings);
  for (const FileRule& rule : kRules) {
    apply(rule, found, findings);
  }
  find_unread_part(found, findings);
  find_slow_reading(found, findings);
}

}  // namespace tutti
