#!/bin/sh
# Starts MLflow behind a login. Passwords come from files and stay out of images, arguments and compose files.
set -eu
secrets=${UNSMOOTH_SECRETS:-/run/secrets}
umask 077

for name in database_password admin_password session_key; do
    [ -s "$secrets/$name" ] || { echo "$secrets/$name is missing or empty; docker/README.md says how to make it." >&2; exit 2; }
done

MLFLOW_BACKEND_STORE_URI="postgresql+psycopg://${DATABASE_USER:-mlflow}:$(cat "$secrets/database_password")@${DATABASE:-database:5432/mlflow}"
MLFLOW_FLASK_SERVER_SECRET_KEY=$(cat "$secrets/session_key")
MLFLOW_AUTH_ADMIN_PASSWORD=$(cat "$secrets/admin_password")
MLFLOW_AUTH_CONFIG_PATH=${MLFLOW_AUTH_CONFIG_PATH:-$(mktemp -d)/basic_auth.ini}
export MLFLOW_BACKEND_STORE_URI MLFLOW_FLASK_SERVER_SECRET_KEY MLFLOW_AUTH_ADMIN_PASSWORD MLFLOW_AUTH_CONFIG_PATH

# Recorders delete the spare of two equal runs, which in MLflow takes MANAGE.
cat > "$MLFLOW_AUTH_CONFIG_PATH" <<INI
[mlflow]
default_permission = MANAGE
database_uri = $MLFLOW_BACKEND_STORE_URI
admin_username = ${ADMIN:-admin}
authorization_function = mlflow.server.auth:authenticate_request_basic_auth
grant_default_workspace_access = false
auth_cache_ttl_seconds = 60
INI

exec mlflow server --app-name basic-auth --workers "${WORKERS:-2}" --host "${HOST:-0.0.0.0}" --port "${PORT:-5000}" \
    --artifacts-destination "${ARTIFACTS:-/artifacts}" --allowed-hosts "${ALLOWED_HOSTS:-localhost,localhost:5000}"
