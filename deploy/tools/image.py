"""The root file system of the image, made in a folder without a container and without a registry of images.

It has Debian's Python with the libraries that it needs, the packages of a lock file, and fastdns. It has no shell,
no package manager, and nothing of Python that a server does not use. The Dockerfile runs this, and so do tests.
"""

from __future__ import annotations

import argparse
import os
import shutil
import stat
import struct
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from deploy.tools import debian, sbom
from deploy.tools.libraries import closure
from deploy.tools.wheel import build_wheel, environment_of, find_python

ROOT = Path(__file__).parents[2]
RELEASE = "trixie"
PYTHON = "3.13"
USER = 65532
# Names of Debian, of the kernel, and folders of libraries.
ARCHITECTURES = {"amd64": ("x86_64", "x86_64-linux-gnu"), "arm64": ("aarch64", "aarch64-linux-gnu")}
PACKAGES = (
    "base-files",
    "ca-certificates",
    # The licence of libgcc-s1.
    "gcc-14-base",
    "libc6",
    "libexpat1",
    "libffi8",
    "libgcc-s1",
    "libnghttp2-14",
    f"libpython{PYTHON}-minimal",
    f"libpython{PYTHON}-stdlib",
    "libssl3t64",
    "libstdc++6",
    "libzstd1",
    f"python{PYTHON}-minimal",
    "zlib1g",
)
# Libraries that only some of the locks' packages ask for: if none does, they are not in the image.
OPTIONAL = {"libstdc++6": "libstdc++.so.6"}
# What fastdns loads by name, when a Corefile needs it; nothing that is linked asks for it.
LOADED = ("libnghttp2.so.14",)
# Of the standard library: what only people at a terminal, tests and installers use, and databases.
UNUSED = (
    "__pycache__", "_pyrepl", "config-*", "curses", "dbm", "ensurepip", "idlelib", "lib2to3", "pydoc_data",
    "sitecustomize.py", "sqlite3", "test", "tkinter", "turtle.py", "turtledemo", "venv",
    "lib-dynload/_bz2.*", "lib-dynload/_ctypes_test.*", "lib-dynload/_curses*", "lib-dynload/_dbm.*",
    "lib-dynload/_gdbm.*", "lib-dynload/_lzma.*", "lib-dynload/_sqlite3.*", "lib-dynload/_test*",
    "lib-dynload/_tkinter.*", "lib-dynload/_uuid.*", "lib-dynload/_xxtest*", "lib-dynload/readline.*",
    "lib-dynload/xx*",
)  # fmt: skip
# Of packages: what only compilers, type checkers and their own tests read.
SOURCES = ("*.pyx", "*.pxd", "*.pxi", "*.pyi", "*.c", "*.h", "test", "tests", "bin")
SITE = Path("usr/lib/python3/dist-packages")
SBOM = Path("usr/share/sbom/fastdns.cdx.json")
# The interpreter ignores PYTHON* of the environment (-I) and writes no bytecode (-B).
# No garbage is collected while modules are imported: there is none, and looking for it takes a tenth of the start.
START = """\
#!/usr/bin/python{python} -IB
import gc
import sys
gc.disable()
from fastdns.cli import main
gc.enable()
sys.exit(main())
"""
PASSWD = f"root:x:0:0:root:/:/nonexistent\nnonroot:x:{USER}:{USER}:nonroot:/:/nonexistent\n"
GROUP = f"root:x:0:\nnonroot:x:{USER}:\n"
# linux/capability.h: version 2 with the bit "effective"; then permitted and inheritable, low and high halves.
NET_BIND_SERVICE = struct.pack("<5I", 0x02000001, 1 << 10, 0, 0, 0)


def remove(folder: Path, patterns: tuple[str, ...], *, below: bool = False) -> None:
    """Remove what matches a pattern in folder, or in any folder below it."""
    for pattern in patterns:
        for path in sorted(folder.rglob(pattern) if below else folder.glob(pattern)):
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path)
            else:
                path.unlink(missing_ok=True)


def copy_python(staged: Path, folder: Path, triplet: str) -> None:
    """The interpreter and the standard library. Their libraries come with copy_libraries."""
    library = Path("usr/lib") / f"python{PYTHON}"
    shutil.copytree(staged / library, folder / library, symlinks=True)
    remove(folder / library, UNUSED)
    remove(folder / library, ("__pycache__",), below=True)
    (folder / "usr/bin").mkdir()
    shutil.copy2(staged / "usr/bin" / f"python{PYTHON}", folder / "usr/bin")
    (folder / "usr/lib" / triplet).mkdir()
    for name in ("lib", "lib64"):
        (folder / name).symlink_to(f"usr/{name}")


