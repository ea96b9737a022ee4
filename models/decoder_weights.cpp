#include "models/decoder_weights.hpp"

#include <fmt/format.h>

#include <vector>

#include "kernels/error.hpp"

namespace tutti {
namespace {

// A matrix stored [rows_in_all, columns], of which this rank wants some rows.
struct Part {
  std::string name;
  std::int64_t rows_in_all = 0;
  Range rows;
};

// Errors: ModelFileError where what is multiplied together is of two types.
void check_one_type(const WeightSource& source, const std::string& name,
                    const std::vector<std::int64_t>& shape, const std::string& first, DType dtype) {
  const DType found = source.dtype(name, shape);
  if (found != dtype) {
    throw ModelFileError(
        fmt::format("{} is {}, but {} beside it is {}: one product of the two "
                    "wants one type (import with --dtype)",
                    name, name_of(found), first, name_of(dtype)));
  }
}

// The parts' rows below each other, all of one type.
Tensor load_stacked(WeightLoader& loader, const std::vector<Part>& parts, std::int64_t columns) {
  const auto shape = [columns](const Part& part) {
    return std::vector<std::int64_t>{part.rows_in_all, columns};
  };
  const WeightSource& source = loader.source();
  const DType dtype = source.dtype(parts.front().name, shape(parts.front()));
  std::int64_t rows = 0;
  for (const Part& part : parts) {
    check_one_type(source, part.name, shape(part), parts.front().name, dtype);
    rows += part.rows.size();
  }
  Tensor tensor(loader.device(), dtype, {rows, columns}, parts.front().name);
  std::int64_t at = 0;
  for (const Part& part : parts) {
    loader.add({.name = part.name,
                .shape = shape(part),
                .rows = part.rows,
                .to = tensor.view().row_slice({at, at + part.rows.size()})});
    at += part.rows.size();
  }
  return tensor;
}

// [rows.size()] f32.
Tensor load_vector(WeightLoader& loader, const std::string& name, std::int64_t size, Range rows) {
  Tensor tensor(loader.device(), DType::f32, {rows.size()}, name);
  loader.add({.name = name,
              .shape = {size},
              .rows = rows,
              .layout = WeightSlice::Layout::vector,
              .to = tensor.view()});
  return tensor;
}

// The parts' biases behind each other.
Tensor load_biases(WeightLoader& loader, const std::vector<Part>& parts) {
  std::int64_t elements = 0;
  for (const Part& part : parts) {
    elements += part.rows.size();
  }
  Tensor tensor(loader.device(), DType::f32, {elements}, parts.front().name + ".bias");
  std::int64_t at = 0;
  for (const Part& part : parts) {
    loader.add({.name = part.name + ".bias",
                .shape = {part.rows_in_all},
                .rows = part.rows,
                .layout = WeightSlice::Layout::vector,
                .to = tensor.view().row_slice({at, at + part.rows.size()})});
    at += part.rows.size();
  }
  return tensor;
}

std::vector<Part> qkv_parts(const std::string& layer, const DecoderSpec& spec,
                            const RankShare& share) {
  const std::int64_t q_rows = spec.q_heads * spec.head_dim;
  const std::int64_t kv_rows = spec.kv_heads * spec.head_dim;
  return {{layer + "attention.q", q_rows, head_rows(share.q_heads, spec)},
          {layer + "attention.k", kv_rows, head_rows(share.kv_heads, spec)},
          {layer + "attention.v", kv_rows, head_rows(share.kv_heads, spec)}};
}

std::vector<Part> mlp_parts(const MlpNames& names, bool gated) {
  const Part up{names.prefix + "up", names.ffn, names.columns};
  return gated ? std::vector<Part>{{names.prefix + "gate", names.ffn, names.columns}, up}
               : std::vector<Part>{up};
}

// Rows of one expert's part of a tensor that holds all experts' below each other.
Range expert_rows(std::int64_t expert, const DecoderSpec& spec, const RankShare& share) {
  return {expert * spec.ffn + share.ffn.begin, expert * spec.ffn + share.ffn.end};
}

// Matrix number `index` of [n, rows, columns], or some rows of it.
TensorView matrix_of(const Tensor& tensor, std::int64_t index, Range rows) {
  const TensorView& all = tensor.view();
  const TensorView one = all.row_slice({index, index + 1});
  const TensorView matrix(one.data, all.dtype, all.place, {all.shape[1], all.shape[2]});
  return matrix.row_slice(rows);
}

}  // namespace

Range head_rows(Range heads, const DecoderSpec& spec) {
  return {heads.begin * spec.head_dim, heads.end * spec.head_dim};
}

Tensor load_table(WeightLoader& loader, const std::string& name, const DecoderSpec& spec,
                  Range rows) {
  return load_stacked(loader, {{name, spec.vocabulary, rows}}, spec.hidden);
}

Tensor load_positions(WeightLoader& loader, const DecoderSpec& spec, const RankShare& share) {
  return spec.positions == Positions::learned
             ? load_stacked(loader, {{"positions", spec.context_length, share.positions}},
                            spec.hidden)
             : Tensor();
}

Norm load_norm(WeightLoader& loader, const std::string& name, const DecoderSpec& spec) {
  const Range all{0, spec.hidden};
  return {spec.norm, static_cast<float>(spec.norm_eps), load_vector(loader, name, spec.hidden, all),
          spec.has_bias(name) ? load_vector(loader, name + ".bias", spec.hidden, all) : Tensor()};
}

Tensor load_qkv(WeightLoader& loader, const std::string& layer, const DecoderSpec& spec,
                const RankShare& share) {
  return load_stacked(loader, qkv_parts(layer, spec, share), spec.hidden);
}

Tensor load_qkv_bias(WeightLoader& loader, const std::string& layer, const DecoderSpec& spec,
                     const RankShare& share) {
  return spec.qkv_bias ? load_biases(loader, qkv_parts(layer, spec, share)) : Tensor();
}

Tensor load_qk_norm(WeightLoader& loader, const std::string& name, const DecoderSpec& spec,
                    std::int64_t heads_in_all, Range heads) {
  switch (spec.qk_norm) {
    case QkNorm::none:
      return {};
    case QkNorm::head:
      return load_vector(loader, name, spec.head_dim, {0, spec.head_dim});
    case QkNorm::projection:
      break;
  }
  return load_vector(loader, name, heads_in_all * spec.head_dim, head_rows(heads, spec));
}

Tensor load_mlp_in(WeightLoader& loader, const MlpNames& names, const DecoderSpec& spec) {
  return load_stacked(loader, mlp_parts(names, spec.gated), spec.hidden);
}

Tensor load_mlp_bias(WeightLoader& loader, const MlpNames& names, const DecoderSpec& spec) {
  return spec.mlp_bias ? load_biases(loader, mlp_parts(names, spec.gated)) : Tensor();
}

Tensor load_experts_in(WeightLoader& loader, const std::string& layer, const DecoderSpec& spec,
                       const RankShare& share) {
  const std::vector<std::int64_t> shape{spec.experts * spec.ffn, spec.hidden};
  const std::int64_t columns = share.ffn.size();
  const std::vector<std::string> names{layer + "experts.gate", layer + "experts.up"};
  const DType dtype = loader.source().dtype(names[0], shape);
  check_one_type(loader.source(), names[1], shape, names[0], dtype);
  Tensor tensor(loader.device(), dtype, {share.experts.size(), 2 * columns, spec.hidden}, names[0]);
  for (std::int64_t e = 0; e < share.experts.size(); ++e) {
    for (std::int64_t half = 0; half < 2; ++half) {
      loader.add({.name = names[static_cast<std::size_t>(half)],
                  .shape = shape,
                  .rows = expert_rows(share.experts.begin + e, spec, share),
                  .to = matrix_of(tensor, e, {half * columns, (half + 1) * columns})});
    }
  }
  return tensor;
}

Tensor load_experts_down(WeightLoader& loader, const std::string& layer, const DecoderSpec& spec,
                         const RankShare& share) {
  const std::string name = layer + "experts.down";
  const std::vector<std::int64_t> shape{spec.experts * spec.ffn, spec.hidden};
  Tensor tensor(loader.device(), loader.source().dtype(name, shape),
                {share.experts.size(), spec.hidden, share.ffn.size()}, name);
  for (std::int64_t e = 0; e < share.experts.size(); ++e) {
    loader.add({.name = name,
                .shape = shape,
                .rows = expert_rows(share.experts.begin + e, spec, share),
                .layout = WeightSlice::Layout::transposed,
                .to = matrix_of(tensor, e, {0, spec.hidden})});
  }
  return tensor;
}

Tensor load_router(WeightLoader& loader, const std::string& name, const DecoderSpec& spec,
                   std::int64_t rows) {
  return load_stacked(loader, {{name, rows, {0, rows}}}, spec.hidden);
}

Tensor load_row_parallel(WeightLoader& loader, const std::string& name, std::int64_t in, Range rows,
                         std::int64_t out) {
  const std::vector<std::int64_t> shape{in, out};
  Tensor tensor(loader.device(), loader.source().dtype(name, shape), {out, rows.size()}, name);
  loader.add({.name = name,
              .shape = shape,
              .rows = rows,
              .layout = WeightSlice::Layout::transposed,
              .to = tensor.view()});
  return tensor;
}

Tensor load_summand_bias(WeightLoader& loader, const std::string& name, const DecoderSpec& spec,
                         int rank) {
  return spec.has_bias(name) && rank == 0
             ? load_vector(loader, name + ".bias", spec.hidden, {0, spec.hidden})
             : Tensor();
}

}  // namespace tutti
