# SPDX-License-Identifier: BSD-3-Clause
"""An HTTP server that answers PUT with the SHA-256 of what it was sent. usage: ADDRESS PORT"""
import hashlib
import http.server
import socket
import sys


class Put(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_PUT(self):
        left = int(self.headers["Content-Length"])
        digest = hashlib.sha256()
        while left:
            data = self.rfile.read(min(left, 65536))
            if not data:
                break
            digest.update(data)
            left -= len(data)
        answer = digest.hexdigest().encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def log_message(self, *words):
        pass


if ":" in sys.argv[1]:
    http.server.ThreadingHTTPServer.address_family = socket.AF_INET6
server = http.server.ThreadingHTTPServer((sys.argv[1], int(sys.argv[2])), Put)
print("ready", flush=True)
server.serve_forever()
