# The policy node on a plain ROS 2 image, built with colcon.
#   docker build -t pi05-ros .                                       with the CPU engine
#   docker build -t pi05-ros --build-arg ENGINE=cuda .               also with the CUDA engine
#   docker run --rm --network host --ipc host [--gpus all] -v /data:/data pi05-ros config:=pi05_droid checkpoint:=/data/pi05_droid
# --ipc host: camera images are transported through shared memory.
# On arm64 servers and Jetson Thor (JetPack 7) the same, with a CUDA 13 image for the GPU (not built yet; docs/ros-versions.md):
#   docker build -t pi05-ros --platform linux/arm64 --build-arg ENGINE=cuda \
#     --build-arg CUDA=nvidia/cuda:13.0.1-devel-ubuntu24.04 --build-arg CUDA_HOME=/usr/local/cuda-13.0 .
ARG ROS=ros:jazzy
ARG NODE=node:20-bookworm-slim
ARG CUDA=nvidia/cuda:12.8.1-devel-ubuntu24.04
ARG CUDA_HOME=/usr/local/cuda-12.8
ARG ENGINE=cpu

# Requires BuildKit, which builds only the stages for the chosen ENGINE.
FROM ${NODE} AS node
FROM ${CUDA} AS cuda

# cuBLASLt is the only CUDA library that the engine loads, apart from the driver, which the container runtime of the host provides.
# Its directory has another name on each architecture (targets/x86_64-linux, targets/sbsa-linux), and lib64 is a link to it.
FROM cuda AS cublas
ARG CUDA_HOME
RUN mkdir /cublas && cp -a ${CUDA_HOME}/lib64/libcublasLt.so.* /cublas/

# The Node.js of Ubuntu is older than 20.20. The official binary runs with any later glibc.
FROM ${ROS} AS base
SHELL ["/bin/bash", "-o", "pipefail", "-c"]
COPY --from=node /usr/local/bin/node /usr/local/bin/node
COPY --from=node /usr/local/include/node /usr/local/include/node
COPY --from=node /usr/local/lib/node_modules/npm /usr/local/lib/node_modules/npm
RUN ln -s ../lib/node_modules/npm/bin/npm-cli.js /usr/local/bin/npm \
 && ln -s ../lib/node_modules/npm/bin/npx-cli.js /usr/local/bin/npx

FROM base AS tools-cpu
FROM base AS tools-cuda
ARG CUDA_HOME
COPY --from=cuda ${CUDA_HOME} /usr/local/cuda
ENV PATH=/usr/local/cuda/bin:${PATH}

FROM tools-${ENGINE} AS build
RUN apt-get update \
 && apt-get install -y --no-install-recommends cmake make g++ python3 util-linux python3-colcon-common-extensions \
      ros-${ROS_DISTRO}-ament-cmake ros-${ROS_DISTRO}-rclpy ros-${ROS_DISTRO}-common-interfaces \
      ros-${ROS_DISTRO}-lifecycle-msgs ros-${ROS_DISTRO}-rcl-lifecycle ros-${ROS_DISTRO}-rcl-action \
 && rm -rf /var/lib/apt/lists/*
COPY . /workspace/src/pi05_ros
WORKDIR /workspace
RUN . /opt/ros/${ROS_DISTRO}/setup.bash && colcon build --packages-select pi05_ros --event-handlers console_direct+

FROM base AS run-cpu
FROM base AS run-cuda
COPY --from=cublas /cublas/ /usr/local/lib/
RUN ldconfig
ENV NVIDIA_VISIBLE_DEVICES=all NVIDIA_DRIVER_CAPABILITIES=compute,utility

FROM run-${ENGINE}
RUN apt-get update \
 && apt-get install -y --no-install-recommends ros-${ROS_DISTRO}-launch-ros ros-${ROS_DISTRO}-ros2launch \
      ros-${ROS_DISTRO}-ros2run ros-${ROS_DISTRO}-rclpy ros-${ROS_DISTRO}-common-interfaces ros-${ROS_DISTRO}-lifecycle-msgs \
      ros-${ROS_DISTRO}-rcl-lifecycle ros-${ROS_DISTRO}-rcl-action \
 && rm -rf /var/lib/apt/lists/*
COPY --from=build /workspace/install /workspace/install
RUN printf '%s\n' '#!/bin/bash' 'set -e' 'source /workspace/install/setup.bash' 'exec ros2 launch pi05_ros policy.launch.py "$@"' \
      > /usr/local/bin/pi05-policy \
 && chmod +x /usr/local/bin/pi05-policy
ENTRYPOINT ["/usr/local/bin/pi05-policy"]
CMD ["--show-args"]
