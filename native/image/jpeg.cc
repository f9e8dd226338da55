#include <algorithm>
#include <array>

#include "image/image_file.h"
#include "image/jpeg_scan.h"

namespace pi05 {
namespace {

// Markers, the byte after 0xff. T.81 table B.1.
constexpr int kBaseline = 0xc0, kProgressive = 0xc2, kLastFrame = 0xcf;
constexpr int kHuffmanTables = 0xc4, kReserved = 0xc8, kArithmetic = 0xcc;
constexpr int kFirstRestart = 0xd0, kLastRestart = 0xd7;
constexpr int kEnd = 0xd9, kScan = 0xda, kQuantization = 0xdb, kLines = 0xdc, kInterval = 0xdd;
constexpr int kFirstApplication = 0xe0, kLastApplication = 0xef, kComment = 0xfe, kTemporary = 0x01;

constexpr size_t kMaxComponents = 4, kMaxSampling = 4, kMaxTables = 4;
constexpr int64_t kMaxBlocks = int64_t{1} << 24;  // of one component: 32768 x 32768 pixels

int64_t ceil_div(int64_t a, int64_t b) { return (a + b - 1) / b; }

struct Damage {
  std::string clause;
};

class Parser {
 public:
  Parser(const uint8_t* data, size_t bytes) : data_(data), bytes_(bytes) {}

  ImageFile run() {
    try {
      parse();
    } catch (const Damage& damage) {
      file_.damage = damage.clause;
    }
    return file_;
  }

 private:
  void parse() {
    at_ = 2;
    for (;;) {
      const int marker = next_marker();
      if (marker == kEnd) return check_complete();
      if ((marker >= kFirstRestart && marker <= kLastRestart) || marker == kTemporary) continue;
      open_segment(marker);
      if (marker == kHuffmanTables)
        huffman_tables();
      else if (marker == kInterval)
        restart_interval_ = word();
      else if (marker == kScan)
        scan();
      else if (marker >= kBaseline && marker <= kLastFrame)
        frame(marker);
      else if (marker < kFirstApplication && marker != kQuantization && marker != kLines)
        throw Damage{"it has an unknown marker " + std::to_string(marker) + " at byte " + std::to_string(at_)};
      if (marker != kScan) at_ = segment_end_;
    }
  }

  // The code of the next marker; bytes that belong to nothing are skipped.
  int next_marker() {
    for (;;) {
      while (at_ < bytes_ && data_[at_] != 0xff) at_++;
      while (at_ < bytes_ && data_[at_] == 0xff) at_++;
      if (at_ >= bytes_)
        throw Damage{"it ends after " + std::to_string(bytes_) + " bytes, " +
                     (has_scan_ ? "without an end marker" : "in its headers")};
      const int code = data_[at_++];
      if (code != 0) return code;
    }
  }

  void open_segment(int marker) {
    segment_end_ = bytes_;
    const size_t start = at_;
    const auto length = static_cast<size_t>(word());
    if (length < 2 || length > bytes_ - start)
      throw Damage{"its segment with marker " + std::to_string(marker) + " at byte " + std::to_string(start) +
                   " ends outside of its " + std::to_string(bytes_) + " bytes"};
    segment_end_ = start + length;
  }

  int byte() {
    if (at_ >= segment_end_) throw Damage{"its segment that ends at byte " + std::to_string(at_) + " is too short"};
    return data_[at_++];
  }
  int word() {
    const int high = byte();
    return high << 8 | byte();
  }

  void huffman_tables() {
    while (at_ < segment_end_) {
      const int selector = byte();
      const auto slot = static_cast<size_t>(selector & 15);
      std::array<uint8_t, 16> counts;
      for (uint8_t& count : counts) count = static_cast<uint8_t>(byte());
      std::array<uint8_t, 16 * 255> symbols;
      size_t total = 0;
      for (const uint8_t count : counts) total += count;
      for (size_t i = 0; i < total; i++) symbols[i] = static_cast<uint8_t>(byte());
      if (selector >> 4 > 1 || slot >= kMaxTables ||
          !tables_[static_cast<size_t>(selector >> 4)][slot].define(counts.data(), symbols.data()))
        throw Damage{"its Huffman tables are not valid"};
    }
  }

