// Attention with a sliding window, capped scores or ALiBi's slopes, in kernels of their own.
#include "kernels/attention_launch.cuh"

namespace tutti {

void attend_with_extras(CudaContext& context, const Exec& exec, const AttentionArgs& args) {
  with_cuda_type(args.q.dtype,
                 [&](auto type) { attend<decltype(type), true>(context, exec, args); });
}

}  // namespace tutti
