# The image, of any Debian base with Python 3.12 or newer in its packages:
#   docker build --target container --tag wyoming-tts .     the server for Docker, Podman, Kubernetes
#   docker build --tag wyoming-tts-addon .                  the Home Assistant add-on, as the Supervisor builds it
# script/image does it without a Docker engine, and tries what it built.
#
# Build arguments:
#   BASE     the base image
#   MIRROR   a Debian mirror in place of the base's own package sources
#   INDEX    a Python package index in place of PyPI
#   PAGE     false leaves out the web page
#   MISAKI   false leaves out what Kokoro's Japanese and Mandarin voices need, most of it a Japanese dictionary
# A certificate bundle for an index behind a proxy of your own is given as the build secret `ca`. None of these is
# in the image's files in the end; its history names the mirror.
ARG BASE=debian:trixie-slim
ARG PAGE=true
ARG MISAKI=true


FROM ${BASE} AS python
ARG MIRROR=""
RUN --mount=type=bind,source=script/debian-packages,target=/mnt/debian-packages \
    sh /mnt/debian-packages "$MIRROR" ca-certificates libopus0 python3 \
    && cd /usr/lib/python3.?? \
    && rm -rf test pydoc_data turtle.py __pycache__/turtle.* lib-dynload/_test*


# What Python needs, in one folder, which is all that the next stage takes from here.
FROM python AS packages
ARG MIRROR=""
RUN --mount=type=bind,source=script/debian-packages,target=/mnt/debian-packages \
    sh /mnt/debian-packages "$MIRROR" binutils python3-pip
WORKDIR /build
ARG INDEX=""
ARG MISAKI
COPY pyproject.toml script/image_packages.py deploy/image/server.txt deploy/image/misaki.txt deploy/image/build.txt ./
# Of what misaki.txt names some is published as sources alone, and misaki declares that it is for older Pythons,
# because of what it needs for English.
RUN --mount=type=secret,id=ca,target=/run/secrets/ca \
    set -eu; \
    export PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_ROOT_USER_ACTION=ignore PIP_REQUIRE_HASHES=1; \
    if [ -n "$INDEX" ]; then export PIP_INDEX_URL="$INDEX"; fi; \
    if [ -s /run/secrets/ca ]; then export PIP_CERT=/run/secrets/ca; fi; \
    python3 -m venv --without-pip /opt/wyoming-tts; \
    pip --python /opt/wyoming-tts/bin/python install --only-binary :all: --no-deps --no-compile --requirement server.txt; \
    pip install --break-system-packages --only-binary :all: --no-deps --no-compile --target /build/backend --requirement build.txt; \
    [ "$MISAKI" != true ] || PYTHONPATH=/build/backend pip --python /opt/wyoming-tts/bin/python install \
        --no-build-isolation --ignore-requires-python --no-deps --no-compile --requirement misaki.txt
COPY docs/licences.md LICENSE /opt/wyoming-tts/
COPY README.md LICENSE ./
COPY voices voices
COPY ui ui
COPY wyoming_tts wyoming_tts
# unchecked-hash: the image never changes, so no module's age is compared at the start, and no copy of the
# files that loses their times makes a read-only server compile everything anew.
RUN set -eu; \
    PYTHONPATH=/build/backend pip wheel --no-cache-dir --no-deps --no-build-isolation --no-index --wheel-dir dist .; \
    pip --python /opt/wyoming-tts/bin/python install --no-cache-dir --no-deps --no-index --no-compile dist/*.whl; \
    python3 image_packages.py /opt/wyoming-tts/lib/python3.*/site-packages; \
    find /opt/wyoming-tts/bin -type f ! -name wyoming-tts -delete; \
    find /opt/wyoming-tts/lib -name "*.so*" -type f -exec strip --strip-unneeded {} +; \
    python3 -W ignore -m compileall -q --invalidation-mode unchecked-hash /opt/wyoming-tts/lib


