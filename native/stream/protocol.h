// The binary protocol of pi05_stream; its client is training/engine.py. Little-endian, without padding.
//
//   at the start        ← Greeting
//   for each inference  → RequestHeader; ImageSize (slots);
//                         body: tokens int32 (token_count), noise f32 (horizon, action_dim),
//                         previous chunk f32 (previous_rows, action_dim), pixels uint8 RGB (height, width, 3) of each
//                         image in slot order
//                       ← Response; actions f32 (horizon, action_dim), normalised
//
// The end of the input between two requests ends the process.
#pragma once

#include <cstdint>

namespace pi05_stream {

constexpr char kGreetingMagic[] = "PI05";
constexpr char kRequestMagic[] = "REQ1";
constexpr int32_t kVersion = 1;

struct Greeting {
  char magic[4];    // kGreetingMagic
  int32_t version;  // kVersion
  // As in pi05_info:
  int32_t backend, slots, image_size, action_dim, horizon, flow_steps, max_tokens, vocab, rtc_trained_max_delay;
};

struct RequestHeader {
  char magic[4];        // kRequestMagic
  uint32_t body_bytes;  // size of the body
  int32_t steps;        // as in pi05_request
  int32_t token_count;  // 1 to max_tokens
  // As in pi05_rtc. previous_rows is 0 without real-time chunking.
  int32_t rtc_mode, rtc_schedule, previous_rows, delay, execution_horizon;
  float max_weight;
};

struct ImageSize {
  int32_t width, height;  // pixels; 0 and 0 = no camera in this slot
};

struct Response {
  float milliseconds;  // duration of the inference
};

static_assert(sizeof(Greeting) == 44 && sizeof(RequestHeader) == 40 && sizeof(ImageSize) == 8 && sizeof(Response) == 4);

}  // namespace pi05_stream
