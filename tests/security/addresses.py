"""Addresses that lead into the house, in every way that somebody found to write them [S3].

`{port}` is where the canary listens: on every IPv4 address of this machine, and on `::1` where there is one.
`NAMES` are what a hostile name server answers, look-up by look-up.
"""

from __future__ import annotations

LOOPBACK = [
    "127.0.0.1", "127.1", "127.0.1", "127.0.0.0x1", "127.0.0.01", "0127.0.0.1", "0x7f.0.0.1", "0x7f.1", "0x7F000001",
    "0x7f000001", "2130706433", "017700000001", "0177.0.0.1", "0177.0.0.01", "0x7f.0x0.0x0.0x1", "00000177.0.0.1",
    "0177.0x0.0.1", "127.000.000.001", "127.0.0.1.", "127.8.8.8", "127.255.255.254", "0.0.0.0", "0", "0x0", "00",
    "0.0", "0x7f.0.1", "127.0x1", "127.65535", "0177.1", "2130706434", "0x7f000002", "017700000002",
    "[::1]", "[::]", "[0:0:0:0:0:0:0:1]", "[0000:0000:0000:0000:0000:0000:0000:0001]", "[::0001]", "[::ffff:127.0.0.1]",
    "[::ffff:7f00:1]", "[0:0:0:0:0:ffff:127.0.0.1]", "[::FFFF:127.0.0.1]", "[::ffff:0.0.0.0]", "[::127.0.0.1]",
    "[::ffff:0:127.0.0.1]", "[64:ff9b::127.0.0.1]", "[64:ff9b::7f00:1]", "[2002:7f00:1::]", "[2001:0:7f00:1::]",
    "[::1%25lo]", "[fe80::1]", "[fe80::1%25eth0]", "localhost", "LOCALHOST", "localhost.", "LocalHost.",
    "\u2460\u2461\u2466.\u24ea.\u24ea.\u2460", "\uff11\uff12\uff17.\uff10.\uff10.\uff11", "127\u30020\u30020\u30021",
    "127\uff0e0\uff0e0\uff0e1", "\uff4c\uff4fcalhost", "loc\u24d0lhost", "\u0661\u0662\u0667.0.0.1",
]  # fmt: skip
INSIDE = [
    "10.0.0.1", "10.255.255.255", "172.16.0.1", "172.31.255.255", "192.168.0.1", "192.168.1.1", "100.64.0.1",
    "169.254.169.254", "169.254.170.2", "0xA9FEA9FE", "2852039166", "0251.0376.0251.0376", "[::ffff:169.254.169.254]",
    "[fd00:ec2::254]", "[fc00::1]", "[ff02::1]", "224.0.0.1", "255.255.255.255", "198.18.0.1", "192.0.0.1",
    "192.0.2.1", "240.0.0.1", "[::ffff:a9fe:a9fe]", "[2002:a9fe:a9fe::]", "[64:ff9b::a9fe:a9fe]",
]  # fmt: skip
"""Where nothing of ours listens: they must be refused, not tried."""

NAMES: dict[str, list[list[str]]] = {
    "metadata.google.internal": [["169.254.169.254"]],
    "inside.example": [["127.0.0.1"]],
    "inside6.example": [["::1"]],
    "mapped.example": [["::ffff:127.0.0.1"]],
    "zero.example": [["0.0.0.0"]],
    "two.example": [["8.8.8.8", "127.0.0.1"]],
    "two6.example": [["2606:4700:4700::1111", "::1"]],
    "last.example": [["8.8.8.8", "8.8.4.4", "10.0.0.1", "127.0.0.1"]],
    "127.0.0.1.nip.example": [["127.0.0.1"]],
    "xn--localhost-x1b.example": [["127.0.0.1"]],
    "a.b.c.inside.example": [["127.0.0.1"]],
    "rebinds.example": [["8.8.8.8"], ["127.0.0.1"]],
    "rebinds-back.example": [["127.0.0.1"], ["8.8.8.8"]],
    "rebinds-often.example": [["8.8.8.8"], ["8.8.8.8"], ["127.0.0.1"]],
    "nat64.example": [["64:ff9b::7f00:1"]],
}
"""Answers by look-up; the last one stays."""

URLS = [
    *(f"http://{host}:{{port}}/" for host in (*LOOPBACK, *INSIDE, *NAMES)),
    "http://user:secret@127.0.0.1:{port}/",
    "http://example.com@127.0.0.1:{port}/",
    "http://example.com:80@127.0.0.1:{port}/",
    "http://127.0.0.1:{port}#@example.com/",
    "http://127.0.0.1:{port}?@example.com/",
    "http://example.com#@127.0.0.1:{port}/",
    "http://127.0.0.1:{port}\\@example.com/",
    "http://127.0.0.1\\@example.com:{port}/",
    "http:\\\\127.0.0.1:{port}\\",
    "http:/127.0.0.1:{port}/",
    "http:127.0.0.1:{port}/",
    "//127.0.0.1:{port}/",
    " http://127.0.0.1:{port}/",
    "http://127.0.0.1:{port}/%0d%0aHost:%20example.com",
    "http://127.0.0.1:0{port}/",
    "https://127.0.0.1:{port}/",
    "HTTP://127.0.0.1:{port}/",
    "ht\ntp://127.0.0.1:{port}/",
    "http://127.0.0.1:{port}\t/",
    "http://127.0.0.1:{port}/\r\nX-Injected: 1",
    "file:///etc/passwd",
    "file://127.0.0.1:{port}/etc/passwd",
    "file:/etc/passwd",
    "gopher://127.0.0.1:{port}/_GET%20/",
    "dict://127.0.0.1:{port}/info",
    "ftp://127.0.0.1:{port}/",
    "ldap://127.0.0.1:{port}/",
    "tftp://127.0.0.1:{port}/x",
    "jar:http://127.0.0.1:{port}!/",
    "data:text/xml,<rss/>",
    "ws://127.0.0.1:{port}/",
    "unix:///var/run/docker.sock",
    "http+unix://%2Fvar%2Frun%2Fdocker.sock/",
    "http://",
    "http://:{port}/",
    "javascript:alert(1)",
]
