"""The proof: what is claimed of deliveries, tried with crashes at every step. `make prove` runs the long form."""
