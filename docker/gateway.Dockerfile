# The gateway and its command line. Build it from the folder above: docker build -f docker/gateway.Dockerfile -t oriel-gateway .
FROM rust:1.95-slim-bookworm AS build
# The allocator is built with make; on ARM, where machines have pages of up to 64 KiB, for all of them.
RUN apt-get update && apt-get install --yes --no-install-recommends make && rm -rf /var/lib/apt/lists/*
WORKDIR /src
COPY . .
# What was downloaded and compiled stays for the next build, and in no layer. Cargo goes by times, and a file that is copied may be
# older than that build and another one all the same.
RUN --mount=type=cache,target=/usr/local/cargo/registry,sharing=locked \
    --mount=type=cache,target=/src/target,sharing=locked \
    find . \( -path ./vendor -o -path ./target \) -prune -o -type f -exec touch {} + && \
    if [ "$(uname -m)" = aarch64 ]; then export JEMALLOC_SYS_WITH_LG_PAGE=16; fi && \
    cargo build --release --locked -p oriel-gateway && install -s target/release/oriel /usr/bin/oriel

FROM debian:bookworm-slim
RUN apt-get update && apt-get install --yes --no-install-recommends ca-certificates && rm -rf /var/lib/apt/lists/*
# A new volume takes over who owns the folder that it is mounted on.
RUN useradd --uid 10001 --no-create-home --home-dir /var/lib/oriel --shell /usr/sbin/nologin oriel \
    && install -d -o oriel -g oriel -m 700 /var/lib/oriel /var/lib/oriel-codes
COPY --from=build /usr/bin/oriel /usr/bin/oriel
USER oriel
ENV ORIEL_DATA=/var/lib/oriel
VOLUME /var/lib/oriel
EXPOSE 8080
HEALTHCHECK --interval=30s --timeout=5s --start-period=60s --retries=3 CMD ["oriel", "status", "--timeout", "4s"]
ENTRYPOINT ["oriel"]
CMD ["serve"]
