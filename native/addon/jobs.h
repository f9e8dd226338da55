// What a worker does: open a session, prepare it, infer, close it, look at a checkpoint, write one.
#pragma once

#include <napi.h>

#include <cstdint>
#include <exception>
#include <memory>
#include <string>
#include <vector>

#include "arguments.h"
#include "job.h"
#include "worker.h"

namespace pi05::addon {

// What a JS session handle points to. Used on the JS thread; the native session itself belongs to the worker.
struct Session {
  explicit Session(Delivery& delivery) : worker(delivery) {}
  Worker worker;
  pi05_info info = {};  // without its texts, which end with the native session
  bool busy = false;    // an inference or a preparation was asked for and has not settled
  bool closed = false;
};

using SessionHandle = Napi::External<std::shared_ptr<Session>>;

// Resolves with {session: handle, info}.
class OpenJob : public Job {
 public:
  OpenJob(Napi::Env env, std::shared_ptr<Session> session, std::string checkpoint, const pi05_options& options);

 protected:
  pi05_status Work(pi05_session** session) override;
  Napi::Value Result(Napi::Env env) override;

 private:
  std::shared_ptr<Session> session_;
  std::string checkpoint_;
  pi05_options options_;
  pi05_info info_ = {};
};

// What is asked of an open session, which is busy until the job is gone.
class RequestJob : public Job {
 public:
  RequestJob(Napi::Env env, std::shared_ptr<Session> session, std::unique_ptr<InferArguments> arguments);
  ~RequestJob() override;

 protected:
  std::shared_ptr<Session> session_;
  std::unique_ptr<InferArguments> arguments_;
};

// Fills the borrowed `actions`; resolves with {milliseconds, trace: [{name, shape, data}]}.
class InferJob : public RequestJob {
 public:
  using RequestJob::RequestJob;

 protected:
  pi05_status Work(pi05_session** session) override;
  Napi::Value Result(Napi::Env env) override;

 private:
  struct Tensor {
    std::string name;
    std::vector<int64_t> shape;
    std::vector<float> data;
  };
  static void Keep(void* user, const char* name, const float* data, const int64_t* shape, int32_t rank) noexcept;

  double milliseconds_ = 0;
  std::vector<Tensor> trace_;
  std::exception_ptr failure_;
};

// Gets ready for requests like the given one, whose noise and tokens do not matter.
class PrepareJob : public RequestJob {
 public:
  using RequestJob::RequestJob;

 protected:
  pi05_status Work(pi05_session** session) override;
  Napi::Value Result(Napi::Env env) override;
};

class CloseJob : public Job {
 public:
  CloseJob(Napi::Env env, std::shared_ptr<Session> session);

 protected:
  pi05_status Work(pi05_session** session) override;
  Napi::Value Result(Napi::Env env) override;

 private:
  std::shared_ptr<Session> session_;
};

// Resolves with what the checkpoint is and everything wrong with it.
class InspectJob : public Job {
 public:
  InspectJob(Napi::Env env, std::shared_ptr<Worker> worker, std::string directory);

 protected:
  pi05_status Work(pi05_session** session) override;
  Napi::Value Result(Napi::Env env) override;

 private:
  struct Fault {
    const char* code;
    std::string message;
  };
  static void Keep(void* user, pi05_status status, const char* text) noexcept;

  std::shared_ptr<Worker> worker_;  // ends with the job
  std::string directory_;
  pi05_description description_ = {};
  std::vector<Fault> faults_;
  std::exception_ptr failure_;
};

class MakeCheckpointJob : public Job {
 public:
  MakeCheckpointJob(Napi::Env env, std::shared_ptr<Worker> worker, std::string directory, pi05_size size,
                    uint64_t seed);

 protected:
  pi05_status Work(pi05_session** session) override;
  Napi::Value Result(Napi::Env env) override;

 private:
  std::shared_ptr<Worker> worker_;  // ends with the job
  std::string directory_;
  pi05_size size_;
  uint64_t seed_;
};

}  // namespace pi05::addon
