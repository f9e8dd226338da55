/* pi05: the Pi0.5 vision-language-action model, inference only. C ABI.
 *
 * A session is opaque. Every call returns a status; pi05_last_error() has one sentence for the calling thread.
 * Buffers passed in are borrowed for the call; buffers named "out" belong to the caller.
 * A session takes one inference at a time; different sessions are independent. */
#ifndef PI05_H
#define PI05_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#if defined(_WIN32)
#define PI05_API
#else
#define PI05_API __attribute__((visibility("default")))
#endif

typedef enum pi05_status {
  PI05_OK = 0,
  PI05_INVALID_ARGUMENT = 1,
  PI05_CHECKPOINT_MISSING = 2,
  PI05_CHECKPOINT_TENSORS = 3,
  PI05_BACKEND_UNAVAILABLE = 4,
  PI05_OUT_OF_MEMORY = 5,
  PI05_ENGINE_FAILED = 6,
  PI05_DRIVER_TOO_OLD = 7, /* the GPU's driver does not know the CUDA that this was built with */
  PI05_DEVICE_LOST = 8     /* the GPU fails whatever this process asks of it from now on */
} pi05_status;

/* "CHECKPOINT_TENSORS" for PI05_CHECKPOINT_TENSORS, and so on. Static storage. */
PI05_API const char* pi05_status_name(pi05_status status);

/* What the calling thread's last failed call had to say. Valid until that thread's next pi05 call. */
PI05_API const char* pi05_last_error(void);

/* Limits of the engine. They are the same for every checkpoint. */
typedef struct pi05_limits {
  int32_t max_flow_steps; /* largest pi05_request.steps, and the largest number that a checkpoint may have as its own */
  int32_t max_image_side; /* pixels; see pi05_image for the limit on the aspect ratio */
  int32_t max_threads;    /* largest pi05_options.threads */
} pi05_limits;

PI05_API pi05_limits pi05_get_limits(void);

typedef enum pi05_backend { PI05_BACKEND_AUTO = 0, PI05_BACKEND_CPU = 1, PI05_BACKEND_CUDA = 2 } pi05_backend;
typedef enum pi05_family { PI05_FAMILY_OPENPI = 0, PI05_FAMILY_LEROBOT = 1 } pi05_family;
typedef enum pi05_resize { PI05_RESIZE_PILLOW = 0, PI05_RESIZE_LEROBOT = 1 } pi05_resize;

typedef struct pi05_options {
  const char* checkpoint; /* directory */
  pi05_backend backend;
  int32_t threads;      /* CPU backend; 0 = one per core */
  int32_t low_priority; /* 1 = inference threads at SCHED_IDLE, or nice 10 where that is refused */
} pi05_options;

typedef struct pi05_info {
  pi05_family family;
  const char* family_reason; /* valid while the session lives */
  pi05_resize resize;
  pi05_backend backend;       /* never AUTO */
  const char* backend_reason; /* why AUTO did not take the GPU, otherwise empty; valid while the session lives */
  int32_t state_in_prompt;
  int32_t slots;
  int32_t image_size; /* pixels a side of the square that images are resized to; also their largest aspect ratio */
  int32_t action_dim;
  int32_t horizon;
  int32_t flow_steps;
  int32_t max_tokens;
  int32_t vocab;
  int32_t rtc_trained_max_delay;
  int64_t parameters;
  int64_t weight_bytes;
} pi05_info;

typedef struct pi05_session pi05_session;

/* Loads a checkpoint. Everything wrong with its tensors is in the one error text, a line each. On failure *out is NULL:
 * PI05_CHECKPOINT_MISSING, _CHECKPOINT_TENSORS, _BACKEND_UNAVAILABLE, _DRIVER_TOO_OLD, _OUT_OF_MEMORY, _DEVICE_LOST. */
PI05_API pi05_status pi05_open(const pi05_options* options, pi05_session** out);
PI05_API void pi05_close(pi05_session* session);
PI05_API pi05_status pi05_get_info(const pi05_session* session, pi05_info* out);

typedef struct pi05_stored {
  int64_t tensors;
  int64_t bytes;
} pi05_stored;

typedef struct pi05_description {
  pi05_info info; /* backend AUTO: no engine was made; its texts are static */
  int32_t patch;
  int32_t vision_width, vision_layers;
  int32_t prefix_width, prefix_layers;
  int32_t expert_width, expert_layers;
  pi05_stored f32, bf16, f16, other; /* what the files hold, by type */
  int64_t used_parameters;           /* without those that no inference needs */
  int64_t read_bytes;                /* what every inference reads: what is used but the embedding table */
} pi05_description;

