"""Certificates that vouch for themselves, and who shows or trusts them; they open nothing."""

import ssl
from pathlib import Path

_KEY = (
    "MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgUeHMHxDGbLTs0wI8L11/0I15E0rxGcKoHLDCJXYwshmhRANCAASc"
    "0EnhkMXXotKbphaHuJcayTU0vhehdQItcL78OgvIt34yNNY0ALN+hXHMr1R4zXTsLNkVwGnV09W4azmHpNSY"
)
LOOPBACK = (
    "MIIBmzCCAUGgAwIBAgIUD367S4DDfGJvbSbxREhvO8Ew3UcwCgYIKoZIzj0EAwIwFDESMBAGA1UEAwwJbG9jYWxob3N0MCAXDTI2"
    "MTEyMjIxMjYzM1oYDzIxMjYxMDI5MjEyNjMzWjAUMRIwEAYDVQQDDAlsb2NhbGhvc3QwWTATBgcqhkjOPQIBBggqhkjOPQMBBwNC"
    "AASc0EnhkMXXotKbphaHuJcayTU0vhehdQItcL78OgvIt34yNNY0ALN+hXHMr1R4zXTsLNkVwGnV09W4azmHpNSYo28wbTAdBgNV"
    "HQ4EFgQULHmZ7c4NMJt1C/BlrGPIaZ8qM0YwHwYDVR0jBBgwFoAULHmZ7c4NMJt1C/BlrGPIaZ8qM0YwDwYDVR0TAQH/BAUwAwEB"
    "/zAaBgNVHREEEzARgglsb2NhbGhvc3SHBH8AAAEwCgYIKoZIzj0EAwIDSAAwRQIhAKxhQ1u4c/s4f0BetItWYl1Sc3t7Afot7QnT"
    "SafwOiptAiBjW/EMfbpInAx7fRFcpw9MgEYcqJjafvxU+pRYUMKkbg=="
)
"""Of `localhost` and 127.0.0.1."""
ELSEWHERE = (
    "MIIBrjCCAVOgAwIBAgIUIV97ljUK9k9KobJiSqz3u0rK8iwwCgYIKoZIzj0EAwIwHDEaMBgGA1UEAwwRZWxzZXdoZXJlLmV4YW1w"
    "bGUwIBcNMjYxMTI1MjIyNDEzWhgPMjEyNjExMDEyMjI0MTNaMBwxGjAYBgNVBAMMEWVsc2V3aGVyZS5leGFtcGxlMFkwEwYHKoZI"
    "zj0CAQYIKoZIzj0DAQcDQgAEnNBJ4ZDF16LSm6YWh7iXGsk1NL4XoXUCLXC+/DoLyLd+MjTWNACzfoVxzK9UeM107CzZFcBp1dPV"
    "uGs5h6TUmKNxMG8wHQYDVR0OBBYEFCx5me3ODTCbdQvwZaxjyGmfKjNGMB8GA1UdIwQYMBaAFCx5me3ODTCbdQvwZaxjyGmfKjNG"
    "MA8GA1UdEwEB/wQFMAMBAf8wHAYDVR0RBBUwE4IRZWxzZXdoZXJlLmV4YW1wbGUwCgYIKoZIzj0EAwIDSQAwRgIhAKShibiU4lvx"
    "byu742QaJ4nQmMnCMNaPPRLhBR0DAUOpAiEA9f69m/Cvwrk52KTsJUhBsV4krvaSxlS8IXcx6RpnKeo="
)
"""Of `elsewhere.example`, with the same key."""


def _pem(kind: str, text: str) -> str:
    return f"-----BEGIN {kind}-----\n{text}\n-----END {kind}-----\n"


def shown(folder: Path, certificate: str) -> ssl.SSLContext:
    """The context of a server that shows the certificate."""
    path = folder / "shown.pem"
    path.write_text(_pem("PRIVATE KEY", _KEY) + _pem("CERTIFICATE", certificate))
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(path)
    return context


def trusting(*certificates: str) -> ssl.SSLContext:
    """The context of a client that trusts these."""
    return ssl.create_default_context(cadata="".join(_pem("CERTIFICATE", each) for each in certificates))
