/* pi05: inference of the Pi0.5 vision-language-action model. C ABI.
 *
 * Errors: a call that can fail returns a status, and pi05_last_error() has one sentence about the calling thread's last
 * call. After a failure, "out" buffers have unspecified contents.
 *
 * Buffers: input buffers are borrowed for the call. Output buffers are the caller's.
 *
 * Strings: arguments are zero-terminated UTF-8. Results are valid as long as their comment says.
 *
 * Threads: a session runs one inference at a time; a second one meanwhile returns PI05_INVALID_ARGUMENT. Sessions are
 * independent of each other. */
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
  PI05_CHECKPOINT_MISSING = 2, /* a directory or file cannot be read or written */
  PI05_CHECKPOINT_TENSORS = 3, /* a file is damaged, or its contents are not a Pi0.5 model */
  PI05_BACKEND_UNAVAILABLE = 4,
  PI05_OUT_OF_MEMORY = 5,
  PI05_ENGINE_FAILED = 6,
  PI05_DRIVER_TOO_OLD = 7,      /* the GPU driver does not support the CUDA version of this build */
  PI05_DEVICE_LOST = 8,         /* every further CUDA call of this process fails */
  PI05_CHECKPOINT_AMBIGUOUS = 9 /* the files do not say what the results depend on, such as the horizon */
} pi05_status;

/* "CHECKPOINT_TENSORS" for PI05_CHECKPOINT_TENSORS, and so on. Static storage. */
PI05_API const char* pi05_status_name(pi05_status status);

/* The error sentence of the calling thread's last pi05 call, empty if that call succeeded. Valid until the thread's
 * next pi05 call. */
PI05_API const char* pi05_last_error(void);

/* Limits of the engine. They are the same for every checkpoint. */
typedef struct pi05_limits {
  int32_t max_flow_steps; /* largest pi05_request.steps, and largest pi05_info.flow_steps of a checkpoint */
  int32_t max_image_side; /* pixels; see pi05_image for the limit on the aspect ratio */
  int32_t max_threads;    /* largest pi05_options.threads */
} pi05_limits;

PI05_API pi05_limits pi05_get_limits(void);

typedef enum pi05_backend { PI05_BACKEND_AUTO = 0, PI05_BACKEND_CPU = 1, PI05_BACKEND_CUDA = 2 } pi05_backend;
/* Of the matrix products of the CUDA backend. BF16: 16 bits. FP8: e4m3 for q, k, v, gate, up and down of the prefix
 * (Gemma 2B), with scales computed from the weights at load and from the activations of each inference, and 16 bits
 * elsewhere; needs a GPU of compute capability 9.0. */
typedef enum pi05_precision { PI05_PRECISION_BF16 = 0, PI05_PRECISION_FP8 = 1 } pi05_precision;
typedef enum pi05_family { PI05_FAMILY_OPENPI = 0, PI05_FAMILY_LEROBOT = 1 } pi05_family;
typedef enum pi05_resize {
  PI05_RESIZE_PILLOW = 0,
  PI05_RESIZE_LEROBOT = 1,
  PI05_RESIZE_LEROBOT_BEFORE_0_5 = 2 /* borders of images that are not square are -3 after scaling, not -1 */
} pi05_resize;

typedef struct pi05_options {
  const char* checkpoint;   /* directory */
  pi05_backend backend;     /* AUTO: CUDA if it is available and supports the model, otherwise CPU */
  int32_t threads;          /* CPU backend; 0 = one per core */
  int32_t low_priority;     /* CPU backend; 1 = worker threads run as after pi05_lower_thread_priority() */
  pi05_precision precision; /* FP8: for the CUDA backend only; AUTO does not choose the CPU then */
} pi05_options;

/* Lowers the priority of the calling thread to SCHED_IDLE, or to nice 10 where the system does not permit that. For a
 * thread that calls pi05_infer() on the CPU backend: it computes a share of the inference itself. */
PI05_API void pi05_lower_thread_priority(void);

typedef struct pi05_info {
  pi05_family family;
  const char* family_reason; /* how the family was detected, one clause; valid until pi05_close() */
  pi05_resize resize;
  pi05_backend backend;       /* CPU or CUDA */
  const char* backend_reason; /* why AUTO chose the CPU, one sentence, otherwise empty; valid until pi05_close() */
  int32_t state_in_prompt;    /* 1 = the prompt contains the discretised robot state */
  int32_t padded_state;       /* numbers of the state in the prompt: the normalised state is padded with zeros up to
                                 this many before it is discretised; 0 = it is not padded */
  int32_t slots;              /* camera images per request */
  int32_t image_size; /* pixels a side of the square that images are resized to; also their largest aspect ratio */
  int32_t action_dim; /* values per action */
  int32_t horizon;    /* actions per chunk; 0 = no file states it (pi05_inspect only) */
  int32_t flow_steps; /* number of flow-matching steps of the checkpoint */
  int32_t max_tokens; /* prompt tokens */
  int32_t vocab;      /* token ids are 0 to vocab - 1 */
  int32_t rtc_trained_max_delay; /* steps; 0 = not trained for real-time chunking */
  int64_t parameters;            /* values stored in the files */
  int64_t weight_bytes;          /* size of those values */
} pi05_info;

