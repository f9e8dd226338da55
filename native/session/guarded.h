// The boundary of the C ABI: exceptions become a status and the calling thread's last error.
#pragma once

#include <exception>
#include <new>
#include <string>

#include "error.h"
#include "pi05/pi05.h"

namespace pi05 {

// Empty after a call that succeeded; what pi05_last_error() returns.
std::string& last_error();

template <typename Work>
pi05_status guarded(Work work) {
  try {
    try {
      last_error().clear();
      work();
      return PI05_OK;
    } catch (const Error& error) {
      last_error() = error.what();
      return error.status();
    } catch (const std::bad_alloc&) {
      last_error() = "Allocation of host memory failed: out of memory";
      return PI05_OUT_OF_MEMORY;
    } catch (const std::exception& error) {
      last_error() = std::string("Inference engine failed: ") + error.what();
      return PI05_ENGINE_FAILED;
    }
  } catch (...) {  // no memory for the sentence
    return PI05_ENGINE_FAILED;
  }
}

}  // namespace pi05
