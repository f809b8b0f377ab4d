# The image of ./image for those who have Docker and no .NET SDK: docker build -t millau .
FROM mcr.microsoft.com/dotnet/sdk:10.0 AS build
RUN apt-get update \
 && apt-get install -y --no-install-recommends gcc libc6-dev ca-certificates \
 && rm -rf /var/lib/apt/lists/*
WORKDIR /src
COPY . .
RUN dotnet publish src/Millau -c Release -o /publish --nologo
RUN build/rootfs /publish/millau /rootfs

FROM scratch
COPY --from=build /rootfs/ /
# The same as build/image-config says, and for the same reasons.
ENV PATH=/ SSL_CERT_FILE=/etc/ssl/certs/ca-certificates.crt
EXPOSE 80 443 9100
HEALTHCHECK --interval=5s --timeout=3s --start-period=5s --retries=3 CMD ["/millau", "healthcheck"]
STOPSIGNAL SIGTERM
USER 0:0
ENTRYPOINT ["/millau"]
