# The program beside a camera. Build it from the folder above: docker build -f docker/camera-agent.Dockerfile -t camera-agent .
FROM rust:1.95-slim-bookworm AS build
WORKDIR /src
COPY . .
# What was downloaded and compiled stays for the next build, and in no layer. Cargo goes by times, and a file that is copied may be
# older than that build and another one all the same.
RUN --mount=type=cache,target=/usr/local/cargo/registry,sharing=locked \
    --mount=type=cache,target=/src/target,sharing=locked \
    find . \( -path ./vendor -o -path ./target \) -prune -o -type f -exec touch {} + && \
    cargo build --release --locked -p camera-agent && install -s target/release/camera-agent /usr/bin/camera-agent

FROM debian:bookworm-slim
RUN apt-get update && apt-get install --yes --no-install-recommends ca-certificates && rm -rf /var/lib/apt/lists/*
# The number is that of the gateway's user, so that a code that its command line has written can be read. A new volume takes over
# who owns the folder that it is mounted on.
RUN useradd --uid 10001 --no-create-home --home-dir /var/lib/camera-agent --shell /usr/sbin/nologin camera-agent \
    && install -d -o camera-agent -g camera-agent -m 700 /var/lib/camera-agent
COPY --from=build /usr/bin/camera-agent /usr/bin/camera-agent
USER camera-agent
ENV CAMERA_AGENT_STATE=/var/lib/camera-agent CAMERA_AGENT_CONFIG=/etc/camera-agent/agent.toml
VOLUME /var/lib/camera-agent
HEALTHCHECK --interval=30s --timeout=5s --start-period=60s --retries=3 CMD ["camera-agent", "status"]
ENTRYPOINT ["camera-agent"]
CMD ["run"]
