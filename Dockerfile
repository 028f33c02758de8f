# Nexus in one image: web (uvicorn), worker and the one-shot migration differ by their argument alone.
#   docker build -t nexus .
#   docker run -p 8000:8000 -v nexus:/data -e SECRET_KEY=… nexus          SQLite, one process
# For PostgreSQL, Redis and workers: compose.yaml.

FROM node:22-bookworm-slim AS assets
WORKDIR /app
COPY package.json package-lock.json .npmrc ./
RUN npm ci --ignore-scripts --omit=dev
COPY . .
RUN node scripts/build_assets.mjs

FROM python:3.12-slim-bookworm AS python
ENV UV_PYTHON_DOWNLOADS=never UV_LINK_MODE=copy VIRTUAL_ENV=/venv
WORKDIR /app
COPY requirements requirements
RUN python -m venv /venv \
 && /venv/bin/pip install --no-cache-dir --no-deps --require-hashes -r requirements/bootstrap.txt \
 && /venv/bin/uv pip sync --no-cache --compile-bytecode --require-hashes requirements/base.txt
COPY packages packages
RUN /venv/bin/uv pip install --no-cache --no-deps --no-build-isolation ./packages/nexus-core

FROM python:3.12-slim-bookworm
# libgomp: the built-in local model computes with it.
RUN apt-get update \
 && apt-get install -y --no-install-recommends libgomp1 \
 && rm -rf /var/lib/apt/lists/* \
 && useradd --uid 10001 --create-home --home-dir /home/nexus --shell /usr/sbin/nologin nexus \
 && install -d -o nexus -g nexus /data
ENV PATH=/venv/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    DEBUG=0 \
    NEXUS_DATA_DIR=/data
WORKDIR /app
COPY --from=python /venv /venv
COPY . .
COPY --from=assets /app/static/dist static/dist
USER nexus
VOLUME /data
EXPOSE 8000
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=15s --timeout=5s --start-period=40s --retries=4 CMD ["python", "scripts/healthcheck.py"]
ENTRYPOINT ["sh", "scripts/container"]
CMD ["all"]
