# The image for those who have Docker: `docker build --build-arg REVISION=$(git rev-parse HEAD) -t drplan-operator .`
#
# `make image` makes the same without Docker, always with the same bytes. This one holds the same files, but neither its
# digest nor its times can be foretold.
FROM rust:1.95-slim-bookworm AS build
RUN apt-get update && apt-get install --yes --no-install-recommends gcc libc6-dev python3-pip
WORKDIR /drplan
COPY . .
ARG SOURCE_DATE_EPOCH=0
RUN cargo run --locked --quiet --package drplan-image -- build --output /image \
 && cargo run --locked --quiet --package drplan-image -- inspect /image/drplan-operator.tar --unpack /files

FROM scratch
ARG REVISION=unknown
LABEL org.opencontainers.image.title=drplan-operator \
      org.opencontainers.image.licenses=Apache-2.0 \
      org.opencontainers.image.revision=$REVISION
COPY --from=build /files/ /
USER 65532:65532
ENTRYPOINT ["/drplan-operator"]
CMD ["run"]
