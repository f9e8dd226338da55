// Captured CUDA graphs of whole inferences, the most recently used ones.
#pragma once

#include <cuda_runtime.h>

#include <functional>
#include <list>

#include "backend/ops.h"

namespace pi05 {

class GraphCache {
 public:
  // What a graph depends on. Everything else is read from buffers when it runs.
  struct Key {
    Shape shape;
    bool frozen_rows;  // whether an action row is frozen: the persistent kernel has a variant for that

    bool operator==(const Key& other) const { return frozen_rows == other.frozen_rows && shape == other.shape; }
  };

  // The stream must outlive the cache.
  explicit GraphCache(cudaStream_t stream) : stream_(stream) {}
  ~GraphCache() { clear(); }
  GraphCache(const GraphCache&) = delete;
  GraphCache& operator=(const GraphCache&) = delete;

  // Launches the graph of `key`. Captures it first if it is not cached: `enqueue` then enqueues the inference on the
  // stream, which executes nothing.
  void launch(const Key& key, const std::function<void()>& enqueue);
  // Captures and uploads that graph without launching it.
  void prepare(const Key& key, const std::function<void()>& enqueue);
  // Destroys all graphs, after the stream has finished. To be called before a buffer that they use is freed.
  void clear();
  bool capturing() const { return capturing_; }

 private:
  struct CapturedGraph {
    Key key;
    cudaGraphExec_t executable;
  };

  cudaGraphExec_t find_or_capture(const Key& key, const std::function<void()>& enqueue);
  cudaGraphExec_t capture(const std::function<void()>& enqueue);

  cudaStream_t stream_;
  std::list<CapturedGraph> graphs_;  // most recently used first
  bool capturing_ = false;
};

}  // namespace pi05
