"""The servers that the tests bring along are real ones, and the network ends at this machine."""

from __future__ import annotations

import asyncio
import socket
import urllib.error
import urllib.request

import psycopg
import pytest
import redis
from playwright.async_api import async_playwright

from tests.network import NetworkRefused
from tests.services import Chromium


def test_it_has_a_postgres_with_vectors(postgres_url: str) -> None:
    with psycopg.connect(postgres_url) as connection:
        connection.execute("CREATE EXTENSION IF NOT EXISTS vector")
        row = connection.execute("SELECT '[1,0]'::vector <=> '[0,1]'::vector").fetchone()
        assert row == (1.0,)
        connection.rollback()


def test_it_has_a_redis_with_streams(redis_url: str) -> None:
    client = redis.Redis.from_url(redis_url)
    try:
        client.xadd("nexus-test-stream", {"run": "1"})
        assert client.xlen("nexus-test-stream") == 1
    finally:
        client.delete("nexus-test-stream")
        client.close()


async def test_it_has_a_browser(chromium: Chromium) -> None:
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(
            executable_path=chromium.path,
            args=["--no-sandbox", "--disable-dev-shm-usage", "--disable-gpu"],
            timeout=90_000,
            env={"LD_LIBRARY_PATH": chromium.libraries} if chromium.libraries else None,
        )
        page = await browser.new_page()
        await page.set_content("<p>Hello</p>")
        assert await page.inner_text("p") == "Hello"
        await browser.close()


@pytest.mark.parametrize("host", ["192.0.2.1", "2001:db8::1"])
def test_it_reaches_no_other_machine(host: str) -> None:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family) as sock, pytest.raises(NetworkRefused, match="a test tried to connect"):
        sock.connect((host, 80))


async def test_it_looks_no_other_name_up() -> None:
    with pytest.raises(urllib.error.URLError, match=r"a test tried to look up example\.org"):
        urllib.request.urlopen("http://example.org/")
    with pytest.raises(socket.gaierror):
        await asyncio.get_running_loop().getaddrinfo("example.org", 80)
