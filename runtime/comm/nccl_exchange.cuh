// How small messages travel between GPUs that see one another's memory. Part of the device library.
//
// A message travels in packets of 16 bytes, {4 bytes, epoch, 4 bytes, epoch}: each half of 8 bytes
// arrives whole, so that a packet is there as soon as both of its epochs are the wanted one, and
// neither fences nor barriers between GPUs are needed (NCCL's LL protocol works so). A block has
// room for two epochs in turn. Writing epoch e + 2 over e is safe: this rank has received e + 1 of
// every peer, which that peer sent after it was through with e.
#pragma once

#include <nccl.h>
#include <nccl_device.h>

#include "kernels/cuda_types.cuh"

namespace tutti {
// Small enough that a block finds room beside those of the products before and behind it: where it
// fills a multiprocessor alone, they crowd on the others and the slowest of them is waited for.
constexpr int kMaxThreads = 512;
constexpr int kMaxItems = 8;  // packets of one thread
constexpr int kMaxRanks = 8;
constexpr int kHeader = 8;  // packets before a block's first one: its epoch, on a line of its own
constexpr int kPacketBytes = 8;           // of the message in one packet
constexpr unsigned kStopInterval = 4096;  // looks at a packet between two looks at `stop`

struct Exchange {
  ncclDevComm comm;
  ncclDevResourceHandle_t buffer;
  int rank;
  int ranks;
  int slots;        // packets of one rank, in one epoch of a block
  const int* stop;  // on the host
};

template <typename T>
struct Rows {
  const T* x;
  T* y;
  float* residual;
  const float* weight;
  long long x_stride, y_stride, residual_stride;
  long long packets;  // of one row; of the whole message where it is only summed
  bool aligned;       // rows begin where packets and their floats can be loaded at once
  float eps;
};

template <typename T>
constexpr int kElements = kPacketBytes / static_cast<int>(sizeof(T));

__device__ inline uint4* block_of(const Exchange& e, int rank) {
  const long long packets = kHeader + 2LL * e.ranks * e.slots;
  return static_cast<uint4*>(ncclGetResourceBufferLsaPointer(e.comm, e.buffer, rank)) +
         blockIdx.x * packets;
}

__device__ inline uint32_t epoch_after(uint32_t epoch) {
  return epoch + 1 == 0 ? 2 : epoch + 1;  // 0 is what new memory holds; even and odd take turns
}

__device__ inline void put(uint4* to, uint2 data, uint32_t epoch) {
  asm volatile("st.volatile.global.v4.u32 [%0], {%1, %2, %3, %2};" ::"l"(to), "r"(data.x),
               "r"(epoch), "r"(data.y)
               : "memory");
}

__device__ inline bool get(const uint4* from, uint32_t epoch, uint2& data) {
  uint4 packet;
  asm volatile("ld.volatile.global.v4.u32 {%0, %1, %2, %3}, [%4];"
               : "=r"(packet.x), "=r"(packet.y), "=r"(packet.z), "=r"(packet.w)
               : "l"(from)
               : "memory");
  data = make_uint2(packet.x, packet.z);
  return packet.y == epoch && packet.w == epoch;
}

template <typename T>
union Packet {
  uint2 bits;
  T values[kElements<T>];
  __device__ Packet() : bits() {}
};

template <typename T>
__device__ inline uint2 load_packet(const T* from, bool aligned) {
  if (aligned) {
    return *reinterpret_cast<const uint2*>(from);
  }
  Packet<T> packet;
  for (int i = 0; i < kElements<T>; ++i) {
    packet.values[i] = from[i];
  }
  return packet.bits;
}

template <typename T>
__device__ inline void store_packet(T* to, const float (&values)[kElements<T>], bool aligned) {
  Packet<T> packet;
  for (int i = 0; i < kElements<T>; ++i) {
    packet.values[i] = narrow<T>(values[i]);
  }
  if (aligned) {
    *reinterpret_cast<uint2*>(to) = packet.bits;
    return;
  }
  for (int i = 0; i < kElements<T>; ++i) {
    to[i] = packet.values[i];
  }
}

// 2 or 4 floats.
template <int N>
__device__ inline void load_floats(float (&to)[N], const float* from, bool aligned) {
  if (aligned && N == 4) {
    const float4 v = *reinterpret_cast<const float4*>(from);
    to[0] = v.x, to[1] = v.y, to[N - 2] = v.z, to[N - 1] = v.w;
  } else if (aligned && N == 2) {
    const float2 v = *reinterpret_cast<const float2*>(from);
    to[0] = v.x, to[1] = v.y;
  } else {
    for (int i = 0; i < N; ++i) {
      to[i] = from[i];
    }
  }
}

template <int N>
__device__ inline void store_floats(float* to, const float (&from)[N], bool aligned) {
  if (aligned && N == 4) {
    *reinterpret_cast<float4*>(to) = make_float4(from[0], from[1], from[N - 2], from[N - 1]);
  } else if (aligned && N == 2) {
    *reinterpret_cast<float2*>(to) = make_float2(from[0], from[1]);
  } else {
    for (int i = 0; i < N; ++i) {
      to[i] = from[i];
    }
  }
}

// One packet of each rank; kPeers is how many others there may be.
template <int kPeers>
struct Received {
  uint2 data[kPeers];
};

// sum = ((x of rank 0 + x of rank 1) + …), in f32. Indices are constant, or registers would not do.
template <typename T, int kPeers>
__device__ inline void add_ranks(const Exchange& e, uint2 mine, const Received<kPeers>& theirs,
                                 float (&sum)[kElements<T>]) {
#pragma unroll
  for (int rank = 0; rank <= kPeers; ++rank) {
    if (rank < e.ranks) {
      Packet<T> packet;
      packet.bits = rank == e.rank  ? mine
                    : rank < e.rank ? theirs.data[rank < kPeers ? rank : 0]
                                    : theirs.data[rank > 0 ? rank - 1 : 0];
#pragma unroll
      for (int i = 0; i < kElements<T>; ++i) {
        const float x = widen(packet.values[i]);
        sum[i] = rank == 0 ? x : sum[i] + x;
      }
    }
  }
}

// Waits until the packets of `kCount` items of this thread have come from all peers. slot(i) is the
// place of item i, or negative where there is none.
template <int kCount, int kPeers, typename Slot>
__device__ inline void receive(const Exchange& e, const uint4* inbox, uint32_t epoch,
                               const Slot& slot, Received<kPeers> (&received)[kCount]) {
  for (unsigned looks = 1;; ++looks) {
    bool all = true;
#pragma unroll
    for (int i = 0; i < kCount; ++i) {
#pragma unroll
      for (int peer = 0; peer < kPeers; ++peer) {
        if (peer < e.ranks - 1 && slot(i) >= 0) {
          const int rank = peer < e.rank ? peer : peer + 1;
          all &= get(inbox + static_cast<long long>(rank) * e.slots + slot(i), epoch,
                     received[i].data[peer]);
        }
      }
    }
    if (all || (looks % kStopInterval == 0 && *static_cast<const volatile int*>(e.stop) != 0)) {
      return;
    }
  }
}

}  // namespace tutti
