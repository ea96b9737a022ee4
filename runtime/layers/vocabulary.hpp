// The two ends of a decoder, split by rows of the vocabulary: token embedding and output head.
#pragma once

#include <cstdint>
#include <vector>

#include "runtime/comm/communicator.hpp"
#include "runtime/layers/linear.hpp"
#include "runtime/layers/step_tensors.hpp"
#include "runtime/tensor/tensor.hpp"

namespace tutti {

// Each rank looks up the ids that it owns; the sum over the ranks completes the rows.
class VocabParallelEmbedding {
 public:
  // Learned positions: rows [rows of this rank, hidden] which begin at position first_row, or none.
  struct Positions {
    TensorView table;
    std::int64_t first_row;
  };
  // table [vocabulary rows of this rank, hidden], which begin at id first_row; its rows are scaled.
  VocabParallelEmbedding(TensorView table, std::int64_t first_row, Communicator& group,
                         float scale = 1, const Positions& positions = {{}, 0});

  // Collective. The step's ids, or what their sources say; y [tokens, hidden] f32.
  void forward(const Exec& exec, const StepTensors& step, const TensorView& y) const;

 private:
  TensorView table_;
  std::int64_t first_row_;
  Communicator* group_;
  float scale_;
  Positions positions_;
};

// Logits of all vocabulary rows: on every rank where the ranks' devices sample, else on rank 0.
class VocabParallelHead {
 public:
  // table [vocabulary rows of this rank, hidden]; rows[r]: how many rows rank r holds.
  // The logits are scaled, then bounded where `softcap` is above 0 (kernels/soft_cap.hpp).
  VocabParallelHead(TensorView table, std::vector<std::int64_t> rows, Communicator& group,
                    float scale = 1, float softcap = 0);

  // Collective. x [wanted, hidden]; local [wanted, rows of this rank] f32 is working memory; y
  // [wanted, vocabulary] f32, ignored on the host's ranks but 0.
  void forward(const Exec& exec, const TensorView& x, const TensorView& local,
               const TensorView& y) const;

 private:
  TensorView table_;
  std::vector<std::int64_t> rows_;
  Communicator* group_;
  float scale_;
  float softcap_;
};

}  // namespace tutti
