"""What this service does: one module per feature. Depends on `domain` and on the ports in `ports.py` only."""
