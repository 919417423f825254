# The reward server; docs/reward_server.md says how to run it. For CUDA build with
#   --build-arg TORCH_INDEX=https://download.pytorch.org/whl/cu130
FROM python:3.11-slim
ARG TORCH_INDEX=https://download.pytorch.org/whl/cpu
WORKDIR /app
COPY constraints.txt pyproject.toml README.md LICENSE ./
RUN pip install --no-cache-dir --constraint constraints.txt --extra-index-url "$TORCH_INDEX" torch
COPY gotr1_eval gotr1_eval
COPY rewards rewards
COPY benchmarks benchmarks
COPY reports reports
COPY training training
RUN pip install --no-cache-dir --constraint constraints.txt '.[serve]' && useradd --create-home rewards
USER rewards
WORKDIR /home/rewards
ENV PYTHONUNBUFFERED=1
EXPOSE 8780
HEALTHCHECK --start-period=10m CMD python -c "import urllib.request as u; u.urlopen('http://127.0.0.1:8780/health')"
# Listening beyond the container wants GOTR1_EVAL_TOKEN in its environment.
ENTRYPOINT ["gotr1-eval", "serve", "--host", "0.0.0.0"]
