"""The only speaker to the Kubernetes API: get, list, create, replace, patch and delete, with errors by meaning."""

from pbx_operator.cluster.client import Cluster, Listing, request_counter
from pbx_operator.cluster.errors import (
    AlreadyExists,
    ApiError,
    Conflict,
    CredentialsError,
    Forbidden,
    Gone,
    Invalid,
    Unavailable,
)

__all__ = [
    "AlreadyExists",
    "ApiError",
    "Cluster",
    "Conflict",
    "CredentialsError",
    "Forbidden",
    "Gone",
    "Invalid",
    "Listing",
    "Unavailable",
    "request_counter",
]
