#include "runtime/weights/import.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <map>
#include <memory>
#include <mutex>
#include <utility>

#include "kernels/error.hpp"
#include "runtime/weights/import_queue.hpp"
#include "runtime/weights/model_writer.hpp"
#include "runtime/weights/parallel.hpp"
#include "runtime/weights/rearrange.hpp"

namespace tutti {
namespace {

// Read, hashed and written while it stays in a core's second-level cache.
constexpr std::int64_t kBlockBytes = std::int64_t{512} << 10;
// Transposed tensors are held whole: so many of the largest at a time.
constexpr std::uint64_t kHeldTensors = 3;

struct Step {
  SourceTensor source;  // with the dimensions that it is read with
  const ImportTensor* wanted = nullptr;
  Range rows = {};             // of the source
  std::int64_t head_rows = 1;  // rows that must stay together

  // Of the source, in the stored type.
  std::int64_t row_bytes() const {
    return source.row_elements() * static_cast<std::int64_t>(size_of(wanted->dtype));
  }
  std::uint64_t bytes() const { return static_cast<std::uint64_t>(rows.size() * row_bytes()); }
  // What the pick leaves of the dimension that becomes the stored rows.
  std::int64_t stored_rows() const {
    const std::int64_t all = wanted->transpose ? source.row_elements() : rows.size();
    return wanted->pick.block > 0 ? wanted->pick.rows() : all;
  }
  std::vector<std::int64_t> stored_shape() const {
    std::vector<std::int64_t> shape = source.shape;
    if (wanted->transpose) {
      shape.back() = rows.size();
    }
    shape.front() = stored_rows();
    return shape;
  }
};

// Of one stored tensor, below each other.
using Steps = std::vector<Step>;

template <typename... Args>
[[noreturn]] void fail(const ImportJob& job, const ImportTensor& tensor,
                       fmt::format_string<Args...> format, Args&&... args) {
  throw ModelFileError(fmt::format("{}: tensor \"{}\" (for {}) {}", job.source, tensor.source_name,
                                   tensor.name, fmt::format(format, std::forward<Args>(args)...)));
}

void check_step(const ImportJob& job, const Step& step) {
  const SourceTensor& source = step.source;
  const ImportTensor* wanted = step.wanted;
  const auto shape = fmt::format("[{}]", fmt::join(source.shape, ", "));
  const std::size_t dims = source.shape.size();
  if (dims < 1 || dims > 2 || source.rows() == 0 || source.row_elements() == 0) {
    fail(job, *wanted, "is {}; wanted one or two dimensions, none of them empty", shape);
  }
  if (step.rows.begin < 0 || step.rows.end > source.rows() || step.rows.size() < 1) {
    fail(job, *wanted, "is {}; wanted rows {}..{}", shape, step.rows.begin, step.rows.end);
  }
  if (!source.readable) {
    fail(job, *wanted,
         "is stored as {}, which cannot be imported; wanted F32, F16, BF16 or, in a GGUF file, one "
         "of Q4_0, Q4_1, Q5_0, Q5_1, Q8_0, Q4_K, Q5_K, Q6_K",
         source.encoding);
  }
  if (wanted->transpose && dims != 2) {
    fail(job, *wanted, "is {}; wanted two dimensions to transpose", shape);
  }
  const RowPick& pick = wanted->pick;
  const std::int64_t last = pick.first + (pick.blocks - 1) * pick.stride + pick.block;
  if (last > (wanted->transpose ? source.row_elements() : step.rows.size()) ||
      (wanted->transpose && pick.blocks != 1)) {
    fail(job, *wanted, "is {}; wanted {} times {} rows from row {} on, {} apart", shape,
         pick.blocks, pick.block, pick.first, pick.stride);
  }
  if (wanted->add != 0 && wanted->dtype != DType::f32) {
    fail(job, *wanted, "wants {} added in {}; sums are stored as f32", wanted->add,
         name_of(wanted->dtype));
  }
  if (wanted->interleaved_heads > 0 &&
      step.stored_rows() % (2 * std::int64_t{wanted->interleaved_heads}) != 0) {
    fail(job, *wanted, "is {}; wanted rows for {} heads of even size", shape,
         wanted->interleaved_heads);
  }
}

Step make_step(const ImportJob& job, const SourceTensor& source, const ImportTensor& wanted) {
  Step step{.source = source, .wanted = &wanted};
  if (!wanted.read_as.empty()) {
    step.source.shape = wanted.read_as;
    if (step.source.rows() * step.source.row_elements() != source.rows() * source.row_elements()) {
      fail(job, wanted, "is [{}], which cannot be read as [{}]", fmt::join(source.shape, ", "),
           fmt::join(wanted.read_as, ", "));
    }
  }
  step.rows = wanted.source_rows.size() > 0 ? wanted.source_rows : Range{0, step.source.rows()};
  check_step(job, step);
  if (wanted.interleaved_heads > 0) {
    step.head_rows = step.stored_rows() / wanted.interleaved_heads;
  }
  return step;
}

// Whether the step's rows lie below those of a tensor that `steps` have begun.
bool goes_on(const std::vector<Steps>& steps, const ImportTensor& wanted) {
  return !steps.empty() && steps.back().front().wanted->name == wanted.name;
}

void check_together(const ImportJob& job, const Step& first, const Step& next) {
  const auto width = [](const Step& step) {
    const std::vector<std::int64_t> shape = step.stored_shape();
    return shape.size() == 2 ? shape[1] : 0;
  };
  if (next.wanted->dtype != first.wanted->dtype || width(next) != width(first)) {
    fail(job, *next.wanted, "becomes {} {} wide; what lies above it is {} {} wide",
         name_of(next.wanted->dtype), width(next), name_of(first.wanted->dtype), width(first));
  }
}

std::vector<Steps> plan_steps(const TensorSource& source, const ImportJob& job) {
  std::map<std::string, const SourceTensor*> by_name;
  for (const SourceTensor& tensor : source.tensors()) {
    by_name[tensor.name] = &tensor;
  }
  std::vector<Steps> steps;
  for (const ImportTensor& wanted : job.tensors) {
    const auto found = by_name.find(wanted.source_name);
    if (found == by_name.end()) {
      fail(job, wanted, "is missing; the source has {} tensors", by_name.size());
    }
    Step step = make_step(job, *found->second, wanted);
    if (goes_on(steps, wanted)) {
      check_together(job, steps.back().front(), step);
      steps.back().push_back(std::move(step));
    } else {
      steps.push_back({std::move(step)});
    }
  }
  return steps;
}

ModelContents contents_of(const ImportJob& job, const std::vector<Steps>& steps) {
  ModelContents contents{.name = job.name,
                         .source = job.source,
                         .created_by = job.created_by,
                         .config = job.config,
                         .original_config = job.original_config,
                         .tokenizer = job.tokenizer,
                         .tensors = {}};
  for (const Steps& parts : steps) {
    const Step& first = parts.front();
    std::vector<std::int64_t> shape = first.stored_shape();
    for (std::size_t i = 1; i < parts.size(); ++i) {
      shape[0] += parts[i].stored_rows();
    }
    contents.tensors.push_back({.name = first.wanted->name,
                                .dtype = first.wanted->dtype,
                                .shape = std::move(shape),
                                .source_name = first.wanted->source_name});
  }
  return contents;
}

// Adds up the bytes of all workers and hands them on, one thread at a time.
class Progress {
 public:
  Progress(const ImportOptions& options, std::uint64_t total)
      : report_(options.on_progress), total_(total) {}

