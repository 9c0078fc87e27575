# Semantic segmentation: mmsegmentation on mmengine, with timm's encoder.
#
# OpenCV comes without its windows: the packages that ask for the one with windows are installed without their demands.
ARG BASE=unsmooth-base
FROM ${BASE}
USER 0
RUN --mount=type=cache,target=/root/.cache/pip --mount=type=secret,id=pip --mount=type=secret,id=ca \
    pinned install torchvision==0.28.0 timm scikit-learn scipy \
        addict ftfy matplotlib prettytable regex rich termcolor yapf 'setuptools<82' \
    && pinned install --no-deps mmengine mmcv-lite==2.1.0 mmsegmentation==1.2.2 opencv-python-headless
ENV UNSMOOTH_PROMISES=segmentation,zero
COPY jobs /app/jobs
RUN python -m compileall -q /app/jobs
USER 1000
HEALTHCHECK --interval=1h --timeout=2m CMD ["python", "-m", "jobs", "doctor"]
ARG REVISION=unknown VERSION=unknown
LABEL org.opencontainers.image.title="unsmooth-segmentation" \
    org.opencontainers.image.revision="${REVISION}" \
    org.opencontainers.image.version="${VERSION}" \
    org.opencontainers.image.licenses="Apache-2.0"
RUN ["python", "-m", "jobs", "doctor"]
