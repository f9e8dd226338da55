#include "checkpoint/json.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <unordered_set>

namespace pi05 {
namespace {

constexpr int kMaxDepth = 64;

void append_utf8(std::string& to, uint32_t code) {
  if (code < 0x80) {
    to += static_cast<char>(code);
  } else if (code < 0x800) {
    to += static_cast<char>(0xc0 | code >> 6);
    to += static_cast<char>(0x80 | (code & 0x3f));
  } else if (code < 0x10000) {
    to += static_cast<char>(0xe0 | code >> 12);
    to += static_cast<char>(0x80 | (code >> 6 & 0x3f));
    to += static_cast<char>(0x80 | (code & 0x3f));
  } else {
    to += static_cast<char>(0xf0 | code >> 18);
    to += static_cast<char>(0x80 | (code >> 12 & 0x3f));
    to += static_cast<char>(0x80 | (code >> 6 & 0x3f));
    to += static_cast<char>(0x80 | (code & 0x3f));
  }
}

}  // namespace

class JsonReader {
 public:
  explicit JsonReader(std::string_view text) : text_(text) {}

  Json document() {
    Json value = read_value(0);
    skip_space();
    if (position_ < text_.size()) fail("the end");
    return value;
  }

 private:
  [[noreturn]] void fail(const std::string& expected) const {
    std::string received = "the end";
    if (position_ < text_.size()) {
      const auto c = static_cast<unsigned char>(text_[position_]);
      static const char* hex = "0123456789abcdef";
      received = c >= 0x20 && c < 0x7f ? std::string("'") + text_[position_] + "'"
                                       : std::string("byte 0x") + hex[c >> 4] + hex[c & 15];
    }
    throw JsonError("expected " + expected + " at byte " + std::to_string(position_) + ", received " + received);
  }

  char peek() const { return position_ < text_.size() ? text_[position_] : '\0'; }

  bool accept(char c) {
    if (position_ >= text_.size() || text_[position_] != c) return false;
    position_++;
    return true;
  }

  void expect(char c, const char* where) {
    if (!accept(c)) fail(std::string("'") + c + "' " + where);
  }

  void skip_space() {
    while (position_ < text_.size() && (text_[position_] == ' ' || text_[position_] == '\t' ||
                                        text_[position_] == '\n' || text_[position_] == '\r'))
      position_++;
  }

  Json read_value(int depth) {
    if (depth > kMaxDepth) fail("at most " + std::to_string(kMaxDepth) + " levels");
    skip_space();
    Json value;
    switch (peek()) {
      case '{':
        read_object(value, depth);
        break;
      case '[':
        read_array(value, depth);
        break;
      case '"':
        value.type_ = Json::Type::String;
        value.string_ = read_string();
        break;
      case 't':
        read_word("true"), value.type_ = Json::Type::Boolean, value.number_ = 1;
        break;
      case 'f':
        read_word("false"), value.type_ = Json::Type::Boolean;
        break;
      case 'n':
        read_word("null");
        break;
      default:
        read_number(value);
    }
    return value;
  }

  void read_word(std::string_view word) {
    if (text_.substr(position_, word.size()) != word) fail("a value");
    position_ += word.size();
  }

  void read_object(Json& value, int depth) {
    value.type_ = Json::Type::Object;
    std::unordered_set<std::string> keys;
    position_++;
    skip_space();
    if (accept('}')) return;
    do {
      skip_space();
      if (peek() != '"') fail("a key");
      const size_t start = position_;
      std::string key = read_string();
      if (!keys.insert(key).second)
        throw JsonError("expected each key once, received \"" + key + "\" again at byte " + std::to_string(start));
      skip_space();
      expect(':', "after a key");
      value.object_.emplace_back(std::move(key), read_value(depth + 1));
      skip_space();
    } while (accept(','));
    expect('}', "or ',' in an object");
  }

  void read_array(Json& value, int depth) {
    value.type_ = Json::Type::Array;
    position_++;
    skip_space();
    if (accept(']')) return;
    do {
      value.array_.push_back(read_value(depth + 1));
      skip_space();
    } while (accept(','));
    expect(']', "or ',' in an array");
  }

  void read_digits() {
    if (peek() < '0' || peek() > '9') fail("a digit");
    while (peek() >= '0' && peek() <= '9') position_++;
  }