# The page, made by Gradio. The image takes it, and of Gradio only the front end, which browsers load, and its
# metadata with its licence: no Python of it and nothing that it requires.
FROM packages AS page
ARG INDEX=""
COPY deploy/image/page.txt ./
RUN --mount=type=secret,id=ca,target=/run/secrets/ca \
    set -eu; \
    export PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_ROOT_USER_ACTION=ignore PIP_REQUIRE_HASHES=1; \
    if [ -n "$INDEX" ]; then export PIP_INDEX_URL="$INDEX"; fi; \
    if [ -s /run/secrets/ca ]; then export PIP_CERT=/run/secrets/ca; fi; \
    pip --python /opt/wyoming-tts/bin/python install --only-binary :all: --no-deps --no-compile --requirement page.txt; \
    cd /opt/wyoming-tts/lib; \
    /opt/wyoming-tts/bin/python -m wyoming_tts.page.prerendered; \
    for path in python3.*/site-packages/wyoming_tts/page/page.json python3.*/site-packages/gradio-*.dist-info \
        python3.*/site-packages/gradio/templates/frontend/assets python3.*/site-packages/gradio/templates/frontend/static; do \
        mkdir -p "/build/page/${path%/*}"; \
        cp -R "$path" "/build/page/$path"; \
    done; \
    python3 /build/image_packages.py /build/page/python3.*/site-packages


FROM python AS with-packages
COPY --from=packages /opt/wyoming-tts /opt/wyoming-tts
ENV PATH=/opt/wyoming-tts/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin \
    LANG=C.UTF-8 \
    PYTHONDONTWRITEBYTECODE=1


FROM with-packages AS page-true
COPY --from=page /build/page /opt/wyoming-tts/lib
FROM with-packages AS page-false
ENV WYOMING_TTS_UI=false


FROM page-${PAGE} AS runtime
ARG BUILD_VERSION=""
LABEL org.opencontainers.image.title="wyoming-tts" \
      org.opencontainers.image.description="A local text-to-speech server that speaks while the text is still arriving" \
      org.opencontainers.image.version="${BUILD_VERSION}" \
      org.opencontainers.image.licenses="GPL-3.0-or-later" \
      org.opencontainers.image.source="https://github.com/wyoming-tts/wyoming-tts" \
      org.opencontainers.image.url="https://github.com/wyoming-tts/wyoming-tts" \
      org.opencontainers.image.documentation="https://github.com/wyoming-tts/wyoming-tts/tree/main/docs"


# Runs as nobody in particular, writes to /data alone: `docker run --read-only --tmpfs /tmp` works.
FROM runtime AS container
ARG MIRROR=""
RUN --mount=type=bind,source=script/debian-packages,target=/mnt/debian-packages \
    sh /mnt/debian-packages "$MIRROR" tini \
    && rm /usr/bin/tini-static \
    && echo "wyoming-tts:x:10200:" >> /etc/group \
    && echo "wyoming-tts:x:10200:10200::/data:/usr/sbin/nologin" >> /etc/passwd \
    && install --directory --owner 10200 --group 10200 /data
ENV HOME=/data \
    WYOMING_TTS_DATA_DIR=/data \
    WYOMING_TTS_STATE_DIR=/data \
    WYOMING_TTS_HTTP_HOST=0.0.0.0
USER 10200:10200
VOLUME /data
EXPOSE 10200 8880
HEALTHCHECK --interval=30s --timeout=5s --start-period=60s --retries=3 CMD ["wyoming-tts", "health"]
ENTRYPOINT ["tini", "--", "wyoming-tts"]
CMD ["serve"]


# Last, because the Supervisor builds without naming a stage.
FROM runtime AS addon
ARG MIRROR=""
RUN --mount=type=bind,source=script/debian-packages,target=/mnt/debian-packages \
    sh /mnt/debian-packages "$MIRROR" s6 execline
COPY addon /opt/wyoming-tts/addon
ARG BUILD_VERSION=""
ARG BUILD_ARCH=""
LABEL io.hass.version="${BUILD_VERSION}" \
      io.hass.type="addon" \
      io.hass.arch="${BUILD_ARCH}"
EXPOSE 10200 8880
CMD ["/opt/wyoming-tts/addon/start"]
