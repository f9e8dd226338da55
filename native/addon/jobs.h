// The jobs of a worker: open, prepare, infer, close; inspect a checkpoint, make one.
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

// The object behind a JS session handle. Used on the JS thread; the worker owns the native session.
struct Session {
  explicit Session(CompletionQueue& completions) : worker(completions) {}
  Worker worker;
  pi05_info info = {};  // do not use its strings: they are not valid after the native session is closed
  bool busy = false;    // a RequestJob exists
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

// A request to an open session, which is busy until the job is destroyed.
class RequestJob : public Job {
 public:
  RequestJob(Napi::Env env, std::shared_ptr<Session> session, std::unique_ptr<InferArguments> arguments);
  ~RequestJob() override;

 protected:
  std::shared_ptr<Session> session_;
  std::unique_ptr<InferArguments> arguments_;
};

// Fills the borrowed `actions`. Resolves with {milliseconds, trace: [{name, shape, data}]}.
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
  static void AddTensor(void* user, const char* name, const float* data, const int64_t* shape, int32_t rank) noexcept;

  double milliseconds_ = 0;
  std::vector<Tensor> trace_;
  std::exception_ptr callback_error_;
};

// Prepares for requests like this one; its noise and tokens do not matter.
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

// Resolves with the description of a checkpoint and its problems.
class InspectJob : public Job {
 public:
  InspectJob(Napi::Env env, std::shared_ptr<Worker> worker, std::string directory);

 protected:
  pi05_status Work(pi05_session** session) override;
  Napi::Value Result(Napi::Env env) override;

 private:
  struct Problem {
    const char* code;
    std::string message;
  };
  static void AddProblem(void* user, pi05_status status, const char* text) noexcept;

  std::shared_ptr<Worker> worker_;  // destroyed with the job
  std::string directory_;
  pi05_description description_ = {};
  std::vector<Problem> problems_;
  std::exception_ptr callback_error_;
};

class MakeCheckpointJob : public Job {
 public:
  MakeCheckpointJob(Napi::Env env, std::shared_ptr<Worker> worker, std::string directory, pi05_size size,
                    uint64_t seed);

 protected:
  pi05_status Work(pi05_session** session) override;
  Napi::Value Result(Napi::Env env) override;

 private:
  std::shared_ptr<Worker> worker_;  // destroyed with the job
  std::string directory_;
  pi05_size size_;
  uint64_t seed_;
};

}  // namespace pi05::addon
