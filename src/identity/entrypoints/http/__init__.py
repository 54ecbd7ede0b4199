"""The wire contract: what a browser sends and gets. One module per feature, named as in `application`."""
