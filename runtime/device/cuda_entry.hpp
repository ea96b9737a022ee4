// What the device library offers to the program that loads it. Both come from one build, so that
// C++ types and exceptions (kernels/error.hpp) pass between them; only the names are C's.
#pragma once

#include <string>
#include <vector>

#include "runtime/device/cuda_library.hpp"

extern "C" {
// The version of Tutti that the library belongs to.
const char* tutti_cuda_build();
// The functions of CudaLibrary.
void tutti_cuda_gpus(std::vector<tutti::GpuFacts>& gpus);
void tutti_cuda_gpus_apart(std::vector<std::pair<int, int>>& pairs);
void tutti_cuda_make_device(int ordinal, std::unique_ptr<tutti::Device>& device);
void tutti_cuda_versions(std::string& versions);
}