def copy_libraries(staged: Path, folder: Path, triplet: str) -> None:
    """The libraries that the interpreter and all modules need, and the loader. SystemExit if one is missing."""
    programs = [folder / "usr/bin" / f"python{PYTHON}", *folder.rglob("*.so"), *folder.rglob("*.so.*")]
    bundled = {path.name for path in folder.rglob("*.libs/*")}
    loaded = {staged / "usr/lib" / triplet / name for name in LOADED}
    libraries, missing = closure([*programs, *loaded], staged / "usr/lib" / triplet)
    if lacking := {file: name for file, name in missing.items() if name not in bundled}:
        raise SystemExit(f"image: a package of Debian's is missing: {lacking}")
    for library in libraries | loaded:
        shutil.copy2(library, folder / "usr/lib" / triplet / library.name)
    # The kernel starts the interpreter by way of the loader, whose path depends on the architecture.
    (loader,) = [path for name in ("lib", "lib64") for path in (staged / "usr" / name).glob("ld-linux-*")]
    place = folder / loader.relative_to(staged)
    place.parent.mkdir(exist_ok=True)
    place.symlink_to(f"/usr/lib/{triplet}/{loader.name}")
    shutil.copy2((staged / "usr/lib" / triplet / loader.name).resolve(), folder / "usr/lib" / triplet / loader.name)


def install(folder: Path, python: Path, machine: str, lock: Path, wheel: Path) -> None:
    """The packages of a lock file, whose hashes pip checks, and the wheel of fastdns."""
    platforms = [f"manylinux_2_{glibc}_{machine}" for glibc in (28, 17, 5)] + [f"manylinux2014_{machine}"]
    pip: list[str | Path] = [
        python, "-m", "pip", "--quiet", "--disable-pip-version-check", "install", "--no-deps", "--no-compile",
        "--target", folder / SITE, "--python-version", PYTHON, "--implementation", "cp", "--only-binary", ":all:",
    ]  # fmt: skip
    for name in (*platforms, f"linux_{machine}"):
        pip += ["--platform", name]
    subprocess.run([*pip, "--require-hashes", "-r", lock], check=True)
    subprocess.run([*pip, "--no-index", "--upgrade", wheel], check=True)
    remove(folder / SITE, SOURCES, below=True)


def write_configuration(staged: Path, folder: Path) -> None:
    """What the C library, OpenSSL and scanners of images look for, and the folders of a pod's mounts."""
    etc = folder / "etc"
    (etc / "ssl/certs").mkdir(parents=True)
    certificates = sorted((staged / "usr/share/ca-certificates/mozilla").glob("*.crt"))
    bundle = etc / "ssl/certs/ca-certificates.crt"
    bundle.write_bytes(b"".join(one.read_bytes() for one in certificates))
    # OpenSSL's own name of the file.
    (folder / "usr/lib/ssl").mkdir()
    (folder / "usr/lib/ssl/cert.pem").symlink_to("/etc/ssl/certs/ca-certificates.crt")
    (etc / "passwd").write_text(PASSWD)
    (etc / "group").write_text(GROUP)
    (etc / "nsswitch.conf").write_text("hosts: files dns\n")
    shutil.copy2(staged / "usr/lib/os-release", etc / "os-release")
    for name in ("etc/coredns", "proc", "sys", "dev", "tmp", "var/lib/fastdns"):
        (folder / name).mkdir(parents=True, exist_ok=True)


def write_start(folder: Path) -> None:
    """The commands: fastdns, and the name by which manifests for CoreDNS's image start it."""
    for name in ("fastdns", "coredns"):
        (folder / name).write_text(START.format(python=PYTHON))


def write_packages(staged: Path, folder: Path, packages: list[debian.Package]) -> None:
    """Licences, and what scanners of images read to know the packages."""
    status = folder / "var/lib/dpkg/status.d"
    status.mkdir(parents=True)
    for package in packages:
        (status / package.name).write_text(package.control)
        licence = Path("usr/share/doc") / package.name / "copyright"
        (folder / licence).parent.mkdir(parents=True)
        # Some packages link to another one's.
        shutil.copyfile((staged / licence).resolve(), folder / licence)


def compile_modules(folder: Path, python: Path) -> None:
    """Bytecode that is used whatever the times of files are. It is the same for every architecture."""
    for library in (folder / "usr/lib" / f"python{PYTHON}", folder / SITE):
        subprocess.run(
            [python, "-m", "compileall", "-q", "-j", "0", "--invalidation-mode", "unchecked-hash", "-s", folder,
             "-p", "/", library],
            check=True,
        )  # fmt: skip


