"""One technology per module, named after it. Chosen and wired in `container/`."""
