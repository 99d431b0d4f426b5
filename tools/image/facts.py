"""What the image is: name, user, commands' surroundings and labels.

The Dockerfile has to say the same in its own words; a unit test compares them.
"""

from __future__ import annotations

import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[2]
"""The repository."""

REPOSITORY = "ghcr.io/pbx-operator/pbx-operator"
SOURCE = "https://github.com/pbx-operator/pbx-operator"

USER_ID = 65532
"""User and group of every process: the number that distroless images use for "nonroot"."""
USER_NAME = "nonroot"
HOME = f"/home/{USER_NAME}"

PYTHON = "3.11"
"""The Python of Debian 12."""
PACKAGES_FOLDER = f"usr/local/lib/python{PYTHON}/dist-packages"
"""Where Debian's Python looks for packages that are not Debian's."""

ENTRYPOINT = ["pbx-operator"]
ENVIRONMENT = {
    "PATH": "/usr/local/bin:/usr/local/sbin:/usr/bin:/usr/sbin:/bin:/sbin",
    "HOME": HOME,
    "LANG": "C.UTF-8",
    "PYTHONDONTWRITEBYTECODE": "1",
    "PYTHONUNBUFFERED": "1",
}
PORTS = (8080, 8443, 9090)
"""Health, exchange and metrics."""


def project() -> dict[str, str]:
    """Return name, version, description and licence of the project."""
    table = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    return {key: table[key] for key in ("name", "version", "description", "license")}


def reference() -> str:
    """Return the name of the image with its tag."""
    return f"{REPOSITORY}:{project()['version']}"


def labels() -> dict[str, str]:
    """Return the labels, as the OCI image specification names them ("Pre-Defined Annotation Keys")."""
    about = project()
    prefix = "org.opencontainers.image"
    return {
        f"{prefix}.title": about["name"],
        f"{prefix}.description": about["description"],
        f"{prefix}.version": about["version"],
        f"{prefix}.licenses": about["license"],
        f"{prefix}.source": SOURCE,
        f"{prefix}.documentation": f"{SOURCE}#readme",
    }


def process_settings() -> dict[str, object]:
    """Return the `config` of an OCI image configuration: how a container of the image is started."""
    return {
        "User": f"{USER_ID}:{USER_ID}",
        "ExposedPorts": {f"{port}/tcp": {} for port in PORTS},
        "Env": [f"{name}={value}" for name, value in ENVIRONMENT.items()],
        "Entrypoint": ENTRYPOINT,
        "WorkingDir": "/",
        "Labels": labels(),
    }
