#include <array>
#include <cstring>

#include "image/image_file.h"

namespace pi05 {
namespace {

constexpr size_t kSignature = 8;
constexpr size_t kChunkHeader = 8;  // length and name
constexpr size_t kChecksum = 4;

uint32_t big_endian(const uint8_t* bytes) {
  return uint32_t{bytes[0]} << 24 | uint32_t{bytes[1]} << 16 | uint32_t{bytes[2]} << 8 | uint32_t{bytes[3]};
}

// CRC-32 of ISO 3309, as the PNG specification (annex D) computes it.
uint32_t crc32(const uint8_t* bytes, size_t count) {
  static const auto table = [] {
    std::array<uint32_t, 256> values{};
    for (uint32_t i = 0; i < 256; i++) {
      values[i] = i;
      for (int bit = 0; bit < 8; bit++) values[i] = values[i] >> 1 ^ (values[i] & 1 ? 0xedb88320u : 0u);
    }
    return values;
  }();
  uint32_t crc = 0xffffffff;
  for (size_t i = 0; i < count; i++) crc = table[(crc ^ bytes[i]) & 0xff] ^ crc >> 8;
  return ~crc;
}

}  // namespace

ImageFile check_png(const uint8_t* data, size_t bytes) {
  ImageFile file;
  const auto damaged = [&file](const std::string& clause) {
    file.damage = clause;
    return file;
  };
  size_t at = kSignature;
  bool has_pixels = false;
  while (at + kChunkHeader + kChecksum <= bytes) {
    const size_t length = big_endian(data + at);
    const uint8_t* name = data + at + 4;
    const std::string chunk(reinterpret_cast<const char*>(name), 4);
    for (const char letter : chunk)
      if (!((letter >= 'a' && letter <= 'z') || (letter >= 'A' && letter <= 'Z')))
        return damaged("it has no chunk at byte " + std::to_string(at));
    if (length > bytes - at - kChunkHeader - kChecksum)
      return damaged("it ends in its chunk " + chunk + ", after " + std::to_string(bytes) + " bytes");
    if (crc32(name, length + 4) != big_endian(data + at + kChunkHeader + length))
      return damaged("the checksum of its chunk " + chunk + " at byte " + std::to_string(at) + " is wrong");
    if (chunk == "IHDR" && length >= 8) {
      file.width = big_endian(data + at + kChunkHeader);
      file.height = big_endian(data + at + kChunkHeader + 4);
    }
    if (chunk == "IDAT") has_pixels = true;
    if (chunk == "IEND") return has_pixels ? file : damaged("it has no chunk IDAT");
    at += kChunkHeader + length + kChecksum;
  }
  return damaged("it ends after " + std::to_string(bytes) + " bytes, without a chunk IEND");
}

}  // namespace pi05
