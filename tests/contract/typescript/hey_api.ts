// What a user of a client by @hey-api/openapi-ts writes: create a session, follow it to its end, read what came of it.
// Reads {url, token, repo, command} from standard input; writes what it saw, as JSON, to standard output.
import { text } from 'node:stream/consumers';

import { client } from './client/client.gen.js';
import { bundle, createSession, diff, getRun, getSession, patch, streamEvents } from './client/index.js';

const { url, token, repo, command } = JSON.parse(await text(process.stdin));
client.setConfig({ baseUrl: url, auth: token });

const { data: session } = await createSession({ body: { repo, command }, throwOnError: true });
const run = session.runs[0];
if (run === undefined) throw new Error('a new session has a run');
const path = { session_id: session.id };

const { stream } = await streamEvents({ path, query: { run_id: run.id } });
const types: string[] = [];
let output = '';
let ended: string | null = null;
for await (const event of stream) {
  types.push(event.type);
  switch (event.type) {
    case 'output':
      output += event.data.text;
      break;
    case 'run.ended':
      ended = event.data.state;
      break;
  }
}

const mailbox = await patch({ path, throwOnError: true });
const changes = await diff({ path, throwOnError: true });
const commits = await bundle({ path, throwOnError: true });
const finished = await getRun({ path: { ...path, run_id: run.id }, throwOnError: true });
const unknown = await getSession({ path: { session_id: 'ses_0000000000000000' } });
const seen = {
  types,
  output,
  ended,
  patch: await mailbox.data.text(),
  diff: changes.data,
  bundle: await commits.data.slice(0, 12).text(),
  head: finished.data.head_sha,
  pull: finished.data.pull_request?.number,
  unknown: unknown.error?.code,
};
console.log(JSON.stringify(seen));
