// The bits and Huffman codes of a JPEG scan. ITU-T T.81 (JPEG), annexes C and F.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

namespace pi05 {

struct HuffmanTable {
  // By the next 16 bits: length of the code (0 = no code begins so) in the high byte, symbol in the low byte.
  std::vector<uint16_t> entries;

  bool is_defined() const { return !entries.empty(); }

  // counts: (16) codes of each length from 1; symbols: one per code. False where the codes do not fit their lengths.
  bool define(const uint8_t* counts, const uint8_t* symbols);
};

// Tables of T.81 K.3, which Motion JPEG leaves out. identifier: 0 luminance, 1 chrominance; others have none.
HuffmanTable default_table(bool is_ac, int identifier);

// Reads the bits of one interval of entropy-coded data, up to the next marker.
class BitReader {
 public:
  BitReader(const uint8_t* data, size_t begin, size_t end) : data_(data), at_(begin), end_(end) {}

  // Why the last read failed, if one did.
  enum class Failure { kNone, kNoBits, kNoCode };
  Failure failure() const { return failure_; }

  // A symbol; -1 where the bits have no code or end.
  int symbol(const HuffmanTable& table);
  // `count` bits (0 to 16); 0 where they end, with failure() set.
  int bits(int count);

  // Goes to the next marker. Returns its position, or `end` where there is none.
  size_t skip_to_marker();
  // After skip_to_marker(): bytes that were not used and are not zeros, which some encoders append, and whether the
  // last bits of the last used byte are equal, as padding is.
  size_t unused_bytes() const { return unused_; }
  bool has_padding() const { return has_padding_; }

 private:
  void fill();

  const uint8_t* data_;
  size_t at_, end_;
  uint64_t buffer_ = 0;  // the lowest `available_` bits
  int available_ = 0;
  bool at_marker_ = false;
  Failure failure_ = Failure::kNone;
  size_t unused_ = 0;
  bool has_padding_ = true;
};

}  // namespace pi05
