# The page and the wheel are built in the first stage; the second has neither compiler nor Node, and runs as nobody in
# particular.
FROM python:3.13-slim AS build
WORKDIR /src
COPY requirements.lock pyproject.toml README.md hatch_build.py ./
RUN python -m venv /opt/ground \
 && /opt/ground/bin/pip install --no-cache-dir --require-hashes --requirement requirements.lock
COPY ground ground
COPY simulators simulators
COPY dashboard dashboard
RUN /opt/ground/bin/pip wheel --no-cache-dir --no-deps --no-build-isolation --wheel-dir /wheel .

FROM python:3.13-slim AS packages
COPY requirements.lock /
COPY --from=build /wheel /wheel
# The lock also has what development needs: as constraints it pins only what the wheel asks for.
RUN sed '/--hash/d; s/ \\$//' /requirements.lock > /constraints.txt \
 && python -m venv /opt/ground \
 && /opt/ground/bin/pip install --no-cache-dir --constraint /constraints.txt /wheel/*.whl

FROM python:3.13-slim
RUN useradd --system --create-home --uid 10001 ground && install -d -o ground /data
COPY --from=packages /opt/ground /opt/ground
USER ground
WORKDIR /home/ground
ENV PATH=/opt/ground/bin:$PATH PYTHONUNBUFFERED=1
VOLUME /data
ENTRYPOINT ["ground"]
CMD ["--help"]
