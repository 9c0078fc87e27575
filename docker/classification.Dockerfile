# Image classification: timm's vision transformers, with torchvision's readers and augmentation.
ARG BASE=unsmooth-base
FROM ${BASE}
USER 0
RUN --mount=type=cache,target=/root/.cache/pip --mount=type=secret,id=pip --mount=type=secret,id=ca \
    pinned install torchvision==0.28.0 timm scikit-learn
ENV UNSMOOTH_PROMISES=classification,zero
COPY jobs /app/jobs
RUN python -m compileall -q /app/jobs
USER 1000
HEALTHCHECK --interval=1h --timeout=2m CMD ["python", "-m", "jobs", "doctor"]
ARG REVISION=unknown VERSION=unknown
LABEL org.opencontainers.image.title="unsmooth-classification" \
    org.opencontainers.image.revision="${REVISION}" \
    org.opencontainers.image.version="${VERSION}" \
    org.opencontainers.image.licenses="Apache-2.0"
RUN ["python", "-m", "jobs", "doctor"]
