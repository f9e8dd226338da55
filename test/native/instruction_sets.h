// Runs a test with the loops of every instruction set that this processor supports.
#pragma once

#include <cstdio>

#include "backend/cpu/simd.h"

template <typename Body>
void on_every_instruction_set(const Body& body) {
  for (const pi05::Simd* instruction_set : pi05::simd_supported()) {
    pi05::simd_use(*instruction_set);
    std::printf("       on %s\n", instruction_set->name);
    body();
  }
}