def every(folder: Path) -> Iterator[Path]:
    """Everything in folder, what is deeper first."""
    for place, folders, files in os.walk(folder, topdown=False):
        yield from (Path(place, name) for name in sorted((*files, *folders)))
    yield folder


def finish(folder: Path, epoch_s: int) -> None:
    """Owners, modes and times that do not depend on who made it, and the right to bind to port 53."""
    root = os.geteuid() == 0
    for path in every(folder):
        if not path.is_symlink():
            run = path.is_dir() or path.parent in (folder, folder / "usr/bin") or path.name.startswith("ld-linux")
            path.chmod(0o755 if run else 0o644)
        if root:
            os.chown(path, 0, 0, follow_symlinks=False)
    (folder / "tmp").chmod(0o1777)
    if root:
        os.chown(folder / "var/lib/fastdns", USER, USER)
        # After the change of owner, which would remove it.
        os.setxattr(folder / "usr/bin" / f"python{PYTHON}", "security.capability", NET_BIND_SERVICE)
    else:
        print("image: not root: files are yours, and port 53 needs another right than the image's", file=sys.stderr)
    for path in every(folder):
        os.utime(path, (epoch_s, epoch_s), follow_symlinks=False)


def last_change_s() -> int:
    """When the sources were last changed, in seconds since 1970: $SOURCE_DATE_EPOCH, or the last commit's time."""
    if said := os.environ.get("SOURCE_DATE_EPOCH"):
        return int(said)
    git = subprocess.run(
        ["git", "log", "-1", "--format=%ct"], cwd=ROOT, check=False, capture_output=True, text=True
    )
    return int(git.stdout) if git.returncode == 0 and git.stdout.strip() else 0


def size(folder: Path) -> int:
    """Bytes of all files."""
    return sum(path.lstat().st_size for path in folder.rglob("*") if stat.S_ISREG(path.lstat().st_mode))


def make(folder: Path, work: Path, architecture: str, lock: Path, wheel: Path | None) -> None:
    """Make the root file system in folder, which is empty. work keeps what was downloaded and built."""
    machine, triplet = ARCHITECTURES[architecture]
    work.mkdir(parents=True, exist_ok=True)
    staged = work / f"debian-{architecture}"
    if staged.exists():
        shutil.rmtree(staged)
    staged.mkdir()
    python = environment_of(find_python(PYTHON), work)
    packages = debian.unpack(PACKAGES, staged, work / f"apt-{architecture}", RELEASE, architecture)
    if wheel is None:
        wheel = build_wheel(python, work, PYTHON, architecture, RELEASE)
    copy_python(staged, folder, triplet)
    install(folder, python, machine, lock, wheel)
    copy_libraries(staged, folder, triplet)
    there = {path.name for path in (folder / "usr/lib" / triplet).iterdir()}
    packages = [one for one in packages if OPTIONAL.get(one.name) in (None, *there)]
    write_configuration(staged, folder)
    write_start(folder)
    write_packages(staged, folder, packages)
    epoch_s = last_change_s()
    bill = sbom.bill(folder / SITE, packages, architecture, RELEASE, epoch_s)
    (folder / SBOM).write_text(sbom.text(bill))
    compile_modules(folder, python)
    finish(folder, epoch_s)


def main() -> int:
    """Returns the exit code."""
    parser = argparse.ArgumentParser(prog="deploy/image", description=__doc__)
    parser.add_argument("folder", type=Path, help="where to make it; what is there is removed")
    parser.add_argument("--arch", choices=ARCHITECTURES, help="architecture, as Debian calls it (this machine's)")
    parser.add_argument(
        "--lock", default="image", help="image, or image-all, which has the clouds' libraries (default: image)"
    )
    parser.add_argument("--wheel", type=Path, help=f"a wheel of fastdns for CPython {PYTHON} (else one is built)")
    parser.add_argument("--work", type=Path, default=ROOT / "build" / "image-work", help="kept for the next run")
    asked = parser.parse_args()
    lock = ROOT / "deploy" / "requirements" / f"{asked.lock}.txt"
    folder: Path = asked.folder.absolute()
    # A mistyped folder is not removed: only what this has made.
    if folder.exists() and any(folder.iterdir()) and not (folder / SBOM).parent.is_dir():
        raise SystemExit(f"image: {folder} has other files than an image's: name a new or empty folder")
    shutil.rmtree(folder, ignore_errors=True)
    (folder / SBOM).parent.mkdir(parents=True)
    architecture = asked.arch or debian.output("dpkg", "--print-architecture").strip()
    make(folder, asked.work.absolute(), architecture, lock, asked.wheel and asked.wheel.absolute())
    print(f"{folder}: {architecture}, {size(folder) / 1e6:.1f} MB")
    return 0


if __name__ == "__main__":
    sys.exit(main())