typedef struct pi05_session pi05_session;

/* Loads a checkpoint. The error text has all problems of its files, one per line. On failure *out is NULL:
 * PI05_CHECKPOINT_MISSING, _CHECKPOINT_TENSORS, _CHECKPOINT_AMBIGUOUS, _BACKEND_UNAVAILABLE, _DRIVER_TOO_OLD,
 * _OUT_OF_MEMORY, _DEVICE_LOST. */
PI05_API pi05_status pi05_open(const pi05_options* options, pi05_session** out);

/* Frees a session; NULL is ignored. No other call may use the session at the same time. */
PI05_API void pi05_close(pi05_session* session);

PI05_API pi05_status pi05_get_info(const pi05_session* session, pi05_info* out);

/* Totals of the stored tensors of one type. */
typedef struct pi05_stored {
  int64_t tensors;
  int64_t bytes;
} pi05_stored;

typedef struct pi05_description {
  pi05_info info; /* backend AUTO, since none is created; its strings are static */
  int32_t patch;  /* pixels a side of a SigLIP patch */
  int32_t vision_width, vision_layers;
  int32_t prefix_width, prefix_layers;
  int32_t expert_width, expert_layers;
  pi05_stored f32, bf16, f16, other; /* tensors in the files, by type */
  int64_t used_parameters;           /* without tensors that inference does not use */
  int64_t read_bytes;                /* weights read by every inference: used tensors without the embedding table */
} pi05_description;

/* Called once per problem: a status and a sentence, which may be followed by details, one per line. text is borrowed.
 */
typedef void (*pi05_problem_fn)(void* user, pi05_status status, const char* text);

/* Describes a checkpoint from the headers of its files, without reading weights. Returns PI05_OK for a checkpoint with
 * problems too: `problem` is called for each of them, and *out has what could be read. PI05_CHECKPOINT_MISSING: the
 * directory does not exist. */
PI05_API pi05_status pi05_inspect(const char* directory, pi05_description* out, pi05_problem_fn problem, void* user);

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

/* Real-time chunking: how a chunk is made consistent with the rest of the previous one. */
typedef enum pi05_rtc_mode { PI05_RTC_NONE = 0, PI05_RTC_GUIDED = 1, PI05_RTC_TRAINED = 2 } pi05_rtc_mode;
typedef enum pi05_rtc_schedule {
  PI05_RTC_LINEAR = 0,
  PI05_RTC_EXP = 1,
  PI05_RTC_ONES = 2,
  PI05_RTC_ZEROS = 3
} pi05_rtc_schedule;

typedef struct pi05_rtc {
  pi05_rtc_mode mode;         /* NONE: the other members are ignored */
  pi05_rtc_schedule schedule; /* GUIDED only: prefix weights between delay and execution_horizon */
  const float* previous;      /* (previous_rows, action_dim) normalised actions that are not executed yet */
  int32_t previous_rows;      /* 1 to horizon */
  int32_t delay;              /* rows that are executed during the inference, 0 to previous_rows */
  int32_t execution_horizon;  /* GUIDED only: first row with prefix weight 0, at least 1 */
  float max_weight;           /* GUIDED only: largest guidance weight, above 0 */
} pi05_rtc;

/* Called once per intermediate tensor, on the calling thread, during pi05_infer(). name, data (float32, row-major) and
 * shape (rank) are borrowed. */
typedef void (*pi05_trace_fn)(void* user, const char* name, const float* data, const int64_t* shape, int32_t rank);

typedef struct pi05_request {
  const pi05_image* images; /* (slots) in slot order; at least one with data */
  const int32_t* tokens;    /* (token_count) prompt token ids without padding */
  int32_t token_count;      /* 1 to max_tokens */
  const float* noise;       /* (horizon, action_dim) standard normal */
  int32_t steps;            /* flow-matching steps; 0 = the checkpoint's number */
  pi05_rtc rtc;
  pi05_trace_fn trace; /* NULL = none */
  void* trace_user;
} pi05_request;

/* Prepares for requests with the image sizes, encodings, steps and RTC mode of this one and prompts of every length, so
 * that none of them is slower than the others. On a GPU this captures one CUDA graph per prompt length; on the CPU it
 * does nothing. trace is ignored. */
PI05_API pi05_status pi05_prepare(pi05_session* session, const pi05_request* request);

/* Runs one inference. actions: out, (horizon, action_dim) normalised. After PI05_INVALID_ARGUMENT the session is
 * unchanged and actions is not written; after PI05_DEVICE_LOST the session can only be closed. */
PI05_API pi05_status pi05_infer(pi05_session* session, const pi05_request* request, float* actions);

/* Resize an image as the model does, with padding, to out (size, size, 3). Padding is 0, which is -1 for the model.
 * Pillow: uint8 values. LeRobot: values 0 to 1. */
PI05_API pi05_status pi05_resize_pillow(const pi05_image* image, int32_t size, uint8_t* out);
PI05_API pi05_status pi05_resize_lerobot(const pi05_image* image, int32_t size, float* out);

#ifdef __cplusplus
}
#endif

#endif
