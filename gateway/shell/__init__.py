"""The thin shell: everything that touches the world."""
