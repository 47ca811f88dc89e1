# The server as an image: `docker build -t golem-server .`
# Two stages: the first installs exactly what the lock file names, the second has neither pip's cache nor build tools.

FROM python:3.13-slim-bookworm AS build
ENV UV_PYTHON_DOWNLOADS=never UV_LINK_MODE=copy UV_COMPILE_BYTECODE=1 UV_PROJECT_ENVIRONMENT=/opt/golem-server
RUN pip install --no-cache-dir uv==0.13.9
WORKDIR /source
# The dependencies change seldom and are a layer of their own.
COPY pyproject.toml uv.lock ./
RUN uv sync --frozen --no-dev --no-install-project
COPY README.md LICENSE ./
COPY golem_server golem_server
RUN uv sync --frozen --no-dev --no-editable

FROM python:3.13-slim-bookworm
RUN useradd --system --uid 10001 --home-dir /var/lib/golem-server --create-home golem
COPY --from=build /opt/golem-server /opt/golem-server
ENV PATH=/opt/golem-server/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    GOLEM_HOST=0.0.0.0 \
    GOLEM_PORT=9881 \
    GOLEM_CUSTOM_REQUEST_PORT=9006 \
    GOLEM_MCP_PORT=9007 \
    GOLEM_DATA_DIRECTORY=/var/lib/golem-server/data \
    GOLEM_LOG_FORMAT=json
USER golem
WORKDIR /var/lib/golem-server
RUN mkdir data
VOLUME /var/lib/golem-server/data
EXPOSE 9881 9006 9007
# As long as the start may take with a migration or many workers to find again.
HEALTHCHECK --interval=10s --timeout=3s --start-period=60s --retries=3 \
    CMD ["python", "-c", "import os, urllib.request as r; r.urlopen(f'http://127.0.0.1:{os.environ[\"GOLEM_PORT\"]}/healthcheck', timeout=2)"]
ENTRYPOINT ["golem-server"]
CMD ["run"]
