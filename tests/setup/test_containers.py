"""The compose file and the image, as far as they can be read without an engine to run them."""

from __future__ import annotations

import re
import subprocess
from typing import Any

import pytest
import yaml

from scripts.terminal import ROOT

TEXT = (ROOT / "compose.yaml").read_text()
COMPOSE: dict[str, Any] = yaml.safe_load(TEXT)
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
EXAMPLE = (ROOT / ".env.example").read_text()


def test_it_has_the_parts_of_the_scaled_topology() -> None:
    assert set(SERVICES) == {"migrate", "web", "worker", "db", "redis", "ollama"}
    assert SERVICES["db"]["image"] == "pgvector/pgvector:pg17"
    assert SERVICES["redis"]["image"].startswith("redis:7")
    assert SERVICES["ollama"]["profiles"] == ["ollama"]


@pytest.mark.parametrize("name", ["web", "worker"])
def test_it_starts_after_one_migration_and_healthy_servers(name: str) -> None:
    conditions = {other: how["condition"] for other, how in SERVICES[name]["depends_on"].items()}
    assert conditions == {
        "migrate": "service_completed_successfully",
        "db": "service_healthy",
        "redis": "service_healthy",
    }
    assert SERVICES["migrate"]["restart"] == "no"


@pytest.mark.parametrize("name", ["web", "worker", "db", "redis"])
def test_it_asks_its_servers_how_they_are(name: str) -> None:
    assert SERVICES[name]["healthcheck"]["test"]


@pytest.mark.parametrize("name", ["migrate", "web", "worker"])
def test_it_gives_each_process_the_same_data_and_addresses(name: str) -> None:
    service = SERVICES[name]
    assert service["environment"] == SERVICES["web"]["environment"]
    assert service["volumes"] == ["data:/data"]
    assert service["environment"]["DEBUG"] == "0"
    assert "@db:5432/" in service["environment"]["DATABASE_URL"]
    assert "@redis:6379/" in service["environment"]["REDIS_URL"]


def test_it_opens_nothing_but_the_web_on_loopback() -> None:
    opened = {name: service["ports"] for name, service in SERVICES.items() if "ports" in service}
    assert set(opened) == {"web"}
    assert all(port.startswith("127.0.0.1:") for port in opened["web"])


def test_it_defines_every_volume_and_explains_every_variable() -> None:
    used = {
        volume.split(":")[0] for service in SERVICES.values() for volume in service.get("volumes", ())
    }  # fmt: skip
    assert used == set(COMPOSE["volumes"])
    variables = set(re.findall(r"\$\{([A-Z_]+)", TEXT))
    assert [name for name in sorted(variables) if not re.search(rf"^{name}=", EXAMPLE, re.MULTILINE)] == []


def test_its_image_runs_as_nobody_special() -> None:
    last = (ROOT / "Dockerfile").read_text().rpartition("\nFROM ")[2]
    assert re.search(r"^USER nexus$", last, re.MULTILINE)
    assert re.search(r"^VOLUME /data$", last, re.MULTILINE)


def test_its_image_holds_every_folder_that_the_program_imports() -> None:
    kept = {
        line[1:].strip("/") for line in (ROOT / ".dockerignore").read_text().splitlines() if line[:1] == "!"
    }
    apps = {path.parent.name for path in ROOT.glob("*/apps.py")}
    assert apps >= {"conversations", "workspaces"}
    assert apps | {"nexus_site", "packages", "requirements", "scripts", "templates", "static"} <= kept


def test_its_commands_are_known_to_the_container() -> None:
    script = (ROOT / "scripts" / "container").read_text()
    for name in ("migrate", "web", "worker"):
        assert re.search(rf"^    {SERVICES[name]['command'][0]}\)", script, re.MULTILINE)
    subprocess.run(["sh", "-n", str(ROOT / "scripts" / "container")], check=True)
