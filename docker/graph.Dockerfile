# Graph networks: PyTorch Geometric's data, our own propagation.
ARG BASE=unsmooth-base
FROM ${BASE}
USER 0
RUN --mount=type=cache,target=/root/.cache/pip --mount=type=secret,id=pip --mount=type=secret,id=ca \
    pinned install torch_geometric scipy scikit-learn
ENV UNSMOOTH_PROMISES=graph,zero
COPY jobs /app/jobs
RUN python -m compileall -q /app/jobs
USER 1000
HEALTHCHECK --interval=1h --timeout=2m CMD ["python", "-m", "jobs", "doctor"]
ARG REVISION=unknown VERSION=unknown
LABEL org.opencontainers.image.title="unsmooth-graph" \
    org.opencontainers.image.revision="${REVISION}" \
    org.opencontainers.image.version="${VERSION}" \
    org.opencontainers.image.licenses="Apache-2.0"
RUN ["python", "-m", "jobs", "doctor"]
