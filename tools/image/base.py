"""The bottom layer: Python and the libraries it needs, from Debian's packages, and one user.

There is no shell and no package manager.  Packages are unpacked, not installed, so what their installation would
have made is made here: the bundle of certificates, and the description of each package that scanners look for.
"""

from __future__ import annotations

import platform
import shutil
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

from image.errors import ImageError
from image.facts import HOME, PYTHON, USER_ID, USER_NAME

PACKAGES = (
    "base-files",  # /tmp, and /etc/os-release, by which scanners know the distribution
    "ca-certificates",
    "libbz2-1.0",
    "libc6",
    "libcrypt1",
    "libexpat1",
    "libffi8",
    "libgcc-s1",  # of the packages written in Rust
    "liblzma5",
    f"libpython{PYTHON}-minimal",
    f"libpython{PYTHON}-stdlib",
    "libssl3",
    "libuuid1",
    "netbase",  # the names of ports and protocols
    f"python{PYTHON}-minimal",
    "zlib1g",
)
_UNUSED = (
    "usr/share/bug",
    "usr/share/lintian",
    "usr/share/locale",
    "usr/share/man",
    "usr/share/menu",
    "usr/share/pixmaps",
    "usr/share/applications",
    "usr/sbin",
    "usr/lib/*/gconv",
    f"usr/lib/python{PYTHON}/distutils",
    f"usr/lib/python{PYTHON}/lib2to3",
    f"usr/lib/python{PYTHON}/pydoc_data",
)
_INSTEAD = "build the image on Debian 12, or with the Dockerfile"


@dataclass(frozen=True)
class Machine:
    """A kind of machine as Debian, OCI and the linker of the C library name it."""

    debian: str
    libraries: str
    linker: str


_MACHINES = {
    "x86_64": Machine("amd64", "x86_64-linux-gnu", "ld-linux-x86-64.so.2"),
    "aarch64": Machine("arm64", "aarch64-linux-gnu", "ld-linux-aarch64.so.1"),
}


def this_machine() -> Machine:
    """Return the kind of machine that this is, and so the image.

    Raises:
        ImageError: there are no images for it.

    """
    name = platform.machine()
    if name not in _MACHINES:
        raise ImageError(f"there is no image for {name}: build on one of {', '.join(_MACHINES)}")
    return _MACHINES[name]


def obstacle() -> str | None:
    """Tell why the image cannot be built here, and what to do about it; None if it can."""
    missing = [tool for tool in ("apt-get", "dpkg-deb") if shutil.which(tool) is None]
    if missing:
        return f"there is no {missing[0]} here: {_INSTEAD}"
    release = platform.freedesktop_os_release()
    here = f"{release['ID']} {release.get('VERSION_ID', '')}"
    return None if here == "debian 12" else f"this is {here}, whose packages are not the image's: {_INSTEAD}"


def build_base(tree: Path) -> None:
    """Make the bottom layer in a directory that is empty.

    Raises:
        ImageError: Debian's tools or packages are not to be had here.

    """
    if (reason := obstacle()) is not None:
        raise ImageError(reason)
    with tempfile.TemporaryDirectory() as folder:
        _download(Path(folder))
        for package in sorted(Path(folder).glob("*.deb")):
            _run("dpkg-deb", "--extract", str(package), str(tree))
            _describe(package, tree)
    for pattern in _UNUSED:
        for path in tree.glob(pattern):
            shutil.rmtree(path)
    _keep_licences_only(tree / "usr/share/doc")
    _trust(tree)
    _add_user(tree)


def interpreter(base: Path) -> list[str]:
    """Return a command that runs the image's Python here, with the image's own C library; no root is needed."""
    machine = this_machine()
    folders = [base / prefix / machine.libraries for prefix in ("lib", "usr/lib")]
    linker = base / "lib" / machine.libraries / machine.linker
    return [str(linker), "--library-path", ":".join(map(str, folders)), str(base / f"usr/bin/python{PYTHON}")]


def _download(folder: Path) -> None:
    # The user _apt, as which apt downloads, may not write into our directory.
    command = ["apt-get", "--quiet", "--quiet", "--option=APT::Sandbox::User=root", "download", *PACKAGES]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise ImageError(
            "Debian's packages are not to be had: run `apt-get update` first; the image needs Debian 12 (bookworm), "
            f"whose Python is {PYTHON}. apt-get said:\n{done.stderr.strip()}"
        )


def _describe(package: Path, tree: Path) -> None:
    """Keep a package's own description where scanners look if there is no package manager."""
    folder = tree / "var/lib/dpkg/status.d"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / package.name.partition("_")[0]).write_text(_run("dpkg-deb", "--field", str(package)), encoding="utf-8")


def _keep_licences_only(folder: Path) -> None:
    for path in sorted(folder.rglob("*"), reverse=True):
        if path.is_dir() and not path.is_symlink():
            if not any(path.iterdir()):
                path.rmdir()
        elif path.name != "copyright":
            path.unlink()


def _trust(tree: Path) -> None:
    """Bundle the certificates, and put the bundle where OpenSSL looks for it."""
    bundle = tree / "etc/ssl/certs/ca-certificates.crt"
    bundle.parent.mkdir(parents=True, exist_ok=True)
    certificates = tree / "usr/share/ca-certificates"
    bundle.write_bytes(b"".join(file.read_bytes() for file in sorted(certificates.rglob("*.crt"))))
    shutil.rmtree(certificates)
    openssl = tree / "usr/lib/ssl"
    openssl.mkdir(parents=True, exist_ok=True)
    (openssl / "cert.pem").symlink_to("/etc/ssl/certs/ca-certificates.crt")


def _add_user(tree: Path) -> None:
    """Give the user a name and a home: Python's `getpass`, which kopf asks, fails for a user without an entry."""
    entries = {
        "passwd": f"root:x:0:0:root:/root:/sbin/nologin\n{USER_NAME}:x:{USER_ID}:{USER_ID}::{HOME}:/sbin/nologin\n",
        "group": f"root:x:0:\n{USER_NAME}:x:{USER_ID}:\n",
        "nsswitch.conf": "passwd: files\ngroup: files\nhosts: files dns\n",
    }
    for name, text in entries.items():
        (tree / "etc" / name).write_text(text, encoding="utf-8")
    (tree / HOME.removeprefix("/")).mkdir(parents=True)


def _run(*command: str) -> str:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise ImageError(f"{' '.join(command)} failed:\n{done.stderr.strip()}")
    return done.stdout
