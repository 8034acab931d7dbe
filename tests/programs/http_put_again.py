# SPDX-License-Identifier: BSD-3-Clause
#
# PUTs a file three times over one connection and prints a number and the answer each time.
# usage: http_put_again.py ADDRESS PORT FILE SECONDS-BETWEEN
import http.client
import sys
import time

with open(sys.argv[3], "rb") as file:
    data = file.read()
connection = http.client.HTTPConnection(sys.argv[1], int(sys.argv[2]))
for number in 1, 2, 3:
    connection.request("PUT", "/", data)
    print(number, connection.getresponse().read().decode(), flush=True)
    time.sleep(float(sys.argv[4]))
