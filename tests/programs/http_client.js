// SPDX-License-Identifier: BSD-3-Clause
// Asks http_server.js: 200 small requests, up to 50 at a time, a file, and a PUT of the file.
// usage: node http_client.js HOST PORT FILE
'use strict';
const http = require('http');
const fs = require('fs');
const crypto = require('crypto');

function ask(options, body) {
	return new Promise((resolve, reject) => {
		const request = http.request({ timeout: 20000, ...options }, (response) => {
			const hash = crypto.createHash('sha256');
			let text = '';
			response.on('data', (data) => {
				hash.update(data);
				if (text.length < 100)
					text += data.toString('latin1').slice(0, 100);
			});
			response.on('end', () => resolve({ text, sum: hash.digest('hex') }));
		});
		request.on('timeout', () => request.destroy(new Error('timeout')));
		request.on('error', reject);
		if (body)
			fs.createReadStream(body).pipe(request);
		else
			request.end();
	});
}

async function run(host, port, file) {
	const agent = new http.Agent({ keepAlive: true, maxSockets: 50 });
	const small = [];
	for (let i = 0; i < 200; i++)
		small.push(ask({ host, port, path: '/hello', agent }));
	const answers = await Promise.all(small);
	const hellos = answers.filter((a) => a.text === 'hello from node\n').length;
	agent.destroy();
	const got = await ask({ host, port, path: '/file', agent: false });
	const put = await ask({ host, port, path: '/', method: 'PUT', agent: false }, file);
	console.log(`${hellos} hellos, ${got.sum} ${put.text}`);
}

exports.run = run;
if (require.main === module) {
	const [host, port, file] = process.argv.slice(2);
	run(host, port, file).catch((error) => {
		console.error(error);
		process.exit(1);
	});
}
