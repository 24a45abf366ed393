"""Adapters to other tools: OpenTelemetry spans, Prometheus metrics, a pytest plugin."""
