"""fetch_news over real HTTP on loopback, and every way a feed could lead into the house."""

from __future__ import annotations

import asyncio
import gzip
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest
from aiohttp import web

from agents import fetching, tools
from agents.fetching import FetchFailed, fetch, is_public
from agents.models import NewsFeed
from nexus_core.context import ExecutionContext
from nexus_core.errors import ToolError, ToolInputInvalid

RSS = """<?xml version="1.0"?><rss version="2.0"><channel><title>T</title>
<item><title>Older &amp; wiser</title><link>https://news.example/1</link><pubDate>Thu, 19 Nov 2026 08:00:00 GMT</pubDate>
<description>&lt;p&gt;Some &lt;b&gt;bold&lt;/b&gt; news&lt;script&gt;alert(1)&lt;/script&gt;&lt;/p&gt;</description></item>
<item><title>Newer</title><link>https://news.example/2</link><pubDate>Fri, 20 Nov 2026 08:00:00 GMT</pubDate></item>
<item><title>Trap</title><link>javascript:alert(1)</link></item></channel></rss>"""
ATOM = """<?xml version="1.0"?><feed xmlns="http://www.w3.org/2005/Atom"><title>A</title>
<entry><title>Newest</title><link href="https://atom.example/3"/><updated>2026-11-20T09:00:00Z</updated><summary>S</summary></entry></feed>"""

BOMB = gzip.compress(b"0" * 30_000_000)

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


@pytest.fixture
async def house() -> AsyncIterator[str]:
    """A server on loopback with feeds and traps."""
    app = web.Application()

    async def slow(request: web.Request) -> web.StreamResponse:
        await asyncio.sleep(30)
        return web.Response()

    async def bomb(request: web.Request) -> web.StreamResponse:
        return web.Response(body=BOMB, headers={"Content-Encoding": "gzip"})

    app.router.add_get("/rss", _text(RSS))
    app.router.add_get("/atom", _text(ATOM))
    app.router.add_get("/page", _text("<html>no feed</html>"))
    app.router.add_get("/empty", _text('<?xml version="1.0"?><rss version="2.0"><channel></channel></rss>'))
    app.router.add_get("/gone", _to(404))
    app.router.add_get("/slow", slow)
    app.router.add_get("/bomb", bomb)
    app.router.add_get("/moved", _to(302, "/rss"))
    app.router.add_get("/loop", _to(302, "/loop"))
    app.router.add_get("/file", _to(302, "file:///etc/passwd"))
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    await runner.cleanup()


def _text(text: str) -> Handler:
    async def answer(request: web.Request) -> web.StreamResponse:
        return web.Response(text=text, content_type="application/xml")

    return answer


def _to(status: int, where: str = "") -> Handler:
    async def answer(request: web.Request) -> web.StreamResponse:
        return web.Response(status=status, headers={"Location": where} if where else {})

    return answer


