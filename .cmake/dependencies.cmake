# Every third party, and the one place where each is at home (docs/decisions/0002-dependencies.md).
list(APPEND CMAKE_MODULE_PATH ${CMAKE_CURRENT_LIST_DIR})
set(MPI_CXX_SKIP_MPICXX ON)
set(Boost_USE_STATIC_LIBS OFF)

find_package(Threads REQUIRED)
find_package(PkgConfig REQUIRED)
find_package(fmt REQUIRED)                                    # messages, everywhere
find_package(MPI REQUIRED COMPONENTS C)                       # runtime/comm
find_package(HDF5 REQUIRED COMPONENTS C)                      # runtime/weights
find_package(OpenSSL REQUIRED COMPONENTS Crypto)              # runtime/weights: SHA-256
find_package(nlohmann_json REQUIRED)                          # configuration, tokenizers
find_package(Boost REQUIRED COMPONENTS program_options)       # launch
pkg_check_modules(openblas REQUIRED IMPORTED_TARGET openblas)  # kernels: host matrix product
pkg_check_modules(xxhash REQUIRED IMPORTED_TARGET libxxhash)  # runtime/weights: block checks
pkg_check_modules(pcre2 REQUIRED IMPORTED_TARGET libpcre2-8)  # runtime/text: pre-tokenizers
pkg_check_modules(utf8proc REQUIRED IMPORTED_TARGET libutf8proc)      # runtime/text: NFC
find_package(SentencePiece REQUIRED)                          # runtime/text
if(TUTTI_OPENMP)
  find_package(OpenMP REQUIRED COMPONENTS CXX)
endif()
if(TUTTI_TESTS)
  find_package(GTest REQUIRED)
endif()

# CUDA is found where it is and not missed where it is not.
set(TUTTI_HAVE_CUDA OFF)
if(NOT TUTTI_CUDA STREQUAL "off")
  include(CheckLanguage)
  check_language(CUDA)
  if(CMAKE_CUDA_COMPILER)
    if(NOT CMAKE_CUDA_ARCHITECTURES)
      set(CMAKE_CUDA_ARCHITECTURES 80 90)
    endif()
    enable_language(CUDA)
    if(NOT CMAKE_CUDA20_STANDARD_COMPILE_OPTION)  # CMake 3.25 does not know it of nvcc 12 and 13
      set(CMAKE_CUDA20_STANDARD_COMPILE_OPTION -std=c++20)
      set(CMAKE_CUDA20_EXTENSION_COMPILE_OPTION -std=c++20)
    endif()
    find_package(CUDAToolkit REQUIRED)  # kernels, runtime/device
    find_path(NCCL_INCLUDE nccl.h HINTS ${CUDAToolkit_INCLUDE_DIRS})
    find_library(NCCL_LIBRARY nccl HINTS ${CUDAToolkit_LIBRARY_DIR})  # runtime/comm
    if(NCCL_INCLUDE AND NCCL_LIBRARY)
      set(TUTTI_HAVE_CUDA ON)
    elseif(TUTTI_CUDA STREQUAL "on")
      message(FATAL_ERROR "TUTTI_CUDA=on, but NCCL was not found (set NCCL_INCLUDE, NCCL_LIBRARY)")
    else()
      message(STATUS "NCCL was not found: the device code is not built")
    endif()
  elseif(TUTTI_CUDA STREQUAL "on")
    message(FATAL_ERROR "TUTTI_CUDA=on, but no CUDA compiler was found (set CMAKE_CUDA_COMPILER)")
  endif()
endif()
