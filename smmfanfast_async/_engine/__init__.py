"""How a call runs: request slots, retries, batching, streaming, polling and caching."""