/* One thing wrong: a status, and a sentence, which may have details a line each. text is valid for the call. */
typedef void (*pi05_fault_fn)(void* user, pi05_status status, const char* text);

/* What a checkpoint's headers say, without reading a weight. PI05_OK also where something is wrong with it: `fault` is
 * called for everything that is, and out holds what could be known. PI05_CHECKPOINT_MISSING: there is no directory. */
PI05_API pi05_status pi05_inspect(const char* directory, pi05_description* out, pi05_fault_fn fault, void* user);

typedef enum pi05_pixels {
  PI05_PIXELS_RGB8 = 0,
  PI05_PIXELS_BGR8 = 1,
  PI05_PIXELS_RGBA8 = 2,
  PI05_PIXELS_BGRA8 = 3,
  PI05_PIXELS_MONO8 = 4
} pi05_pixels;

/* One camera image. Both sides are 1 to pi05_limits.max_image_side, and the longer side is at most pi05_info.image_size
 * times the shorter: openpi and LeRobot truncate the resized side, int(short_side / (long_side / image_size)), which is
 * 0 beyond that ratio. */
typedef struct pi05_image {
  const uint8_t* data; /* (height, step) bytes; NULL = no camera in this slot */
  int32_t width;       /* pixels */
  int32_t height;      /* pixels */
  int64_t step;        /* bytes from one row to the next, at least those of width pixels */
  pi05_pixels pixels;
  int64_t bytes; /* size of data, at least height * step */
} pi05_image;

typedef enum pi05_rtc_mode { PI05_RTC_NONE = 0, PI05_RTC_GUIDED = 1, PI05_RTC_TRAINED = 2 } pi05_rtc_mode;
typedef enum pi05_rtc_schedule {
  PI05_RTC_LINEAR = 0,
  PI05_RTC_EXP = 1,
  PI05_RTC_ONES = 2,
  PI05_RTC_ZEROS = 3
} pi05_rtc_schedule;

typedef struct pi05_rtc {
  pi05_rtc_mode mode;
  pi05_rtc_schedule schedule;
  const float* previous; /* (previous_rows, action_dim) normalised */
  int32_t previous_rows;
  int32_t delay;
  int32_t execution_horizon;
  float max_weight;
} pi05_rtc;

/* Called once per intermediate tensor, on the calling thread, during pi05_infer. data is valid for the call. */
typedef void (*pi05_trace_fn)(void* user, const char* name, const float* data, const int64_t* shape, int32_t rank);

typedef struct pi05_request {
  const pi05_image* images; /* (slots) in slot order */
  const int32_t* tokens;    /* (token_count) valid ids only */
  int32_t token_count;
  const float* noise; /* (horizon, action_dim) */
  int32_t steps;      /* 0 = the checkpoint's own number */
  pi05_rtc rtc;
  pi05_trace_fn trace; /* NULL = none */
  void* trace_user;
} pi05_request;

/* Gets ready for requests of such images, steps and chunking, whatever their prompt's length, so that none of them
 * takes longer than the others: a GPU records the inference of each length here, the CPU has nothing to do. trace is
 * ignored. */
PI05_API pi05_status pi05_prepare(pi05_session* session, const pi05_request* request);

/* actions: out, (horizon, action_dim) normalised; not to be used where the call fails. PI05_INVALID_ARGUMENT leaves the
 * session as it was; after PI05_DEVICE_LOST only closing it is of use. */
PI05_API pi05_status pi05_infer(pi05_session* session, const pi05_request* request, float* actions);

/* Resizes as the model does, without a model: out (size, size, 3). Pillow's: uint8 values; LeRobot's: 0..1. Padding is
 * 0, which the model sees as -1. */
PI05_API pi05_status pi05_resize_pillow(const pi05_image* image, int32_t size, uint8_t* out);
PI05_API pi05_status pi05_resize_lerobot(const pi05_image* image, int32_t size, float* out);

typedef enum pi05_size { PI05_SIZE_TINY = 0, PI05_SIZE_DEMO = 1, PI05_SIZE_FULL = 2 } pi05_size;

/* Writes model.safetensors and pi05_model.json with random weights of the fixtures' distribution (adaRMS gates about
 * 0.35). Same size and seed, same bytes. The directory must exist. */
PI05_API pi05_status pi05_make_checkpoint(const char* directory, pi05_size size, uint64_t seed);

#ifdef __cplusplus
}
#endif

#endif
