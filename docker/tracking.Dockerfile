# The tracking server of docker/tracking.compose.yaml: MLflow with its login and PostgreSQL's driver.
ARG BASE=python:3.11-slim-bookworm
FROM ${BASE}
COPY constraints.txt /tmp/constraints.txt
RUN pip install --no-cache-dir --constraint=/tmp/constraints.txt "mlflow[auth]" "psycopg[binary]" boto3==1.44.8 \
    && useradd --uid 1000 --create-home mlflow && mkdir /artifacts && chown mlflow /artifacts
COPY docker/tracking.sh /usr/local/bin/tracking
ENV MLFLOW_DISABLE_TELEMETRY=true DO_NOT_TRACK=1 MLFLOW_SERVER_ENABLE_JOB_EXECUTION=false
USER 1000
EXPOSE 5000
HEALTHCHECK --interval=30s --timeout=5s --start-period=2m \
    CMD ["python", "-c", "import urllib.request; urllib.request.urlopen('http://127.0.0.1:5000/health', timeout=4)"]
ENTRYPOINT ["tracking"]
RUN ["python", "-c", "import boto3, flask_wtf, mlflow.server, psycopg"]
