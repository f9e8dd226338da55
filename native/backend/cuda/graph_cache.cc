#include "backend/cuda/graph_cache.h"

#include <algorithm>

#include "backend/cuda/check.h"

namespace pi05 {
namespace {

constexpr size_t kMaxGraphs = 512;  // more than twice the prompt lengths, at about 1 MB of GPU memory each

}  // namespace

void GraphCache::launch(const Key& key, const std::function<void()>& enqueue) {
  check(cudaGraphLaunch(find_or_capture(key, enqueue), stream_), "cudaGraphLaunch (inference)");
}

void GraphCache::prepare(const Key& key, const std::function<void()>& enqueue) {
  check(cudaGraphUpload(find_or_capture(key, enqueue), stream_), "cudaGraphUpload (inference)");
}

void GraphCache::clear() {
  if (graphs_.empty()) return;
  cudaStreamSynchronize(stream_);
  for (const CapturedGraph& graph : graphs_) cudaGraphExecDestroy(graph.executable);
  graphs_.clear();
}

cudaGraphExec_t GraphCache::find_or_capture(const Key& key, const std::function<void()>& enqueue) {
  const auto found =
      std::find_if(graphs_.begin(), graphs_.end(), [&](const CapturedGraph& graph) { return graph.key == key; });
  if (found != graphs_.end()) {
    graphs_.splice(graphs_.begin(), graphs_, found);
  } else {
    if (graphs_.size() == kMaxGraphs) {
      check(cudaGraphExecDestroy(graphs_.back().executable), "cudaGraphExecDestroy");
      graphs_.pop_back();
    }
    graphs_.push_front({key, capture(enqueue)});
  }
  return graphs_.front().executable;
}

cudaGraphExec_t GraphCache::capture(const std::function<void()>& enqueue) {
  check(cudaStreamBeginCapture(stream_, cudaStreamCaptureModeThreadLocal), "cudaStreamBeginCapture");
  capturing_ = true;
  cudaGraph_t graph = nullptr;
  try {
    enqueue();
  } catch (...) {
    capturing_ = false;
    cudaStreamEndCapture(stream_, &graph);
    if (graph) cudaGraphDestroy(graph);
    cudaGetLastError();  // clear it: the next launch must not report it
    throw;
  }
  capturing_ = false;
  check(cudaStreamEndCapture(stream_, &graph), "cudaStreamEndCapture");
  cudaGraphExec_t executable = nullptr;
  const cudaError_t result = cudaGraphInstantiate(&executable, graph, 0);
  cudaGraphDestroy(graph);
  check(result, "cudaGraphInstantiate");
  return executable;
}

}  // namespace pi05
