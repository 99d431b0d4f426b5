"""Where the sandbox finds its programs, and how it builds them, with a `go` that only pretends."""

from __future__ import annotations

import hashlib
import os
import sys
import threading
from dataclasses import astuple
from io import StringIO
from pathlib import Path

import pytest

from pbx_operator.sandbox import SandboxError
from pbx_operator.sandbox.binaries import NODE_PROGRAMS, PROGRAMS, find_binaries, find_node_binaries
from support import until

GO_MOD = "module x\n\ngo 1.26.0\n\nrequire (\n\tk8s.io/kubernetes v1.36.3 // indirect\n)\n"
GO_SUM = "sums\n"

FAKE_GO = """#!/bin/sh
echo "$@" >> "{log}"
case "$1" in
env) echo {version} ;;
build)
    echo "CGO_ENABLED=$CGO_ENABLED GOTOOLCHAIN=$GOTOOLCHAIN in $PWD" >> "{log}"
    echo some/package >&2
    while [ "$1" != -o ]; do shift; done
    for program in {programs}; do echo built > "$2$program"; chmod +x "$2$program"; done
    {then} ;;
esac
"""


class Machine:
    """A home directory, a Go module and a `go` on PATH, all in one temporary directory."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.module = folder / "module"
        self.module.mkdir()
        (self.module / "go.mod").write_text(GO_MOD)
        (self.module / "go.sum").write_text(GO_SUM)
        self.go_log = folder / "go.log"
        digest = hashlib.sha256((GO_MOD + GO_SUM).encode()).hexdigest()[:16]
        self.cache = folder / ".cache" / "pbx-operator" / f"controlplane-{digest}"
        self.environ = {"HOME": str(folder), "PATH": f"{folder / 'bin'}:/usr/bin:/bin"}

    def install_go(
        self,
        version: str = "go1.26.8",
        programs: str = "server kube-apiserver kube-controller-manager kubectl",
        then: str = "true",
    ) -> None:
        script = FAKE_GO.format(log=self.go_log, version=version, programs=programs, then=then)
        executable(self.folder / "bin" / "go", script)

    def builds(self) -> int:
        return self.go_log.read_text().count("build -v") if self.go_log.exists() else 0

    def find(self, **environ: str) -> list[Path]:
        return list(astuple(find_binaries({**self.environ, **environ}, self.module)))


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path)


def executable(path: Path, content: str = "") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content)
    path.chmod(0o755)
    return path


def fill(folder: Path, *programs: str) -> list[Path]:
    return [executable(folder / program) for program in programs]


def test_assets_that_hold_everything_need_neither_cache_nor_module(machine: Machine) -> None:
    programs = fill(machine.folder / "assets", *PROGRAMS)
    environ = {**machine.environ, "KUBEBUILDER_ASSETS": str(machine.folder / "assets")}
    assert list(astuple(find_binaries(environ, machine.folder / "no-module"))) == programs


def test_assets_come_first_and_the_cache_adds_what_they_lack(machine: Machine) -> None:
    fill(machine.cache, *PROGRAMS)
    fill(machine.folder / "assets", "etcd", "kube-apiserver", "kubectl")
    folders = [path.parent for path in machine.find(KUBEBUILDER_ASSETS=str(machine.folder / "assets"))]
    assets = machine.folder / "assets"
    assert folders == [assets, assets, machine.cache, assets]


def test_a_file_that_is_not_executable_is_no_program(machine: Machine) -> None:
    fill(machine.cache, *PROGRAMS)
    fill(machine.folder / "assets", "kubectl")
    executable(machine.folder / "assets" / "etcd").chmod(0o644)
    assert machine.find(KUBEBUILDER_ASSETS=str(machine.folder / "assets"))[0] == machine.cache / "etcd"


def test_a_full_cache_needs_no_go(machine: Machine) -> None:
    programs = fill(machine.cache, *PROGRAMS)
    assert machine.find(PATH="") == programs


@pytest.mark.parametrize("configured", ["", "relative/cache"])
def test_an_unusable_cache_variable_means_the_default(machine: Machine, configured: str) -> None:
    programs = fill(machine.cache, *PROGRAMS)
    assert machine.find(PATH="", XDG_CACHE_HOME=configured) == programs


def test_the_cache_variable_moves_the_cache(machine: Machine) -> None:
    cache = machine.folder / "elsewhere"
    programs = fill(cache / "pbx-operator" / machine.cache.name, *PROGRAMS)
    assert machine.find(PATH="", XDG_CACHE_HOME=str(cache)) == programs


@pytest.mark.parametrize("file", ["go.mod", "go.sum"])
def test_other_pinned_versions_do_not_use_the_same_cache(machine: Machine, file: str) -> None:
    fill(machine.cache, *PROGRAMS)
    with (machine.module / file).open("a") as changed:
        changed.write("// changed\n")
    with pytest.raises(SandboxError, match="no go on PATH"):
        machine.find(PATH="")


def test_what_is_missing_is_built_once(machine: Machine, capsys: pytest.CaptureFixture[str]) -> None:
    machine.install_go()
    first = machine.find()
    assert first == [machine.cache / program for program in PROGRAMS]
    assert [path.read_text() for path in first] == ["built\n"] * 4
    assert machine.find() == first
    assert machine.builds() == 1
    assert "building etcd, kube-apiserver, kube-controller-manager, kubectl with" in capsys.readouterr().err
    assert [path.name for path in machine.cache.parent.glob("*partial*")] == []


def test_the_build_is_static_stamped_and_uses_the_go_that_is_there(machine: Machine) -> None:
    machine.install_go()
    machine.find()
    said = machine.go_log.read_text()
    assert f"CGO_ENABLED=0 GOTOOLCHAIN=local in {machine.module}" in said
    for stamp in ("gitVersion=v1.36.3", "gitMajor=1", "gitMinor=36"):
        assert f"-X k8s.io/component-base/version.{stamp} " in said


def test_the_programs_of_a_node_are_built_when_they_are_asked_for(machine: Machine) -> None:
    fill(machine.cache, *PROGRAMS)
    machine.install_go(programs=" ".join(NODE_PROGRAMS))
    found = find_node_binaries(machine.environ, machine.module)
    assert list(astuple(found)) == [machine.cache / program for program in NODE_PROGRAMS]
    assert find_node_binaries(machine.environ, machine.module) == found
    assert machine.builds() == 1
    assert "k8s.io/kubernetes/cmd/kubelet" in machine.go_log.read_text()
    assert "kube-apiserver" not in machine.go_log.read_text()


def test_one_missing_program_is_enough_to_build(machine: Machine) -> None:
    fill(machine.cache, "etcd", "kube-apiserver", "kubectl")
    machine.install_go()
    machine.find()
    assert machine.builds() == 1


def test_two_builders_at_once_build_once(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    said = StringIO()  # not capfd, which loses what a thread writes while it is being read
    monkeypatch.setattr(sys, "stderr", said)
    release = machine.folder / "release"
    os.mkfifo(release)
    machine.install_go(then=f'read line < "{release}"')
    found: list[list[Path]] = []
    builders = [threading.Thread(target=lambda: found.append(machine.find()), daemon=True) for _ in range(2)]
    for builder in builders:
        builder.start()
    until(lambda: "another process is building" in said.getvalue(), "the second builder waits")
    release.write_text("go on\n")
    for builder in builders:
        builder.join()
    assert machine.builds() == 1
    assert found == [[machine.cache / program for program in PROGRAMS]] * 2


def test_a_failed_build_shows_what_go_said_and_leaves_nothing(machine: Machine) -> None:
    machine.install_go(then='echo "x.go:1: syntax error" >&2; exit 1')
    with pytest.raises(SandboxError, match=r"(?s)go build said.*x\.go:1: syntax error"):
        machine.find()
    assert not machine.cache.exists()
    assert list(machine.cache.parent.glob("*partial*")) == []


def test_what_a_killed_build_left_is_removed(machine: Machine) -> None:
    leftover = executable(machine.cache.with_name(f"{machine.cache.name}.partial-x") / "kubectl").parent
    machine.install_go()
    machine.find()
    assert not leftover.exists()


def test_no_go_says_what_to_do(machine: Machine) -> None:
    with pytest.raises(SandboxError, match=r"no go on PATH: install Go 1\.26 or newer, or set KUBEBUILDER_ASSETS"):
        machine.find(PATH="")


@pytest.mark.parametrize("version", ["go1.25.9", "go1.9"])
def test_an_old_go_is_refused(machine: Machine, version: str) -> None:
    machine.install_go(version=version)
    with pytest.raises(SandboxError, match=rf"is {version.rsplit('.', maxsplit=version.count('.') - 1)[0]}, too old"):
        machine.find()
    assert machine.builds() == 0


@pytest.mark.parametrize("version", ["go1.26.0", "go1.27rc1", "go2.0", '"devel go1.27-abc"'])
def test_a_newer_go_is_used(machine: Machine, version: str) -> None:
    machine.install_go(version=version)
    machine.find()
    assert machine.builds() == 1


def test_assets_that_are_no_directory_are_an_error(machine: Machine) -> None:
    with pytest.raises(SandboxError, match="KUBEBUILDER_ASSETS='/does/not/exist' is not a directory"):
        machine.find(KUBEBUILDER_ASSETS="/does/not/exist")


def test_assets_without_any_of_the_programs_are_an_error(machine: Machine) -> None:
    """Rather than a build of minutes that nobody asked for."""
    executable(machine.folder / "assets" / "etcd").chmod(0o644)
    with pytest.raises(SandboxError, match=r"has none of the programs: let it name a directory with etcd, "):
        machine.find(KUBEBUILDER_ASSETS=str(machine.folder / "assets"))
    assert machine.builds() == 0


def test_outside_a_checkout_the_error_names_what_is_missing(machine: Machine) -> None:
    fill(machine.folder / "assets", "etcd", "kube-apiserver", "kubectl")
    environ = {**machine.environ, "KUBEBUILDER_ASSETS": str(machine.folder / "assets")}
    with pytest.raises(SandboxError, match="no kube-controller-manager in KUBEBUILDER_ASSETS"):
        find_binaries(environ, machine.folder / "no-module")
