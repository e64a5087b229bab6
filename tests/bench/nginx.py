"""nginx in its four parts: the upstream with its fixed answer, the bare proxy, the translation in Lua and in njs."""

import os
from pathlib import Path

from tests.bench.tools import DEBIAN, PEERS, program

MODULES = DEBIAN / "usr/lib/nginx/modules"
CONNECTIONS = 16_384
KEPT = 5_120
"""Connections to the upstream that are kept open, as many as callers at most."""

ANSWER = '{{"succeeded":true,"message":null,"errors":null,"data":{{"invoiceId":"$request_id","amount":{amount}}}}}'
"""What the upstream answers: always the same but for the id, since no two invoices have the same."""

MAIN = """\
{modules}
{user}
daemon off;
worker_processes 1;
pid {folder}/nginx.pid;
error_log stderr error;
env TABLES;
events {{ worker_connections {connections}; }}
http {{
  access_log off;
  keepalive_requests 1000000000;
  client_body_buffer_size 1m;
  client_max_body_size 4m;
  client_body_temp_path {folder}/body;
  proxy_temp_path {folder}/proxy;
  fastcgi_temp_path {folder}/fastcgi;
  uwsgi_temp_path {folder}/uwsgi;
  scgi_temp_path {folder}/scgi;
  {inner}
}}
"""

UPSTREAM = """
  server {{
    listen 127.0.0.1:{port} backlog=8192;
    location / {{
      default_type application/json;
      return 200 '{answer}';
    }}
  }}
"""

FORWARD = """
      proxy_pass http://upstream{path};
      proxy_http_version 1.1;
      proxy_set_header Connection "";
      proxy_set_header {header} "{key}";
      proxy_set_header content-type application/json;
"""

PROXY = """
  upstream upstream {{ server {upstream}; keepalive {kept}; }}
  server {{
    listen 127.0.0.1:{port} backlog=8192;
    {locations}
  }}
"""

LOCATIONS = {
    "proxy": "location /v1/invoices {{ {forward} }}",
    "lua": (
        "location /v1/invoices {{ content_by_lua_block {{ require('invoices').serve() }} }}\n"
        "    location /upstream {{ internal; {forward} }}"
    ),
    "njs": "location /v1/invoices {{ js_content invoices.serve; }}\n    location /upstream {{ internal; {forward} }}",
}

LIBRARIES = """
  lua_package_path "{peers}/?.lua;{debian}/usr/share/lua/5.1/?.lua;;";
  lua_package_cpath "{cpath};;";
  init_by_lua_block {{ require("invoices") }}
"""

SCRIPT = """
  js_path "{peers}/";
  js_import invoices from invoices.js;
  subrequest_output_buffer_size 64k;
"""

LOADED = {
    "proxy": (),
    "lua": ("ndk_http_module", "ngx_http_lua_module"),
    "njs": ("ngx_http_js_module",),
}


def upstream(folder: Path, port: int, amount: str) -> tuple[str, ...]:
    """The command of an upstream that answers every request with an invoice of this amount."""
    return _written(folder, UPSTREAM.format(port=port, answer=ANSWER.format(amount=amount)), ())


def gateway(kind: str, folder: Path, port: int, upstream: str, tables: dict[str, str]) -> tuple[str, ...]:
    """The command of an nginx before `upstream` (host and port): `proxy`, `lua` or `njs`."""
    forward = FORWARD.format(path=tables["path"], header=tables["header"], key=tables["key"])
    locations = LOCATIONS[kind].format(forward=forward)
    inner = PROXY.format(upstream=upstream, kept=KEPT, port=port, locations=locations)
    peers = PEERS / "nginx"
    cpath = ";".join(str(path) for path in DEBIAN.glob("usr/lib/*/lua/5.1/"))
    more = {
        "proxy": "",
        "lua": LIBRARIES.format(peers=peers, debian=DEBIAN, cpath=";".join(f"{one}/?.so" for one in cpath.split(";"))),
        "njs": SCRIPT.format(peers=peers),
    }
    return _written(folder, more[kind] + inner, LOADED[kind])


def _written(folder: Path, inner: str, modules: tuple[str, ...]) -> tuple[str, ...]:
    loaded = "\n".join(f"load_module {MODULES / name}.so;" for name in modules)
    user = "user root;" if os.geteuid() == 0 else ""
    text = MAIN.format(modules=loaded, user=user, folder=folder, connections=CONNECTIONS, inner=inner)
    path = folder / "nginx.conf"
    path.write_text(text)
    return (program("nginx"), "-p", str(folder), "-e", "stderr", "-c", str(path))
