# Language models: our own decoders, and fairseq itself, in one environment.
#
# fairseq's demands (old omegaconf and hydra-core) cannot be resolved beside Python 3.11, so it comes without them. It is
# built by a compiler that stays behind.
ARG BASE=unsmooth-base
FROM ${BASE} AS builder
# hadolint ignore=DL3002  # the stage is left behind
USER 0
RUN apt-get update && apt-get install --yes --no-install-recommends g++ python3.11-dev
COPY docker/fairseq.txt /opt/venv/
RUN --mount=type=cache,target=/root/.cache/pip --mount=type=secret,id=pip --mount=type=secret,id=ca \
    pinned wheel --no-deps --wheel-dir /opt/wheels "$(grep ^fairseq== /opt/venv/fairseq.txt)"

FROM ${BASE}
USER 0
COPY docker/fairseq.txt /opt/venv/
RUN --mount=type=cache,target=/root/.cache/pip --mount=type=secret,id=pip --mount=type=secret,id=ca \
    --mount=type=bind,from=builder,source=/opt/wheels,target=/opt/wheels \
    pinned install --no-deps --find-links /opt/wheels --requirement /opt/venv/fairseq.txt
ENV UNSMOOTH_PROMISES=language,fairseq,zero
COPY jobs /app/jobs
RUN python -m compileall -q /app/jobs
USER 1000
HEALTHCHECK --interval=1h --timeout=2m CMD ["python", "-m", "jobs", "doctor"]
ARG REVISION=unknown VERSION=unknown
LABEL org.opencontainers.image.title="unsmooth-language" \
    org.opencontainers.image.revision="${REVISION}" \
    org.opencontainers.image.version="${VERSION}" \
    org.opencontainers.image.licenses="Apache-2.0"
RUN ["python", "-m", "jobs", "doctor"]
