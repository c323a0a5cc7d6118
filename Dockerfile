# One image for all five services, `pulse migrate` and the other commands; the container's command chooses.
#
#   docker build --tag pulse:0.1.0 .

FROM rust:1.95.0-slim-bookworm AS build
WORKDIR /src
COPY . .
# The cache mounts keep the registry and compiled crates between builds, so that a change compiles only what it touches. The program is
# copied out of target, because mounts are not part of the image.
RUN --mount=type=cache,target=/usr/local/cargo/registry \
    --mount=type=cache,target=/src/target \
    cargo build --release --locked --package pulse && \
    strip --strip-debug --output-file=/usr/local/bin/pulse target/release/pulse

FROM debian:12.14-slim
LABEL org.opencontainers.image.title="Pulse" \
      org.opencontainers.image.description="Fleet alerting that is measured from the inside out" \
      org.opencontainers.image.version="0.1.0" \
      org.opencontainers.image.licenses="Apache-2.0"
# The user is numeric, so that an orchestrator can see that it is not root. The folder is for a database of `pulse up` or a token; services
# on PostgreSQL write nothing and run with a read-only root.
RUN install --directory --owner=10001 --group=10001 --mode=0700 /var/lib/pulse
COPY --from=build /usr/local/bin/pulse /usr/local/bin/pulse
USER 10001:10001
WORKDIR /var/lib/pulse
EXPOSE 8080
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=5s --start-period=30s --retries=3 CMD ["/usr/local/bin/pulse", "health"]
ENTRYPOINT ["/usr/local/bin/pulse"]
CMD ["--help"]
