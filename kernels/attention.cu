// Attention on a GPU as most layers have it; attention_extras.cu compiles the rest.
#include "kernels/attention_launch.cuh"

namespace tutti {

void attention_cuda(CudaContext& context, const Exec& exec, const AttentionArgs& args) {
  if (args.q.rows() == 0 || args.context_length.rows() == 0) {
    return;
  }
  if (has_extras(args)) {
    return attend_with_extras(context, exec, args);
  }
  with_cuda_type(args.q.dtype,
                 [&](auto type) { attend<decltype(type), false>(context, exec, args); });
}

}  // namespace tutti
