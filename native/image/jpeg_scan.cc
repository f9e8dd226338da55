#include "image/jpeg_scan.h"

namespace pi05 {
namespace {

// More bytes than this that belong to nothing are missing blocks rather than stray bytes.
constexpr size_t kMaxStrayBytes = 64;

constexpr uint8_t kFirstRestart = 0xd0;
constexpr uint8_t kFirstFrameMarker = 0xc0;

class Walk {
 public:
  explicit Walk(const JpegScan& scan) : scan_(scan) {}

  void restart() { end_of_band_run_ = 0; }

  // One block. The result of a failed read is not used: the reader keeps the failure.
  void block(BitReader& reader, const JpegScan::Part& part, int64_t index) {
    if (!scan_.is_progressive) return sequential(reader, part);
    if (scan_.first == 0) {
      if (scan_.high != 0)
        reader.bits(1);
      else
        skip_value(reader, reader.symbol(*part.dc));
      return;
    }
    uint64_t& nonzero = part.component->nonzero[static_cast<size_t>(index)];
    if (scan_.high == 0)
      first_of_band(reader, *part.ac, nonzero);
    else
      refine_band(reader, *part.ac, nonzero);
  }

  bool is_bad() const { return is_bad_; }

 private:
  void skip_value(BitReader& reader, int size) {
    if (size > 15) is_bad_ = true;
    if (size > 0 && size <= 15) reader.bits(size);
  }

  void sequential(BitReader& reader, const JpegScan::Part& part) {
    skip_value(reader, reader.symbol(*part.dc));
    for (int k = 1; k < 64; k++) {
      const int symbol = reader.symbol(*part.ac);
      if (symbol < 0) return;
      const int size = symbol & 15, run = symbol >> 4;
      if (size == 0 && run != 15) return;
      k += run;
      if (k > 63) is_bad_ = true;
      reader.bits(size);
    }
  }

  // The first scan of coefficients `first` to `last`.
  void first_of_band(BitReader& reader, const HuffmanTable& ac, uint64_t& nonzero) {
    if (end_of_band_run_ > 0) {
      end_of_band_run_--;
      return;
    }
    for (int k = scan_.first; k <= scan_.last; k++) {
      const int symbol = reader.symbol(ac);
      if (symbol < 0) return;
      const int size = symbol & 15, run = symbol >> 4;
      if (size == 0 && run != 15) {
        end_of_band_run_ = (int64_t{1} << run) - 1;
        if (run > 0) end_of_band_run_ += reader.bits(run);
        return;
      }
      k += run;
      if (k > scan_.last) {
        is_bad_ = true;
        return;
      }
      if (size == 0) continue;
      reader.bits(size);
      nonzero |= uint64_t{1} << k;
    }
  }

  // A further bit of coefficients `first` to `last`: each nonzero coefficient that is passed has one correction bit.
  void refine_band(BitReader& reader, const HuffmanTable& ac, uint64_t& nonzero) {
    int k = scan_.first;
    if (end_of_band_run_ == 0) {
      for (; k <= scan_.last; k++) {
        const int symbol = reader.symbol(ac);
        if (symbol < 0) return;
        const int size = symbol & 15;
        int run = symbol >> 4;
        if (size == 0 && run != 15) {
          end_of_band_run_ = int64_t{1} << run;
          if (run > 0) end_of_band_run_ += reader.bits(run);
          break;
        }
        if (size > 0) reader.bits(1);  // the sign
        for (; k <= scan_.last; k++) {
          if (nonzero >> k & 1)
            reader.bits(1);
          else if (--run < 0)
            break;
        }
        if (size > 0 && k > scan_.last) {
          is_bad_ = true;
          return;
        }
        if (size > 0) nonzero |= uint64_t{1} << k;
      }
    }
    if (end_of_band_run_ == 0) return;
    for (; k <= scan_.last; k++)
      if (nonzero >> k & 1) reader.bits(1);
    end_of_band_run_--;
  }

  const JpegScan& scan_;
  int64_t end_of_band_run_ = 0;  // blocks, with the present one, whose band has ended
  bool is_bad_ = false;
};

std::string percent(int64_t part, int64_t whole) { return std::to_string(100 * part / whole) + " %"; }

}  // namespace

size_t walk_scan(const JpegScan& scan, const uint8_t* data, size_t begin, size_t end, std::string& damage) {
  Walk walk(scan);
  BitReader reader(data, begin, end);
  const int64_t mcus = scan.mcu_columns * scan.mcu_rows;
  const bool is_interleaved = scan.parts.size() > 1;
  int64_t until_restart = scan.restart_interval;
  uint8_t next_restart = 0;

  const auto is_tidy = [&](size_t marker) {
    if (reader.unused_bytes() == 0) return true;
    if (reader.has_padding() && reader.unused_bytes() <= kMaxStrayBytes) return true;
    damage = std::to_string(reader.unused_bytes()) + " bytes before byte " + std::to_string(marker) +
             " belong to no block: its image data is corrupt";
    return false;
  };

  for (int64_t mcu = 0; mcu < mcus; mcu++) {
    if (scan.restart_interval > 0 && until_restart == 0) {
      size_t at = reader.skip_to_marker();
      if (!is_tidy(at)) return end;
      // Markers that cannot occur in a frame are stray bytes too.
      const auto code_at = [&](size_t position) {
        while (position < end && data[position] == 0xff) position++;
        return position;
      };
      size_t code = code_at(at);
      while (code < end && data[code] < kFirstFrameMarker) {
        BitReader rest(data, code + 1, end);
        at = rest.skip_to_marker();
        code = code_at(at);
      }
      if (code >= end || data[code] != kFirstRestart + next_restart) {
        damage = "restart marker " + std::to_string(next_restart) + " is missing at byte " + std::to_string(at) +
                 ", after " + percent(mcu, mcus) + " of the image";
        return end;
      }
      reader = BitReader(data, code + 1, end);
      next_restart = (next_restart + 1) % 8;
      until_restart = scan.restart_interval;
      walk.restart();
    }
    until_restart--;
    for (const JpegScan::Part& part : scan.parts) {
      JpegComponent& component = *part.component;
      const int64_t row = mcu / scan.mcu_columns, column = mcu % scan.mcu_columns;
      const int64_t across = is_interleaved ? component.horizontal : 1;
      const int64_t down = is_interleaved ? component.vertical : 1;
      for (int64_t y = 0; y < down; y++)
        for (int64_t x = 0; x < across; x++)
          walk.block(reader, part, (row * down + y) * component.stored_columns + column * across + x);
    }
    if (reader.failure() == BitReader::Failure::kNone && !walk.is_bad()) continue;
    if (reader.failure() == BitReader::Failure::kNoBits)
      damage = "its image data ends after " + percent(mcu, mcus) + " of the image";
    else
      damage = "its image data is corrupt after " + percent(mcu, mcus) + " of the image";
    return end;
  }
  const size_t marker = reader.skip_to_marker();
  is_tidy(marker);
  return marker;
}

}  // namespace pi05
