"""What others would build, run by the interpreter of `.venv-bench`: nothing here may import the service."""