  void add(std::uint64_t bytes) {
    const std::lock_guard lock(mutex_);
    done_ += bytes;
    if (report_) {
      report_(done_, total_);
    }
  }

 private:
  std::mutex mutex_;
  const std::function<void(std::uint64_t, std::uint64_t)>& report_;
  std::uint64_t done_ = 0;
  std::uint64_t total_;
};

// What one worker needs; its buffers live as long as the worker.
class Worker {
 public:
  Worker(const TensorSource& source, ModelWriter& writer, Progress& progress)
      : source_(source), writer_(writer), progress_(progress) {}

  void import(std::size_t index, const Steps& parts) {
    std::int64_t above = 0;
    for (const Step& step : parts) {
      if (step.wanted->transpose) {
        import_transposed(index, above, step);
      } else {
        import_rows(index, above, step);
      }
      above += step.stored_rows();
    }
  }

 private:
  static std::int64_t rows_per_block(std::int64_t row_bytes) {
    return std::max<std::int64_t>(1, kBlockBytes / row_bytes);
  }

  void import_rows(std::size_t index, std::int64_t above, const Step& step) {
    const std::int64_t rows = rows_per_block(step.row_bytes() * step.head_rows) * step.head_rows;
    for (std::int64_t begin = 0; begin < step.stored_rows(); begin += rows) {
      const Range range{begin, std::min(begin + rows, step.stored_rows())};
      const auto bytes = static_cast<std::size_t>(range.size() * step.row_bytes());
      grow(block_, bytes);
      read(step, range, block_.data());
      write(index, above + begin, std::span(block_).first(bytes));
    }
  }

