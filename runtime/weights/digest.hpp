// SHA-256 for identity, XXH3 for checking what was just read: both as streams; and XXH3 as a name.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>

namespace tutti {

// OpenSSL's, so that the CPU's SHA instructions are used. Errors: Error where libcrypto fails.
class Sha256 {
 public:
  Sha256();
  void update(std::span<const std::byte> bytes);
  void update(std::string_view text);
  std::string finish();  // 64 hex digits, lower case; once

 private:
  struct Free {
    void operator()(void* context) const noexcept;
  };
  std::unique_ptr<void, Free> context_;
};

std::string sha256_hex(std::string_view text);

// XXH3, 64 bits, seed 0.
class Xxh3 {
 public:
  Xxh3();
  void update(std::span<const std::byte> bytes);
  std::uint64_t finish();  // and begins anew

 private:
  struct Free {
    void operator()(void* state) const noexcept;
  };
  std::unique_ptr<void, Free> state_;
};

std::uint64_t xxh3(std::span<const std::byte> bytes);

struct Hash128 {
  std::uint64_t low = 0;
  std::uint64_t high = 0;
  friend bool operator==(const Hash128&, const Hash128&) = default;
};

// XXH3, 128 bits, seed 0.
Hash128 xxh3_128(std::span<const std::byte> bytes);

}  // namespace tutti