  void read_number(Json& value) {
    const size_t start = position_;
    accept('-');
    if (position_ == start && (peek() < '0' || peek() > '9')) fail("a value");
    if (!accept('0')) read_digits();
    if (accept('.')) read_digits();
    if (accept('e') || accept('E')) {
      if (!accept('+')) accept('-');
      read_digits();
    }
    const auto parsed = std::from_chars(text_.data() + start, text_.data() + position_, value.number_);
    value.type_ = Json::Type::Number;
    if (parsed.ec != std::errc()) {
      position_ = start;
      fail("a number that a double holds");
    }
  }

  uint32_t read_hex() {
    uint32_t code = 0;
    for (int i = 0; i < 4; i++, position_++) {
      const char c = peek();
      if (c >= '0' && c <= '9')
        code = code * 16 + static_cast<uint32_t>(c - '0');
      else if (c >= 'a' && c <= 'f')
        code = code * 16 + static_cast<uint32_t>(c - 'a' + 10);
      else if (c >= 'A' && c <= 'F')
        code = code * 16 + static_cast<uint32_t>(c - 'A' + 10);
      else
        fail("a hexadecimal digit");
    }
    return code;
  }

  void read_escape(std::string& to) {
    static constexpr std::string_view kNames = "\"\\/bfnrt", kValues = "\"\\/\b\f\n\r\t";
    const size_t name = position_ < text_.size() ? kNames.find(text_[position_]) : std::string_view::npos;
    if (name != std::string_view::npos) {
      position_++;
      to += kValues[name];
      return;
    }
    if (!accept('u')) fail("an escape");
    uint32_t code = read_hex();
    if (code >= 0xdc00 && code < 0xe000) fail("a high surrogate first");
    if (code >= 0xd800 && code < 0xdc00) {
      if (!accept('\\') || !accept('u')) fail("a low surrogate");
      const uint32_t low = read_hex();
      if (low < 0xdc00 || low >= 0xe000) fail("a low surrogate");
      code = 0x10000 + ((code - 0xd800) << 10) + (low - 0xdc00);
    }
    append_utf8(to, code);
  }

  void read_multibyte(std::string& to) {
    const auto lead = static_cast<unsigned char>(text_[position_]);
    const int more = lead >= 0xf0 && lead < 0xf5   ? 3
                     : lead >= 0xe0 && lead < 0xf0 ? 2
                     : lead >= 0xc2 && lead < 0xe0 ? 1
                                                   : 0;
    if (more == 0) fail("UTF-8");
    const size_t start = position_++;
    uint32_t code = lead & (0x3fu >> more);
    for (int i = 0; i < more; i++, position_++) {
      const auto c = static_cast<unsigned char>(peek());
      if ((c & 0xc0) != 0x80) fail("UTF-8");
      code = code << 6 | (c & 0x3f);
    }
    const uint32_t least = more == 3 ? 0x10000 : more == 2 ? 0x800 : 0x80;
    if (code < least || code > 0x10ffff || (code >= 0xd800 && code < 0xe000)) {
      position_ = start;
      fail("UTF-8");
    }
    to += text_.substr(start, position_ - start);
  }

  std::string read_string() {
    std::string to;
    position_++;
    while (true) {
      if (position_ >= text_.size()) fail("the end of a string");
      const auto c = static_cast<unsigned char>(text_[position_]);
      if (c < 0x20) fail("no control character in a string");
      if (c >= 0x80) {
        read_multibyte(to);
        continue;
      }
      position_++;
      if (c == '"') return to;
      if (c == '\\')
        read_escape(to);
      else
        to += static_cast<char>(c);
    }
  }

  std::string_view text_;
  size_t position_ = 0;
};

Json Json::parse(std::string_view text) { return JsonReader(text).document(); }

bool Json::is_integer() const {
  return type_ == Type::Number && std::floor(number_) == number_ && std::abs(number_) <= 9007199254740992.0;
}

const Json* Json::find(std::string_view key) const {
  const auto found = std::find_if(object_.begin(), object_.end(), [key](const Member& m) { return m.first == key; });
  return found == object_.end() ? nullptr : &found->second;
}

std::string Json::brief() const {
  switch (type_) {
    case Type::Null:
      return "null";
    case Type::Boolean:
      return boolean() ? "true" : "false";
    case Type::String:
      return '"' + (string_.size() > 40 ? string_.substr(0, 40) + "…" : string_) + '"';
    case Type::Array:
      return "an array";
    case Type::Object:
      return "an object";
    case Type::Number:
      break;
  }
  char text[32];
  return std::string(text, std::to_chars(text, text + sizeof text, number_).ptr);
}

}  // namespace pi05
