// A minimal test framework: TEST(claim) { CHECK(…); CHECK_LE(measured, tolerance); }, and RUN_TESTS() at the end of the
// file.
#pragma once

#include <cstdio>
#include <cstring>
#include <exception>
#include <vector>

namespace check {

struct Test {
  const char* claim;
  void (*body)();
};

inline std::vector<Test>& tests() {
  static std::vector<Test> all;
  return all;
}

inline int& failures() {
  static int count = 0;
  return count;
}

inline bool add(const char* claim, void (*body)()) { return tests().push_back({claim, body}), true; }

inline void fail(const char* file, int line, const char* text) {
  failures()++;
  std::printf("%s:%d: %s\n", file, line, text);
}

// Runs the tests whose claim contains `filter`. Returns 1 if one failed or none was run.
inline int run(const char* filter = "") {
  int failed = 0, count = 0;
  for (const Test& test : tests()) {
    if (!std::strstr(test.claim, filter)) continue;
    count++;
    const int before = failures();
    try {
      test.body();
    } catch (const std::exception& error) {
      fail(test.claim, 0, error.what());
    }
    const bool passed = failures() == before;
    failed += !passed;
    std::printf("%s %s\n", passed ? "ok    " : "FAILED", test.claim);
  }
  return count == 0 || failed ? 1 : 0;
}

}  // namespace check

#define TEST(claim)                                            \
  static void claim();                                         \
  static const bool claim##_added = check::add(#claim, claim); \
  static void claim()

#define CHECK(condition)                                           \
  do {                                                             \
    if (!(condition)) check::fail(__FILE__, __LINE__, #condition); \
  } while (0)

// Prints the measurement and its tolerance; fails for NaN.
#define CHECK_LE(measured, tolerance)                                                                            \
  do {                                                                                                           \
    const double check_measured = (measured), check_tolerance = (tolerance);                                     \
    std::printf("       %s = %.3g, at most %.3g\n", #measured, check_measured, check_tolerance);                 \
    if (!(check_measured <= check_tolerance)) check::fail(__FILE__, __LINE__, #measured " exceeds " #tolerance); \
  } while (0)

#define RUN_TESTS() \
  int main(int count, char** arguments) { return check::run(count > 1 ? arguments[1] : ""); }
