"""gunicorn's configuration, for the gateway and for notifications' answers to the broker; all from the settings."""

from services.settings import load

_settings = load()
_gateway = _settings.process == "gateway"

bind = _settings.gateway_bind if _gateway else _settings.broker_auth_bind
workers = _settings.gateway_workers if _gateway else 1
threads = _settings.gateway_threads if _gateway else 8
worker_class = "gateway.pace.Worker" if _gateway else "gthread"
# An upload or a download may take its time: a thread is not a worker, but the worker's heartbeat is.
timeout = 120
graceful_timeout = 25
keepalive = 30
# Nobody needs to steer a running gunicorn but by signals.
control_socket_disable = True
# Bytes and names stay out of the log: the application logs each request itself, in JSON.
accesslog = None
logconfig_dict = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {"json": {"()": "services.logs.JsonLines"}},
    "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "json", "stream": "ext://sys.stderr"}},
    "root": {"level": "INFO", "handlers": ["stderr"]},
    "loggers": {
        # Its warnings quote malformed request lines, which may hold anything.
        "gunicorn.error": {"level": "ERROR", "handlers": [], "propagate": True},
        "gunicorn.access": {"level": "WARNING", "handlers": [], "propagate": True},
        "urllib3": {"level": "WARNING"},
        "amqp": {"level": "WARNING"},
    },
}
