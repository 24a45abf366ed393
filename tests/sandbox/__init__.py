"""The sandbox, room by room."""
