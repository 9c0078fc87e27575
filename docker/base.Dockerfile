# What every job needs: Python 3.11, PyTorch, DeepSpeed. The images of the tasks start from this one.
#
# BASE is any Debian or Ubuntu with Python 3.11 in it or in its archive; give it by digest (NAME@sha256:...) to repeat a
# build to the letter. PyTorch brings its own CUDA libraries where it is a CUDA build, the base only says so to the driver.
ARG BASE=nvidia/cuda:13.1.1-base-ubuntu22.04

FROM ${BASE} AS python
RUN command -v python3.11 >/dev/null \
    || { apt-get update \
    && apt-get install --yes --no-install-recommends python3.11 ca-certificates \
    && rm -rf /var/lib/apt/lists/*; }

FROM python AS packages
RUN python3.11 -c "import ensurepip" 2>/dev/null \
    || { apt-get update && apt-get install --yes --no-install-recommends python3.11-venv; }
RUN python3.11 -m venv /opt/venv
COPY docker/pinned /opt/venv/bin/
COPY constraints.txt /opt/venv/
RUN --mount=type=cache,target=/root/.cache/pip --mount=type=secret,id=pip --mount=type=secret,id=ca \
    /opt/venv/bin/pinned install torch==2.13.0 numpy nvidia-ml-py deepspeed

FROM python
COPY --from=packages /opt/venv /opt/venv
RUN useradd --uid 1000 --no-create-home --home-dir /tmp job
ENV PATH=/opt/venv/bin:$PATH PYTHONPATH=/app NVIDIA_DRIVER_CAPABILITIES=compute,utility
WORKDIR /app
USER 1000
RUN python -c "import torch, numpy, pynvml, deepspeed"
