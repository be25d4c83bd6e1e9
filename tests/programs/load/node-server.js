// SPDX-License-Identifier: GPL-2.0-or-later
// node-server REQUESTS - an HTTP server that keeps what it is sent, and clients beside it
// that send, ask again and compare. A second process, so that both have a heap of their own.
'use strict';
const crypto = require('crypto');
const http = require('http');
const { fork } = require('child_process');

function hash(text) {
	return crypto.createHash('sha256').update(text).digest('hex');
}

// Objects, strings and buffers, of which most soon are garbage.
function serve() {
	const kept = new Map();
	const server = http.createServer((request, response) => {
		const key = request.url.slice(1);
		const chunks = [];
		request.on('data', (chunk) => chunks.push(chunk));
		request.on('end', () => {
			if (request.method === 'PUT') {
				const body = Buffer.concat(chunks);
				kept.set(key, { body, words: JSON.parse(body.toString()) });
				response.end(hash(body));
				return;
			}
			const item = kept.get(key);
			if (!item || JSON.stringify(item.words) !== item.body.toString())
				response.statusCode = 500;
			response.end(item && item.body);
		});
	});
	// A client that has to wait for its CPU is not one that is gone: closed after five
	// seconds, the connection would be so in the middle of what it asks next.
	server.keepAliveTimeout = 0;
	server.listen(0, '127.0.0.1', function () {
		process.send(this.address().port);
	});
	process.on('disconnect', () => process.exit(0));
}

function ask(agent, port, method, key, body) {
	return new Promise((resolve, reject) => {
		const request = http.request({ agent, port, method, host: '127.0.0.1',
			path: `/${key}` }, (response) => {
			const chunks = [];
			response.on('data', (chunk) => chunks.push(chunk));
			response.on('end', () => {
				if (response.statusCode !== 200)
					reject(new Error(`${method} ${key}: ${response.statusCode}`));
				resolve(Buffer.concat(chunks).toString());
			});
		});
		request.on('error', reject);
		request.end(body);
	});
}

function content(number) {
	const words = [];
	let state = number * 2654435761 % 4294967296;
	for (let i = 0; i < 150 + number % 400; i++) {
		state = (state * 69069 + 1) % 4294967296;
		words.push(`${state} ${state.toString(36).repeat(state % 5 + 1)}`);
	}
	return JSON.stringify(words);
}

async function client(port, first, step, requests, sums) {
	const agent = new http.Agent({ keepAlive: true, maxSockets: 1 });
	for (let number = first; number < requests; number += step) {
		const body = content(number);
		const answer = await ask(agent, port, 'PUT', number % 1500, body);
		if (answer !== hash(body))
			throw new Error(`the server read something else for ${number}`);
		sums[number] = answer;
		if (await ask(agent, port, 'GET', number % 1500) !== body)
			throw new Error(`the server has something else for ${number}`);
	}
	agent.destroy();
}

async function main(requests) {
	const server = fork(__filename, ['serve']);
	const port = await new Promise((resolve) => server.once('message', resolve));
	const sums = [];
	await Promise.all([0, 1, 2, 3].map((i) => client(port, i, 4, requests, sums)));
	// All that is kept, at the end.
	const agent = new http.Agent({ keepAlive: true, maxSockets: 1 });
	for (let key = 0; key < Math.min(1500, requests); key++) {
		const number = key + Math.floor((requests - 1 - key) / 1500) * 1500;
		if (await ask(agent, port, 'GET', key) !== content(number))
			throw new Error(`the server has something else at ${key}`);
	}
	agent.destroy();
	console.log(`${requests} requests, ${hash(sums.join())}`);
	server.disconnect();
}

if (process.argv[2] === 'serve')
	serve();
else
	main(Number(process.argv[2])).catch((error) => {
		console.error(error);
		process.exit(1);
	});
