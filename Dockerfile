# docker build -t vidpred . && mkdir -p runs
# docker run --rm --user "$(id -u):$(id -g)" -v "$PWD/runs:/vidpred/runs" vidpred
# runs `vidpred quickstart`: real AVI files, training on the CPU, scores and pictures in runs/, which must be there: a
# folder that docker makes belongs to root. Longer trainings want shared memory for their loaders: --shm-size 2g.
FROM python:3.11-slim

# A C compiler builds the fast CPU convolutions once; without it they are slower, not absent.
RUN apt-get update \
    && apt-get install -y --no-install-recommends gcc libc6-dev libgomp1 libarchive-tools \
    && rm -rf /var/lib/apt/lists/*

# The build of torch for CPUs is a tenth of that for GPUs; leave the argument empty for the latter.
ARG TORCH_INDEX=https://download.pytorch.org/whl/cpu
RUN pip install --no-cache-dir torch torchvision ${TORCH_INDEX:+--index-url ${TORCH_INDEX}}

COPY . /src
RUN pip install --no-cache-dir /src && rm -rf /src

# Any user may run it, also one without a line in /etc/passwd: caches go below HOME, and torch asks for a name.
RUN useradd --no-create-home user && mkdir -p /vidpred/runs && chmod -R a+rwX /vidpred
ENV HOME=/tmp USER=user
USER user
WORKDIR /vidpred
ENTRYPOINT ["vidpred"]
CMD ["quickstart"]
