"""`make bench`: this service, its peers and what the hardware allows, measured side by side in one run."""
