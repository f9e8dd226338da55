// A small strict JSON reader (RFC 8259: no comments, no trailing commas, no duplicate keys, valid UTF-8). The project
// has its own reader because neither npm nor PyPI has a C++ JSON library whose version could be pinned.
#pragma once

#include <cstdint>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace pi05 {

// A syntax error: expected and received, with the byte offset.
class JsonError : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

class Json {
 public:
  enum class Type { Null, Boolean, Number, String, Array, Object };
  using Member = std::pair<std::string, Json>;

  // Throws JsonError.
  static Json parse(std::string_view text);

  Type type() const { return type_; }
  bool is(Type type) const { return type_ == type; }

  // Each is valid for values of its type only.
  bool boolean() const { return number_ != 0; }
  double number() const { return number_; }
  const std::string& string() const { return string_; }
  const std::vector<Json>& array() const { return array_; }
  const std::vector<Member>& object() const { return object_; }  // in the order of the file

  // Whether this is a number without a fraction that a double represents exactly.
  bool is_integer() const;
  int64_t integer() const { return static_cast<int64_t>(number_); }

  // A member of an object, or null where there is none.
  const Json* find(std::string_view key) const;

  // The value for an error sentence, shortened.
  std::string brief() const;

 private:
  friend class JsonReader;
  Type type_ = Type::Null;
  double number_ = 0;
  std::string string_;
  std::vector<Json> array_;
  std::vector<Member> object_;
};

}  // namespace pi05
