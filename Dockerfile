# Build: docker build .            (the portal)
#        docker build --target demo .   (with the simulated clouds and embedded servers, for a look at it)

FROM python:3.12-slim AS packages
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1
RUN python -m venv /opt/venv
COPY requirements/base.txt /tmp/requirements.txt
# Byte code of everything would add a quarter; the slow starters (Django, Celery) get theirs below.
RUN /opt/venv/bin/pip install --require-hashes --no-compile -r /tmp/requirements.txt -c /tmp/requirements.txt \
 && /opt/venv/bin/pip uninstall --yes pip \
 && find /opt/venv -depth -type d \( -name __pycache__ -o -name tests -o -name test_data \) \
      -path '*site-packages*' -not -path '*/django/*' -exec rm -rf {} + \
 && python -m compileall -q /opt/venv/lib/python3.12/site-packages/django \
      /opt/venv/lib/python3.12/site-packages/celery /opt/venv/lib/python3.12/site-packages/kombu

FROM python:3.12-slim AS portal
RUN useradd --system --uid 10001 --no-create-home --home-dir /nonexistent portal
ENV PATH=/opt/venv/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    STATIC_ROOT=/app/staticfiles \
    WEB_BIND=0.0.0.0:8000 \
    CELERY_BEAT_SCHEDULE=/tmp/beat-schedule
WORKDIR /app
COPY --from=packages /opt/venv /opt/venv
COPY manage.py gunicorn.conf.py ./
COPY base base
COPY clients clients
COPY identity identity
COPY catalog catalog
COPY policy policy
COPY audit audit
COPY requests_app requests_app
COPY notifications notifications
COPY oversight oversight
COPY reviews reviews
COPY accessportal accessportal
COPY templates templates
COPY static static
# Written as root: the portal's own processes can change neither code nor static files.
RUN PORTAL_PROCESS=migrate python manage.py collectstatic --noinput \
 && python -m compileall -q .
USER 10001:10001
EXPOSE 8000
CMD ["gunicorn", "accessportal.wsgi:application"]

FROM python:3.12-slim AS demo
RUN useradd --uid 10001 --create-home portal
ENV PATH=/opt/venv/bin:$PATH PYTHONUNBUFFERED=1 PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1
COPY requirements/demo.txt /tmp/requirements.txt
RUN python -m venv /opt/venv \
 && /opt/venv/bin/pip install --require-hashes --no-compile -r /tmp/requirements.txt -c /tmp/requirements.txt
WORKDIR /app
COPY --from=portal --chown=10001:10001 /app /app
COPY simulator simulator
COPY stack stack
RUN install --directory --owner=10001 --group=10001 --mode=0700 /state
USER 10001:10001
VOLUME /state
EXPOSE 8000 9400 9401 9402
CMD ["python", "-m", "stack.demo", "--state-dir", "/state/demo", "--bind", "0.0.0.0", "--simulator-ports", "9400"]

# What `docker build .` makes.
FROM portal
