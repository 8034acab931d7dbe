// SPDX-License-Identifier: BSD-3-Clause
// An http server: GET /hello, GET /file, PUT (answers with the checksum of what it got).
// usage: node http_server.js PORT FILE [self]; "self": be the client, too, and end.
'use strict';
const http = require('http');
const fs = require('fs');
const crypto = require('crypto');

const [port, file, self] = process.argv.slice(2);
const server = http.createServer((request, response) => {
	if (request.method === 'PUT') {
		const hash = crypto.createHash('sha256');
		request.on('data', (data) => hash.update(data));
		request.on('end', () => response.end(hash.digest('hex')));
	} else if (request.url === '/file') {
		fs.createReadStream(file).pipe(response);
	} else {
		response.end('hello from node\n');
	}
});
process.on('SIGTERM', () => process.exit(0));
server.listen({ port: Number(port), host: self ? '127.0.0.1' : '0.0.0.0', backlog: 511 }, () => {
	if (!self)
		return;
	const client = require('./http_client.js');
	client.run('127.0.0.1', port, file).then(() => process.exit(0));
});
