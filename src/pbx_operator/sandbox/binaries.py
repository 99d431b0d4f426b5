"""Where the programs of the control plane come from: the user's own, the cache, or built once.

`KUBEBUILDER_ASSETS` comes first, so that any set of envtest binaries can be tested against; such a set usually
lacks kube-controller-manager, hence every program is looked up on its own.  `build` fills the cache.
"""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from pbx_operator.sandbox.build import MODULE_FILES, build
from pbx_operator.sandbox.errors import SandboxError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

PROGRAMS = ("etcd", "kube-apiserver", "kube-controller-manager", "kubectl")
NODE_PROGRAMS = ("kubelet", "kube-scheduler", "kube-proxy", "pause")
"""What a machine needs besides to run pods; a sandbox has no nodes, the end-to-end tests have one."""
ASSETS_VARIABLE = "KUBEBUILDER_ASSETS"
CONTROLPLANE_MODULE = Path(__file__).parents[3] / "tools" / "controlplane"
"""The Go module that pins the versions of the control plane; present in a checkout of the repository."""


@dataclass(frozen=True)
class Binaries:
    """The programs of one control plane, as absolute paths."""

    etcd: Path
    kube_apiserver: Path
    kube_controller_manager: Path
    kubectl: Path


@dataclass(frozen=True)
class NodeBinaries:
    """The programs of one node, as absolute paths; `pause` holds the namespaces of a pod."""

    kubelet: Path
    kube_scheduler: Path
    kube_proxy: Path
    pause: Path


def find_binaries(environ: Mapping[str, str] = os.environ, module: Path = CONTROLPLANE_MODULE) -> Binaries:
    """Return the programs, building those that neither `KUBEBUILDER_ASSETS` nor the cache has.

    A build takes minutes and reports its progress on stderr; one that another process has begun is waited for.

    Raises:
        SandboxError: `KUBEBUILDER_ASSETS` is not a directory with one of the programs, or one is missing and cannot
            be built.

    """
    folders = [_assets(environ)] if environ.get(ASSETS_VARIABLE) else []
    found = _look_up(folders, PROGRAMS)
    if missing := [program for program in PROGRAMS if program not in found]:
        cache = _cache_folder(environ, module, missing)
        if not _look_up([cache], PROGRAMS).keys() >= set(missing):
            build(module, cache, PROGRAMS, environ)
        found = _look_up([*folders, cache], PROGRAMS)
    return Binaries(
        etcd=found["etcd"],
        kube_apiserver=found["kube-apiserver"],
        kube_controller_manager=found["kube-controller-manager"],
        kubectl=found["kubectl"],
    )


def find_node_binaries(environ: Mapping[str, str] = os.environ, module: Path = CONTROLPLANE_MODULE) -> NodeBinaries:
    """Return the programs of a node from the cache, after building them if need be; as `find_binaries` otherwise."""
    cache = _cache_folder(environ, module, NODE_PROGRAMS)
    if len(_look_up([cache], NODE_PROGRAMS)) < len(NODE_PROGRAMS):
        build(module, cache, NODE_PROGRAMS, environ)
    return NodeBinaries(
        kubelet=cache / "kubelet",
        kube_scheduler=cache / "kube-scheduler",
        kube_proxy=cache / "kube-proxy",
        pause=cache / "pause",
    )


def _assets(environ: Mapping[str, str]) -> Path:
    folder = Path(environ[ASSETS_VARIABLE]).absolute()
    if not _look_up([folder], PROGRAMS):
        problem = "has none of the programs" if folder.is_dir() else "is not a directory"
        raise SandboxError(
            f"{ASSETS_VARIABLE}={environ[ASSETS_VARIABLE]!r} {problem}: "
            f"let it name a directory with {', '.join(PROGRAMS)}, or unset it"
        )
    return folder


def _look_up(folders: Sequence[Path], programs: Sequence[str]) -> dict[str, Path]:
    """Find each program in the first folder that has it."""
    return {
        program: folder / program
        for folder in reversed(folders)
        for program in programs
        if os.access(folder / program, os.X_OK)
    }


def _cache_folder(environ: Mapping[str, str], module: Path, missing: Sequence[str]) -> Path:
    """Name the folder that holds exactly the versions which this checkout pins."""
    if not module.is_dir():
        raise SandboxError(
            f"no {', '.join(missing)} in {ASSETS_VARIABLE}={environ.get(ASSETS_VARIABLE, '')!r}, and the Go "
            f"module to build them is not at {module}: run from a checkout of the repository, or let "
            f"{ASSETS_VARIABLE} name a directory that holds {', '.join(PROGRAMS)}"
        )
    digest = hashlib.sha256(b"".join((module / file).read_bytes() for file in MODULE_FILES)).hexdigest()[:16]
    # XDG Base Directory Specification: an unset, empty or relative value means the default.
    configured = Path(environ.get("XDG_CACHE_HOME", ""))
    base = configured if configured.is_absolute() else Path(environ.get("HOME", Path.home())) / ".cache"
    return base / "pbx-operator" / f"controlplane-{digest}"
