"""What several tests need: a server that answers with the very bytes it was given."""
