"""A certificate for loopback that nobody vouches for."""

from pathlib import Path


def signed_by_itself(folder: Path) -> Path:
    """A certificate for loopback with its key; it opens nothing."""
    path = folder / "loopback.pem"
    parts = (("PRIVATE KEY", KEY), ("CERTIFICATE", CERTIFICATE))
    path.write_text("".join(f"-----BEGIN {kind}-----\n{text}\n-----END {kind}-----\n" for kind, text in parts))
    return path


KEY = (
    "MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgUeHMHxDGbLTs0wI8L11/0I15E0rxGcKoHLDCJXYwshmhRANCAASc"
    "0EnhkMXXotKbphaHuJcayTU0vhehdQItcL78OgvIt34yNNY0ALN+hXHMr1R4zXTsLNkVwGnV09W4azmHpNSY"
)
CERTIFICATE = (
    "MIIBmzCCAUGgAwIBAgIUD367S4DDfGJvbSbxREhvO8Ew3UcwCgYIKoZIzj0EAwIwFDESMBAGA1UEAwwJbG9jYWxob3N0MCAXDTI2"
    "MTEyMjIxMjYzM1oYDzIxMjYxMDI5MjEyNjMzWjAUMRIwEAYDVQQDDAlsb2NhbGhvc3QwWTATBgcqhkjOPQIBBggqhkjOPQMBBwNC"
    "AASc0EnhkMXXotKbphaHuJcayTU0vhehdQItcL78OgvIt34yNNY0ALN+hXHMr1R4zXTsLNkVwGnV09W4azmHpNSYo28wbTAdBgNV"
    "HQ4EFgQULHmZ7c4NMJt1C/BlrGPIaZ8qM0YwHwYDVR0jBBgwFoAULHmZ7c4NMJt1C/BlrGPIaZ8qM0YwDwYDVR0TAQH/BAUwAwEB"
    "/zAaBgNVHREEEzARgglsb2NhbGhvc3SHBH8AAAEwCgYIKoZIzj0EAwIDSAAwRQIhAKxhQ1u4c/s4f0BetItWYl1Sc3t7Afot7QnT"
    "SafwOiptAiBjW/EMfbpInAx7fRFcpw9MgEYcqJjafvxU+pRYUMKkbg=="
)