@pytest.fixture(autouse=True)
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Four seconds are enough for a feed; a machine that tests may have other things to do."""
    monkeypatch.setitem(fetch.__kwdefaults__, "seconds", 60.0)


@pytest.fixture
def private_allowed(settings: Any) -> None:
    settings.NEXUS_FETCH_PRIVATE = True


def feeds(monkeypatch: pytest.MonkeyPatch, *found: tuple[str, str]) -> None:
    monkeypatch.setattr(tools, "_active_feeds", lambda category: list(found))


async def ask(category: str = "tech", **more: Any) -> Any:
    return await tools.fetch_news.call({"category": category, **more}, ExecutionContext())


async def test_it_reads_feeds_newest_first(
    house: str, private_allowed: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    feeds(monkeypatch, ("R", f"{house}/rss"), ("A", f"{house}/atom"), ("Away", f"{house}/gone"))
    told = await ask()
    assert [article["title"] for article in told["articles"]] == ["Newest", "Newer", "Older & wiser", "Trap"]
    assert told["articles"][2] == {
        "title": "Older & wiser",
        "link": "https://news.example/1",
        "source": "R",
        "published": "2026-11-19T08:00:00Z",
        "summary": "Some bold news",
    }
    assert told["articles"][3]["link"] == ""
    assert told["failedFeeds"] == [{"feed": "Away", "error": "it answered with status 404"}]
    assert len((await ask(limit=1))["articles"]) == 1


async def test_it_refuses_a_category_that_does_not_exist() -> None:
    with pytest.raises(ToolInputInvalid):
        await ask("gossip")


async def test_without_a_feed_it_says_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    feeds(monkeypatch)
    with pytest.raises(ToolError, match="No news feed is set up for tech"):
        await ask()


async def test_without_a_network_it_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    async def away(*args: Any, **more: Any) -> Any:
        raise OSError("no network")

    monkeypatch.setattr(asyncio.get_running_loop(), "getaddrinfo", away)
    feeds(monkeypatch, ("R", "https://feeds.example/rss"))
    with pytest.raises(ToolError, match="cannot be reached \\(no network"):
        await ask()


@pytest.mark.parametrize(
    ("path", "said"),
    [
        ("/page", "not an RSS or Atom feed"),
        ("/empty", "holds no articles"),
        ("/loop", "more than 5 redirects"),
        ("/file", "only http and https"),
        ("/bomb", "larger than 2048 KiB"),
    ],
)
async def test_it_says_why_a_feed_cannot_be_read(
    house: str, private_allowed: None, monkeypatch: pytest.MonkeyPatch, path: str, said: str
) -> None:
    feeds(monkeypatch, ("R", house + path))
    with pytest.raises(ToolError, match=said):
        await ask()


async def test_it_follows_a_redirect_and_gives_up_in_time(house: str, private_allowed: None) -> None:
    assert (await fetch(f"{house}/moved")).url == f"{house}/rss"
    with pytest.raises(FetchFailed, match="no answer within"):
        await fetch(f"{house}/slow", seconds=0.2)


async def test_it_does_not_go_into_the_house(house: str) -> None:
    with pytest.raises(FetchFailed, match="not on the public internet"):
        await fetch(f"{house}/rss")
    with pytest.raises(FetchFailed, match="not on the public internet"):
        await fetch(f"{house.replace('127.0.0.1', 'localhost')}/rss")


async def test_a_redirect_does_not_lead_into_the_house(house: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The first address is allowed, what it leads to is not."""
    real = fetching._guarded_socket
    seen: list[str] = []

    def first_only(address: Any) -> Any:
        seen.append(str(address[4][0]))
        if len(seen) == 1:
            import socket

            return socket.socket(address[0], address[1], address[2])
        return real(address)

    monkeypatch.setattr(fetching, "_guarded_socket", first_only)
    with pytest.raises(FetchFailed, match="not on the public internet"):
        await fetch(f"{house}/moved")
    assert len(seen) == 2


@pytest.mark.parametrize(
    "url",
    ["ftp://example.com/x", "file:///etc/passwd", "gopher://x", "http://", "https://user:pw@example.com/"],
)
async def test_it_refuses_other_addresses(url: str) -> None:
    with pytest.raises(FetchFailed):
        await fetch(url)


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1",
        "10.1.2.3",
        "172.16.0.1",
        "192.168.1.1",
        "169.254.169.254",
        "100.64.0.1",
        "0.0.0.0",
        "224.0.0.1",
        "255.255.255.255",
        "::1",
        "::",
        "fe80::1%eth0",
        "fc00::1",
        "ff02::1",
        "::ffff:127.0.0.1",
        "::ffff:169.254.169.254",
        "::127.0.0.1",
        "64:ff9b::7f00:1",
        "2002:7f00:1::",
        "2001:0:7f00:1::",
        "not an address",
    ],
)
def test_addresses_of_the_house_are_not_public(address: str) -> None:
    assert not is_public(address)


@pytest.mark.parametrize("address", ["8.8.8.8", "2606:4700:4700::1111", "::ffff:8.8.8.8"])
def test_addresses_of_the_internet_are(address: str) -> None:
    assert is_public(address)


@pytest.mark.django_db
def test_it_reads_only_active_feeds_of_the_category() -> None:
    NewsFeed.objects.create(url="https://a.example/", category="tech", title="A")
    NewsFeed.objects.create(url="https://b.example/", category="tech", title="B", is_active=False)
    NewsFeed.objects.create(url="https://c.example/", category="world", title="C")
    assert tools._active_feeds("tech") == [("A", "https://a.example/")]
