"""What the hardware and the libraries allow with nothing in between."""
