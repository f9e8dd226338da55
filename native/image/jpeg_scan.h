// Walks through the Huffman codes of one JPEG scan, without computing pixels. ITU-T T.81, annexes F and G.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "image/jpeg_huffman.h"

namespace pi05 {

struct JpegComponent {
  int identifier = 0;
  int horizontal = 0, vertical = 0;  // sampling factors
  int64_t columns = 0, rows = 0;     // blocks that the image needs
  int64_t stored_columns = 0;        // blocks of a row of interleaved scans
  std::vector<uint64_t> nonzero;     // progressive: bit k of a block is set if its coefficient k is not 0
  std::vector<int> low_bit;          // (64) the lowest bit of each coefficient that is coded so far; -1 = none
};

struct JpegScan {
  struct Part {
    JpegComponent* component;
    const HuffmanTable* dc;
    const HuffmanTable* ac;
  };
  std::vector<Part> parts;
  bool is_progressive = false;
  int first = 0, last = 63;  // coefficients
  int high = 0, low = 0;     // bit positions of progressive scans
  int64_t mcu_columns = 0, mcu_rows = 0;
  int64_t restart_interval = 0;  // MCUs; 0 = none
};

// Walks through the scan whose data begins at `begin`. Returns the position of the marker after it, or sets `damage`.
size_t walk_scan(const JpegScan& scan, const uint8_t* data, size_t begin, size_t end, std::string& damage);

}  // namespace pi05
