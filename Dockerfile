# Two stages, and nothing that only BuildKit knows: the classic builder of docker-compose 1.29 makes it, too.
FROM python:3.12-slim-bookworm AS build
WORKDIR /build
# No pip inside: the environment is copied whole into the final image, which installs nothing any more.
RUN python -m venv --without-pip /opt/bookstream
# The libraries first: a change of our own code then costs no download.
COPY pyproject.toml constraints.txt ./
RUN python -c 'import tomllib; project = tomllib.load(open("pyproject.toml", "rb"))["project"]; \
print(*project["dependencies"], *project["optional-dependencies"]["native"], sep="\n")' > requirements.txt \
 && python -m pip --python /opt/bookstream/bin/python install \
      --no-cache-dir --disable-pip-version-check --root-user-action=ignore \
      --only-binary=:all: -r requirements.txt -c constraints.txt
COPY README.md LICENSE ./
COPY marketdata marketdata
COPY simulator simulator
COPY consumers consumers
COPY worker worker
COPY bookstream bookstream
RUN python -m pip --python /opt/bookstream/bin/python install \
      --no-cache-dir --disable-pip-version-check --root-user-action=ignore --no-deps .

FROM python:3.12-slim-bookworm
RUN useradd --system --uid 10001 --user-group --no-create-home --home-dir /nonexistent bookstream
COPY --from=build /opt/bookstream /opt/bookstream
# All bytecode was written above; at run time nothing needs to be written outside /tmp.
ENV PATH=/opt/bookstream/bin:$PATH PYTHONDONTWRITEBYTECODE=1 PYTHONUNBUFFERED=1
# By number, so that whoever demands a user other than root can see that it is one.
USER 10001:10001
WORKDIR /tmp
HEALTHCHECK --interval=10s --timeout=8s --start-period=30s --retries=3 CMD ["bookstream", "health"]
ENTRYPOINT ["bookstream"]
CMD ["worker"]
