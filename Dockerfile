# One server of a cluster: see docs/operations.md and compose.yaml.
FROM debian:12 AS build
WORKDIR /kuilt
COPY . .
RUN bash -c 'source scripts/lib.sh && install_packages "${packages_build[@]}" "${packages_pack[@]}"'
RUN cmake --preset release -DKUILT_BUILD_TESTS=OFF \
    && cmake --build --preset release \
    && cpack --config build/release/CPackConfig.cmake -G DEB -B build/package

FROM debian:12-slim
COPY --from=build /kuilt/build/package/kuilt_*.deb /tmp/
RUN apt-get update \
    && apt-get install -y --no-install-recommends /tmp/kuilt_*.deb \
    && rm -rf /tmp/kuilt_*.deb /var/lib/apt/lists/* \
    && install -d -o kuilt -g kuilt -m 0700 /var/lib/kuilt /var/lib/kuilt-secret
USER kuilt
VOLUME ["/var/lib/kuilt"]
EXPOSE 7400 7401 7402
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=5s --start-period=30s CMD ["kuilt", "status"]
ENTRYPOINT ["kuilt"]
CMD ["serve", "--data", "/var/lib/kuilt"]