  // Whole heads, in the stored type and order of rows.
  void read(const Step& step, Range rows, std::byte* dst) {
    if (step.head_rows == 1) {
      read_picked(step, rows, dst);
      return;
    }
    const auto bytes = static_cast<std::size_t>(rows.size() * step.row_bytes());
    grow(pairs_, bytes);
    read_picked(step, rows, pairs_.data());
    split_rotary_pairs(std::span(pairs_).first(bytes), static_cast<std::size_t>(step.row_bytes()),
                       step.head_rows, dst);
  }

  // Rows counted among those that the pick leaves, run by run.
  void read_picked(const Step& step, Range rows, std::byte* dst) {
    const RowPick& pick = step.wanted->pick;
    for (std::int64_t at = rows.begin; at < rows.end;) {
      Range run{at, rows.end};
      if (pick.block > 0) {
        const std::int64_t within = at % pick.block;
        const std::int64_t first = pick.first + at / pick.block * pick.stride + within;
        run = {first, first + std::min(pick.block - within, rows.end - at)};
      }
      const Range from{step.rows.begin + run.begin, step.rows.begin + run.end};
      source_.read_rows(step.source, from, step.wanted->dtype, dst);
      add(step.wanted->add, dst, run.size() * step.source.row_elements());
      dst += run.size() * step.row_bytes();
      at += run.size();
    }
  }

  static void add(float summand, std::byte* values, std::int64_t count) {
    if (summand != 0) {
      auto* const begin = reinterpret_cast<float*>(values);
      std::for_each(begin, begin + count, [summand](float& value) { value += summand; });
    }
  }

  void write(std::size_t index, std::int64_t first_row, std::span<const std::byte> rows) {
    writer_.write_rows(index, first_row, rows);
    progress_.add(rows.size());
  }

  void import_transposed(std::size_t index, std::int64_t above, const Step& step) {
    const std::int64_t stored_rows = step.stored_rows();
    const std::size_t element = size_of(step.wanted->dtype);
    const auto whole = std::make_unique_for_overwrite<std::byte[]>(step.bytes());
    source_.read_rows(step.source, step.rows, step.wanted->dtype, whole.get());
    const std::int64_t row_bytes = step.rows.size() * static_cast<std::int64_t>(element);
    const std::int64_t rows = rows_per_block(row_bytes);
    for (std::int64_t begin = 0; begin < stored_rows; begin += rows) {
      const std::int64_t count = std::min(rows, stored_rows - begin);
      const auto bytes = static_cast<std::size_t>(count * row_bytes);
      grow(block_, bytes);
      transpose_block({.src = whole.get(),
                       .rows = step.rows.size(),
                       .src_columns = step.source.row_elements(),
                       .first_column = step.wanted->pick.first + begin,
                       .columns = count,
                       .element_bytes = element,
                       .dst = block_.data()});
      write(index, above + begin, std::span(block_).first(bytes));
    }
  }

  static void grow(std::vector<std::byte>& buffer, std::size_t bytes) {
    if (buffer.size() < bytes) {
      buffer.resize(bytes);
    }
  }

  const TensorSource& source_;
  ModelWriter& writer_;
  Progress& progress_;
  std::vector<std::byte> block_;
  std::vector<std::byte> pairs_;
};

void copy_tensors(const TensorSource& source, const std::vector<Steps>& steps, ModelWriter& writer,
                  const ImportOptions& options) {
  std::vector<ImportTask> tasks;
  std::uint64_t largest = 0;
  for (std::size_t i = 0; i < steps.size(); ++i) {
    ImportTask task{.index = i};
    for (const Step& step : steps[i]) {
      task.bytes += step.bytes();
      task.held_bytes = std::max(task.held_bytes, step.wanted->transpose ? step.bytes() : 0);
    }
    largest = std::max(largest, task.held_bytes);
    tasks.push_back(task);
  }
  ImportQueue queue(std::move(tasks), kHeldTensors * largest);
  Progress progress(options, writer.weight_bytes());
  const int threads = std::max(options.threads, 1);
  run_parallel(static_cast<std::size_t>(threads), threads, [&](std::size_t, std::size_t) {
    Worker worker(source, writer, progress);
    try {
      while (const auto task = queue.next()) {
        worker.import(task->index, steps[task->index]);
        queue.done(*task);
      }
    } catch (...) {
      queue.stop();
      throw;
    }
  });
}

}  // namespace

ImportReport import_model(const TensorSource& source, const ImportJob& job,
                          const std::filesystem::path& out, const ImportOptions& options) {
  const auto start = std::chrono::steady_clock::now();
  const std::vector<Steps> steps = plan_steps(source, job);
  ModelWriter writer(out, contents_of(job, steps), options.overwrite);
  copy_tensors(source, steps, writer, options);
  ImportReport report;
  report.bytes = writer.weight_bytes();
  report.fingerprint = writer.finish(options.accept);
  report.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  return report;
}

}  // namespace tutti
