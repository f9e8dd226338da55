// The exception of the native code. session/guarded.h converts it into a status and a sentence at the C ABI.
#pragma once

#include <stdexcept>
#include <string>

#include "pi05/pi05.h"

namespace pi05 {

class Error : public std::runtime_error {
 public:
  Error(pi05_status status, const std::string& sentence) : std::runtime_error(sentence), status_(status) {}
  pi05_status status() const { return status_; }

 private:
  pi05_status status_;
};

}  // namespace pi05
