"""The six endpoints as a Django + DRF + SimpleJWT backend has them, tuned as its documentation advises."""