  void frame(int marker) {
    if (marker == kReserved || marker == kArithmetic || marker > kProgressive)
      throw Damage{"it uses a JPEG process with marker " + std::to_string(marker) +
                   ", not a baseline or progressive one"};
    if (!components_.empty()) throw Damage{"it has two images"};
    is_progressive_ = marker == kProgressive;
    const int depth = byte();
    file_.height = word();
    file_.width = word();
    const auto count = static_cast<size_t>(byte());
    if (depth != 8) throw Damage{"it has " + std::to_string(depth) + " bits per channel"};
    if (file_.width == 0 || file_.height == 0) throw Damage{"it states a size of 0 pixels"};
    if (count < 1 || count > kMaxComponents) throw Damage{"it has " + std::to_string(count) + " channels"};
    components_.resize(count);
    for (JpegComponent& component : components_) {
      component.identifier = byte();
      const int sampling = byte();
      byte();  // quantization table
      component.horizontal = sampling >> 4;
      component.vertical = sampling & 15;
      const auto is_valid = [](int factor) { return factor >= 1 && factor <= static_cast<int>(kMaxSampling); };
      if (!is_valid(component.horizontal) || !is_valid(component.vertical))
        throw Damage{"its sampling factors are not valid"};
      max_horizontal_ = std::max(max_horizontal_, component.horizontal);
      max_vertical_ = std::max(max_vertical_, component.vertical);
    }
    for (JpegComponent& component : components_) {
      const int64_t mcus_across = ceil_div(file_.width, 8 * max_horizontal_);
      const int64_t mcus_down = ceil_div(file_.height, 8 * max_vertical_);
      component.columns = ceil_div(ceil_div(file_.width * component.horizontal, max_horizontal_), 8);
      component.rows = ceil_div(ceil_div(file_.height * component.vertical, max_vertical_), 8);
      component.stored_columns = mcus_across * component.horizontal;
      const int64_t blocks = component.stored_columns * mcus_down * component.vertical;
      if (blocks > kMaxBlocks) throw Damage{"it is too large"};
      // A block takes at least one bit, and a run of empty ones 15 bits: a file of a few bytes cannot need much memory.
      if (is_progressive_ && blocks / 1024 > static_cast<int64_t>(bytes_)) throw Damage{"it is too short for its size"};
      if (is_progressive_) component.nonzero.assign(static_cast<size_t>(blocks), 0);
      component.low_bit.assign(64, -1);
    }
  }

  void scan() {
    if (components_.empty()) throw Damage{"its image data comes before its size"};
    has_scan_ = true;
    JpegScan scan;
    scan.is_progressive = is_progressive_;
    scan.restart_interval = restart_interval_;
    const auto count = static_cast<size_t>(byte());
    if (count < 1 || count > components_.size()) throw Damage{"a scan has " + std::to_string(count) + " channels"};
    std::vector<std::pair<size_t, size_t>> slots;
    for (size_t i = 0; i < count; i++) {
      const int identifier = byte();
      const int selectors = byte();
      const auto found = std::find_if(components_.begin(), components_.end(),
                                      [&](const JpegComponent& one) { return one.identifier == identifier; });
      if (found == components_.end()) throw Damage{"a scan has an unknown channel"};
      scan.parts.push_back({&*found, nullptr, nullptr});
      slots.emplace_back(selectors >> 4, selectors & 15);
    }
    const int first = byte(), last = byte(), bits = byte();
    // A baseline scan has all coefficients, whatever these three fields are: some cameras leave them empty.
    if (is_progressive_) {
      scan.first = first;
      scan.last = last;
      scan.high = bits >> 4;
      scan.low = bits & 15;
      const bool is_band = first == 0 ? last == 0 : last >= first && last < 64 && count == 1;
      if (!is_band || scan.low > 13)
        throw Damage{"a scan has coefficients " + std::to_string(first) + " to " + std::to_string(last)};
    }
    const bool needs_dc = scan.first == 0 && scan.high == 0;
    const bool needs_ac = scan.last > 0;
    for (size_t i = 0; i < count; i++) {
      if (needs_dc) scan.parts[i].dc = table(false, slots[i].first);
      if (needs_ac) scan.parts[i].ac = table(true, slots[i].second);
      JpegComponent& component = *scan.parts[i].component;
      for (int k = scan.first; k <= scan.last; k++) component.low_bit[static_cast<size_t>(k)] = scan.low;
    }
    if (count > 1) {
      scan.mcu_columns = ceil_div(file_.width, 8 * max_horizontal_);
      scan.mcu_rows = ceil_div(file_.height, 8 * max_vertical_);
    } else {
      scan.mcu_columns = scan.parts[0].component->columns;
      scan.mcu_rows = scan.parts[0].component->rows;
    }
    std::string damage;
    at_ = walk_scan(scan, data_, segment_end_, bytes_, damage);
    if (!damage.empty()) throw Damage{damage};
  }

  // Motion JPEG leaves the tables of T.81 out.
  const HuffmanTable* table(bool is_ac, size_t slot) {
    if (slot >= kMaxTables) throw Damage{"a scan has an unknown Huffman table"};
    HuffmanTable& table = tables_[is_ac ? 1 : 0][slot];
    if (!table.is_defined()) table = default_table(is_ac, static_cast<int>(slot));
    if (!table.is_defined()) throw Damage{"a Huffman table is missing"};
    return &table;
  }

  void check_complete() {
    if (!has_scan_) throw Damage{"it has no image data"};
    for (const JpegComponent& component : components_)
      for (const int low_bit : component.low_bit)
        if (low_bit != 0) throw Damage{"its last scans are missing"};
  }

  const uint8_t* data_;
  size_t bytes_;
  size_t at_ = 0, segment_end_ = 0;
  ImageFile file_;
  std::vector<JpegComponent> components_;
  int max_horizontal_ = 1, max_vertical_ = 1;
  bool is_progressive_ = false, has_scan_ = false;
  int64_t restart_interval_ = 0;
  std::array<std::array<HuffmanTable, kMaxTables>, 2> tables_;  // (DC and AC, table)
};

}  // namespace

ImageFile check_jpeg(const uint8_t* data, size_t bytes) { return Parser(data, bytes).run(); }

}  // namespace pi05
