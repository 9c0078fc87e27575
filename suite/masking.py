"""Addresses as they may be shown: in logs, tables and commands that are printed to be typed again."""

import re

_LOGIN, _QUERY = re.compile(r"://[^\s/?#]*@"), re.compile(r"(://[^\s?]*\?)\S+")


def masked(text: str) -> str:
    """`text` with asterisks for whoever logs in at an address in it, and for what follows the address's question mark.

    >>> masked("postgresql://mlflow:geheim@db:5432/mlflow?sslpassword=geheim is away")
    'postgresql://***@db:5432/mlflow?*** is away'
    >>> masked("sqlite:////srv/runs/mlflow.db")
    'sqlite:////srv/runs/mlflow.db'
    """
    return _QUERY.sub(r"\1***", _LOGIN.sub("://***@", text))
